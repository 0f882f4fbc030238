//! `cargo ansar log`: a part of what roles have logged, in the order of time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ansar_runtime::contract::layout::Area;
use ansar_runtime::contract::line::{Level, Tag};
use jiff::tz::TimeZone;
use regex::bytes::Regex;

use super::Error;
use super::choose::chosen;
use super::history::start;
use super::locate::Places;
use crate::home::Home;
use crate::home::log::head::{Head, Stamp};
use crate::home::log::read::Reader;
use crate::host::changes::Changes;
use crate::host::clock;
use crate::host::files::Error as FilesError;
use crate::model::name::RoleName;
use crate::model::query::{self, Begin, End, Range};
use crate::model::search::RoleSearch;

/// Which lines.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// Of which roles.
    pub search: RoleSearch,
    /// From when on.
    pub begin: From,
    /// Until when.
    pub end: End,
    /// Whether times are local, typed and shown.
    pub clock: bool,
    /// Which lines by what they are about.
    pub level: Level,
    /// Which lines by what they say.
    pub grep: Option<Regex>,
}

/// From when on lines are meant.
#[derive(Debug)]
pub enum From {
    /// From what the query says.
    Query(Begin),
    /// From a start of the role, by its index.
    Start(usize),
}

/// The lines that were asked for, as far as they are there.
#[derive(Debug)]
pub struct Lines {
    /// In the order of the folders.
    roles: Vec<RoleName>,
    folders: Vec<PathBuf>,
    range: Range,
    filter: Filter,
    merged: Merged,
    /// The zone in which times are shown; none for UTC.
    pub zone: Option<TimeZone>,
}

/// A record of a log, or several in a row.
#[derive(Debug)]
pub struct Record<'a> {
    /// Whose it is.
    pub role: &'a RoleName,
    /// The head of its first line.
    pub head: Head,
    /// The lines, as they are stored; all are of one process, and so have
    /// beginnings of one length.
    pub text: &'a [u8],
}

#[derive(Debug, Clone)]
struct Filter {
    level: Level,
    grep: Option<Regex>,
}

/// Readers of several logs, taken in turn.
#[derive(Debug)]
struct Merged {
    readers: Vec<Source>,
    from: Stamp,
    to: Option<Stamp>,
    left: Option<u64>,
    /// The reader of the record that was told last.
    last: Option<usize>,
}

#[derive(Debug)]
struct Source {
    reader: Reader,
    /// Whether the last line of each process is among those asked for: what
    /// continues it goes with it.
    shown: BTreeMap<u32, bool>,
    /// The same of the last line of all.
    last: Option<(u32, bool)>,
}

impl Source {
    /// Remembers whether a line of a process is among those asked for.
    fn show(&mut self, pid: u32, is_shown: bool) {
        // Most lines are as the one before.
        if self.last != Some((pid, is_shown)) {
            self.shown.insert(pid, is_shown);
            self.last = Some((pid, is_shown));
        }
    }

    /// Whether the last line of a process was among them.
    fn shows(&self, pid: u32) -> bool {
        self.shown.get(&pid).copied().unwrap_or(false)
    }
}

/// The lines of roles.
pub fn log(options: &Options) -> Result<Lines, Error> {
    let zone = options.clock.then(clock::zone);
    let now = clock::now().to_zoned(zone.clone().unwrap_or(TimeZone::UTC));
    let (home, workspace) = options.places.open()?;
    let entries = chosen(&home, workspace.as_ref(), &options.search, home.entries()?)?;
    let roles: Vec<RoleName> = entries.into_keys().collect();
    let begin = match (&options.begin, roles.as_slice()) {
        (From::Query(begin), _) => begin,
        (From::Start(index), [role]) => &Begin::Start(start(&home, role, *index)?),
        (From::Start(_), _) => return Err(Error::OneRole { flag: "--start" }),
    };
    let range = query::range(begin, &options.end, &now)?;
    let folders = roles.iter().map(|role| home.folder(Area::Logs, role));
    let folders: Vec<PathBuf> = folders.collect();
    let filter = Filter {
        level: options.level,
        grep: options.grep.clone(),
    };
    Ok(Lines {
        merged: Merged::open(&folders, range)?,
        roles,
        folders,
        range,
        filter,
        zone,
    })
}

