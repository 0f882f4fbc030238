//! Options of a command for the roles that run test targets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::home::role::Entry;
use crate::host::environment;
use crate::manifest::Description;
use crate::model::name::RoleName;
use crate::model::partition::Partition;
use crate::model::role_search::RolePattern;
use crate::model::test_target::{Again, TestRun};
use crate::supervisor::scheduler::Policy;

/// Time after which a test role is reported as slow by default.
pub const SLOW: Duration = Duration::from_secs(60);

/// Options of a command for all roles that run tests. The command line makes
/// them, and they are passed on whole, to the scheduler and to the processes that
/// run test targets, also on other machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestOptions {
    /// Maximum number of test roles that run at once (unlimited if unset), and of
    /// tests that run at once over all test targets (the number of processors if
    /// unset).
    pub jobs: Option<usize>,
    /// True if the first failure ends the run.
    pub fail_fast: bool,
    /// Number of retries of a failed test role.
    pub retries: Option<u32>,
    /// Time after which a test, or a test role, is reported as slow.
    pub slow: Option<Duration>,
    /// True if only roles and tests run that failed in the last run. If none
    /// failed, all run.
    pub failed: bool,
    /// Texts of which the name of a test must contain one, each for the roles
    /// that a pattern matches.
    pub chosen: Vec<(RolePattern, String)>,
    /// Partitions of roles that run only a part of their tests: that of the job,
    /// then that of the shard within it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<RoleName, Vec<Partition>>,
}

impl TestOptions {
    /// The options of a command that takes none.
    pub const NONE: &Self = &Self {
        jobs: None,
        fail_fast: false,
        retries: None,
        slow: None,
        failed: false,
        chosen: Vec::new(),
        parts: BTreeMap::new(),
    };

    /// Returns these options, with those of the manifest, or else the defaults,
    /// where the command has none.
    pub(crate) fn or_described(&self, description: Option<&Description>) -> Self {
        let retries = description.and_then(|description| description.retries);
        let slow = description.and_then(|description| description.slow_timeout);
        Self {
            retries: self.retries.or(retries),
            slow: Some(self.slow.or(slow).unwrap_or(SLOW)),
            ..self.clone()
        }
    }

    /// Returns the policy for test roles.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            jobs: self.jobs,
            fail_fast: self.fail_fast,
            retries: self.retries.unwrap_or(0),
            slow: self.slow,
            ..Policy::default()
        }
    }

    /// Returns the run of a role's test target, without its files.
    pub(crate) fn run(
        &self,
        home: &Home,
        role: &RoleName,
        entry: &Entry,
        is_retry: bool,
    ) -> TestRun {
        let properties = &entry.properties;
        let target = properties.test.as_ref().map(|test| test.name().to_owned());
        let chosen = self.chosen.iter();
        let chosen = chosen.filter(|(pattern, _)| pattern.matches(role));
        let slow = self.slow.map(|slow| slow.as_secs_f64());
        TestRun {
            target: target.unwrap_or_default(),
            executable: PathBuf::new(),
            artifact: PathBuf::new(),
            filter: properties.filter.clone(),
            exact: properties.exact,
            chosen: chosen.map(|(_, text)| text.clone()).collect(),
            partitions: self.parts.get(role).cloned().unwrap_or_default(),
            ignored: properties.ignored,
            isolate: properties.isolate != Some(false),
            test_timeout: properties.test_timeout,
            slow,
            jobs: self.jobs.unwrap_or_else(environment::parallelism),
            slots: home.slots(),
            journal: home.test_results(role),
            again: match (is_retry, self.failed) {
                (true, _) => Again::Retry,
                (false, true) => Again::Failed,
                (false, false) => Again::All,
            },
        }
    }
}
