//! The history of a role: a record of every start and of every end.
//!
//! A journal per role that only grows at its end, with a checksum in front of
//! each record; not synced, since that would cost every start more than the
//! start itself. What a crash tore, or a disk corrupted, is passed over and
//! counted. Owns the form of the journal and the bound on it. Does not know
//! whether a role runs: a start without an end may be one that was lost.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use ansar_contract::envelope::Typed;
use ansar_contract::layout::HOME_FILE;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError};
use crate::host::fs;
use crate::host::fs::{Appender, Hash};
use crate::host::process::orphans;
use crate::host::{clock, environment};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::{Cause, RoleOutcome};

/// How large a journal may grow, in bytes, before it is cut to the newest
/// [`KEPT_RUNS`].
pub const LARGEST: u64 = 1 << 20;
/// How many runs are kept when a journal is cut, unless their records are
/// larger than half of [`LARGEST`]: then as many as fit, and one at least.
pub const KEPT_RUNS: usize = 500;
/// How large a result may be that is kept; of a larger one only the size is.
pub const LARGEST_RESULT: usize = 128 << 10;

/// The folder in a home's root.
pub(super) const FOLDER: &str = "history";

/// By which command a role was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `start`, in the background.
    Start,
    /// `run`, in the foreground.
    Run,
    /// `test` or `watch`.
    Test,
    /// `with`.
    With,
}

/// The start of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// When.
    pub at: Timestamp,
    /// Its process.
    pub pid: u32,
    /// What it ran.
    pub executable: ExecutableName,
    /// By which command.
    pub kind: Kind,
    /// The process that ran it.
    pub engine: u32,
    /// When that was started, as the kernel counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_started: Option<u64>,
}

/// The end of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// What ended it.
    pub cause: RecordedCause,
    /// How many attempts it made, as far as it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The name of its result's type.
    pub name: String,
    /// Its result, unless that was larger than [`LARGEST_RESULT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Typed>,
    /// How large the result was, in bytes.
    pub size: usize,
}

/// What ended a role, as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedCause {
    /// It returned by itself.
    Returned,
    /// It was asked to stop, and did.
    Stopped,
    /// It was asked to stop, did not in its grace time, and was killed.
    Killed,
    /// It took longer than it may.
    TimedOut,
    /// It died of this signal.
    Signal(i32),
    /// It exited with this code, and without a result.
    Exited(i32),
    /// It was started, and refused before it ran.
    Refused,
}

impl From<Cause> for RecordedCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Returned => Self::Returned,
            Cause::Stopped => Self::Stopped,
            Cause::Killed => Self::Killed,
            Cause::TimedOut => Self::TimedOut,
            Cause::Signal(number) => Self::Signal(number),
            Cause::Exited(code) => Self::Exited(code),
            Cause::NeverStarted => Self::Refused,
        }
    }
}

impl From<RecordedCause> for Cause {
    fn from(how: RecordedCause) -> Self {
        match how {
            RecordedCause::Returned => Self::Returned,
            RecordedCause::Stopped => Self::Stopped,
            RecordedCause::Killed => Self::Killed,
            RecordedCause::TimedOut => Self::TimedOut,
            RecordedCause::Signal(number) => Self::Signal(number),
            RecordedCause::Exited(code) => Self::Exited(code),
            RecordedCause::Refused => Self::NeverStarted,
        }
    }
}

/// A run of a role: its start, and its end where that was written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its start.
    pub start: Start,
    /// Its end.
    pub end: Option<End>,
}

/// What a journal says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// The runs that are kept, oldest first.
    pub runs: Vec<Run>,
    /// How many records could not be read.
    pub skipped: usize,
}

impl Run {
    /// Whether the engine that is to write its end lives, so that the role may
    /// run. Looks and takes no lock: a lock that is held for a moment only
    /// would be in the way of a start.
    pub fn is_open(&self) -> bool {
        self.end.is_none() && orphans::is_alive(self.start.engine, self.start.engine_started)
    }
}

/// A record of the journal: exactly one of the two.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Record {
    Start(Start),
    End {
        /// Which start it is the end of.
        started: Timestamp,
        pid: u32,
        what: End,
    },
}

/// Writes the history of one role, of which there is one writer at a time: the
/// engine that holds the role's lock.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    executable: ExecutableName,
    kind: Kind,
    engine: Engine,
    /// The start whose end is to come.
    open: Option<(Timestamp, u32)>,
}

/// The process that writes.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    pid: u32,
    started: Option<u64>,
}

impl Engine {
    /// This process.
    pub fn this() -> Self {
        let pid = environment::pid();
        Self {
            pid,
            started: orphans::start_time(pid),
        }
    }
}

impl Journal {
    /// Writes down that the role was started, at a time before its first line.
    /// Where that fails the role has no such
    /// run, and its end is not written either.
    pub fn started(&mut self, pid: u32, at: Timestamp) -> Result<(), HomeError> {
        self.open = None;
        let record = Record::Start(Start {
            at,
            pid,
            executable: self.executable.clone(),
            kind: self.kind,
            engine: self.engine.pid,
            engine_started: self.engine.started,
        });
        self.append(&record)?;
        self.open = Some((at, pid));
        Ok(())
    }

