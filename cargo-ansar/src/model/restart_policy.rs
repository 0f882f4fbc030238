//! The restart policy of a role.

use serde::{Deserialize, Serialize};

/// Restart policy of a role in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// The role is never restarted.
    #[default]
    Never,
    /// The role is restarted if it fails.
    OnFailure,
    /// The role is restarted after every exit, unless it was stopped.
    Always,
}
