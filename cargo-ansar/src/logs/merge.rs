//! Merges the logs of several roles in time order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ansar_contract::line::{Level, Tag};
use regex::bytes::Regex;

use crate::host::fs::Error as FilesError;
use crate::logs::header::{Head, Stamp};
use crate::logs::query::Range;
use crate::logs::reader::Reader;
use crate::model::name::RoleName;

/// One or more consecutive records of a log.
#[derive(Debug)]
pub struct Record<'a> {
    /// The role that logged it.
    pub role: &'a RoleName,
    /// The head of its first line.
    pub head: Head,
    /// The lines as stored. All are from one process, so their process prefixes
    /// have the same length.
    pub text: &'a [u8],
}

/// Merges the lines of one log of which several machines have written a part. Lines
/// without a head follow the one before them.
pub fn merged_lines(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut records: Vec<(Stamp, &[u8])> = Vec::new();
    for part in parts {
        let mut stamp = Stamp::MIN;
        for line in part.split_inclusive(|byte| *byte == b'\n') {
            stamp = Head::of(line).map_or(stamp, |head| head.stamp);
            records.push((stamp, line));
        }
    }
    // This sort keeps the order within a part.
    records.sort_by_key(|(stamp, _)| *stamp);
    let lines = records.into_iter().map(|(_, line)| line);
    lines.collect::<Vec<_>>().concat()
}

/// Selects records by level and text.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The lowest level to show.
    pub level: Level,
    /// A regular expression that a line of the record must match.
    pub grep: Option<Regex>,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |filter: &Self| filter.grep.as_ref().map(|grep| grep.as_str().to_owned());
        self.level == other.level && pattern(self) == pattern(other)
    }
}

impl Eq for Filter {}

/// Merges several logs in time order.
#[derive(Debug)]
pub struct Merged {
    readers: Vec<Source>,
    from: Stamp,
    to: Option<Stamp>,
    left: Option<u64>,
    /// Index of the reader of the last returned record.
    last: Option<usize>,
}

/// The reader of one log, with the filter state of its processes.
#[derive(Debug)]
struct Source {
    reader: Reader,
    /// For each process, true if its last line is shown. A continuation is
    /// shown if its line is.
    shown: BTreeMap<u32, bool>,
    /// The process of the latest line, and whether that line is shown.
    last: Option<(u32, bool)>,
}

impl Source {
    /// Records whether the latest line of a process is shown.
    fn show(&mut self, pid: u32, is_shown: bool) {
        // Usually nothing changes from line to line.
        if self.last != Some((pid, is_shown)) {
            self.shown.insert(pid, is_shown);
            self.last = Some((pid, is_shown));
        }
    }

    /// Returns true if the last line of a process was shown.
    fn shows(&self, pid: u32) -> bool {
        self.shown.get(&pid).copied().unwrap_or(false)
    }
}

impl Merged {
    /// Returns true if the maximum number of records has been returned.
    pub fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// Returns the number of torn lines (incomplete after a crash) that were
    /// skipped. With `is_over`, a last line without a newline counts too.
    pub fn torn(&self, is_over: bool) -> u64 {
        let readers = self.readers.iter();
        readers.map(|source| source.reader.torn(is_over)).sum()
    }

    /// Opens the logs in `folders` to read the records in `range`.
    pub fn open(folders: &[PathBuf], range: Range) -> Result<Self, FilesError> {
        let readers = folders.iter().map(|folder| {
            Ok(Source {
                reader: Reader::open(folder, range.from, range.to)?,
                shown: BTreeMap::new(),
                last: None,
            })
        });
        Ok(Self {
            readers: readers.collect::<Result<_, FilesError>>()?,
            from: Stamp::of(range.from),
            to: range.to.map(Stamp::of),
            left: range.count,
            last: None,
        })
    }

    /// Skips buffered lines of the process of the last returned record.
    pub fn skip_same_process(&mut self) {
        // With a record limit, every record must be counted.
        if let (None, Some(last)) = (self.left, self.last) {
            self.readers[last].reader.skip_same_process();
        }
    }

    /// Extends the last returned record by matching records that follow it in
    /// the buffer.
    pub fn extend(&mut self, filter: &Filter) {
        let (from, to) = (self.from, self.to);
        if !filter.accepts_all() {
            return;
        }
        if let ([source], None) = (&mut *self.readers, self.left) {
            source
                .reader
                .extend(|stamp| stamp >= from && to.is_none_or(|to| stamp < to));
        }
    }

    /// Returns the last returned record again.
    pub fn current<'a>(&'a self, roles: &'a [RoleName]) -> Option<Record<'a>> {
        let at = self.last?;
        let reader = &self.readers[at].reader;
        Some(Record {
            role: &roles[at],
            head: reader.head()?,
            text: reader.text(),
        })
    }

    /// Returns the next record, or `None` if there is none yet. `roles` are in
    /// the order of the folders passed to [`open`](Self::open).
    pub fn next<'a>(
        &'a mut self,
        roles: &'a [RoleName],
        filter: &Filter,
    ) -> Result<Option<Record<'a>>, FilesError> {
        if let Some(last) = self.last.take() {
            self.readers[last].reader.advance();
        }
        if self.left == Some(0) {
            return Ok(None);
        }
        loop {
            let mut earliest: Option<(Stamp, usize, Head)> = None;
            for (at, source) in self.readers.iter_mut().enumerate() {
                let Some(head) = source.reader.peek()? else {
                    continue;
                };
                // A continuation follows its line regardless of its own stamp.
                let rank = match head.tag {
                    Tag::Continued => Stamp::MIN,
                    _ => head.stamp,
                };
                if earliest.is_none_or(|(other, ..)| rank < other) {
                    earliest = Some((rank, at, head));
                }
            }
            let Some((_, at, head)) = earliest else {
                return Ok(None);
            };
            let source = &mut self.readers[at];
            let is_shown = match head.tag {
                Tag::Continued => source.shows(head.pid),
                _ => {
                    let is_shown = head.stamp >= self.from
                        && self.to.is_none_or(|to| head.stamp < to)
                        && filter.accepts(head, source.reader.text());
                    source.show(head.pid, is_shown);
                    is_shown
                }
            };
            if !is_shown {
                source.reader.advance();
                continue;
            }
            if head.tag != Tag::Continued {
                self.left = self.left.map(|left| left - 1);
            }
            self.last = Some(at);
            return Ok(self.current(roles));
        }
    }
}

impl Filter {
    /// Returns true if every line is accepted.
    fn accepts_all(&self) -> bool {
        self.level == Level::Debug && self.grep.is_none()
    }

    /// Returns true if a record is accepted.
    pub(super) fn accepts(&self, head: Head, text: &[u8]) -> bool {
        self.level.shows(head.tag)
            && self.grep.as_ref().is_none_or(|grep| {
                let mut lines = text.split(|byte| *byte == b'\n');
                lines.any(|line| {
                    let shown = Head::of(line).map_or(0, |head| head.shown);
                    grep.is_match(&line[shown..])
                })
            })
    }
}
