//! One role, in the engine.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::home::history::Journal;
use crate::host::clock;
use crate::host::lock::Lock;
use crate::host::process::Exit;
use crate::model::ending::Ending;
use crate::model::name::{ExecutableName, RoleName};
use crate::supervise::ending::Treatment;
use crate::supervise::group::Part;
use crate::supervise::launch::{Launch, Prepare};
use crate::supervise::restart::Restarting;

/// A role, as far as the engine knows it.
pub(super) struct Role {
    /// With which others it was taken in.
    pub(super) batch: u64,
    pub(super) name: RoleName,
    pub(super) executable: ExecutableName,
    pub(super) prepare: Prepare,
    pub(super) part: Part,
    pub(super) timeout: Option<Duration>,
    pub(super) ready_limit: Duration,
    pub(super) restarting: Restarting,
    pub(super) lock: Option<Lock>,
    pub(super) log: PathBuf,
    pub(super) storage: u64,
    /// How many lines of its log were lost.
    pub(super) lost: Rc<Cell<u64>>,
    pub(super) history: Option<Journal>,
    /// How many attempts it has made, as far as it says so.
    pub(super) attempts: Option<u32>,
    pub(super) foreground: bool,
    /// The group, while it is there.
    pub(super) group: Option<u32>,
    /// When it was started, or has ended.
    pub(super) since: Timestamp,
    /// Since when it runs as a role that does not announce that it is ready,
    /// and so is ready at once.
    pub(super) unannounced: Cell<Option<Instant>>,
    /// Until when it waits for its next attempt.
    pub(super) retry_at: Option<Timestamp>,
    /// How often it was started again, and how often since it was stable.
    pub(super) restarts: (u32, usize),
    pub(super) treatment: Treatment,
    /// It has ended by itself, and others of its group have not.
    pub(super) left: bool,
    pub(super) refused: Option<String>,
    /// The reason why it goes on though it was killed.
    pub(super) unkillable: Option<String>,
    pub(super) exit: Option<Exit>,
    pub(super) ended: Option<(Ending, Timestamp)>,
    /// How it ended before, each time that it was run again for that.
    pub(super) before: Vec<(Ending, Timestamp)>,
}

impl Role {
    /// A role that has not been started yet.
    pub(super) fn new(launch: Launch, batch: u64) -> Self {
        Self {
            batch,
            name: launch.role,
            executable: launch.executable,
            prepare: launch.prepare,
            part: launch.part,
            timeout: launch.timeout,
            ready_limit: launch.ready_limit,
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
