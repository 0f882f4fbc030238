//! `cargo ansar`: builds, deploys, runs and tests a Rust application that is
//! several processes, in one command.
//!
//! Rooms, lowest first; a module imports only from its own row and the rows
//! above it:
//!
//! | row | rooms |
//! | --- | --- |
//! | data | [`model`], [`events`], [`protocol`] |
//! | the operating system | [`host`] |
//! | files of a home and a workspace | [`manifest`], [`home`], [`sync`], [`logs`] |
//! | errors | [`error`] |
//! | mechanisms | [`workspace`], [`supervisor`] |
//! | features | [`deploy`] and [`harness`], then [`remote`], then [`testing`], then [`watch`] and [`commands`] |
//! | output | [`report`], then [`ui`] |
//! | arguments | [`cli`] |
//!
//! `ARCHITECTURE.md` describes them.

pub mod cli;
pub mod commands;
pub mod deploy;
pub mod error;
pub mod events;
pub mod harness;
pub mod home;
pub mod host;
pub mod logs;
pub mod manifest;
pub mod model;
pub mod protocol;
pub mod remote;
pub mod report;
pub mod supervisor;
pub mod sync;
pub mod testing;
#[cfg(feature = "ui")]
pub mod ui;
pub mod watch;
pub mod workspace;
