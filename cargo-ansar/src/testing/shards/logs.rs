//! The logs that explain failures, which agents send before they are released.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

use ansar_contract::layout::Area;
use jiff::{SignedDuration, Timestamp};

use crate::home::Home;
use crate::host::fs;
use crate::host::fs::Appender;
use crate::logs::skew;
use crate::logs::store::Writer;
use crate::model::name::RoleName;

/// Logs that are still to arrive.
#[derive(Default)]
pub(super) struct Logs {
    /// Logs of roles, by shard.
    awaited: BTreeMap<usize, BTreeMap<RoleName, Log>>,
    /// Files of results that have begun to arrive.
    results: BTreeMap<PathBuf, Appender>,
}

/// The clock of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Time by which it is ahead of the clock here.
    pub(super) ahead: SignedDuration,
    /// The time here.
    pub(super) now: Timestamp,
}

impl Logs {
    /// Prepares for the logs of these roles, with the storage of each.
    pub(super) fn expect(
        &mut self,
        home: &Home,
        shard: usize,
        roles: BTreeMap<RoleName, u64>,
        clock: Clock,
    ) -> Result<(), fs::Error> {
        let mut logs = BTreeMap::new();
        let mut made = Ok(());
        for (role, storage) in roles {
            let folder = home.folder(Area::Logs, &role);
            made = made.and(fs::make_private_folders(&folder));
            logs.insert(role, Log::new(Writer::new(folder, storage), clock));
        }
        self.awaited.insert(shard, logs);
        made
    }

    /// Stores a piece of a file of a role's log. Ignores those that were not asked
    /// for.
    pub(super) fn piece(
        &mut self,
        shard: usize,
        role: &RoleName,
        file: &str,
        piece: &[u8],
    ) -> Result<(), fs::Error> {
        let logs = self.awaited.get_mut(&shard);
        let log = logs.and_then(|logs| logs.get_mut(role));
        log.map_or(Ok(()), |log| log.take(file, piece))
    }

    /// Stores a piece of the results of a role's tests.
    pub(super) fn results(
        &mut self,
        home: &Home,
        shard: usize,
        role: &RoleName,
        piece: &[u8],
    ) -> Result<(), fs::Error> {
        let logs = self.awaited.get(&shard);
        if !logs.is_some_and(|logs| logs.contains_key(role)) {
            return Ok(());
        }
        let file = match self.results.entry(home.test_results(role)) {
            Entry::Occupied(begun) => begun.into_mut(),
            Entry::Vacant(new) => {
                let path = new.key();
                if let Some(folder) = path.parent() {
                    fs::make_private_folders(folder)?;
                }
                if fs::exists(path) {
                    fs::remove_file(path)?;
                }
                let file = Appender::open(path)?;
                new.insert(file)
            }
        };
        file.append(piece)
    }

    /// Ends the log of a role. Returns true if no other is to arrive from the shard.
    pub(super) fn end(&mut self, shard: usize, role: &RoleName) -> (bool, Result<(), fs::Error>) {
        let Some(logs) = self.awaited.get_mut(&shard) else {
            return (false, Ok(()));
        };
        let Some(mut log) = logs.remove(role) else {
            return (false, Ok(()));
        };
        let stored = log.finish();
        let is_last = logs.is_empty();
        if is_last {
            self.awaited.remove(&shard);
            self.results.clear();
        }
        (is_last, stored)
    }
}

/// The log of a role that arrives in pieces. Its lines are stored as if they were
/// written here, by a clock that is right.
struct Log {
    writer: Writer,
    ahead: SignedDuration,
    /// The file on the node that arrives.
    file: String,
    /// The beginning of a line whose end has not arrived.
    rest: Vec<u8>,
    /// Time of the last line.
    last: Timestamp,
}

impl Log {
    fn new(writer: Writer, clock: Clock) -> Self {
        Self {
            writer,
            ahead: clock.ahead,
            file: String::new(),
            rest: Vec::new(),
            last: clock.now,
        }
    }

    fn take(&mut self, file: &str, piece: &[u8]) -> Result<(), fs::Error> {
        if self.file != file {
            self.finish()?;
            file.clone_into(&mut self.file);
        }
        self.rest.extend_from_slice(piece);
        if self.rest.len() > self.writer.longest_line() {
            return self.finish();
        }
        let end = memchr::memrchr(b'\n', &self.rest).map_or(0, |end| end + 1);
        let rest = self.rest.split_off(end);
        let lines = std::mem::replace(&mut self.rest, rest);
        self.store(&lines)
    }

    /// Stores the beginning of a line that has no end, as a line.
    fn finish(&mut self) -> Result<(), fs::Error> {
        let mut lines = std::mem::take(&mut self.rest);
        if !lines.is_empty() && !lines.ends_with(b"\n") {
            lines.push(b'\n');
        }
        self.store(&lines)
    }

    fn store(&mut self, lines: &[u8]) -> Result<(), fs::Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let lines = skew::correct(lines, self.ahead);
        self.last = skew::last_time(&lines).unwrap_or(self.last);
        let stored = self.writer.append(&lines, self.last);
        stored.map_err(|(_, error)| error)
    }
}
