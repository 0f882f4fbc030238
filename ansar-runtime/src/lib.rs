//! The library that a component of a `cargo ansar` home links.

pub mod contract;

pub use contract::message::Message;
pub use contract::pairs;
