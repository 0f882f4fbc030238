//! Console lines that may explain failures.

use std::collections::BTreeSet;

use ansar_contract::layout::Area;
use ansar_contract::line::{Level, Line, STAMP_FORMAT, Tag};
use jiff::Timestamp;

use crate::home::Home;
use crate::logs::store::last_lines;
use crate::model::name::RoleName;
use crate::model::run_report::{Excerpt, Which};
use crate::testing::verdict::{Failure, Verdict};

/// Maximum number of last lines shown of a failed role.
pub(crate) const LAST_LINES: usize = 10;
/// Maximum number of lines shown of an operational role.
const LINES_AROUND: usize = 20;
/// Maximum number of roles with lines shown.
pub(crate) const MOST_ROLES: usize = 5;
/// Bytes at the end of a log that are searched.
const REACH: u64 = 256 * 1024;

/// Returns up to `count` console lines of a role since a time. A log that
/// cannot be read has none.
pub(crate) fn console_lines(
    home: &Home,
    role: &RoleName,
    count: usize,
    since: &str,
    is_chosen: impl Fn(&Line<'_>) -> bool,
) -> Vec<String> {
    let folder = home.folder(Area::Logs, role);
    let lines = last_lines(&folder, REACH, count, |line| {
        Line::parse(line).is_some_and(|line| {
            let is_console = Level::Console.shows(line.tag) || line.tag == Tag::Continued;
            is_console && line.stamp >= since && is_chosen(&line)
        })
    });
    lines.unwrap_or_default()
}

/// Returns console lines that may explain failures: the last lines of each
/// failed role, and those of operational roles in the second around a failure.
pub(crate) fn around<'r>(
    home: &Home,
    verdict: &Verdict,
    operational: impl Iterator<Item = &'r RoleName>,
    begun: Timestamp,
) -> Vec<Excerpt> {
    let failures = &verdict.report.failures;
    if failures.is_empty() {
        return Vec::new();
    }
    let since = stamp(begun);
    let failed: BTreeSet<&RoleName> = failures.iter().map(|f| &f.role).collect();
    let mut excerpts = Vec::new();
    let mut add = |role: &RoleName, which, count, chosen: &dyn Fn(&str) -> bool| {
        let lines = console_lines(home, role, count, &since, |line| chosen(line.stamp));
        if !lines.is_empty() {
            excerpts.push(Excerpt {
                role: role.clone(),
                which,
                lines,
            });
        }
    };
    for role in failed.iter().take(MOST_ROLES) {
        add(role, Which::Last, LAST_LINES, &|_| true);
    }
    let seconds: Vec<(String, String)> = failures.iter().map(second_around).collect();
    for role in operational.filter(|role| !failed.contains(role)) {
        add(role, Which::Around, LINES_AROUND, &|stamp| {
            seconds
                .iter()
                .any(|(from, to)| (&**from..=&**to).contains(&stamp))
        });
    }
    excerpts
}

/// Returns the time half a second before and after a failure.
fn second_around(failure: &Failure) -> (String, String) {
    let half = jiff::SignedDuration::from_millis(500);
    let from = failure.at.checked_sub(half).unwrap_or(failure.at);
    let to = failure.at.checked_add(half).unwrap_or(failure.at);
    (stamp(from), stamp(to))
}

/// Formats a time like log lines. The results compare like the times.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime(STAMP_FORMAT).to_string()
}
