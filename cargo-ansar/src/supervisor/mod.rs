//! The engine that runs a set of roles, and the commands' access to it.
//!
//! [`scheduler`] decides: a pure state machine that receives what happened and
//! returns what to do: start a role, send a signal, wake it at a time. [`engine`]
//! acts: it starts processes, reads their pipes and notifications, and feeds the
//! scheduler. [`capture`] turns output into whole lines, stored and shown;
//! [`judge`] determines the outcome of a role.
//!
//! A role has stopped when its process has exited, no process of its group or
//! [adopted](orphans) from it is left, and its pipes are drained.
//!
//! [`server`] answers on the socket of an engine, and [`client`] finds engines
//! and asks them. [`daemon`] is the engine in the background, and [`cleanup`]
//! ends what a killed engine left.

pub mod background;
pub mod background_start;
pub mod called;
pub mod capture;
pub mod cleanup;
pub mod client;
pub mod component_check;
pub mod daemon;
pub mod engine;
pub mod fd_store;
pub mod judge;
pub mod launch;
pub mod launcher;
pub mod lock_roles;
pub mod orphans;
pub mod restart;
pub mod role_environment;
pub mod scheduler;
pub mod server;

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
