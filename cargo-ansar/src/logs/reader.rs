//! Reads the stored log of a role from a given time on.
//!
//! Lines are returned in storage order, regardless of their stamps: the clock
//! may have been set back. A segment is skipped if its name or the stamps of
//! its first and last lines show that it has no line in the range. All other
//! segments are read.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use ansar_contract::line::Tag;
use jiff::Timestamp;

use crate::host::fs::{Error, Reading};
use crate::logs::header::{Head, Heads, Stamp};
use crate::logs::store::{DISORDER, NAME_FORMAT, last_stamp, segments};

/// Number of bytes read at once.
const PIECE: usize = 256 << 10;
/// Longest line, in bytes. An engine writes no longer lines, as its segments
/// are smaller.
const LONGEST_LINE: usize = 16 << 20;
/// Number of newest segments that are always read, as the clock may have been
/// set back in them.
const NEWEST: usize = 2;
/// Number of segments before those that are checked by their last line. Older
/// ones are skipped by name.
const CHECKED: usize = 32;
/// Number of bytes read to find the first line of a segment.
const FIRST: usize = 4 << 10;
/// Longest record, in bytes; a longer one is split.
const LONGEST: usize = 1 << 20;

/// A record: a line and its continuations, all of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The head of its first line.
    pub head: Head,
    /// Length in bytes, including the last newline.
    length: usize,
}

/// Reads the records of a log in storage order.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    current: Option<(PathBuf, Reading)>,
    /// Read position in the current segment.
    offset: u64,
    later: VecDeque<PathBuf>,
    /// The newest segment found so far.
    newest: Option<PathBuf>,
    /// The requested range of stamps, extended on both sides by [`DISORDER`].
    near: (Stamp, Option<Stamp>),
    /// True if the last line read is in that range.
    is_near: bool,
    buffer: Vec<u8>,
    /// Beginning and end of the unread part of the buffer.
    begin: usize,
    end: usize,
    record: Option<Record>,
    /// The line after the record, if it has been read already: its head and its
    /// length.
    ahead: Option<(Option<Head>, usize)>,
    heads: Heads,
    torn: u64,
}

impl Reader {
    /// Opens the log in `folder`, which may not exist. The reader returns every
    /// line from `from` (inclusive) to `to` (exclusive), and possibly lines
    /// outside of that range.
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

