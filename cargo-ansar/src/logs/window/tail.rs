//! Reads the log of one role in both directions from a position.
//!
//! [`Back`] returns the records before a position, latest first, and [`Ahead`]
//! those after it. Both read pieces of the segments and keep only the part that
//! was not consumed, so that a log of any size takes little memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ansar_contract::line::Tag;
use memchr::{memchr, memrchr};

use crate::host::fs;
use crate::host::fs::fingerprint::Stamp;
use crate::host::fs::{Error, Reading};
use crate::logs::header;
use crate::logs::header::Head;
use crate::logs::store::{NAME_FORMAT, segments};

/// Longest part of a log without an end of line that is kept, in bytes. An
/// engine writes no longer lines.
const LONGEST: usize = 16 << 20;
/// Number of bytes that a search by time narrows a segment down to.
const NARROW: u64 = 8 << 10;

/// A position in the log of a role: before a line, or at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// The segment; unset in a log without segments.
    segment: Option<Arc<Path>>,
    offset: u64,
}

impl Position {
    /// Returns the beginning of a log.
    pub(super) fn first(folder: &Path) -> Result<Self, Error> {
        let segment = segments(folder)?.into_iter().next().map(Arc::from);
        Ok(Self { segment, offset: 0 })
    }

    /// Returns the end of a log, after its last whole line.
    pub(super) fn last(folder: &Path) -> Result<Self, Error> {
        let Some(newest) = segments(folder)?.pop() else {
            return Ok(Self::default());
        };
        let offset = whole(&newest)?;
        Ok(Self {
            segment: Some(newest.into()),
            offset,
        })
    }

    /// Returns the position of the first line of `stamp` or later.
    pub(super) fn at(folder: &Path, stamp: header::Stamp) -> Result<Self, Error> {
        let all = segments(folder)?;
        let key = stamp.civil().map(|at| at.strftime(NAME_FORMAT).to_string());
        let is_early = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.zip(key.as_deref())
                .is_some_and(|(name, key)| *name <= *key)
        };
        let Some(segment) = all.iter().rfind(|path| is_early(path)).or(all.first()) else {
            return Ok(Self::default());
        };
        let offset = match Reading::open(segment)? {
            Some(file) => bisect(&file, stamp)?,
            None => 0,
        };
        Ok(Self {
            segment: Some(segment.clone().into()),
            offset,
        })
    }
}

