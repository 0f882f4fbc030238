//! Events of the life of a role.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::events::form::seconds;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::RoleOutcome;

/// Events of the life of a role, from its start to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RoleEvent {
    /// A process was started.
    Started {
        /// The role.
        role: RoleName,
        /// Its executable.
        executable: ExecutableName,
        /// Process id.
        pid: u32,
        /// The conditions under which it is ready; unset if nothing waits for
        /// that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        awaits: Option<String>,
    },
    /// A role is ready.
    Ready {
        /// The role.
        role: RoleName,
    },
    /// A role that was ready is unhealthy.
    Unhealthy {
        /// The role.
        role: RoleName,
        /// The reason.
        why: String,
    },
    /// A role that was unhealthy is healthy again.
    Healthy {
        /// The role.
        role: RoleName,
    },
    /// An attempt of a role failed; the role will retry.
    Retrying {
        /// The role.
        role: RoleName,
        /// Delay before the next attempt, in seconds.
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// A failed test role is about to run again.
    Rerunning {
        /// The role.
        role: RoleName,
        /// Number of the try, from 1.
        #[serde(rename = "try")]
        nth: u32,
        /// Largest number of tries.
        of: u32,
    },
    /// A test role is slow, or a test of its target.
    Slow {
        /// The role.
        role: RoleName,
        /// Time since its start, in seconds.
        #[serde(with = "seconds")]
        elapsed: Duration,
        /// The test, if the role runs a test target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
    },
    /// A check has failed, a test of a test target has ended, or a role has failed
    /// without a check. Every failed check is in the verdict as well.
    Check {
        /// The role.
        role: RoleName,
        /// True if it passed.
        passed: bool,
        /// The test, if the role runs a test target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
        /// The source file; an absolute path if it was found. Empty if it passed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        file: String,
        /// The line in it, from 1; 0 if it passed.
        #[serde(default, skip_serializing_if = "is_zero")]
        line: u32,
        /// The column in it, from 1, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<u32>,
        /// First line of the message of the failure.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// A role exited and will be restarted.
    Restarting {
        /// The role.
        role: RoleName,
        /// Delay before the restart, in seconds.
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// A role was killed, but a process of it still runs.
    Unkillable {
        /// The role.
        role: RoleName,
        /// Id of the process that still runs.
        pid: u32,
        /// The reason.
        why: String,
    },
    /// A role ended; none of its processes runs.
    Ended {
        /// The role.
        role: RoleName,
        /// The outcome.
        #[serde(rename = "ending")]
        outcome: RoleOutcome,
    },
    /// A start or exit could not be recorded in the history of a role.
    Unrecorded {
        /// The role.
        role: RoleName,
        /// The cause.
        why: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
