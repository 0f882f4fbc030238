//! Errors of a home and of the roles that a command names.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::exit::Exit;
use crate::error::text::{DESCRIBE, pronoun, role_words, roles_are, suggest};
use crate::home::history::LARGEST_RESULT;
use crate::home::{HomeError, shell_quoted};
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;

/// Errors of a home and of the roles that a command names.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The home does not exist, but one is needed.
    #[error("no home at `{home}`", home = home.display())]
    NoHome {
        /// Path of the missing home.
        home: PathBuf,
        /// True if the workspace describes roles; unset without a workspace.
        is_described: Option<bool>,
    },
    /// A named role does not exist.
    #[error("no role `{role}`")]
    NoSuchRole {
        /// Requested role.
        role: RoleName,
        /// Similar role, as a suggestion.
        meant: Option<RoleName>,
    },
    /// The settings of a role have never been resolved.
    #[error("role `{0}` has no settings yet")]
    NoSettings(RoleName),
    /// A role takes no input.
    #[error("role `{0}` takes no input")]
    NoInput(RoleName),
    /// `update` was called without a setting.
    #[error("no setting to change, expected `--NAME=VALUE`")]
    NoSetting(RoleName),
    /// A start order of roles is impossible.
    #[error("role `{role}` cannot start after `{after}`: {reason}")]
    StartOrder {
        /// The role.
        role: RoleName,
        /// Role that it would wait for.
        after: RoleName,
        /// Reason.
        reason: String,
    },
    /// Terms of a search match no role.
    #[error("no {what} matches {search}")]
    NoRole {
        /// Kind of the searched roles.
        what: &'static str,
        /// The terms.
        search: RoleSearch,
        /// Similar names, as suggestions.
        meant: Vec<String>,
    },
    /// The home has no roles, but some are needed.
    #[error("home `{home}` has no roles", home = home.display())]
    NoRoles {
        /// The home.
        home: PathBuf,
        /// True if the workspace describes roles.
        is_described: bool,
    },
    /// Roles that the workspace describes are not deployed yet.
    #[error("{} not deployed yet", roles_are(.0))]
    NotDeployed(Vec<RoleName>),
    /// Roles are no longer described, and are not started.
    #[error("{} retired: no longer described in `Cargo.toml`", roles_are(.0))]
    Retired(Vec<RoleName>),
    /// A role has never run.
    #[error("role `{0}` has not run yet")]
    NeverRan(RoleName),
    /// A role has no start of this index.
    #[error("role `{role}` has no start {index}; the latest is {last}")]
    NoStart {
        /// The role.
        role: RoleName,
        /// Requested index.
        index: usize,
        /// Index of the latest start.
        last: usize,
    },
    /// A role ended after its engine, so its returned value is lost.
    #[error("role `{0}` returned nothing: its engine was killed")]
    NothingReturned(RoleName),
    /// A returned value was too large to store.
    #[error(
        "result of role `{role}` was not stored: {size} bytes exceed the limit of {LARGEST_RESULT}"
    )]
    TooLarge {
        /// The role.
        role: RoleName,
        /// Size in bytes.
        size: usize,
    },
    /// A role did not end in time.
    #[error("role `{role}` did not end within {}", ShortDuration(*after))]
    NotEnded {
        /// The role.
        role: RoleName,
        /// Time limit.
        after: Duration,
    },
    /// A flag requires one role, but several are selected.
    #[error("`{flag}` requires a search that selects one role")]
    OneRole {
        /// The flag.
        flag: &'static str,
    },
}

impl RoleError {
    /// Returns a hint that says what to type next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoHome { home, is_described } => match is_described {
                Some(true) => Some(
                    "build and deploy the roles of `Cargo.toml` with `cargo ansar deploy`"
                        .to_owned(),
                ),
                Some(false) => Some(format!(
                    "{DESCRIBE}, or make an empty home with `cargo ansar create {}`",
                    shell_quoted(home)
                )),
                None => HomeError::NotThere(home.clone()).hint(),
            },
            Self::NoSettings(_) => {
                Some("build and deploy what it runs with `cargo ansar deploy`".to_owned())
            }
            Self::NoInput(role) | Self::NoSetting(role) => Some(format!(
                "see its settings with `cargo ansar settings {role}`"
            )),
            Self::StartOrder { .. } => Some("list the roles with `cargo ansar list`".to_owned()),
            Self::NeverRan(role) => Some(format!("run it with `cargo ansar run {role}`")),
            Self::NoStart { role, .. } => {
                Some(format!("list its starts with `cargo ansar history {role}`"))
            }
            Self::NothingReturned(role) => Some(format!(
                "see its last lines with `cargo ansar log {role} --last=DAY`"
            )),
            Self::NoRoles { is_described, .. } => Some(if *is_described {
                "build and deploy the roles of `Cargo.toml` with `cargo ansar deploy`".to_owned()
            } else {
                "add one with `cargo ansar add EXECUTABLE`".to_owned()
            }),
            Self::NotDeployed(roles) => Some(format!(
                "build and deploy {} with `cargo ansar deploy`",
                pronoun(roles)
            )),
            Self::Retired(roles) => Some(format!(
                "describe {0} again and run `cargo ansar deploy`, \
                 or remove {0} with `cargo ansar delete {1}`",
                pronoun(roles),
                role_words(roles)
            )),
            Self::NoSuchRole { meant, .. } => Some(match meant {
                Some(role) => format!("did you mean `{role}`? see all with `cargo ansar list`"),
                None => "list the roles with `cargo ansar list`".to_owned(),
            }),
            Self::NoRole { meant, .. } => Some(suggest(meant, "list")),
            Self::TooLarge { .. } | Self::NotEnded { .. } | Self::OneRole { .. } => None,
        }
    }

    /// Returns the exit of a command that fails so.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NoHome { .. } | Self::NoSettings(_) => Exit::Setup,
            Self::NoRoles { .. }
            | Self::NoRole { .. }
            | Self::NoSuchRole { .. }
            | Self::NotDeployed(_)
            | Self::Retired(_)
            | Self::NoInput(_)
            | Self::NoSetting(_)
            | Self::StartOrder { .. }
            | Self::NeverRan(_)
            | Self::NoStart { .. }
            | Self::OneRole { .. } => Exit::Usage,
            Self::NothingReturned(_) | Self::TooLarge { .. } => Exit::RoleFailed,
            Self::NotEnded { .. } => Exit::TimedOut,
        }
    }
}
