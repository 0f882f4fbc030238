//! Readers of the event stream, and the one place that prints.
//!
//! [`shell`] owns the streams; [`human`] turns events and outcomes into what a
//! person reads, and [`listing`] what a home holds; [`printer`] is the thread on which that happens.

pub mod background;
pub mod diagnostics;
pub mod github;
pub mod html;
pub mod human;
mod json;
pub mod junit;
pub mod keys;
pub mod listing;
pub mod materials;
mod palette;
pub mod printer;
pub mod query;
#[cfg(test)]
mod sample;
pub mod shell;
mod untrusted;
