//! The user interface that lives: shows roles, logs and the last run while they
//! change.
//!
//! [`source`] attaches to the engines of a home and reads its files, and
//! [`model`] is the pure state of the interface, which [`draw`] draws and
//! [`terminal`] keeps up to date. It only shows what it is told,
//! and runs commands of this tool as child processes: it decides nothing about
//! roles.

pub mod command;
pub mod draw;
mod jobs;
pub mod layout;
pub mod log_feed;
pub mod model;
pub mod role_list;
pub mod snapshot;
pub mod source;
pub mod terminal;
mod text;
pub mod update;
pub mod web;
