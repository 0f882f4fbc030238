CREATE TABLE items (
    name text PRIMARY KEY,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    stock bigint NOT NULL CHECK (stock >= 0)
);
