//! The content of one page: turns updates into messages for it.

use std::collections::BTreeSet;

use ansar_contract::line::{Level, Tag};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use crate::logs::merge::Filter;
use crate::logs::window;
use crate::logs::window::Page;
use crate::model::name::RoleName;
use crate::report::html;
use crate::ui::log_feed::LogRequest;
use crate::ui::role_list::{RoleList, Row};
use crate::ui::snapshot::{Role, Snapshot, State};
use crate::ui::text::{clean, percent, since, size};

/// Most lines of the logs that a page shows.
const MOST_LINES: usize = 5_000;

/// The choices of the user of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    /// Roles whose logs are shown; all if empty.
    roles: BTreeSet<RoleName>,
    /// The lowest level that is shown; all if empty.
    level: String,
    /// A regular expression that lines must match; all if empty.
    pattern: String,
    /// Number of lines that are shown.
    lines: usize,
}

/// The content of one page.
#[derive(Debug)]
pub(super) struct View {
    choice: Choice,
    filter: Filter,
    zone: TimeZone,
    list: RoleList,
    selected: Option<Vec<RoleName>>,
    lines: Vec<window::Line>,
}

/// A message for a page.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "message", rename_all = "kebab-case")]
pub(super) enum Message {
    /// The roles, by tag.
    Roles {
        /// The rows of the table.
        rows: Vec<Line>,
        /// Numbers of roles by the kind of their state.
        counts: Vec<(&'static str, usize)>,
    },
    /// Lines of the logs.
    Logs {
        /// Number of lines at the beginning that are not shown any more.
        gone: usize,
        /// New lines.
        lines: Vec<LogLine>,
        /// Time that a search for lines has come to, while it goes on.
        searching: Option<String>,
    },
    /// The last run, if there was one.
    Run {
        /// Its part of the page.
        run: Option<html::Part>,
    },
    /// Something that a command does.
    Job(Job),
    /// Something cannot be read.
    Trouble {
        /// The error.
        text: String,
    },
}

/// A row of the table of roles.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    /// The heading of a group.
    Group {
        /// Its name.
        name: String,
        /// Number of roles in it, and of those that are ready or done.
        roles: usize,
        /// Number of those that are ready, or done.
        ready: usize,
    },
    /// A role.
    Role(RoleLine),
}

/// A role in the table of roles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RoleLine {
    name: RoleName,
    state: State,
    is_running: bool,
    is_test: bool,
    reason: String,
    since: String,
    cpu: String,
    memory: String,
    restarts: u32,
    process: Option<u32>,
    addresses: Vec<String>,
}

/// A line of the logs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LogLine {
    time: String,
    role: RoleName,
    level: String,
    text: String,
    is_continued: bool,
}

/// Something that a command does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Job {
    /// Identifies the command.
    pub(super) id: usize,
    /// Its arguments.
    pub(super) title: String,
    /// A line that it has printed.
    pub(super) line: Option<String>,
    /// Set once it has ended: true if it succeeded.
    pub(super) success: Option<bool>,
}

impl Message {
    /// Returns the message as an event of the stream of a page.
    pub(super) fn event(&self) -> String {
        // Text in JSON has no line breaks of its own.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("data: {json}\n\n")
    }
}

impl View {
    /// Returns the view of a page; an error if its pattern is none. Times are
    /// shown in `zone`.
    pub(super) fn new(choice: Choice, zone: TimeZone) -> Result<Self, regex::Error> {
        let grep = Some(choice.pattern.as_str()).filter(|it| !it.is_empty());
        let filter = Filter {
            level: choice.level.parse().unwrap_or(Level::Debug),
            grep: grep.map(Regex::new).transpose()?,
        };
        Ok(Self {
            choice,
            filter,
            zone,
            list: RoleList::default(),
            selected: None,
            lines: Vec::new(),
        })
    }

    /// Returns the number of lines that the page shows.
    pub(super) fn height(&self) -> usize {
        self.choice.lines.clamp(1, MOST_LINES)
    }

    /// Returns the request for the logs of the chosen roles, if these have
    /// changed.
    pub(super) fn select(&mut self, snapshot: &Snapshot) -> Option<LogRequest> {
        let chosen = &self.choice.roles;
        let roles = snapshot.roles.iter().map(|role| &role.name);
        let roles = roles.filter(|role| chosen.is_empty() || chosen.contains(*role));
        let roles: Vec<RoleName> = roles.cloned().collect();
        if self.selected.as_ref() == Some(&roles) {
            return None;
        }
        self.selected = Some(roles.clone());
        let filter = self.filter.clone();
        Some(LogRequest::Select { roles, filter })
    }

    /// Returns the table of roles at `now`.
    pub(super) fn roles(&mut self, snapshot: &Snapshot, now: Timestamp) -> Message {
        self.list.replace(snapshot);
        let rows = self.list.rows.iter().filter_map(|row| match row {
            Row::Group {
                group,
                roles,
                ready,
            } => Some(Line::Group {
                name: group.name().to_owned(),
                roles: *roles,
                ready: *ready,
            }),
            Row::Role(name) => Some(Line::Role(role_line(snapshot.role(name)?, now))),
        });
        Message::Roles {
            rows: rows.collect(),
            counts: snapshot.counts(),
        }
    }

    /// Returns the difference between the shown lines and those of a page.
    pub(super) fn logs(&mut self, page: Page) -> Message {
        let old = std::mem::replace(&mut self.lines, page.lines);
        let new = &self.lines;
        let gone = (0..old.len())
            .find(|gone| new.starts_with(&old[*gone..]))
            .unwrap_or(old.len());
        let searching = page.searching.and_then(|stamp| {
            let at = TimeZone::UTC.to_timestamp(stamp.civil()?).ok()?;
            Some(self.time(at))
        });
        Message::Logs {
            gone,
            lines: new[old.len() - gone..]
                .iter()
                .map(|line| self.log_line(line))
                .collect(),
            searching,
        }
    }

    fn log_line(&self, line: &window::Line) -> LogLine {
        let at = line.stamp.civil();
        let at = at.and_then(|at| TimeZone::UTC.to_timestamp(at).ok());
        LogLine {
            time: at.map(|at| self.time(at)).unwrap_or_default(),
            role: line.role.clone(),
            level: line.tag.level().name().to_lowercase(),
            text: clean(&line.text),
            is_continued: line.tag == Tag::Continued,
        }
    }

    fn time(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        at.strftime("%H:%M:%S%.3f").to_string()
    }
}

fn role_line(role: &Role, now: Timestamp) -> RoleLine {
    let usage = role.usage.as_ref();
    let addresses = role.addresses.iter();
    RoleLine {
        name: role.name.clone(),
        state: role.state,
        is_running: role.state.is_running(),
        is_test: role.is_test,
        reason: role.reason.as_deref().map(clean).unwrap_or_default(),
        since: role.since.map(|at| since(at, now)).unwrap_or_default(),
        cpu: usage.map(|usage| percent(usage.cpu)).unwrap_or_default(),
        memory: usage.map(|usage| size(usage.memory)).unwrap_or_default(),
        restarts: role.restarts,
        process: role.pid,
        addresses: addresses.map(|(_, address)| address.to_string()).collect(),
    }
}
