//! `cargo ansar`: build, deploy, run and test a Rust application that is
//! several processes, in one command.
//!
//! Floors, lowest first; imports go down only: `model`, `event` and `protocol`,
//! then `host`, then `home`, `delta`, `supervise` and `suite`, then `ops`, then
//! `report`, then `cli`. `ARCHITECTURE.md` is the map.

pub mod cli;
pub mod delta;
pub mod event;
pub mod home;
pub mod host;
pub mod inputs;
pub mod model;
pub mod ops;
pub mod protocol;
pub mod report;
pub mod suite;
pub mod supervise;
