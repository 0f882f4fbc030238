//! The state of a role in the engine.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::AbortHandle;

use crate::home::history::Journal;
use crate::host::clock;
use crate::host::fs::lock::Lock;
use crate::host::net::ports::HeldPort;
use crate::host::process::Exit;
use crate::host::process::relay::Reading;
use crate::host::process::sd_notify::Notices;
use crate::logs::store::STORAGE;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::RoleOutcome;
use crate::protocol::RunOptions;
use crate::supervisor::engine::finish::Finishing;
use crate::supervisor::engine::setup::SettingUp;
use crate::supervisor::judge::EngineActions;
use crate::supervisor::launch::{Conduct, Launch, Prepare, Record, SetupCommand};
use crate::supervisor::restart::Restarting;
use crate::supervisor::scheduler::RoleKind;

/// The notification socket of one role, while it may run.
pub(crate) struct OwnNotices {
    pub(crate) socket: Rc<Notices>,
    /// The task that waits for its datagrams, once it was started.
    pub(crate) task: Option<AbortHandle>,
}

impl OwnNotices {
    fn new(socket: Notices) -> Self {
        Self {
            socket: Rc::new(socket),
            task: None,
        }
    }
}

impl Drop for OwnNotices {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A role and its current run.
pub(crate) struct Role {
    /// The batch in which the role was admitted.
    pub(crate) batch: u64,
    pub(crate) name: RoleName,
    pub(crate) executable: ExecutableName,
    pub(crate) prepare: Prepare,
    pub(crate) kind: RoleKind,
    pub(crate) timeout: Option<Duration>,
    pub(crate) conduct: Conduct,
    /// The notification socket of this role alone.
    pub(crate) notices: Option<OwnNotices>,
    pub(crate) ready_limit: Option<Duration>,
    /// The file and line that describe the role.
    pub(crate) described: Option<(PathBuf, u32)>,
    pub(crate) options: RunOptions,
    pub(crate) restarting: Restarting,
    /// The commands before its program, while they run.
    pub(crate) setting_up: Option<SettingUp>,
    /// The commands that run after the end of its program, once any must run.
    pub(crate) after_all: Vec<SetupCommand>,
    /// These commands, while they run.
    pub(crate) finishing: Option<Finishing>,
    pub(crate) lock: Option<Lock>,
    /// Records that a one-shot role has succeeded.
    pub(crate) succeeded: Option<Record>,
    /// The ports that are held until it has ended.
    pub(crate) ports: Vec<HeldPort>,
    pub(crate) log: PathBuf,
    pub(crate) storage: u64,
    /// Number of lost log lines.
    pub(crate) lost: Rc<Cell<u64>>,
    pub(crate) history: Option<Journal>,
    /// Number of attempts that the component reported.
    pub(crate) attempts: Option<u32>,
    pub(crate) foreground: bool,
    pub(crate) reading: Option<Reading>,
    /// The process group, while it exists.
    pub(crate) group: Option<u32>,
    /// Time of the last start or exit.
    pub(crate) since: Timestamp,
    /// Start of the settle time, for a role that does not announce its
    /// readiness and so is ready at once.
    pub(crate) unannounced: Cell<Option<Instant>>,
    /// Time of the next attempt.
    pub(crate) retry_at: Option<Timestamp>,
    /// Number of restarts in total, and since the role was last stable.
    pub(crate) restarts: (u32, usize),
    /// The reason why the role is unhealthy.
    pub(crate) unhealthy: Option<String>,
    pub(crate) actions_taken: EngineActions,
    /// True if the main process has exited by itself and others of its group
    /// have not.
    pub(crate) main_exited: bool,
    pub(crate) refused: Option<String>,
    /// The reason why the role survived being killed.
    pub(crate) unkillable: Option<String>,
    pub(crate) exit: Option<Exit>,
    pub(crate) ended: Option<(RoleOutcome, Timestamp)>,
    /// Outcomes of previous tries of a test, with their times.
    pub(crate) before: Vec<(RoleOutcome, Timestamp)>,
}

impl Role {
    /// Returns a role that has not been started.
    pub(crate) fn new(launch: Launch, batch: u64) -> Self {
        Self {
            batch,
            name: launch.role,
            executable: launch.executable,
            prepare: launch.prepare,
            kind: launch.kind,
            timeout: launch.properties.timeout(),
            conduct: launch.conduct,
            notices: launch.notices.map(OwnNotices::new),
            ready_limit: launch.ready_limit,
            described: launch.described,
            options: launch.options,
            restarting: launch.restarting,
            setting_up: None,
            after_all: Vec::new(),
            finishing: None,
            lock: launch.lock,
            ports: launch.ports,
            succeeded: launch.succeeded,
            log: launch.log,
            storage: launch.properties.storage.unwrap_or(STORAGE),
            lost: Rc::default(),
            foreground: launch.foreground,
            reading: launch.reading,
            group: None,
            since: clock::now(),
            history: launch.history,
            attempts: None,
            unannounced: Cell::default(),
            retry_at: None,
            restarts: (0, 0),
            unhealthy: None,
            actions_taken: EngineActions::default(),
            main_exited: false,
            refused: None,
            unkillable: None,
            exit: None,
            ended: None,
            before: Vec::new(),
        }
    }
}
