//! Test targets of the workspace, and the choice of their tests.

use serde::{Deserialize, Serialize};

use crate::model::name::{ExecutableName, NameError};
use crate::model::partition::Partition;

/// A test target of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestTarget {
    /// The code that is tested.
    pub target: TargetName,
    /// The package that has it; the only one if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

/// The code of a test target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetName {
    /// An integration test, with its name.
    Test(ExecutableName),
    /// The unit tests of a binary, with its name.
    Bin(ExecutableName),
    /// The unit tests of a library.
    Lib,
}

impl TestTarget {
    /// Returns the name of its executable in a home. Binaries may have the name
    /// of the target itself.
    pub fn executable(&self) -> Result<ExecutableName, NameError> {
        let package = self.package.iter().map(|package| format!("{package}--"));
        let target = match &self.target {
            TargetName::Test(name) => format!("{}--test", name.as_str()),
            TargetName::Bin(name) => format!("{}--bin-test", name.as_str()),
            TargetName::Lib => "lib--test".to_owned(),
        };
        (package.collect::<String>() + &target).parse()
    }

    /// Returns the name of the target in messages about its tests.
    pub fn name(&self) -> &str {
        match &self.target {
            TargetName::Test(name) | TargetName::Bin(name) => name.as_str(),
            TargetName::Lib => self.package.as_deref().unwrap_or("lib"),
        }
    }
}

impl std::fmt::Display for TestTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            TargetName::Test(name) => write!(f, "test `{}`", name.as_str())?,
            TargetName::Bin(name) => write!(f, "binary `{}`", name.as_str())?,
            TargetName::Lib => f.write_str("library")?,
        }
        match &self.package {
            Some(package) => write!(f, " of package `{package}`"),
            None => Ok(()),
        }
    }
}

/// Treatment of tests that are marked as ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ignored {
    /// They are counted and do not run.
    #[default]
    Skip,
    /// They run like others.
    Include,
    /// They run, and others do not.
    Only,
}

impl Ignored {
    /// The values, as they are written.
    pub const ALL: [(&str, Self); 3] = [
        ("skip", Self::Skip),
        ("include", Self::Include),
        ("only", Self::Only),
    ];
}

/// Everything that a run of a test target needs; the argument of the process
/// that runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestRun {
    /// The name of the target in messages.
    pub target: String,
    /// The test executable.
    pub executable: std::path::PathBuf,
    /// The file that Cargo built, beside which is the list of its sources.
    pub artifact: std::path::PathBuf,
    /// Texts of which the name of a test contains one; all tests if empty.
    pub filter: Vec<String>,
    /// True if these are whole names.
    pub exact: bool,
    /// Texts of which the name must contain one, too; chosen by the command.
    pub chosen: Vec<String>,
    /// Partitions to apply to the matching tests, in order: that of the job, then
    /// that of the shard within it. Empty if all of them run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Partition>,
    /// Treatment of ignored tests.
    pub ignored: Ignored,
    /// True if each test has a process of its own.
    pub isolate: bool,
    /// Time limit of a test, in seconds.
    pub test_timeout: Option<f64>,
    /// Time after which a test is reported as slow, in seconds.
    pub slow: Option<f64>,
    /// Number of tests that run at once, over all test targets.
    pub jobs: usize,
    /// Folder of the locks that all test targets share.
    pub slots: std::path::PathBuf,
    /// File with the results of the last run, which this one replaces.
    pub journal: std::path::PathBuf,
    /// Tests that run, compared with that file.
    pub again: Again,
}

impl TestRun {
    /// The first argument of this program that asks for a run.
    pub const WORD: &str = "harness";
}

/// Tests that run, compared with the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Again {
    /// All; those that failed run first.
    All,
    /// Those that did not pass; if all have passed, all.
    Failed,
    /// Those that did not pass, as a retry: results of the others are kept.
    Retry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_of_targets_have_names_of_their_own() {
        let name = |text: &str| text.parse::<ExecutableName>().unwrap();
        for (target, package, expected) in [
            (TargetName::Test(name("api")), None, "api--test"),
            (
                TargetName::Test(name("api")),
                Some("shop"),
                "shop--api--test",
            ),
            (TargetName::Bin(name("api")), None, "api--bin-test"),
            (TargetName::Lib, Some("shop"), "shop--lib--test"),
        ] {
            let package = package.map(str::to_owned);
            let target = TestTarget { target, package };
            assert_eq!(target.executable(), Ok(name(expected)));
            let text = serde_json::to_string(&target).unwrap();
            assert_eq!(serde_json::from_str::<TestTarget>(&text).unwrap(), target);
        }
    }
}
