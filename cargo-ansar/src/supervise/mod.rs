//! The engine: runs a set of roles, contains them, and says how they ended.
//!
//! Theory of operation. [`group`] decides: a pure machine that is told what
//! happened and answers what to do: start this role, send that signal, look
//! again then. [`engine`] acts: it starts processes through the one door of
//! the host, reads their pipes, hears their notices, and feeds the machine.
//! [`capture`] turns what a role writes into whole lines, stored and shown;
//! [`ending`] judges what it left behind.
//!
//! A role has ended when its process has, nothing that it started is left (in its
//! group, or [adopted](strays) from it), and its pipes are drained. Knows homes only by the folders it is given, and
//! neither Cargo nor tests' verdicts.

pub mod capture;
pub mod ending;
pub mod engine;
pub mod group;
pub mod launch;
pub mod rescue;
pub mod restart;
pub mod service;
pub mod strays;

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
