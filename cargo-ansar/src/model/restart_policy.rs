//! Whether a role is started again when it has ended.

use serde::{Deserialize, Serialize};

/// When a role in the background is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Once it has ended, it has ended.
    #[default]
    Never,
    /// When it did not do what it was for.
    OnFailure,
    /// However it ended, unless it was stopped.
    Always,
}
