//! The properties of a role that decide how it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use ansar_contract::retry::Retry;

use crate::model::name::RoleName;
use crate::model::restart_policy::Restart;

/// The properties of a role, from the manifest or a command, through the home,
/// to its launch.
///
/// To add a property, add a field here, its key in `manifest::parse`, its stored
/// form in `home::role`, and its row in `home::properties`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoleProperties {
    /// Delays between attempts; they pass [`Retry::check`].
    pub retry: Option<Retry>,
    /// Restart policy in the background.
    pub restart: Option<Restart>,
    /// Time limit of a run, including all attempts, in seconds; more than zero
    /// and at most a year.
    pub timeout: Option<f64>,
    /// Roles that must be ready before this one starts.
    pub after: Vec<RoleName>,
    /// Additional environment variables, none of them reserved by the tool.
    pub env: BTreeMap<String, String>,
    /// Limit for the stored log, in bytes.
    pub storage: Option<u64>,
}

impl RoleProperties {
    /// Returns the time limit of a run.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}
