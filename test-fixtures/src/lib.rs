//! What the fixtures of this package do, as data.
