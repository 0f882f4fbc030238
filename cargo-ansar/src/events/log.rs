//! Events of the log of a role.

use ansar_contract::line::Tag;
use serde::{Deserialize, Serialize};

use crate::model::name::RoleName;

/// Events of the log of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum LogEvent {
    /// A line of a role's log.
    Line {
        /// The role.
        role: RoleName,
        /// The tag of the line.
        tag: Tag,
        /// The whole line, as it is stored.
        text: String,
    },
    /// Log lines of a role could not be stored.
    Lost {
        /// The role.
        role: RoleName,
        /// Number of lines since the last stored one.
        count: u64,
        /// True if lines can be stored again, or none follow.
        is_over: bool,
        /// The cause.
        why: String,
    },
}
