//! The engine that runs roles, and the commands' access to it.
//!
//! [`scheduler`] decides: a pure state machine that takes events and returns
//! actions, such as to start a role or to send a signal. [`engine`] acts: it
//! starts processes, reads their pipes and notifications, and feeds the
//! scheduler. [`capture`] turns output into whole lines, stored and shown;
//! [`judge`] determines the outcome of a role, with the end of its output
//! ([`last_output`]).
//!
//! A role has stopped when its process has exited, no process of its group and
//! no [orphan](orphans) of it remains, and its pipes are drained.
//!
//! [`server`] answers on the socket of an engine, and [`client`] finds engines
//! and sends requests. [`daemon`] is the background engine, and [`cleanup`]
//! kills orphans of a killed engine.

pub mod background;
pub mod background_start;
pub mod by_hand;
pub mod called;
pub mod capture;
pub mod cleanup;
pub mod client;
pub mod daemon;
pub mod engine;
pub mod executable_kind;
pub mod fd_store;
pub mod judge;
pub mod last_output;
pub mod launch;
pub mod launcher;
pub mod lock_roles;
pub mod one_shot;
pub mod orphans;
pub mod output_panics;
pub mod readiness;
pub mod requirements;
pub mod restart;
pub mod role_environment;
pub mod scheduler;
pub mod server;
pub mod setup_result;
pub mod test_options;
