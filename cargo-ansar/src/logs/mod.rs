//! The stored logs of roles: writing, reading, querying and merging.
//!
//! [`store`] writes the segments of one role and keeps them within its storage;
//! [`header`] parses the beginning of a line; [`reader`] reads the lines of one
//! role from a time on; [`query`] turns arguments into a range of time;
//! [`merge`] puts the lines of several roles into the order of time.

pub mod header;
pub mod merge;
pub mod query;
pub mod reader;
pub mod store;
