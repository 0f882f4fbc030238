//! The stored logs of roles: writing, reading, querying and merging.
//!
//! [`store`] writes the segments of one role and limits their size; [`header`]
//! parses the head of a line; [`reader`] reads the lines of one role from a
//! time on; [`query`] resolves the time range of a query; [`merge`] merges the
//! logs of several roles in time order, [`window`] shows a part of them that moves
//! in both directions, and [`skew`] corrects lines of machines whose clock is wrong.

pub mod header;
pub mod merge;
pub mod query;
pub mod reader;
pub mod skew;
pub mod store;
pub mod window;
