//! What an engine is given: roles, and how each is started.

use std::path::PathBuf;
use std::time::Duration;

use crate::home::history::Journal;
use crate::host::fs::lock::Lock;
use crate::host::process::Program;
use crate::model::name::{ExecutableName, RoleName};
use crate::protocol::RunOptions;
use crate::supervisor::restart::Restarting;
use crate::supervisor::scheduler::RoleKind;

/// Puts everything in place for a start, and says how to do it, or why it
/// cannot be done.
pub type Prepare = Box<dyn Fn() -> Result<Program, String>>;

/// A role to run.
pub struct Launch {
    /// Its name.
    pub role: RoleName,
    /// The name of what it runs.
    pub executable: ExecutableName,
    /// What comes before every start of it.
    pub prepare: Prepare,
    /// What it is for.
    pub kind: RoleKind,
    /// The roles that are ready, or done, before it starts; those that are not
    /// among the launches are not waited for.
    pub after: Vec<RoleName>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How long it may take to become ready.
    pub ready_limit: Duration,
    /// The options for this run, which it keeps where a deploy restarts it.
    pub options: RunOptions,
    /// Whether it is started again when it has ended by itself.
    pub restarting: Restarting,
    /// The right to run it, which is given back when it has ended.
    pub lock: Option<Lock>,
    /// The folder of its log.
    pub log: PathBuf,
    /// The most that is stored of its log, in bytes.
    pub storage: u64,
    /// Where its starts and its ends are written down; nowhere for what is no
    /// role.
    pub history: Option<Journal>,
    /// Whether it has the streams and the terminal of this command instead of
    /// a log and a result.
    pub foreground: bool,
}
