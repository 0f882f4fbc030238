//! What `cargo ansar run` returns.

use serde::{Deserialize, Serialize};

use super::message::Typed;
use crate::message;

/// The results of all roles of one run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    /// A result per role, sorted by role.
    pub completed: Vec<(String, Typed)>,
    /// The home, as it was named.
    pub home: String,
}

message!(Run = "ansar.command.ansar_command.Run");
