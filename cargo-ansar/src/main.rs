//! The executable behind `cargo ansar`.

fn main() {}