    /// Returns the head of the next record without consuming it, or `None` if
    /// there is none yet.
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
                    // A line without a head was torn by a crash.
                    let line = &self.buffer[self.begin..self.begin + length];
                    self.torn += u64::from(line != b"\n" && self.is_near);
                    self.begin += length;
                }
            }
        }
        Ok(self.record.map(|record| record.head))
    }

    /// Returns the head of the peeked record.
    pub fn head(&self) -> Option<Head> {
        self.record.map(|record| record.head)
    }

    /// Returns the lines of the peeked record.
    pub fn text(&self) -> &[u8] {
        let length = self.record.map_or(0, |record| record.length);
        &self.buffer[self.begin..self.begin + length]
    }

    /// Consumes the peeked record.
    pub fn advance(&mut self) {
        if let Some(record) = self.record.take() {
            self.begin += record.length;
        }
    }

    /// Extends the peeked record by buffered lines of the same process whose
    /// stamps satisfy `is_within`.
    pub fn extend(&mut self, is_within: impl Fn(Stamp) -> bool) {
        if let Some(Record { head, .. }) = self.record {
            self.extend_by(|heads, line| {
                let next = heads.of(line);
                next.is_some_and(|next| next.pid == head.pid && is_within(next.stamp))
            });
        }
    }

    /// Extends the peeked record by all buffered lines of the same process.
    pub fn skip_same_process(&mut self) {
        if let Some(Record { head, .. }) = self.record {
            let process = self.text()[..head.shown].to_owned();
            self.extend_by(|_, line| line.starts_with(&process));
        }
    }

    /// Extends the peeked record by buffered lines as long as `takes` accepts
    /// them.
    fn extend_by(&mut self, takes: impl Fn(&mut Heads, &[u8]) -> bool) {
        let Some(record) = &mut self.record else {
            return;
        };
        let mut rest = &self.buffer[self.begin + record.length..self.end];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if !takes(&mut self.heads, &rest[..=end]) {
                break;
            }
            record.length += end + 1;
            rest = &rest[end + 1..];
            self.ahead = None;
        }
    }

    /// Returns the number of torn lines that were skipped. With `is_over`, an
    /// incomplete line at the end of the log counts too.
    pub fn torn(&self, is_over: bool) -> u64 {
        let is_left = is_over && self.record.is_none() && self.begin < self.end;
        self.torn + u64::from(is_left && self.is_near)
    }

    /// Returns the length of the record whose first line has length `length`.
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

    /// Returns the head and the length of the line at offset `distance` from
    /// the beginning of the record, or `None` if it has no newline yet.
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

    /// Returns the length, including its newline, of the line at offset
    /// `distance` from `begin`, or `None` if it has no newline yet. Filling the
    /// buffer may move the unread part; the offset stays valid.
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

    /// Reads more bytes into the buffer; returns false if there are none.
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
            // A writer finishes a segment before it begins the next.
            if !self.is_followed()? {
                return Ok(false);
            }
            if self.read()? {
                return Ok(true);
            }
            self.current = None;
            if self.end > self.begin {
                // The line is torn: it does not continue in the next segment.
                self.buffer[self.end] = b'\n';
                self.end += 1;
                return Ok(true);
            }
        }
    }

    /// Cuts a line that no engine can have written, for example in a sparse
    /// file, and skips the rest of its segment.
    fn cut(&mut self) -> Result<bool, Error> {
        if let Some((_, file)) = &self.current {
            self.offset = file.size()?;
        }
        self.buffer[self.end] = b'\n';
        self.end += 1;
        Ok(true)
    }

    /// Reads more bytes from the current segment; returns false if there are
    /// none.
    fn read(&mut self) -> Result<bool, Error> {
        let Some((_, file)) = &self.current else {
            return Ok(false);
        };
        let read = file.read_at(&mut self.buffer[self.end..], self.offset)?;
        self.offset += read as u64;
        self.end += read;
        Ok(read > 0)
    }

    /// Returns true if there is a segment after the current one.
    fn is_followed(&mut self) -> Result<bool, Error> {
        if self.later.is_empty() {
            self.find_later()?;
        }
        Ok(!self.later.is_empty())
    }

    /// Opens the next segment; returns false if there is none.
    fn open_next(&mut self) -> Result<bool, Error> {
        if self.later.is_empty() {
            self.find_later()?;
        }
        while let Some(next) = self.later.pop_front() {
            // The oldest segment may have been deleted meanwhile.
            let Some(file) = Reading::open(&next)? else {
                continue;
            };
            if self.later.len() >= NEWEST && self.is_after_range(&file)? {
                continue;
            }
            self.offset = 0;
            self.current = Some((next, file));
            return Ok(true);
        }
        Ok(false)
    }

    /// Finds the segments that were created since the last call.
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

    /// Returns true if a segment begins after the requested range.
    fn is_after_range(&self, file: &Reading) -> Result<bool, Error> {
        let Some(late) = self.near.1 else {
            return Ok(false);
        };
        let mut first = [0; FIRST];
        let read = file.read_at(&mut first, 0)?;
        Ok(Head::of(&first[..read]).is_some_and(|head| head.stamp >= late))
    }
}

/// Returns the segments that may contain a line of `early` or later.
fn not_before(all: Vec<PathBuf>, early: Timestamp) -> Result<VecDeque<PathBuf>, Error> {
    // Segment names cannot express earlier times.
    if early < Timestamp::UNIX_EPOCH {
        return Ok(all.into());
    }
    let key = early.strftime(NAME_FORMAT).to_string();
    let is_early = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| *name < *key)
    };
    let before = all.iter().rposition(is_early).unwrap_or(0);
    let (checked, newest) = (
        before.saturating_sub(CHECKED),
        all.len().saturating_sub(NEWEST),
    );
    let mut kept = VecDeque::with_capacity(all.len() - checked);
    for (nth, segment) in all.into_iter().enumerate().skip(checked) {
        if nth < before.min(newest) && last_stamp(&segment)?.is_some_and(|last| last < early) {
            continue;
        }
        kept.push_back(segment);
    }
    Ok(kept)
}