/// Shows `reader` what roles have logged in a range, in the order of time, as
/// long as it wants more.
pub(super) fn between(
    home: &Home,
    roles: &[RoleName],
    range: Range,
    level: Level,
    mut reader: impl FnMut(&RoleName, Head, &[u8]) -> bool,
) -> Result<(), FilesError> {
    let folders = roles.iter().map(|role| home.folder(Area::Logs, role));
    let mut merged = Merged::open(&folders.collect::<Vec<_>>(), range)?;
    let filter = Filter { level, grep: None };
    while let Some(record) = merged.next(roles, &filter)? {
        if !reader(record.role, record.head, record.text) {
            break;
        }
    }
    Ok(())
}

impl Lines {
    /// Whether the lines that are there now are of several processes. Reads
    /// them, up to the first of another.
    pub fn are_of_several(&self) -> Result<bool, FilesError> {
        let mut merged = Merged::open(&self.folders, self.range)?;
        let mut first = None;
        while let Some(record) = merged.next(&self.roles, &self.filter)? {
            let pid = record.head.pid;
            if *first.get_or_insert(pid) != pid {
                return Ok(true);
            }
            merged.pass_alike();
        }
        Ok(false)
    }

    /// The next record; none where there is no more yet.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, FilesError> {
        self.merged.next(&self.roles, &self.filter)
    }

    /// The next records in a row that are at hand, as one; at least one record.
    pub fn next_run(&mut self) -> Result<Option<Record<'_>>, FilesError> {
        if self.merged.next(&self.roles, &self.filter)?.is_some() {
            self.merged.extend(&self.filter);
        }
        Ok(self.merged.told(&self.roles))
    }

    /// Returns the length of the longest name of the roles; none where there is
    /// only one, whose lines need no name.
    pub fn role_width(&self) -> Option<usize> {
        let widths = self.roles.iter().map(|role| role.as_str().len());
        (self.roles.len() > 1).then(|| widths.max().unwrap_or_default())
    }

    /// How many lines were passed over, since a crash tore them.
    pub fn torn(&self, is_over: bool) -> u64 {
        // What was not read to its end has no torn end.
        let is_over = is_over && !self.is_complete();
        let readers = self.merged.readers.iter();
        readers.map(|source| source.reader.torn(is_over)).sum()
    }

    /// Whether nothing of what was asked for can follow.
    pub fn is_complete(&self) -> bool {
        self.merged.left == Some(0)
    }

    /// What tells that more lines may be there; to be made before the last
    /// look that is to be relied on.
    pub fn changes(&self) -> Result<Changes, Error> {
        let failed = |source| Error::System {
            what: "watch the logs",
            source,
        };
        let mut changes = Changes::new().map_err(failed)?;
        self.watch(&mut changes)?;
        Ok(changes)
    }

    /// Watches the folders that have come meanwhile, too.
    pub fn watch(&self, changes: &mut Changes) -> Result<(), Error> {
        for folder in &self.folders {
            changes.watch(folder).map_err(|source| Error::System {
                what: "watch the logs",
                source,
            })?;
        }
        Ok(())
    }
}

impl Merged {
    fn open(folders: &[PathBuf], range: Range) -> Result<Self, FilesError> {
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

    /// Passes over what is at hand of the process whose record was told last.
    fn pass_alike(&mut self) {
        // Where records are counted, each counts.
        if let (None, Some(last)) = (self.left, self.last) {
            self.readers[last].reader.pass_alike();
        }
    }

    /// Has the record that was told go on as far as others that are to be told
    /// follow at hand.
    fn extend(&mut self, filter: &Filter) {
        let (from, to) = (self.from, self.to);
        if let ([source], None) = (&mut *self.readers, self.left)
            && filter.accepts_all()
        {
            source
                .reader
                .extend(|stamp| stamp >= from && to.is_none_or(|to| stamp < to));
        }
    }

    /// The record that was told last.
    fn told<'a>(&'a self, roles: &'a [RoleName]) -> Option<Record<'a>> {
        let at = self.last?;
        let reader = &self.readers[at].reader;
        Some(Record {
            role: &roles[at],
            head: reader.head()?,
            text: reader.text(),
        })
    }

    /// The next record of the logs of `roles`.
    fn next<'a>(
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
                // A continuation goes with its line, whatever its time.
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
            return Ok(self.told(roles));
        }
    }
}

impl Filter {
    /// Whether it accepts every line.
    fn accepts_all(&self) -> bool {
        self.level == Level::Debug && self.grep.is_none()
    }

    fn accepts(&self, head: Head, text: &[u8]) -> bool {
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
