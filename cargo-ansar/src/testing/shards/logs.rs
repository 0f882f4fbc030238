//! The logs that explain failures, which agents send before they are released.

use std::collections::{BTreeMap, BTreeSet};

use ansar_contract::layout::Area;
use jiff::{SignedDuration, Timestamp};

use crate::harness::journal;
use crate::home::Home;
use crate::host::{clock, fs};
use crate::logs::merge::merged_lines;
use crate::logs::skew;
use crate::logs::store::Writer;
use crate::model::name::RoleName;

/// Logs and results of tests that arrive.
pub(super) struct Logs {
    /// Roles of which several shards have a part: their logs are stored when all have
    /// arrived.
    divided: BTreeSet<RoleName>,
    /// Logs of roles, by shard.
    awaited: BTreeMap<usize, BTreeMap<RoleName, Log>>,
    /// Logs of divided roles: the lines of each shard.
    parts: BTreeMap<RoleName, (Writer, Vec<Vec<u8>>)>,
    /// Results of tests, by role and shard, with the clock of the node.
    results: BTreeMap<RoleName, BTreeMap<usize, (Clock, Vec<u8>)>>,
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
    /// Expects no log yet. Several shards have a part of each of the roles in
    /// `divided`.
    pub(super) fn new(divided: BTreeSet<RoleName>) -> Self {
        Self {
            divided,
            awaited: BTreeMap::new(),
            parts: BTreeMap::new(),
            results: BTreeMap::new(),
        }
    }

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
            let kept = self.divided.contains(&role).then(Vec::new);
            logs.insert(role, Log::new(Writer::new(folder, storage), clock, kept));
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

    /// Keeps a piece of the results of a role's tests. Ignores those that were not
    /// asked for.
    pub(super) fn results(&mut self, shard: usize, role: &RoleName, piece: &[u8]) {
        let logs = self.awaited.get(&shard);
        let Some(log) = logs.and_then(|logs| logs.get(role)) else {
            return;
        };
        let parts = self.results.entry(role.clone()).or_default();
        let (_, results) = parts
            .entry(shard)
            .or_insert_with(|| (log.clock, Vec::new()));
        results.extend_from_slice(piece);
    }

    /// Ends the log of a role. Returns true if no other is to arrive from the shard.
    pub(super) fn end(&mut self, shard: usize, role: &RoleName) -> (bool, Result<(), fs::Error>) {
        let Some(logs) = self.awaited.get_mut(&shard) else {
            return (false, Ok(()));
        };
        let Some(mut log) = logs.remove(role) else {
            return (false, Ok(()));
        };
        let is_last = logs.is_empty();
        if is_last {
            self.awaited.remove(&shard);
        }
        let stored = log.finish();
        if let Some(kept) = log.kept {
            let parts = self.parts.entry(role.clone());
            let (_, parts) = parts.or_insert_with(|| (log.writer, Vec::new()));
            parts.push(kept);
        }
        (is_last, stored)
    }

    /// Stores what waits for the parts of other shards. No more is to arrive.
    pub(super) fn finish(&mut self, home: &Home) -> Result<(), fs::Error> {
        let mut stored = Ok(());
        for (mut writer, parts) in std::mem::take(&mut self.parts).into_values() {
            let lines = merged_lines(&parts);
            let last = skew::last_time(&lines).unwrap_or_else(clock::now);
            let appended = writer.append(&lines, last).map_err(|(_, error)| error);
            stored = stored.and(appended);
        }
        for (role, parts) in std::mem::take(&mut self.results) {
            let parts = parts.into_values();
            let parts = parts.map(|(clock, bytes)| (bytes, clock.ahead));
            let written = journal::write_merged(&home.test_results(&role), parts);
            stored = stored.and(written);
        }
        stored
    }
}

/// The log of a role that arrives in pieces. Its lines are stored as if they were
/// written here, by a clock that is right.
struct Log {
    writer: Writer,
    clock: Clock,
    /// The lines, if they are not stored yet.
    kept: Option<Vec<u8>>,
    /// The file on the node that arrives.
    file: String,
    /// The beginning of a line whose end has not arrived.
    rest: Vec<u8>,
    /// Time of the last line.
    last: Timestamp,
}

impl Log {
    fn new(writer: Writer, clock: Clock, kept: Option<Vec<u8>>) -> Self {
        Self {
            writer,
            clock,
            kept,
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
        let lines = skew::correct(lines, self.clock.ahead);
        if let Some(kept) = &mut self.kept {
            kept.extend(lines);
            return Ok(());
        }
        self.last = skew::last_time(&lines).unwrap_or(self.last);
        let stored = self.writer.append(&lines, self.last);
        stored.map_err(|(_, error)| error)
    }
}
