//! The roles to run, as passed to an engine.

use std::path::PathBuf;
use std::time::Duration;

use crate::home::history::Journal;
use crate::host::fs::lock::Lock;
use crate::host::process::Program;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::role_properties::RoleProperties;
use crate::protocol::RunOptions;
use crate::supervisor::restart::Restarting;
use crate::supervisor::scheduler::RoleKind;

/// Prepares a start and returns the program, or the reason why it cannot be
/// started.
pub type Prepare = Box<dyn Fn() -> Result<Program, String>>;

/// A role to run.
pub struct Launch {
    /// The name of the role.
    pub role: RoleName,
    /// The executable of the role.
    pub executable: ExecutableName,
    /// Called before every start.
    pub prepare: Prepare,
    /// The kind of role.
    pub kind: RoleKind,
    /// The properties of the role. Roles in `after` that are not among the
    /// launches are ignored.
    pub properties: RoleProperties,
    /// Time that the role gets to become ready.
    pub ready_limit: Duration,
    /// Options of this run, kept when a deploy restarts the role.
    pub options: RunOptions,
    /// The restart policy.
    pub restarting: Restarting,
    /// The lock on the role, released when it has ended.
    pub lock: Option<Lock>,
    /// The folder of the log.
    pub log: PathBuf,
    /// The journal of starts and exits; unset if this is not a role.
    pub history: Option<Journal>,
    /// True if the process inherits the streams and the terminal of this
    /// command instead of having a log and a result.
    pub foreground: bool,
}
