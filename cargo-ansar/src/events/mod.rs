//! The stream of events, as plain data.
//!
//! Features and the engine emit events and never print; reports read events and
//! decide nothing. The clock is passed in by the creator of the stream.

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

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Time of the event.
    pub at: Timestamp,
    /// The event.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Kind {
    /// Another command is changing the home; this command waits for it.
    Blocked {
        /// The home.
        #[serde(with = "lossy")]
        home: PathBuf,
    },
    /// Another program took the port of a role, which gets another one.
    PortMoved {
        /// The role.
        role: RoleName,
        /// The port that it had.
        before: u16,
        /// The port that it gets.
        after: u16,
    },
    /// A home was created.
    HomeCreated {
        /// The home.
        #[serde(with = "lossy")]
        home: PathBuf,
    },
    /// The command begins its next phase. Only emitted if the log level
    /// includes messages of the runtime.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// Cargo is about to build.
    Building {},
    /// Cargo has built, or found everything up to date.
    Built {},
    /// A role is no longer described in the manifest; it is kept and not run.
    Retired {
        /// The role.
        role: RoleName,
    },
    /// A material was changed both in the snapshot and by its role; neither
    /// side is changed.
    Conflict {
        /// The file, in the home.
        #[serde(with = "lossy")]
        path: PathBuf,
        /// The difference between the two sides.
        why: String,
    },
    /// A material was not deployed.
    Passed {
        /// The file, in the snapshot.
        #[serde(with = "lossy")]
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A setting was changed, but a source of higher precedence hides it.
    Hidden {
        /// The role.
        role: RoleName,
        /// The setting.
        setting: String,
    },
    /// Changes were deployed to the home.
    Deployed {
        /// Names of the changed executables and materials.
        changed: Vec<String>,
        /// Number of executables in the home.
        executables: usize,
        /// Number of changed executables.
        relinked: usize,
        /// Number of roles that use a changed executable or material.
        affected: usize,
    },
    /// Files are being copied into the home. Only emitted if they are large.
    Transferring {
        /// Number of bytes that were copied.
        done: u64,
        /// Number of bytes of all files.
        total: u64,
    },
    /// Running roles that a deploy affects are being stopped; they will be
    /// restarted.
    Suspending {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles that a deploy stopped were restarted.
    Restored {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles that a deploy stopped were restarted, but did not become ready.
    Unrestored {
        /// The roles.
        roles: Vec<RoleName>,
    },
    /// Roles are about to run; none of them is a test role.
    Running {
        /// Number of roles.
        roles: usize,
    },
    /// `watch` waits for the next change.
    Watching {
        /// Number of watched files.
        files: usize,
    },
    /// The kernel cannot watch more files; changes are polled instead.
    Polling {
        /// Name of the exceeded limit.
        limit: String,
    },
    /// Files changed; the next loop begins.
    Changed {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// Files were written without a change of their content.
    Rewritten {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// Files change in every loop, so the loop itself writes them. Such changes
    /// no longer begin a loop.
    Written {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
        /// The author of the changes.
        by: Author,
    },
    /// Changed sources were not compiled, since they are older than the
    /// previous artifact; the verdict is stale.
    Uncompiled {
        /// The files, sorted.
        #[serde(with = "lossy_all")]
        files: Vec<PathBuf>,
    },
    /// A file system does not report all changes; it is polled as well.
    Untold {
        /// A folder on it.
        #[serde(with = "lossy")]
        folder: PathBuf,
        /// Type of the file system.
        filesystem: String,
        /// Polling interval, in seconds.
        #[serde(with = "seconds")]
        interval: Duration,
    },
    /// Test roles are about to run.
    Testing {
        /// Number of test roles.
        tests: usize,
        /// Number of operational roles that they run against.
        operational: usize,
        /// The test roles.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<RoleName>,
    },
    /// The test reports are passed to an analyzer.
    Analyzing {
        /// Number of reports.
        reports: usize,
        /// The executable of the analyzer.
        executable: ExecutableName,
    },
    /// A process was started.
    Started {
        /// The role.
        role: RoleName,
        /// Its executable.
        executable: ExecutableName,
        /// Process id.
        pid: u32,
        /// The conditions under which it is ready; unset if nothing waits for
        /// that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        awaits: Option<String>,
    },
    /// The command waits for a role that another engine runs and that is not
    /// ready.
    Awaiting {
        /// The role.
        role: RoleName,
        /// The conditions that it does not meet yet, if they are known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A role is ready.
    Ready {
        /// The role.
        role: RoleName,
    },
    /// A role that was ready is unhealthy.
    Unhealthy {
        /// The role.
        role: RoleName,
        /// The reason.
        why: String,
    },
    /// A role that was unhealthy is healthy again.
    Healthy {
        /// The role.
        role: RoleName,
    },
    /// An attempt of a role failed; the role will retry.
    Retrying {
        /// The role.
        role: RoleName,
        /// Delay before the next attempt, in seconds.
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// A failed test role is about to run again.
    Rerunning {
        /// The role.
        role: RoleName,
        /// Number of the try, from 1.
        #[serde(rename = "try")]
        nth: u32,
        /// Largest number of tries.
        of: u32,
    },
    /// A test role is slow, or a test of its target.
    Slow {
        /// The role.
        role: RoleName,
        /// Time since its start, in seconds.
        #[serde(with = "seconds")]
        elapsed: Duration,
        /// The test, if the role runs a test target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
    },
    /// A check was made, or a role failed otherwise: a test of a test target has
    /// ended, or a check has failed. Every failed check is in the verdict as well.
    Check {
        /// The role.
        role: RoleName,
        /// True if it passed.
        passed: bool,
        /// The test, if the role runs a test target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
        /// The source file; an absolute path if it was found. Empty if it passed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        file: String,
        /// The line in it, from 1; 0 if it passed.
        #[serde(default, skip_serializing_if = "is_zero")]
        line: u32,
        /// The column in it, from 1, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<u32>,
        /// First line of the message of the failure.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// A role exited and will be restarted.
    Restarting {
        /// The role.
        role: RoleName,
        /// Delay before the restart, in seconds.
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// A line of a role's log.
    Line {
        /// The role.
        role: RoleName,
        /// The tag of the line.
        tag: Tag,
        /// The whole line, as it is stored.
        text: String,
    },
    /// Roles are being stopped.
    Stopping {
        /// Number of roles.
        roles: usize,
        /// The reason.
        why: StopReason,
    },
    /// Roles take long to stop or to become ready.
    Waiting {
        /// The roles.
        roles: Vec<RoleName>,
        /// The state that they are to reach.
        until: Until,
    },
    /// A role was killed, but a process of it still runs.
    Unkillable {
        /// The role.
        role: RoleName,
        /// Id of the process that still runs.
        pid: u32,
        /// The reason.
        why: String,
    },
    /// A role ended; none of its processes runs.
    Ended {
        /// The role.
        role: RoleName,
        /// The outcome.
        #[serde(rename = "ending")]
        outcome: RoleOutcome,
    },
    /// Orphaned processes that could not be attributed to a role were killed.
    #[serde(rename = "strays")]
    Orphans {
        /// Number of processes.
        count: usize,
    },
    /// Processes of a killed engine of this home were killed.
    #[serde(rename = "swept")]
    CleanedUp {
        /// Number of processes.
        count: usize,
    },
    /// A start or exit could not be recorded in the history of a role.
    Unrecorded {
        /// The role.
        role: RoleName,
        /// The cause.
        why: String,
    },
    /// The result of a command: the results of `run`, or the result of an
    /// analyzer.
    Result {
        /// The message.
        message: Typed,
    },
    /// The report of a run; its last event.
    Verdict(Box<RunReport>),
    /// The run could not be stored for later commands.
    Unkept {
        /// The cause.
        why: String,
    },
    /// Log lines of a role could not be stored.
    Lost {
        /// The role.
        role: RoleName,
        /// Number of lines since the last stored one.
        count: u64,
        /// True if lines can be stored again, or none follow.
        is_over: bool,
        /// The cause.
        why: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The author of files that change in every loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Author {
    /// Build scripts or procedural macros.
    Build,
    /// Roles.
    Roles,
}

/// The reason for stopping roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All tests have ended.
    Finished,
    /// The command was interrupted.
    Interrupted,
    /// A test failed, and `--fail-fast` is set.
    FailFast,
    /// A role that others depend on failed.
    Broken,
}

/// The state that a command waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The roles have ended.
    Stopped,
    /// The roles are ready.
    Ready,
}

/// Serializes durations as seconds.
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

/// Serializes a path as text; invalid UTF-8 is replaced.
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

/// Serializes paths as text; invalid UTF-8 is replaced.
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
    /// The home is locked.
    Locked,
    /// Cargo builds.
    Build,
    /// The changes to the home are planned.
    Plan,
    /// The changes are applied.
    Apply,
}

/// The sending side of the stream of events; cheap to clone.
#[derive(Clone)]
pub struct Events {
    listener: Arc<dyn Fn(Event) + Send + Sync>,
    clock: fn() -> Timestamp,
    phases: bool,
}

impl Events {
    /// Creates a stream that passes each event to `listener`, without a time.
    pub fn new(listener: impl Fn(Kind) + Send + Sync + 'static) -> Self {
        Self::stamped(|| Timestamp::UNIX_EPOCH, move |event| listener(event.kind))
    }

    /// Creates a stream that passes each event with its time to `listener`.
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

    /// Returns the same stream, with phases of commands if `phases` is true.
    #[must_use]
    pub fn with_phases(self, phases: bool) -> Self {
        Self { phases, ..self }
    }

    /// Returns the same stream, whose events are first passed to `reader`.
    #[must_use]
    pub fn read_by(&self, reader: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let listener = self.listener.clone();
        Self::stamped(self.clock, move |event| {
            reader(&event);
            listener(event);
        })
        .with_phases(self.phases)
    }

    /// Returns a stream whose events are passed to `pass`, with the function
    /// that emits events to this stream.
    #[must_use]
    pub fn through(&self, pass: impl Fn(Event, &dyn Fn(Event)) + Send + Sync + 'static) -> Self {
        let listener = self.listener.clone();
        Self::stamped(self.clock, move |event| pass(event, &*listener)).with_phases(self.phases)
    }

    /// Emits the beginning of a phase, if the stream has phases.
    pub fn phase(&self, phase: Phase) {
        if self.phases {
            self.emit(Kind::Phase { phase });
        }
    }

    /// Emits an event.
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
