//! What a component and the tool say to each other: every type and every name
//! that both sides speak, and nothing that acts.
//!
//! Owns the wire: envelopes, built-in messages, log lines, launch arguments,
//! state notices, the layout of a home. Knows neither files nor processes nor
//! the time of day, so that both sides can trust it and tests can run it alone.

pub mod launch;
pub mod layout;
pub mod lifecycle;
pub mod line;
pub mod marker;
pub mod message;
pub mod notice;
pub mod pairs;
pub mod retry;
pub mod run;
pub mod test;

/// The version of everything in this module. A component that speaks another
/// one is refused by name.
pub const VERSION: u32 = 1;
