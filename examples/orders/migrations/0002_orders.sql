CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item text NOT NULL REFERENCES items,
    quantity bigint NOT NULL CHECK (quantity > 0),
    total_cents bigint NOT NULL,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'settled', 'rejected', 'cancelled')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX orders_by_item ON orders (item, id);
