//! Log records of all roles around a failure, in order of time.

use std::collections::{BTreeMap, VecDeque};

use ansar_contract::layout::Area;
use ansar_contract::line::Level;
use jiff::{SignedDuration, Timestamp};

use crate::home::Home;
use crate::host::fs::Error as FilesError;
use crate::logs::header::{Head, Stamp};
use crate::logs::merge::{Filter, Merged};
use crate::logs::query::Range;
use crate::model::name::RoleName;
use crate::model::run_report::{Failure, LogRecord};

/// Time before and after a failure from which records are shown.
const REACH: SignedDuration = SignedDuration::from_millis(500);
/// Maximum number of records before a failure.
const BEFORE: usize = 30;
/// Maximum number of records after it.
const AFTER: usize = 10;
/// Maximum number of records of one role on either side, so that a role that
/// floods its log leaves room for others.
const PER_ROLE: usize = 8;
/// Maximum number of failures with a context.
const MOST: usize = 20;
/// Maximum number of logs that are read, over all failures.
const MOST_LOGS: usize = 2000;

/// Attaches log records to the first failures. Logs that cannot be read are
/// left out, and so are records after `stopping`, the time at which the roles
/// were asked to stop, unless the failure is later.
pub(crate) fn attach<'r>(
    home: &Home,
    roles: impl Iterator<Item = &'r RoleName>,
    failures: impl Iterator<Item = &'r mut Failure>,
    stopping: Option<Timestamp>,
) {
    let roles: Vec<RoleName> = roles.cloned().collect();
    let most = (MOST_LOGS / roles.len().max(1)).clamp(1, MOST);
    let mut known: Vec<(Timestamp, Vec<LogRecord>)> = Vec::new();
    for failure in failures.take(MOST) {
        let at = failure.at;
        failure.context = match known.iter().find(|(other, _)| *other == at) {
            Some((_, context)) => context.clone(),
            None if known.len() < most => {
                let stopping = stopping.filter(|stopping| *stopping >= at);
                let context = around(home, &roles, at, stopping);
                known.push((at, context.clone()));
                context
            }
            None => continue,
        };
    }
}

fn around(
    home: &Home,
    roles: &[RoleName],
    at: Timestamp,
    end: Option<Timestamp>,
) -> Vec<LogRecord> {
    let to = at.checked_add(REACH).ok();
    let range = Range {
        from: at.checked_sub(REACH).unwrap_or(at),
        to: to.into_iter().chain(end).min(),
        count: None,
    };
    let failed = Stamp::of(at);
    let mut before: BTreeMap<RoleName, VecDeque<(usize, LogRecord)>> = BTreeMap::new();
    let mut after: Vec<LogRecord> = Vec::new();
    let mut nth = 0;
    // On an error, records read before it are still shown.
    let _ = between(home, roles, range, Level::Console, |role, head, text| {
        let record = LogRecord {
            role: role.clone(),
            text: String::from_utf8_lossy(text).trim_end().to_owned(),
        };
        if head.stamp <= failed {
            let before = before.entry(role.clone()).or_default();
            if before.len() == PER_ROLE {
                before.pop_front();
            }
            before.push_back((nth, record));
            nth += 1;
        } else if after.iter().filter(|other| other.role == *role).count() < PER_ROLE {
            after.push(record);
        }
        after.len() < AFTER
    });
    // Restore the order of time, and keep the last ones.
    let mut before: Vec<(usize, LogRecord)> = before.into_values().flatten().collect();
    before.sort_by_key(|(nth, _)| *nth);
    before.drain(..before.len().saturating_sub(BEFORE));
    let before = before.into_iter().map(|(_, record)| record);
    before.chain(after).collect()
}

/// Calls `reader` with each record of the roles in a range, in order of time,
/// until it returns false.
fn between(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fs;

    #[test]
    fn a_flood_leaves_room_for_other_roles() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        let home = Home::create(&root, None, &BTreeMap::new(), "id".to_owned()).unwrap();
        let roles: [RoleName; 2] = ["flood".parse().unwrap(), "quiet".parse().unwrap()];
        let log = |role: &RoleName, count: usize| {
            let line = |number| format!("[00000017] 2023-04-06T01:52:17.300 ^ line {number}\n");
            let folder = home.folder(Area::Logs, role);
            fs::make_private_folders(&folder).unwrap();
            let text: String = (0..count).map(line).collect();
            let file = folder.join("2023-04-06T01-52-17.000000.log");
            fs::replace(&file, text.as_bytes(), 0o600).unwrap();
        };
        log(&roles[0], 1000);
        log(&roles[1], 1);
        for failed in ["2023-04-06T01:52:17.3Z", "2023-04-06T01:52:17.2Z"] {
            let found = around(&home, &roles, failed.parse().unwrap(), None);
            let of = |role: &RoleName| found.iter().filter(|record| record.role == *role).count();
            assert_eq!((of(&roles[0]), of(&roles[1])), (PER_ROLE, 1), "{failed}");
        }
        let at = |time: &str| time.parse().unwrap();
        let found = around(&home, &roles, at("2023-04-06T01:52:17.3Z"), None);
        assert!(found.iter().any(|record| record.text.ends_with("line 999")));
        // What is logged while the roles stop says nothing about a failure before.
        let stopping = Some(at("2023-04-06T01:52:17.25Z"));
        let found = around(&home, &roles, at("2023-04-06T01:52:17.2Z"), stopping);
        assert_eq!(found, []);
    }
}
