//! Errors of runs of roles, of tests and of a command.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::exit::Exit;
use crate::error::text::{DESCRIBE, suggest};
use crate::model::name::RoleName;
use crate::model::role_search::{RolePattern, RoleSearch};

/// Errors of runs of roles, of tests and of a command.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The main role is not among the selected roles.
    #[error("main role `{0}` is not among the selected roles")]
    NoMainRole(RoleName),
    /// No run is recorded in the home.
    #[error("no last run in home `{home}`", home = .0.display())]
    NoRun(PathBuf),
    /// No test role matches any term of a search, or the search excludes all of them.
    #[error("no test role matches {search}")]
    NoTestRole {
        /// The terms.
        search: RoleSearch,
        /// Similar names, as suggestions.
        meant: Vec<String>,
        /// Term that chooses tests of test targets instead, as a suggestion.
        of_tests: Option<String>,
    },
    /// No role is a test.
    #[error("no test roles: no role name matches `{}`", pattern.as_str())]
    NoTests {
        /// Pattern of names of test roles.
        pattern: RolePattern,
        /// True if the workspace describes roles.
        is_described: bool,
        /// Name for the role of a test target of the workspace.
        proposed: Option<RoleName>,
    },
    /// The command of `with` cannot be run.
    #[error("failed to run `{command}`: {reason}", command = command.to_string_lossy())]
    Command {
        /// The command.
        command: OsString,
        /// Reason.
        reason: String,
    },
}

impl RunError {
    /// Returns a hint that says what to type next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoRun(_) => Some("run the tests with `cargo ansar test`".to_owned()),
            Self::NoTestRole {
                meant,
                of_tests: Some(term),
                ..
            } if meant.is_empty() => Some(format!(
                "choose tests by their names with `cargo ansar test '{term}'`, \
                 or list the roles with `cargo ansar test --list`"
            )),
            Self::NoTestRole { meant, .. } => Some(suggest(meant, "test --list")),
            Self::NoTests {
                proposed: Some(role),
                ..
            } => Some(format!(
                "describe one in `Cargo.toml`: `[workspace.metadata.ansar.role.{role}]`, \
                 and below it `test = \"{}\"`",
                role.as_str().strip_prefix("test-").unwrap_or_default()
            )),
            Self::NoTests { is_described, .. } => Some(if *is_described {
                "rename a role, or set the pattern of test names with `tests` in \
                 `[workspace.metadata.ansar]`"
                    .to_owned()
            } else {
                DESCRIBE.to_owned()
            }),
            Self::NoMainRole(role) => Some(format!(
                "select role `{role}` as well, or list the roles with `cargo ansar list`"
            )),
            Self::Command { .. } => None,
        }
    }

    /// Returns the exit of a command that fails so.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NoMainRole(_) | Self::NoRun(_) => Exit::Usage,
            Self::NoTestRole { .. } | Self::NoTests { .. } => Exit::NoTests,
            Self::Command { .. } => Exit::Command(127),
        }
    }
}