/// Returns the length of the whole lines of a segment.
fn whole(segment: &Path) -> Result<u64, Error> {
    let Some(file) = Reading::open(segment)? else {
        return Ok(0);
    };
    let mut end = file.size()?;
    let mut piece = vec![0; 4 << 10];
    while end > 0 {
        let from = end.saturating_sub(piece.len() as u64);
        let length = usize::try_from(end - from).unwrap_or(piece.len());
        let read = file.read_at(&mut piece[..length], from)?;
        if let Some(at) = memrchr(b'\n', &piece[..read]) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// Returns the offset of the first line of `stamp` or later in a segment.
fn bisect(file: &Reading, stamp: header::Stamp) -> Result<u64, Error> {
    let (mut low, mut high) = (0, file.size()?);
    let mut piece = vec![0; usize::try_from(NARROW).unwrap_or_default()];
    while high - low > NARROW {
        let middle = low + (high - low) / 2;
        let read = file.read_at(&mut piece, middle)?;
        match first_head(&piece[..read]) {
            Some((at, head)) if head.stamp < stamp => low = middle + at as u64,
            _ => high = middle,
        }
    }
    // A few lines remain, and perhaps a very long one.
    let mut offset = low;
    loop {
        let read = file.read_at(&mut piece, offset)?;
        let Some(end) = memchr(b'\n', &piece[..read]) else {
            return Ok(offset);
        };
        match Head::of(&piece[..=end]) {
            Some(head) if head.stamp >= stamp && head.tag != Tag::Continued => return Ok(offset),
            _ => offset += end as u64 + 1,
        }
    }
}

/// Returns the first line with a head that begins in a piece of a log.
fn first_head(piece: &[u8]) -> Option<(usize, Head)> {
    let mut at = memchr(b'\n', piece)? + 1;
    loop {
        let end = memchr(b'\n', &piece[at..])?;
        if let Some(head) = Head::of(&piece[at..=at + end]) {
            return Some((at, head));
        }
        at += end + 1;
    }
}

/// The records before a position, latest first.
#[derive(Debug)]
pub(super) struct Back {
    folder: PathBuf,
    segment: Option<Arc<Path>>,
    /// Offset of the first of `bytes` in the segment.
    begin: u64,
    /// Whole lines before the position.
    bytes: Vec<u8>,
    is_over: bool,
}

/// The last record of some lines.
enum Last {
    /// A record, which begins at this offset.
    Record(Head, usize),
    /// A line without a head, which begins at this offset.
    Torn(usize),
    /// It begins before these lines.
    Before,
}

impl Back {
    pub(super) fn new(folder: &Path, from: Position) -> Self {
        Self {
            folder: folder.to_owned(),
            segment: from.segment,
            begin: from.offset,
            bytes: Vec::new(),
            is_over: false,
        }
    }

    /// Returns the head of the latest record, or `None` at the beginning of the
    /// log. Reads `piece` bytes at a time.
    pub(super) fn peek(&mut self, piece: usize) -> Result<Option<(Head, usize)>, Error> {
        loop {
            match last_record(&self.bytes, self.begin == 0) {
                Last::Record(head, start) => return Ok(Some((head, start))),
                Last::Torn(start) => self.bytes.truncate(start),
                Last::Before if self.is_over || !self.fill(piece)? => return Ok(None),
                Last::Before => {}
            }
        }
    }

    /// Returns the lines of the record that begins at `start`.
    pub(super) fn text(&self, start: usize) -> &[u8] {
        &self.bytes[start..]
    }

    /// Returns the position before the record that begins at `start`, and the
    /// one after it.
    pub(super) fn span(&self, start: usize) -> (Position, Position) {
        let at = |offset: usize| Position {
            segment: self.segment.clone(),
            offset: self.begin + offset as u64,
        };
        (at(start), at(self.bytes.len()))
    }

    /// Consumes the record that begins at `start`.
    pub(super) fn consume(&mut self, start: usize) {
        self.bytes.truncate(start);
    }

    /// Reads earlier bytes; returns false if there are none.
    fn fill(&mut self, piece: usize) -> Result<bool, Error> {
        if self.bytes.len() > LONGEST {
            self.bytes.clear();
        }
        if self.begin == 0 {
            let all = segments(&self.folder)?;
            let current = self.segment.as_deref();
            let earlier = |path: &&PathBuf| current.is_some_and(|current| ***path < *current);
            let Some(next) = all.iter().rfind(earlier) else {
                self.is_over = true;
                return Ok(false);
            };
            self.begin = whole(next)?;
            self.segment = Some(next.clone().into());
            return Ok(true);
        }
        let Some(segment) = &self.segment else {
            self.is_over = true;
            return Ok(false);
        };
        let from = self.begin.saturating_sub(piece as u64);
        let length = usize::try_from(self.begin - from).unwrap_or(piece);
        let mut bytes = vec![0; length];
        match Reading::open(segment)? {
            Some(file) if file.read_at(&mut bytes, from)? == length => {
                bytes.append(&mut self.bytes);
                self.bytes = bytes;
                self.begin = from;
            }
            // The oldest segment was deleted meanwhile.
            _ => {
                self.bytes.clear();
                self.begin = 0;
            }
        }
        Ok(true)
    }
}

/// Finds the last record of whole lines. `is_all` is true if they are at the
/// beginning of a segment.
fn last_record(bytes: &[u8], is_all: bool) -> Last {
    let mut end = bytes.len();
    // The head and the beginning of continuations of one process.
    let mut more: Option<(Head, usize)> = None;
    loop {
        let found = more.map_or(Last::Before, |(head, start)| Last::Record(head, start));
        if end == 0 {
            return if is_all { found } else { Last::Before };
        }
        let start = match memrchr(b'\n', &bytes[..end - 1]) {
            Some(at) => at + 1,
            None if is_all => 0,
            None => return Last::Before,
        };
        let head = Head::of(&bytes[start..end]);
        let is_same = |head: &Head| more.is_none_or(|(other, _)| other.pid == head.pid);
        match head.filter(is_same) {
            None if more.is_none() => return Last::Torn(start),
            None => return found,
            Some(head) if head.tag == Tag::Continued => {
                more = Some((head, start));
                end = start;
            }
            Some(head) => return Last::Record(head, start),
        }
    }
}

/// The records after a position, earliest first.
#[derive(Debug)]
pub(super) struct Ahead {
    folder: PathBuf,
    segment: Option<Arc<Path>>,
    file: Option<Reading>,
    /// Offset of the first of `bytes` in the segment.
    offset: u64,
    bytes: Vec<u8>,
    /// Beginning of the unread bytes.
    begin: usize,
    /// True if all that was stored has been read, until [`Ahead::refresh`].
    is_over: bool,
    /// True if a segment may have been created.
    may_follow: bool,
    /// Size of the segment at the last look.
    size: Option<u64>,
    /// The folder at the last look.
    listed: Stamp,
}

impl Ahead {
    pub(super) fn new(folder: &Path, from: Position) -> Self {
        Self {
            folder: folder.to_owned(),
            segment: from.segment,
            file: None,
            offset: from.offset,
            bytes: Vec::new(),
            begin: 0,
            is_over: false,
            may_follow: true,
            size: None,
            listed: Stamp::default(),
        }
    }

    /// Looks for what was stored since the last call; returns true if there is
    /// anything. `now_ns` is the current time.
    pub(super) fn refresh(&mut self, now_ns: i64) -> bool {
        let size = self.file.as_ref().and_then(|file| file.size().ok());
        let is_longer = size != self.size;
        let folder = fs::stat(&self.folder).ok();
        let listed = folder.map(|folder| Stamp::placed(&folder, now_ns));
        let listed = listed.unwrap_or_default();
        let is_changed = listed.fingerprint != self.listed.fingerprint;
        // A segment that was created just before the last look may have left no
        // trace.
        let may_follow = is_changed || !self.listed.settled;
        self.size = size;
        self.listed = listed;
        self.may_follow |= may_follow;
        self.is_over &= !(is_longer || may_follow);
        is_longer || is_changed
    }

    /// Returns the head of the next record and its length, or `None` if there is
    /// none yet. Reads `piece` bytes at a time.
    pub(super) fn peek(&mut self, piece: usize) -> Result<Option<(Head, usize)>, Error> {
        loop {
            let unread = &self.bytes[self.begin..];
            if let Some(end) = memchr(b'\n', unread) {
                match Head::of(&unread[..=end]) {
                    Some(head) => {
                        let more = continued(&unread[end + 1..], head.pid);
                        return Ok(Some((head, end + 1 + more)));
                    }
                    None => self.begin += end + 1,
                }
            } else if self.is_over || !self.fill(piece)? {
                return Ok(None);
            }
        }
    }

    /// Returns the lines of the record of this length.
    pub(super) fn text(&self, length: usize) -> &[u8] {
        &self.bytes[self.begin..self.begin + length]
    }

    /// Returns the position before the next record of this length, and the one
    /// after it.
    pub(super) fn span(&self, length: usize) -> (Position, Position) {
        let at = |offset: usize| Position {
            segment: self.segment.clone(),
            offset: self.offset + offset as u64,
        };
        (at(self.begin), at(self.begin + length))
    }

    /// Consumes the next record, which has this length.
    pub(super) fn consume(&mut self, length: usize) {
        self.begin += length;
    }

    /// Reads later bytes; returns false if there are none.
    fn fill(&mut self, piece: usize) -> Result<bool, Error> {
        self.offset += self.begin as u64;
        self.bytes.drain(..self.begin);
        self.begin = 0;
        if self.file.is_none() && !self.open()? {
            self.is_over = true;
            return Ok(false);
        }
        if let Some(file) = &self.file {
            let length = self.bytes.len();
            self.bytes.resize(length + piece, 0);
            let read = file.read_at(&mut self.bytes[length..], self.offset + length as u64)?;
            self.bytes.truncate(length + read);
            if read > 0 && length < LONGEST {
                // Nothing more is stored, unless in a new segment.
                self.is_over = read < piece && !self.may_follow;
                return Ok(true);
            }
        }
        let is_next = std::mem::take(&mut self.may_follow) && self.next()?;
        self.is_over = !is_next;
        Ok(is_next)
    }

    /// Opens the current segment; returns false if there is none yet.
    fn open(&mut self) -> Result<bool, Error> {
        if self.segment.is_none() {
            return self.next();
        }
        let Some(segment) = &self.segment else {
            return Ok(false);
        };
        self.file = Reading::open(segment)?;
        // It may have been deleted meanwhile.
        Ok(self.file.is_some() || self.next()?)
    }

    /// Goes to the next segment; returns false if there is none.
    fn next(&mut self) -> Result<bool, Error> {
        let current = self.segment.as_deref();
        let later = |path: &PathBuf| current.is_none_or(|current| **path > *current);
        let mut all = segments(&self.folder)?.into_iter();
        let Some(next) = all.find(later) else {
            return Ok(false);
        };
        self.file = Reading::open(&next)?;
        self.segment = Some(next.into());
        self.offset = 0;
        // A line without an end was torn by a crash.
        self.bytes.clear();
        // There may be more than one.
        self.may_follow = true;
        Ok(true)
    }
}

/// Returns the length of the continuations of a process at the beginning.
fn continued(bytes: &[u8], pid: u32) -> usize {
    let mut length = 0;
    while let Some(end) = memchr(b'\n', &bytes[length..]) {
        match Head::of(&bytes[length..=length + end]) {
            Some(head) if head.tag == Tag::Continued && head.pid == pid => length += end + 1,
            _ => break,
        }
    }
    length
}
