//! Probes: conditions under which a role counts as ready or as healthy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A condition that a role must meet to be ready.
///
/// `T` is the type of its texts: a template with placeholders in a description,
/// a plain text once the placeholders are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe<T> {
    /// A process of the role listens on this TCP port; on its port `port` if
    /// unset.
    Listen(Option<T>),
    /// A TCP connection to this `HOST:PORT` succeeds, no matter which process listens there.
    Tcp(T),
    /// A GET request of an `http://` URL is answered with one of these codes;
    /// with 200 to 299 if there are none.
    Http {
        /// The URL.
        url: T,
        /// The accepted status codes.
        status: Vec<u16>,
    },
    /// A line of this start's output matches this regular expression.
    Log(String),
    /// A command exits with 0, and its output contains a text if one is set.
    Command {
        /// The program and its arguments; not empty.
        command: Vec<T>,
        /// The text that stdout must contain.
        says: Option<T>,
    },
    /// This file exists.
    File(T),
    /// The role sends `READY=1` to the socket in `NOTIFY_SOCKET`.
    Notify,
    /// The role has exited successfully.
    Done,
    /// The process has started.
    Started,
}

/// A probe that is repeated after the role became ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health<T> {
    /// The probe.
    pub probe: Probe<T>,
    /// Time between two probes.
    pub every: Duration,
    /// Number of failures in a row that make the role unhealthy; at least 1.
    pub failures: u32,
}
