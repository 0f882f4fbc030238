//! The report of `cargo ansar run`.

use serde::{Deserialize, Serialize};

use crate::envelope::Typed;
use crate::envelope::built_in;

/// The results of all roles of one run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    /// The result of each role, sorted by role.
    pub completed: Vec<(String, Typed)>,
    /// The path of the home, as it was given.
    pub home: String,
}

built_in!(Run = "ansar.command.ansar_command.Run");
