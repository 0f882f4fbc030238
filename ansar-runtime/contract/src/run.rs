//! What `cargo ansar run` returns.

use serde::{Deserialize, Serialize};

use crate::envelope::Typed;
use crate::envelope::built_in;

/// The results of all roles of one run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    /// A result per role, sorted by role.
    pub completed: Vec<(String, Typed)>,
    /// The home, as it was named.
    pub home: String,
}

built_in!(Run = "ansar.command.ansar_command.Run");
