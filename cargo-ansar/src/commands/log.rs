//! `cargo ansar log`: a part of what roles have logged, in the order of time.

use std::path::PathBuf;

use ansar_contract::layout::Area;
use ansar_contract::line::Level;
use jiff::tz::TimeZone;
use regex::bytes::Regex;

use crate::commands::history::start;
use crate::error::Error;
use crate::host::clock;
use crate::host::fs::Error as FilesError;
use crate::host::fs::changes::Changes;
use crate::logs::merge::{Filter, Merged, Record};
use crate::logs::query;
use crate::logs::query::{Begin, End, Range};
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::workspace::Places;
use crate::workspace::roles::chosen;

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
            merged.skip_same_process();
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
        Ok(self.merged.current(&self.roles))
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
        self.merged.torn(is_over)
    }

    /// Whether nothing of what was asked for can follow.
    pub fn is_complete(&self) -> bool {
        self.merged.is_complete()
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
