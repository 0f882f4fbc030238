//! One role, in the engine.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::home::history::Journal;
use crate::host::clock;
use crate::host::fs::lock::Lock;
use crate::host::process::Exit;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::RoleOutcome;
use crate::protocol::RunOptions;
use crate::supervisor::judge::Treatment;
use crate::supervisor::launch::{Launch, Prepare};
use crate::supervisor::restart::Restarting;
use crate::supervisor::scheduler::RoleKind;

/// A role, as far as the engine knows it.
pub(crate) struct Role {
    /// With which others it was taken in.
    pub(crate) batch: u64,
    pub(crate) name: RoleName,
    pub(crate) executable: ExecutableName,
    pub(crate) prepare: Prepare,
    pub(crate) kind: RoleKind,
    pub(crate) timeout: Option<Duration>,
    pub(crate) ready_limit: Duration,
    pub(crate) options: RunOptions,
    pub(crate) restarting: Restarting,
    pub(crate) lock: Option<Lock>,
    pub(crate) log: PathBuf,
    pub(crate) storage: u64,
    /// How many lines of its log were lost.
    pub(crate) lost: Rc<Cell<u64>>,
    pub(crate) history: Option<Journal>,
    /// How many attempts it has made, as far as it says so.
    pub(crate) attempts: Option<u32>,
    pub(crate) foreground: bool,
    /// The group, while it is there.
    pub(crate) group: Option<u32>,
    /// When it was started, or has ended.
    pub(crate) since: Timestamp,
    /// Since when it runs as a role that does not announce that it is ready,
    /// and so is ready at once.
    pub(crate) unannounced: Cell<Option<Instant>>,
    /// Until when it waits for its next attempt.
    pub(crate) retry_at: Option<Timestamp>,
    /// How often it was started again, and how often since it was stable.
    pub(crate) restarts: (u32, usize),
    pub(crate) treatment: Treatment,
    /// It has ended by itself, and others of its group have not.
    pub(crate) left: bool,
    pub(crate) refused: Option<String>,
    /// The reason why it goes on though it was killed.
    pub(crate) unkillable: Option<String>,
    pub(crate) exit: Option<Exit>,
    pub(crate) ended: Option<(RoleOutcome, Timestamp)>,
    /// How it ended before, each time that it was run again for that.
    pub(crate) before: Vec<(RoleOutcome, Timestamp)>,
}

impl Role {
    /// A role that has not been started yet.
    pub(crate) fn new(launch: Launch, batch: u64) -> Self {
        Self {
            batch,
            name: launch.role,
            executable: launch.executable,
            prepare: launch.prepare,
            kind: launch.kind,
            timeout: launch.timeout,
            ready_limit: launch.ready_limit,
            options: launch.options,
            restarting: launch.restarting,
            lock: launch.lock,
            log: launch.log,
            storage: launch.storage,
            lost: Rc::default(),
            foreground: launch.foreground,
            group: None,
            since: clock::now(),
            history: launch.history,
            attempts: None,
            unannounced: Cell::default(),
            retry_at: None,
            restarts: (0, 0),
            treatment: Treatment::default(),
            left: false,
            refused: None,
            unkillable: None,
            exit: None,
            ended: None,
            before: Vec::new(),
        }
    }
}
