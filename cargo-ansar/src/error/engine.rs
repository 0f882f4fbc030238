//! Errors of engines and of the processes that they run.

use std::time::Duration;

use crate::error::exit::Exit;
use crate::error::text::{names, pronoun, role_words, roles_are};
use crate::home::HomeError;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::protocol::{Refusal, RefusalKind};

/// Errors of engines and of the processes that they run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A role that must run while Cargo does could not be started.
    #[error("role `{role}`, which the build needs, failed: {reason}")]
    NeedFailed {
        /// The role.
        role: RoleName,
        /// The reason.
        reason: String,
    },
    /// Some of the roles to start run already.
    #[error("{running}")]
    SomeRunning {
        /// The roles that run.
        running: HomeError,
        /// The others.
        idle: Vec<RoleName>,
    },
    /// Roles that must run do not run.
    #[error("{} not running", roles_are(.0))]
    NotRunning(Vec<RoleName>),
    /// Some of the roles to stop do not run. `-f` skips them.
    #[error("{} not running", roles_are(.0))]
    NotAllRunning(Vec<RoleName>),
    /// Roles run in a foreground command, so they cannot be restarted in the
    /// background.
    #[error("cannot restart {}", in_foreground(.0))]
    InForeground(Vec<(RoleName, String)>),
    /// Roles continue to run although they were killed.
    #[error("cannot kill {}", reasons(.0))]
    Unkillable(Vec<(RoleName, String)>),
    /// An engine does not answer, and killing it would stop other roles.
    #[error(
        "the engine of {} (process {engine}) does not answer; ending it would also stop {}",
        names(roles),
        names(others)
    )]
    EngineSilent {
        /// Process id of the engine.
        engine: u32,
        /// Roles to stop.
        roles: Vec<RoleName>,
        /// Other roles that it may run.
        others: Vec<RoleName>,
    },
    /// An engine could not be killed.
    #[error("cannot kill the engine of {} (process {engine})", names(roles))]
    EngineUnkillable {
        /// Process id of the engine.
        engine: u32,
        /// Roles to stop.
        roles: Vec<RoleName>,
    },
    /// A wait timed out.
    #[error(
        "timed out after {} waiting for roles to {what}{}",
        ShortDuration(*limit),
        after_colon(roles)
    )]
    TimedOut {
        /// State that was waited for, as a verb.
        what: &'static str,
        /// Roles that have not reached it.
        roles: Vec<RoleName>,
        /// Time limit.
        limit: Duration,
    },
    /// No background engine runs, and none could be started.
    #[error("the background engine did not start")]
    NoBackgroundEngine,
    /// An engine refused a request.
    #[error("{}{}", refusal_prefix(.0), .0.reason)]
    Refused(Refusal),
    /// The limit of file descriptors is too low for the roles.
    #[error("{roles} roles need {needed} file descriptors, but the limit is {most}")]
    Descriptors {
        /// Number of roles.
        roles: usize,
        /// Number of descriptors that they need.
        needed: u64,
        /// Limit of descriptors.
        most: u64,
    },
    /// The limit of processes is too low.
    #[error("failed to start another process: {0}")]
    Processes(String),
    /// Orphans of a killed command cannot be killed.
    #[error("cannot end orphaned processes of a killed command: {}", pids(.0))]
    Orphans(Vec<u32>),
}

impl EngineError {
    /// Returns a hint that says what to type next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Orphans(left) => Some(format!(
                "kill the processes with `sudo kill -9 {}`",
                pids(left).replace(',', "")
            )),
            Self::Descriptors { needed, .. } => {
                Some(format!("allow more with `ulimit -n {needed}`"))
            }
            Self::Processes(_) => Some("see how many are allowed with `ulimit -u`".to_owned()),
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::NeedFailed { role, .. } => {
                Some(format!("see what it printed with `cargo ansar log {role}`"))
            }
            Self::SomeRunning { idle, .. } => Some(format!(
                "start only {} with `cargo ansar start {}`, or restart the others as well with `-f`",
                match idle.len() {
                    1 => "the one that is not running",
                    _ => "those that are not running",
                },
                role_words(idle)
            )),
            Self::NotRunning(roles) => Some(format!(
                "start {} with `cargo ansar start {}`, or see what runs with `cargo ansar status`",
                pronoun(roles),
                role_words(roles)
            )),
            Self::NotAllRunning(roles) => Some(format!(
                "skip {} with `-f`, or see what runs with `cargo ansar status`",
                pronoun(roles)
            )),
            Self::InForeground(roles) => Some(format!(
                "end the command in the foreground, or stop its roles with `cargo ansar stop {}`",
                role_words(roles.iter().map(|(role, _)| role))
            )),
            Self::EngineSilent { .. } => {
                Some("wait until the engine answers, or stop all of its roles with `-f`".to_owned())
            }
            Self::Unkillable(_) | Self::EngineUnkillable { .. } | Self::TimedOut { .. } => {
                Some("see what runs with `cargo ansar status -l`".to_owned())
            }
            Self::NoBackgroundEngine => None,
        }
    }

    /// Returns the exit of a command that fails so.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NeedFailed { .. } | Self::NotRunning(_) | Self::NotAllRunning(_) => {
                Exit::NotRunning
            }
            Self::SomeRunning { .. }
            | Self::InForeground(_)
            | Self::Unkillable(_)
            | Self::EngineSilent { .. }
            | Self::EngineUnkillable { .. } => Exit::Running,
            Self::TimedOut { .. } => Exit::TimedOut,
            Self::NoBackgroundEngine
            | Self::Descriptors { .. }
            | Self::Processes(_)
            | Self::Orphans(_) => Exit::Setup,
            // The same codes as when the command detects it before it asks the
            // engine.
            Self::Refused(refusal) => match refusal.why {
                Some(RefusalKind::Running) => Exit::Running,
                Some(RefusalKind::Missing) => Exit::Usage,
                Some(RefusalKind::Ending | RefusalKind::Other) | None => Exit::Setup,
            },
        }
    }
}

fn refusal_prefix(refusal: &Refusal) -> &'static str {
    match refusal.why {
        Some(RefusalKind::Running | RefusalKind::Missing) => "",
        _ => "the engine refused the request: ",
    }
}

fn pids(pids: &[u32]) -> String {
    let texts: Vec<String> = pids.iter().map(u32::to_string).collect();
    texts.join(", ")
}

fn after_colon(roles: &[RoleName]) -> String {
    if roles.is_empty() {
        return String::new();
    }
    format!(": {}", names(roles))
}

fn reasons(roles: &[(RoleName, String)]) -> String {
    let each = roles.iter();
    let each = each.map(|(role, why)| format!("role `{role}`: {why}"));
    each.collect::<Vec<_>>().join("; ")
}

fn in_foreground(roles: &[(RoleName, String)]) -> String {
    if let [(role, pid)] = roles {
        return format!("role `{role}`: it runs in the foreground (process {pid})");
    }
    let each = roles.iter();
    let each = each.map(|(role, pid)| format!("`{role}` (process {pid})"));
    let each: Vec<_> = each.collect();
    format!("roles {}: they run in the foreground", each.join(", "))
}
