-- A client that sends an order twice with the same key has one order.
ALTER TABLE orders ADD COLUMN key text UNIQUE;
