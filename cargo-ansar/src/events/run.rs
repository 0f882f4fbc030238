//! Events of a command that runs roles.

use std::collections::BTreeMap;

use ansar_contract::envelope::Typed;
use serde::{Deserialize, Serialize};

use crate::model::name::{ExecutableName, RoleName};
use crate::model::run_report::RunReport;

/// Events of a command that runs roles, from its beginning to its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// Roles are about to run; none of them is a test role.
    Running {
        /// Number of roles.
        roles: usize,
    },
    /// Test roles are about to run.
    Testing {
        /// Number of test roles.
        tests: usize,
        /// Number of operational roles that they run against.
        operational: usize,
        /// The test roles.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<RoleName>,
    },
    /// Agents are being placed on other machines, or beside this command.
    Placing {
        /// The driver that places them.
        on: String,
        /// Number of agents.
        shards: usize,
    },
    /// An agent has joined.
    Placed {
        /// Number of its shard, from 1.
        shard: usize,
        /// The name of its node.
        node: String,
    },
    /// Nothing is heard of an agent any more.
    ShardLost {
        /// Number of its shard, from 1.
        shard: usize,
        /// The name of its node, if it has joined.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// The reason.
        why: String,
        /// Number of its roles that have no outcome.
        roles: usize,
    },
    /// The test reports are passed to an analyzer.
    Analyzing {
        /// Number of reports.
        reports: usize,
        /// The executable of the analyzer.
        executable: ExecutableName,
    },
    /// The command waits for a role that another engine runs and that is not
    /// ready.
    Awaiting {
        /// The role.
        role: RoleName,
        /// The conditions that it does not meet yet, if they are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Roles are being stopped.
    Stopping {
        /// Number of roles.
        roles: usize,
        /// The reason.
        why: StopReason,
    },
    /// Roles take long to stop or to become ready.
    Waiting {
        /// The roles.
        roles: Vec<RoleName>,
        /// The state that they are to reach.
        until: Until,
        /// Reasons of the wait, by role, as far as they are known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        why: BTreeMap<RoleName, String>,
    },
    /// Orphaned processes that could not be attributed to a role were killed.
    #[serde(rename = "strays")]
    Orphans {
        /// Number of processes.
        count: usize,
    },
    /// Processes of a killed engine of this home were killed.
    #[serde(rename = "swept")]
    CleanedUp {
        /// Number of processes.
        count: usize,
    },
    /// The result of a command: the results of `run`, or the result of an
    /// analyzer.
    Result {
        /// The message.
        message: Typed,
    },
    /// The report of a run; its last event.
    Verdict(Box<RunReport>),
    /// The run could not be stored for later commands.
    Unkept {
        /// The cause.
        why: String,
    },
}

/// The reason for stopping roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All tests have ended.
    Finished,
    /// The command was interrupted.
    Interrupted,
    /// A test failed, and `--fail-fast` is set.
    FailFast,
    /// A role that others depend on failed.
    Broken,
}

/// The state that a command waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The roles have ended.
    Stopped,
    /// The roles are ready.
    Ready,
}
