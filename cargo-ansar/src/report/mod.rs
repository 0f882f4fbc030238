//! Readers of events and outcomes, and the only place that prints.
//!
//! [`shell`] owns the streams. [`human`] turns events and outcomes into text
//! for people, and [`listing`] does so for the roles of a home. [`printer`] is
//! the thread that prints. [`progress`] turns events into one line about what
//! goes on, and [`meter`] decides when it is shown.

pub mod background;
pub mod component;
pub mod diagnostics;
pub mod github;
pub mod html;
pub mod human;
pub mod json;
pub mod junit;
pub mod listing;
pub mod materials;
pub mod meter;
pub mod notification;
pub mod palette;
pub mod printer;
pub mod progress;
pub mod query;
#[cfg(test)]
mod sample;
pub mod shell;
pub mod untrusted;
pub mod watch;
