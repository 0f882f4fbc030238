//! The history of a role: one record for each start and each exit.
//!
//! Each role has an append-only journal with a checksum before each record. The
//! journal is not synced, since that would take longer than starting a role.
//! Torn or corrupt records are skipped and counted. A start without an exit
//! does not prove that the role runs: the record of the exit may be lost.

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

/// Size in bytes above which a journal is cut to the newest [`KEPT_RUNS`].
pub const LARGEST: u64 = 1 << 20;
/// Number of runs that remain when a journal is cut. Fewer remain, but at least
/// one, if their records are larger than half of [`LARGEST`].
pub const KEPT_RUNS: usize = 500;
/// Largest result that is stored, in bytes. Only the size of larger ones is.
pub const LARGEST_RESULT: usize = 128 << 10;

/// Folder of the journals, in the root of a home.
pub(super) const FOLDER: &str = "history";

/// The command that started a role.
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

/// The record of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Time of the start.
    pub at: Timestamp,
    /// Process id of the role.
    pub pid: u32,
    /// The executable that was started.
    pub executable: ExecutableName,
    /// The command that started it.
    pub kind: Kind,
    /// Process id of the engine.
    pub engine: u32,
    /// Start time of the engine in clock ticks since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_started: Option<u64>,
}

/// The record of an exit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Time of the exit.
    pub at: Timestamp,
    /// The cause of the exit.
    pub cause: RecordedCause,
    /// Number of attempts, if the role reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Type name of the result.
    pub name: String,
    /// The result, unless it is larger than [`LARGEST_RESULT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Typed>,
    /// Size of the result in bytes.
    pub size: usize,
}

/// [`Cause`] as it is stored in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedCause {
    /// The role returned on its own.
    Returned,
    /// It stopped on request.
    Stopped,
    /// It did not stop in its grace time and was killed.
    Killed,
    /// It exceeded its timeout.
    TimedOut,
    /// It was killed by this signal.
    Signal(i32),
    /// It exited with this code without a result.
    Exited(i32),
    /// The start failed before the role ran.
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
            // Roles on other nodes have no history here.
            Cause::NeverStarted | Cause::Lost => Self::Refused,
        }
    }
}

impl From<RecordedCause> for Cause {
    fn from(cause: RecordedCause) -> Self {
        match cause {
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

/// A run of a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The start.
    pub start: Start,
    /// The exit, if it was recorded.
    pub end: Option<End>,
}

/// The content of a journal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// The recorded runs, oldest first.
    pub runs: Vec<Run>,
    /// Number of records that could not be read.
    pub skipped: usize,
}

impl History {
    /// Parses a journal, skipping invalid records.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut history = Self::default();
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
                        // The start could not be read; an exit alone is no run.
                        None => history.skipped += 1,
                    }
                }
                None => history.skipped += 1,
            }
        }
        history
    }
}

impl Run {
    /// Returns true if the run has no recorded exit and its engine is alive, so
    /// that the role may be running. Takes no lock, since even a short lock
    /// could make a start fail.
    pub fn is_open(&self) -> bool {
        self.end.is_none() && orphans::is_alive(self.start.engine, self.start.engine_started)
    }

    /// Returns the records of the run, as they are in a journal.
    pub fn records(&self) -> String {
        let mut text = line(&Record::Start(self.start.clone()));
        if let Some(end) = &self.end {
            text += &line(&Record::End {
                started: self.start.at,
                pid: self.start.pid,
                what: end.clone(),
            });
        }
        text
    }
}

/// A record of a journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Record {
    Start(Start),
    End {
        /// Time of the corresponding start.
        started: Timestamp,
        pid: u32,
        what: End,
    },
}

/// The writer of the history of one role. Only the engine that has locked the
/// role writes it.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    executable: ExecutableName,
    kind: Kind,
    engine: Engine,
    /// The start whose exit is not recorded yet.
    open: Option<(Timestamp, u32)>,
}

/// The process that writes a journal.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    pid: u32,
    started: Option<u64>,
}

impl Engine {
    /// Returns this process.
    pub fn this() -> Self {
        let pid = environment::pid();
        Self {
            pid,
            started: orphans::start_time(pid),
        }
    }
}

impl Journal {
    /// Records a start; `at` must be before the first log line. If this fails,
    /// the exit of this run is not recorded either.
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

    /// Records an exit; does nothing if no start was recorded.
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
                    // Do not create files in a removed home.
                    return Err(error.into());
                }
                // The home is older than histories are.
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
    /// Returns the writer of the history of `role`, which runs `executable`.
    /// The caller must hold the lock of the role.
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

    /// Reads the history of `role`; it is empty if the role never ran.
    pub fn history(&self, role: &RoleName) -> Result<History, HomeError> {
        let bytes = fs::read_if_exists(&self.history_file(role))?;
        Ok(History::parse(&bytes.unwrap_or_default()))
    }

    /// Path of the journal of `role`.
    pub fn history_file(&self, role: &RoleName) -> PathBuf {
        self.histories().join(role.as_str())
    }

    /// Path of the folder of all journals.
    pub fn histories(&self) -> PathBuf {
        self.root().join(FOLDER)
    }
}

/// Removes all but the newest runs from a journal.
fn prune(path: &Path) -> Result<(), HomeError> {
    let history = History::parse(&fs::read(path)?);
    let mut kept = Vec::new();
    let mut size = 0;
    for run in history.runs.iter().rev().take(KEPT_RUNS) {
        let text = run.records();
        size += text.len() as u64;
        if size > LARGEST / 2 && !kept.is_empty() {
            break;
        }
        kept.push(text);
    }
    kept.reverse();
    Ok(fs::replace(path, kept.concat().as_bytes(), 0o600)?)
}

/// Formats a record.
fn line(record: &Record) -> String {
    // Structs of strings and numbers always encode.
    sealed(&serde_json::to_string(record).unwrap_or_default())
}

/// Returns the line of a record's JSON, with its checksum. It begins with a line
/// break, so that a torn record before it does not corrupt it.
pub fn sealed(text: &str) -> String {
    format!("\n{} {text}", checksum(text.as_bytes()))
}

fn checksum(bytes: &[u8]) -> String {
    Hash::of(bytes).to_string()[..16].to_owned()
}

fn parse(line: &[u8]) -> Option<Record> {
    let (sum, text) = line.split_at_checked(16)?;
    let text = text.strip_prefix(b" ")?;
    (sum == checksum(text).as_bytes()).then_some(())?;
    serde_json::from_slice(text).ok()
}
