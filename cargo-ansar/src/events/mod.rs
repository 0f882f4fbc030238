//! The stream of events, as plain data.
//!
//! Features and the engine emit events and never print; reports read events and
//! decide nothing. The stream has no clock: its creator passes one in.

pub mod json;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ansar_contract::envelope::Typed;
use ansar_contract::line::Tag;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::RoleOutcome;
use crate::model::run_report::RunReport;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Kind {
    /// Another command is changing the home; this one waits for it.
    Blocked {
        /// The home.
        #[serde(with = "lossy")]
        home: PathBuf,
    },
    /// A home was made.
    HomeCreated {
        /// The home.
        #[serde(with = "lossy")]
        home: PathBuf,
    },
    /// The command begins its next phase; told where the level of the log asks
    /// for what the runtime does.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// Cargo is about to build.
    Building {},
    /// Cargo has built, or found everything as it should be.
    Built {},
    /// A role that was described no longer is; it is kept and not run.
    Retired {
        /// The role.
        role: RoleName,
    },
    /// A material was changed both in the snapshot and by its role; it is left
    /// as it is.
    Conflict {
        /// The file, in the home.
        #[serde(with = "lossy")]
        path: PathBuf,
        /// How the two sides differ.
        why: String,
    },
    /// A material that is not deployed, whatever it holds.
    Passed {
        /// The file, in the snapshot.
        #[serde(with = "lossy")]
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A field that was changed in one place is hidden by another.
    Hidden {
        /// The role.
        role: RoleName,
        /// The setting.
        setting: String,
    },
    /// What changed was brought into the home.
    Deployed {
        /// What changed: executables and materials, as a person names them.
        changed: Vec<String>,
        /// How many executables the home has.
        executables: usize,
        /// How many of them changed.
        relinked: usize,
        /// How many roles use something that changed.
        affected: usize,
    },
    /// Running roles that a deploy affects are being stopped, to be started
    /// again.
    Suspending {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles that a deploy had stopped run again.
    Restored {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles that a deploy had stopped were started again, and are not ready.
    Unrestored {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles are about to run; no tests among them.
    Running {
        /// How many.
        roles: usize,
    },
    /// The loop waits for the next change.
    Watching {
        /// How many files.
        files: usize,
    },
    /// The kernel does not tell of changes any more; they are looked for.
    Polling {
        /// What to raise.
        limit: String,
    },
    /// Files have changed, and the loop begins anew.
    Changed {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// Files were written with what they held; there is nothing to do.
    Rewritten {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// Files change in every loop, so that what runs in it writes them; such
    /// changes begin no more loops.
    Written {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
        /// What writes them.
        by: Author,
    },
    /// Sources have changed and were not compiled, since they are older than
    /// what was compiled before; the verdict is stale.
    Uncompiled {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// A file system does not tell of all changes; they are looked for as well.
    Untold {
        /// A folder on it.
        #[serde(with = "lossy")]
        folder: PathBuf,
        /// Its type.
        filesystem: String,
        /// Interval between two looks, in seconds.
        #[serde(with = "seconds")]
        interval: Duration,
    },
    /// Test roles are about to run.
    Testing {
        /// How many.
        tests: usize,
        /// How many operational roles they run against.
        operational: usize,
    },
    /// What the tests found goes to an analyzer.
    Analyzing {
        /// How many reports.
        reports: usize,
        /// What analyzes them.
        executable: ExecutableName,
    },
    /// A process was started.
    Started {
        /// The role it plays.
        role: RoleName,
        /// Its executable.
        executable: ExecutableName,
        /// The process.
        pid: u32,
    },
    /// A role can be used.
    Ready {
        /// The role.
        role: RoleName,
    },
    /// A role's attempt was not successful; it makes another.
    Retrying {
        /// The role.
        role: RoleName,
        /// When, in seconds from now.
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// A test role that has failed is about to run again.
    Rerunning {
        /// The role.
        role: RoleName,
        /// Which of its tries this is, from 1.
        #[serde(rename = "try")]
        nth: u32,
        /// How many it has at most.
        of: u32,
    },
    /// A test role runs for long.
    Slow {
        /// The role.
        role: RoleName,
        /// For how long, in seconds.
        #[serde(with = "seconds")]
        elapsed: Duration,
    },
    /// A role that has ended by itself is started again.
    Restarting {
        /// The role.
        role: RoleName,
        /// When, in seconds from now.
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// A line of a role's log.
    Line {
        /// The role.
        role: RoleName,
        /// What it is about.
        tag: Tag,
        /// The whole line, as it stands in the store.
        text: String,
    },
    /// Roles are being stopped.
    Stopping {
        /// How many.
        roles: usize,
        /// Why.
        why: StopReason,
    },
    /// Roles that do not stop, or do not become ready.
    Waiting {
        /// The roles.
        roles: Vec<RoleName>,
        /// For what.
        until: Until,
    },
    /// A role was killed, and goes on.
    Unkillable {
        /// The role.
        role: RoleName,
        /// The process that goes on.
        pid: u32,
        /// The reason.
        why: String,
    },
    /// A role ended; nothing of it runs.
    Ended {
        /// The role.
        role: RoleName,
        /// The outcome.
        #[serde(rename = "ending")]
        outcome: RoleOutcome,
    },
    /// Processes that roles had left behind, of which nobody knows whose they
    /// were, are gone.
    #[serde(rename = "strays")]
    Orphans {
        /// How many.
        count: usize,
    },
    /// A command that ran roles of this home was killed; what it left is gone.
    #[serde(rename = "swept")]
    CleanedUp {
        /// How many processes.
        count: usize,
    },
    /// A start or an end is missing in the history of a role.
    Unrecorded {
        /// The role.
        role: RoleName,
        /// Why.
        why: String,
    },
    /// What a command returns: the results of `run`, or what an analyzer made
    /// of them.
    Result {
        /// The message.
        message: Typed,
    },
    /// What came of a run; nothing of it follows.
    Verdict(Box<RunReport>),
    /// The run could not be kept for later questions.
    Unkept {
        /// Why.
        why: String,
    },
    /// Lines of a role could not be stored.
    Lost {
        /// The role.
        role: RoleName,
        /// How many, since they could be.
        count: u64,
        /// Whether lines are stored again, or none follow.
        is_over: bool,
        /// Why.
        why: String,
    },
}

/// What writes files in a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Author {
    /// Code that runs in a build: build scripts and procedural macros.
    Build,
    /// Roles.
    Roles,
}

/// Why roles are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All tests have ended.
    Finished,
    /// The person at the terminal asked for it.
    Interrupted,
    /// A test failed, and the first failure was to end it all.
    FailFast,
    /// A role that others need has failed.
    Broken,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The end of the roles.
    Stopped,
    /// Readiness.
    Ready,
}

/// A span of time in seconds, as every file and message has it.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(span.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A path as a person reads it: one that is no text still has to be told.
mod lossy {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&path.to_string_lossy())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        String::deserialize(from).map(PathBuf::from)
    }
}

/// Paths as a person reads them.
mod lossy_all {
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        texts.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        Vec::deserialize(from)
    }
}

/// A phase of a command that changes a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It has the lock of the home.
    Locked,
    /// It builds.
    Build,
    /// It compares what is wanted with what the home has.
    Plan,
    /// It puts what changed in place.
    Apply,
}

/// The way into the stream; cheap to clone.
#[derive(Clone)]
pub struct Events {
    listener: Arc<dyn Fn(Event) + Send + Sync>,
    clock: fn() -> Timestamp,
    phases: bool,
}

impl Events {
    /// A stream that hands each event to `listener`, whatever its time.
    pub fn new(listener: impl Fn(Kind) + Send + Sync + 'static) -> Self {
        Self::stamped(|| Timestamp::UNIX_EPOCH, move |event| listener(event.kind))
    }

    /// A stream that hands each event to `listener`, with its time.
    pub fn stamped(
        clock: fn() -> Timestamp,
        listener: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        Self {
            listener: Arc::new(listener),
            clock,
            phases: false,
        }
    }

    /// The same stream, with the phases of commands if `phases` says so.
    #[must_use]
    pub fn with_phases(self, phases: bool) -> Self {
        Self { phases, ..self }
    }

    /// A way into the same stream whose events `reader` is shown first.
    #[must_use]
    pub fn read_by(&self, reader: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let listener = self.listener.clone();
        Self::stamped(self.clock, move |event| {
            reader(&event);
            listener(event);
        })
        .with_phases(self.phases)
    }

    /// Tells the stream that a phase begins, where it has phases.
    pub fn phase(&self, phase: Phase) {
        if self.phases {
            self.emit(Kind::Phase { phase });
        }
    }

    /// Tells the stream what happened.
    pub fn emit(&self, kind: Kind) {
        let at = (self.clock)();
        (self.listener)(Event { at, kind });
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}
