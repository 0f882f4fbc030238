//! Options of a command for the roles that run test targets.

use std::path::PathBuf;
use std::time::Duration;

use crate::home::Home;
use crate::home::role::Entry;
use crate::host::environment;
use crate::model::name::RoleName;
use crate::model::role_search::RolePattern;
use crate::model::test_target::{Again, TestRun};

/// Options of a command for all roles that run tests.
#[derive(Debug, Clone, Default)]
pub struct TestOptions {
    /// Number of tests that run at once; that of the processors if unset.
    pub jobs: Option<usize>,
    /// Time after which a test is reported as slow.
    pub slow: Option<Duration>,
    /// True if only tests run that failed in the last run.
    pub failed: bool,
    /// Texts of which the name of a test must contain one, each for the roles
    /// that a pattern matches.
    pub chosen: Vec<(RolePattern, String)>,
}

impl TestOptions {
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
