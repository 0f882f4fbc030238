//! Reads a part of a stored log, from a time on.
//!
//! The order of storage is that of the lines, whatever their stamps: a clock may
//! be set. Which segments have nothing of the time is told by their names, by
//! which no line before is later, and by the stamps of their first and last
//! lines. All others are read.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use ansar_contract::line::Tag;
use jiff::Timestamp;

use crate::host::fs::{Error, Reading};
use crate::logs::header::{Head, Heads, Stamp};
use crate::logs::store::{DISORDER, NAME_FORMAT, last_stamp, segments};

/// How much is read at once.
const PIECE: usize = 256 << 10;
/// A line that is longer was not written by an engine, whose segments are smaller.
const LONGEST_LINE: usize = 16 << 20;
/// How many segments are read in any case: the newest, in which a clock may have
/// been set back.
const NEWEST: usize = 2;
/// How many of those before are left out by their last line; others by name.
const LOOKED_AT: usize = 32;
/// How much of a segment is read to find its first line.
const FIRST: usize = 4 << 10;
/// A record that is longer goes on as another one.
const LONGEST: usize = 1 << 20;

/// A record: a line, and those that continue it; all are of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What stands before its text.
    pub head: Head,
    /// How long it is, its last line's end included.
    length: usize,
}

/// The records of a role's log, in the order in which they are stored.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    current: Option<(PathBuf, Reading)>,
    /// Where to read on in the current segment.
    offset: u64,
    later: VecDeque<PathBuf>,
    /// The newest segment that was found so far.
    newest: Option<PathBuf>,
    /// The stamps of lines that are near to those that are wanted.
    near: (Stamp, Option<Stamp>),
    /// Whether the line that was read last was among them.
    is_near: bool,
    buffer: Vec<u8>,
    /// What of the buffer is still to be told.
    begin: usize,
    end: usize,
    record: Option<Record>,
    /// The line behind the record, where it was looked at: its head, and how
    /// long it is.
    ahead: Option<(Option<Head>, usize)>,
    heads: Heads,
    torn: u64,
}

impl Reader {
    /// A reader of the log in `folder`, which need not be there. It reads every
    /// line of `from` or later and before `to`, and others.
    pub fn open(folder: &Path, from: Timestamp, to: Option<Timestamp>) -> Result<Self, Error> {
        let early = from.checked_sub(DISORDER).unwrap_or(Timestamp::MIN);
        let late = to.map(|to| to.checked_add(DISORDER).unwrap_or(Timestamp::MAX));
        let all = segments(folder)?;
        let newest = all.last().cloned();
        Ok(Self {
            folder: folder.to_owned(),
            current: None,
            offset: 0,
            later: not_before(all, early)?,
            newest,
            near: (Stamp::of(early), late.map(Stamp::of)),
            is_near: true,
            buffer: Vec::new(),
            begin: 0,
            end: 0,
            record: None,
            ahead: None,
            heads: Heads::default(),
            torn: 0,
        })
    }

    /// The next record; none where there is no more yet.
    pub fn peek(&mut self) -> Result<Option<Head>, Error> {
        while self.record.is_none() {
            let Some((head, length)) = self.next_line(0)? else {
                return Ok(None);
            };
            match head {
                Some(head) => {
                    let (from, to) = self.near;
                    self.is_near = head.stamp >= from && to.is_none_or(|to| head.stamp < to);
                    let length = self.continued(head.pid, length)?;
                    self.record = Some(Record { head, length });
                }
                None => {
                    // What a crash tore has lost its beginning or its end.
                    let line = &self.buffer[self.begin..self.begin + length];
                    self.torn += u64::from(line != b"\n" && self.is_near);
                    self.begin += length;
                }
            }
        }
        Ok(self.record.map(|record| record.head))
    }

    /// The head of the record that was peeked at.
    pub fn head(&self) -> Option<Head> {
        self.record.map(|record| record.head)
    }

    /// The lines of the record that was peeked at.
    pub fn text(&self) -> &[u8] {
        let length = self.record.map_or(0, |record| record.length);
        &self.buffer[self.begin..self.begin + length]
    }

    /// Goes on behind the record that was peeked at.
    pub fn advance(&mut self) {
        if let Some(record) = self.record.take() {
            self.begin += record.length;
        }
    }

    /// Has the record that was peeked at go on as far as lines of its process
    /// and of these times follow in the buffer.
    pub fn extend(&mut self, is_within: impl Fn(Stamp) -> bool) {
        if let Some(Record { head, .. }) = self.record {
            self.extend_by(|heads, line| {
                let next = heads.of(line);
                next.is_some_and(|next| next.pid == head.pid && is_within(next.stamp))
            });
        }
    }

    /// The same, whatever else the lines are.
    pub fn pass_alike(&mut self) {
        if let Some(Record { head, .. }) = self.record {
            let process = self.text()[..head.shown].to_owned();
            self.extend_by(|_, line| line.starts_with(&process));
        }
    }

    /// The same, as far as lines are to be taken.
    fn extend_by(&mut self, takes: impl Fn(&mut Heads, &[u8]) -> bool) {
        let Some(record) = &mut self.record else {
            return;
        };
        let mut rest = &self.buffer[self.begin + record.length..self.end];
        while let Some(end) = memchr::memchr(b'\n', rest)
            && takes(&mut self.heads, &rest[..=end])
        {
            record.length += end + 1;
            rest = &rest[end + 1..];
            self.ahead = None;
        }
    }

    /// How many lines were passed over, since a crash tore them; where nothing
    /// is to follow, also what is left of a line at the very end.
    pub fn torn(&self, is_over: bool) -> u64 {
        let is_left = is_over && self.record.is_none() && self.begin < self.end;
        self.torn + u64::from(is_left && self.is_near)
    }