    /// Writes down how the role ended; nothing where it was never started.
    pub fn ended(&mut self, outcome: &RoleOutcome, attempts: Option<u32>) -> Result<(), HomeError> {
        let Some((started, pid)) = self.open.take() else {
            return Ok(());
        };
        let text = serde_json::to_string(&outcome.result).unwrap_or_default();
        let record = Record::End {
            started,
            pid,
            what: End {
                at: clock::now(),
                cause: outcome.cause.into(),
                attempts,
                name: outcome.result.name.clone(),
                result: (text.len() <= LARGEST_RESULT).then(|| outcome.result.clone()),
                size: text.len(),
            },
        };
        self.append(&record)
    }

    fn append(&self, record: &Record) -> Result<(), HomeError> {
        let mut file = match Appender::open(&self.path) {
            Err(error) if error.is_not_found() => {
                let folder = self.path.parent().unwrap_or(Path::new("."));
                let home = folder.parent().unwrap_or(Path::new("."));
                if !fs::is_file(&home.join(HOME_FILE)) {
                    // A home that was removed, or is being removed, stays so.
                    return Err(error.into());
                }
                // A home of before there was a history.
                fs::make_private_folders(folder)?;
                Appender::open(&self.path)?
            }
            other => other?,
        };
        if file.size() > LARGEST {
            prune(&self.path)?;
            file = Appender::open(&self.path)?;
        }
        Ok(file.append(line(record).as_bytes())?)
    }
}

impl Home {
    /// Writes the history of `role`, which runs `executable`; to be called by
    /// whoever holds the role's lock.
    pub fn journal(
        &self,
        role: &RoleName,
        executable: &ExecutableName,
        kind: Kind,
        engine: Engine,
    ) -> Journal {
        Journal {
            path: self.history_file(role),
            executable: executable.clone(),
            kind,
            engine,
            open: None,
        }
    }

    /// What is known of the runs of `role`; nothing where it never ran.
    pub fn history(&self, role: &RoleName) -> Result<History, HomeError> {
        let bytes = fs::read_if_there(&self.history_file(role))?;
        Ok(read(&bytes.unwrap_or_default()))
    }

    /// The journal of `role`.
    pub fn history_file(&self, role: &RoleName) -> PathBuf {
        self.histories().join(role.as_str())
    }

    /// The folder of all journals.
    pub fn histories(&self) -> PathBuf {
        self.root().join(FOLDER)
    }
}

/// Replaces a journal by its newest runs.
fn prune(path: &Path) -> Result<(), HomeError> {
    let history = read(&fs::read(path)?);
    let mut kept = Vec::new();
    let mut size = 0;
    for run in history.runs.iter().rev().take(KEPT_RUNS) {
        let text = lines(run);
        size += text.len() as u64;
        if size > LARGEST / 2 && !kept.is_empty() {
            break;
        }
        kept.push(text);
    }
    kept.reverse();
    Ok(fs::replace(path, kept.concat().as_bytes(), 0o600)?)
}

/// The records of a run, as they stand in the journal.
fn lines(run: &Run) -> String {
    let mut text = line(&Record::Start(run.start.clone()));
    if let Some(end) = &run.end {
        text += &line(&Record::End {
            started: run.start.at,
            pid: run.start.pid,
            what: end.clone(),
        });
    }
    text
}

/// A record as it stands in the journal. It begins with the end of a line, so
/// that whatever was torn before it is a line of its own.
fn line(record: &Record) -> String {
    // Plain structs of strings and numbers, which always encode.
    let text = serde_json::to_string(record).unwrap_or_default();
    format!("\n{} {text}", checksum(text.as_bytes()))
}

fn checksum(bytes: &[u8]) -> String {
    Hash::of(bytes).to_string()[..16].to_owned()
}

/// Reads a journal, whatever it holds.
fn read(bytes: &[u8]) -> History {
    let mut history = History::default();
    let lines = bytes.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        match parse(line) {
            Some(Record::Start(start)) => history.runs.push(Run { start, end: None }),
            Some(Record::End { started, pid, what }) => {
                let run = history.runs.last_mut().filter(|run| {
                    run.end.is_none() && run.start.at == started && run.start.pid == pid
                });
                match run {
                    Some(run) => run.end = Some(what),
                    // Its start could not be read, and is counted; an end
                    // alone is no run.
                    None => history.skipped += 1,
                }
            }
            None => history.skipped += 1,
        }
    }
    history
}

fn parse(line: &[u8]) -> Option<Record> {
    let (sum, text) = line.split_at_checked(16)?;
    let text = text.strip_prefix(b" ")?;
    (sum == checksum(text).as_bytes()).then_some(())?;
    serde_json::from_slice(text).ok()
}
