//! `cargo ansar log`: print logs of roles, ordered by time.

use std::path::PathBuf;

use ansar_contract::layout::Area;
use ansar_contract::line::Level;
use jiff::tz::TimeZone;
use regex::bytes::Regex;

use crate::commands::history::start;
use crate::error::{Error, RoleError};
use crate::home::instance;
use crate::host::clock;
use crate::host::fs;
use crate::host::fs::Error as FilesError;
use crate::host::fs::changes::Changes;
use crate::logs::merge::{Filter, Merged, Record};
use crate::logs::query;
use crate::logs::query::{Begin, End, Range};
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::workspace::Places;
use crate::workspace::roles::chosen;

/// Options of `log`.
#[derive(Debug)]
pub struct Options {
    /// Roles whose logs are read.
    pub search: RoleSearch,
    /// Beginning of the range.
    pub begin: From,
    /// End of the range.
    pub end: End,
    /// Number of last records that are included, if not all.
    pub tail: Option<u64>,
    /// True if times are read and shown as local time.
    pub clock: bool,
    /// Least severe level that is included.
    pub level: Level,
    /// Expression that lines must match.
    pub grep: Option<Regex>,
}

/// Beginning of a range of lines.
#[derive(Debug)]
pub enum From {
    /// A beginning by time.
    Query(Begin),
    /// A start of the role, by its index.
    Start(usize),
}

/// The lines of a query that are stored so far.
#[derive(Debug)]
pub struct Lines {
    /// Roles in the order of `folders`.
    roles: Vec<RoleName>,
    folders: Vec<PathBuf>,
    range: Range,
    filter: Filter,
    merged: Merged,
    /// Time zone for display; unset for UTC.
    pub zone: Option<TimeZone>,
}

/// Opens the logs of the selected roles.
pub fn log(places: &Places, options: &Options) -> Result<Lines, Error> {
    let zone = options.clock.then(clock::zone);
    let now = clock::now().to_zoned(zone.clone().unwrap_or(TimeZone::UTC));
    let (home, workspace) = places.open()?;
    let mut entries = home.entries()?;
    let tests = entries
        .iter()
        .filter(|(_, entry)| !entry.properties.fresh.is_empty());
    let mut instances = instance::instances(tests, &entries).unwrap_or_default();
    instances.retain(|role, _| fs::is_folder(&home.folder(Area::Logs, role)));
    entries.extend(instances);
    let entries = chosen(&home, workspace.as_ref(), &options.search, entries)?;
    let roles: Vec<RoleName> = entries.into_keys().collect();
    let begin = match (&options.begin, roles.as_slice()) {
        (From::Query(begin), _) => begin,
        (From::Start(index), [role]) => &Begin::Start(start(&home, role, *index)?),
        (From::Start(_), _) => return Err(Error::Role(RoleError::OneRole { flag: "--start" })),
    };
    let range = query::range(begin, &options.end, &now)?;
    let folders = roles.iter().map(|role| home.folder(Area::Logs, role));
    let folders: Vec<PathBuf> = folders.collect();
    let filter = Filter {
        level: options.level,
        grep: options.grep.clone(),
    };
    let mut lines = Lines {
        merged: Merged::open(&folders, range)?,
        roles,
        folders,
        range,
        filter,
        zone,
    };
    if let Some(most) = options.tail {
        lines.skip_to_last(most)?;
    }
    Ok(lines)
}

impl Lines {
    /// Returns true if the stored lines come from several processes. Reads them
    /// up to the first line of a second process.
    pub fn are_of_several(&self) -> Result<bool, FilesError> {
        let mut merged = Merged::open(&self.folders, self.range)?;
        let mut first = None;
        while let Some(record) = merged.next(&self.roles, &self.filter)? {
            let pid = record.head.pid;
            if *first.get_or_insert(pid) != pid {
                return Ok(true);
            }
            merged.skip_same_process();
        }
        Ok(false)
    }

    /// Skips all stored records but the last ones.
    fn skip_to_last(&mut self, most: u64) -> Result<(), FilesError> {
        let mut all = Merged::open(&self.folders, self.range)?;
        let mut stored: u64 = 0;
        while all.next(&self.roles, &self.filter)?.is_some() {
            stored += 1;
        }
        for _ in most..stored {
            self.next_record()?;
        }
        Ok(())
    }

    /// Returns the next record, or `None` if no more is stored yet.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, FilesError> {
        self.merged.next(&self.roles, &self.filter)
    }

    /// Returns the next record together with the buffered ones that follow it.
    pub fn next_run(&mut self) -> Result<Option<Record<'_>>, FilesError> {
        if self.merged.next(&self.roles, &self.filter)?.is_some() {
            self.merged.extend(&self.filter);
        }
        Ok(self.merged.current(&self.roles))
    }

    /// Returns the length of the longest role name, or `None` for a single
    /// role, whose lines are shown without a name.
    pub fn role_width(&self) -> Option<usize> {
        let widths = self.roles.iter().map(|role| role.as_str().len());
        (self.roles.len() > 1).then(|| widths.max().unwrap_or_default())
    }

    /// Returns the number of skipped lines that a crash truncated.
    pub fn torn(&self, is_over: bool) -> u64 {
        // A log that was not read to its end shows no truncated end.
        let is_over = is_over && !self.is_complete();
        self.merged.torn(is_over)
    }

    /// Returns true if the query is answered completely, so that no line can
    /// follow.
    pub fn is_complete(&self) -> bool {
        self.merged.is_complete()
    }

    /// Returns a watcher that reports new lines. Create it before the last
    /// read, so that no line is missed.
    pub fn changes(&self) -> Result<Changes, Error> {
        let failed = |source| Error::System {
            what: "watch the logs",
            source,
        };
        let mut changes = Changes::new().map_err(failed)?;
        self.watch(&mut changes)?;
        Ok(changes)
    }

    /// Adds log folders that were created meanwhile to the watcher.
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