    /// How long the record is whose first line has this length.
    fn continued(&mut self, pid: u32, mut length: usize) -> Result<usize, Error> {
        while length < LONGEST {
            let Some((head, next)) = self.next_line(length)? else {
                break;
            };
            if !head.is_some_and(|head| head.tag == Tag::Continued && head.pid == pid) {
                self.ahead = Some((head, next));
                break;
            }
            length += next;
        }
        Ok(length)
    }

    /// The line that begins so far behind the record's beginning: its head, and
    /// how long it is; none where it has no end yet.
    fn next_line(&mut self, distance: usize) -> Result<Option<(Option<Head>, usize)>, Error> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        let Some(length) = self.line(distance)? else {
            return Ok(None);
        };
        let from = self.begin + distance;
        let head = self.heads.of(&self.buffer[from..from + length]);
        Ok(Some((head, length)))
    }

    /// How long the line is, its end included, that begins so far behind
    /// `begin`; none where it has no end yet. What is to be told may move in
    /// the buffer, and keeps its distance.
    fn line(&mut self, distance: usize) -> Result<Option<usize>, Error> {
        let mut searched = 0;
        loop {
            let from = self.begin + distance;
            let rest = &self.buffer[from + searched..self.end];
            if let Some(at) = memchr::memchr(b'\n', rest) {
                return Ok(Some(searched + at + 1));
            }
            searched += rest.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads on; whether there was more.
    fn fill(&mut self) -> Result<bool, Error> {
        loop {
            if self.current.is_none() && !self.open_next()? {
                return Ok(false);
            }
            if self.begin > 0 {
                self.buffer.copy_within(self.begin..self.end, 0);
                self.end -= self.begin;
                self.begin = 0;
            }
            if self.buffer.len() < self.end + PIECE {
                self.buffer.resize(self.end + PIECE, 0);
            }
            if self.end - self.begin > LONGEST_LINE {
                return self.cut();
            }
            if self.read()? {
                return Ok(true);
            }
            // Whoever begins a segment has written the last of the one before.
            if !self.is_followed()? {
                return Ok(false);
            }
            if self.read()? {
                return Ok(true);
            }
            self.current = None;
            if self.end > self.begin {
                // Torn: the end of the line is not in the next segment.
                self.buffer[self.end] = b'\n';
                self.end += 1;
                return Ok(true);
            }
        }
    }

    /// Ends a line that is longer than any that was written, in a file with
    /// holes say, and passes over the rest of its segment.
    fn cut(&mut self) -> Result<bool, Error> {
        if let Some((_, file)) = &self.current {
            self.offset = file.size()?;
        }
        self.buffer[self.end] = b'\n';
        self.end += 1;
        Ok(true)
    }

    /// Reads on in the current segment; whether there was more.
    fn read(&mut self) -> Result<bool, Error> {
        let Some((_, file)) = &self.current else {
            return Ok(false);
        };
        let read = file.read_at(&mut self.buffer[self.end..], self.offset)?;
        self.offset += read as u64;
        self.end += read;
        Ok(read > 0)
    }

    /// Whether there is a segment behind the current one.
    fn is_followed(&mut self) -> Result<bool, Error> {
        if self.later.is_empty() {
            self.find_later()?;
        }
        Ok(!self.later.is_empty())
    }

    /// Opens the next segment; whether there is one.
    fn open_next(&mut self) -> Result<bool, Error> {
        if self.later.is_empty() {
            self.find_later()?;
        }
        while let Some(next) = self.later.pop_front() {
            // One that was deleted meanwhile was the oldest.
            let Some(file) = Reading::open(&next)? else {
                continue;
            };
            if self.later.len() >= NEWEST && self.is_late(&file)? {
                continue;
            }
            self.offset = 0;
            self.current = Some((next, file));
            return Ok(true);
        }
        Ok(false)
    }

    /// Finds the segments that were begun since the last look.
    fn find_later(&mut self) -> Result<(), Error> {
        let all = segments(&self.folder)?.into_iter();
        self.later = all
            .filter(|path| self.newest.as_ref().is_none_or(|newest| path > newest))
            .collect();
        if let Some(newest) = self.later.back() {
            self.newest = Some(newest.clone());
        }
        Ok(())
    }

    /// Returns true where a segment begins behind every line that is wanted.
    fn is_late(&self, file: &Reading) -> Result<bool, Error> {
        let Some(late) = self.near.1 else {
            return Ok(false);
        };
        let mut first = [0; FIRST];
        let read = file.read_at(&mut first, 0)?;
        Ok(Head::of(&first[..read]).is_some_and(|head| head.stamp >= late))
    }
}

/// The segments that may have a line of `early` or later.
fn not_before(all: Vec<PathBuf>, early: Timestamp) -> Result<VecDeque<PathBuf>, Error> {
    // Names tell no times before this.
    if early < Timestamp::UNIX_EPOCH {
        return Ok(all.into());
    }
    let key = early.strftime(NAME_FORMAT).to_string();
    let is_early = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| *name < *key)
    };
    let before = all.iter().rposition(is_early).unwrap_or(0);
    let (looked_at, newest) = (
        before.saturating_sub(LOOKED_AT),
        all.len().saturating_sub(NEWEST),
    );
    let mut kept = VecDeque::with_capacity(all.len() - looked_at);
    for (nth, segment) in all.into_iter().enumerate().skip(looked_at) {
        if nth < before.min(newest) && last_stamp(&segment)?.is_some_and(|last| last < early) {
            continue;
        }
        kept.push_back(segment);
    }
    Ok(kept)
}
