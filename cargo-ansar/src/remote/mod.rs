//! Runs of roles that are divided over several machines.
//!
//! The command of the user is the *launcher*. It divides the roles into
//! *shards* ([`plan`]), and an *agent* runs each of them on a node. Launcher and
//! agent exchange [`messages`] in [`frames`] over one stream. The launcher's
//! [`scheduler`] decides what happens when, and which events count. Agents keep
//! the files that they were sent in a [`store`], so that none is sent twice.

pub mod boot;
pub mod conversation;
pub mod driver;
pub mod frames;
pub mod messages;
pub mod plan;
pub mod scheduler;
pub mod store;
