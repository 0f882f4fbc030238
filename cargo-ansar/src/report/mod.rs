//! Readers of the event stream, and the one place that prints.
//!
//! [`printer`] owns the streams and the thread that writes to them; [`human`]
//! turns events and outcomes into what a person reads. stdout is data, stderr
//! is narrative in Cargo's own look.

pub mod human;
pub mod printer;
