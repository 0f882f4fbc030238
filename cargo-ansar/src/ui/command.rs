//! Commands of this tool that the user of an interface starts.

use serde::Deserialize;

use crate::ui::snapshot::Role;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Starts roles; runs test roles.
    Start,
    /// Stops roles.
    Stop,
    /// Restarts roles; runs test roles.
    Restart,
    /// Runs all tests.
    Test,
    /// Runs the tests that failed.
    TestFailed,
    /// Builds and deploys, and restarts affected roles.
    Deploy,
    /// Shows why a role was restarted.
    Why,
}

impl Command {
    /// Returns its arguments, without the roles that it is about.
    pub(super) fn arguments(self, roles: &[&Role]) -> Vec<String> {
        // A test role is run, not kept running.
        let are_tests = roles.iter().all(|role| role.is_test);
        let words: &[&str] = match self {
            Self::Start | Self::Restart if are_tests => &["test"],
            Self::Start => &["start"],
            Self::Stop => &["stop"],
            Self::Restart => &["restart"],
            Self::Test => &["test"],
            Self::TestFailed => &["test", "--failed"],
            Self::Deploy => &["deploy", "-f"],
            Self::Why => &["why"],
        };
        words.iter().map(ToString::to_string).collect()
    }

    /// Returns true if it starts or stops roles.
    pub(super) fn changes_roles(self) -> bool {
        matches!(self, Self::Start | Self::Stop | Self::Restart)
    }

    /// Returns true if it is about roles.
    pub(super) fn takes_roles(self) -> bool {
        match self {
            Self::Start | Self::Stop | Self::Restart | Self::Why => true,
            Self::Test | Self::TestFailed | Self::Deploy => false,
        }
    }
}
