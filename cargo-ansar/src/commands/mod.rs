//! Simple commands, one file each.
//!
//! A command takes typed options and the stream of events, and returns a typed
//! outcome or an [`Error`](crate::error::Error). It never prints and never exits.

pub mod add;
pub mod address;
pub mod build;
pub mod check;
pub mod config;
pub mod create;
pub mod delete;
pub mod deploy;
pub mod destroy;
pub mod doctor;
pub mod edit;
pub mod folder;
pub mod get;
pub mod history;
pub mod init;
pub mod input_file;
pub mod list;
pub mod log;
pub mod report;
pub mod run;
pub mod set;
pub mod settings;
pub mod snapshot;
pub mod start;
pub mod status;
pub mod stop;
pub mod update;
pub mod why;
pub mod with;
