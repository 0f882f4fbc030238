//! The results of the last run of a test target, in a file: one line with the
//! tests that were chosen, and one for each that has finished.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ansar_contract::test::{Check, TestReport};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::harness::list::Selection;
use crate::host::clock;
use crate::host::fs;
use crate::host::fs::Error;
use crate::host::fs::append::Appender;

/// The first line.
#[derive(Default, Serialize, Deserialize)]
struct Head {
    /// The tests that were chosen.
    tests: Vec<String>,
    /// Number of tests that were ignored.
    #[serde(default)]
    ignored: u64,
    /// Time at which they began.
    #[serde(default)]
    at: Timestamp,
}

/// The file of a run. Results that cannot be written are missing in the next
/// run, which then takes the tests for failed ones.
pub(super) struct Journal {
    file: Appender,
    /// Results that are not written yet.
    unwritten: Vec<u8>,
}

impl Journal {
    /// Replaces the file of the last run. `kept` are results of it that count.
    pub(super) fn create(path: &Path, chosen: &Selection, kept: &[Check]) -> Result<Self, Error> {
        let names = kept.iter().map(|check| &check.name).chain(&chosen.tests);
        let head = Head {
            tests: names.cloned().collect(),
            ignored: chosen.ignored.len() as u64,
            at: clock::now(),
        };
        let mut bytes = line(&head);
        for check in kept {
            bytes.extend(line(check));
        }
        if let Some(folder) = path.parent() {
            fs::make_private_folders(folder)?;
        }
        fs::remove_file(path)?;
        let mut file = Appender::open(path)?;
        file.append(&bytes)?;
        let unwritten = Vec::new();
        Ok(Self { file, unwritten })
    }

    /// Adds the result of a test, which is written by [`flush`](Self::flush).
    pub(super) fn add(&mut self, check: &Check) {
        self.unwritten.extend(line(check));
    }

    /// Writes the results that are not written yet.
    pub(super) fn flush(&mut self) {
        if !self.unwritten.is_empty() {
            let _ = self.file.append(&self.unwritten);
            self.unwritten.clear();
        }
    }
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    // Texts and numbers can always be written as JSON.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Replaces the file of the last run by the results of several machines, each of which
/// has run a part of the tests. Each part comes with the time by which the clock of its
/// machine was ahead.
pub fn write_merged(
    path: &Path,
    parts: impl Iterator<Item = (Vec<u8>, SignedDuration)>,
) -> Result<(), Error> {
    let (mut head, mut checks) = (Head::default(), Vec::new());
    for (bytes, ahead) in parts {
        let part = LastResults::parse(&bytes);
        let at = part.at.saturating_sub(ahead).unwrap_or(part.at);
        head.at = head.at.max(at);
        head.ignored += part.ignored;
        head.tests.extend(part.tests);
        checks.extend(part.checks);
    }
    let lines = checks.iter().map(line);
    let bytes: Vec<u8> = std::iter::once(line(&head))
        .chain(lines)
        .flatten()
        .collect();
    if let Some(folder) = path.parent() {
        fs::make_private_folders(folder)?;
    }
    fs::renew(path, &bytes, 0o600)
}

/// The results of the last run.
#[derive(Debug, Default, PartialEq)]
pub struct LastResults {
    /// The tests that were chosen.
    tests: Vec<String>,
    /// Number of tests that were ignored.
    ignored: u64,
    /// Time at which they began.
    at: Timestamp,
    /// The results of those that finished.
    pub(super) checks: Vec<Check>,
}

impl LastResults {
    /// Reads the results; they are empty if there are none that can be read.
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read_if_exists(path).ok().flatten();
        Self::parse(&bytes.unwrap_or_default())
    }

    /// Parses the results. A line that was written in part is left out.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let head = lines.next().and_then(|it| serde_json::from_slice(it).ok());
        let Some(Head { tests, ignored, at }) = head else {
            return Self::default();
        };
        let checks = lines.filter_map(|it| serde_json::from_slice(it).ok());
        // A failure is recorded again once its reason is known.
        let checks = checks.map(|check: Check| (check.name.clone(), check));
        let checks: BTreeMap<String, Check> = checks.collect();
        Self {
            tests,
            ignored,
            at,
            checks: checks.into_values().collect(),
        }
    }

    /// Returns the report of tests that were killed; `None` if they began before
    /// `begun`.
    pub fn report_since(self, begun: Timestamp) -> Option<TestReport> {
        (self.at >= begun).then(|| report(self.checks, self.ignored, self.tests))
    }

    /// Returns the names of the tests that passed.
    pub(super) fn passed(&self) -> BTreeSet<String> {
        let passed = self.checks.iter().filter(|check| check.condition);
        passed.map(|check| check.name.clone()).collect()
    }

    /// Returns a predicate that is true for the tests that were chosen, and for every
    /// test if the last run recorded none.
    pub(super) fn chosen(&self) -> impl Fn(&String) -> bool + use<> {
        let chosen: BTreeSet<String> = self.tests.iter().cloned().collect();
        move |name| chosen.is_empty() || chosen.contains(name)
    }

    /// Returns the names of the tests that failed or did not finish.
    pub(super) fn failed(&self) -> impl Iterator<Item = &str> {
        let passed = self.passed();
        let failed = self.tests.iter();
        let failed = failed.filter(move |name| !passed.contains(name.as_str()));
        failed.map(String::as_str)
    }
}

/// Returns the report of `checks`, of which `selected` are the expected tests.
pub(super) fn report(mut tested: Vec<Check>, ignored: u64, selected: Vec<String>) -> TestReport {
    tested.sort_by(|one, other| one.name.cmp(&other.name));
    let finished: BTreeSet<&str> = tested.iter().map(|check| check.name.as_str()).collect();
    let mut unfinished = selected;
    unfinished.retain(|name| !finished.contains(name.as_str()));
    let passed = tested.iter().filter(|check| check.condition).count() as u64;
    TestReport {
        passed,
        failed: tested.len() as u64 - passed,
        tested,
        ignored,
        unfinished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tests.jsonl");
        assert_eq!(LastResults::read(&path), LastResults::default());
        let check = |name: &str, condition| Check {
            condition,
            line: 1,
            column: None,
            name: name.to_owned(),
            source: String::new(),
            stamp: String::new(),
            text: String::new(),
            elapsed_us: Some(500),
        };
        let chosen = Selection {
            tests: ["b", "c", "d"].map(str::to_owned).to_vec(),
            ignored: vec!["e".to_owned()],
        };
        for _ in 0..2 {
            let kept = [check("a", true)];
            let mut journal = Journal::create(&path, &chosen, &kept).unwrap();
            journal.add(&check("b", true));
            journal.add(&check("c", false));
            journal.flush();
        }
        let last = LastResults::read(&path);
        let passed: Vec<String> = last.passed().into_iter().collect();
        assert_eq!(passed, ["a", "b"]);
        assert_eq!(last.failed().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(LastResults::read(&path).report_since(clock::now()), None);
        let report = last.report_since(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((report.passed, report.failed, report.ignored), (2, 1, 1));
        assert_eq!(report.unfinished, ["d"]);
        // A power loss cuts the last line, or leaves zeros in its place.
        let bytes = std::fs::read(&path).unwrap();
        let torn = &bytes[..bytes.len() - 9];
        for torn in [torn.to_vec(), [torn, &[0; 9]].concat()] {
            std::fs::write(&path, torn).unwrap();
            let last = LastResults::read(&path);
            assert_eq!(last.failed().collect::<Vec<_>>(), ["c", "d"]);
            let report = last.report_since(Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(report.unfinished, ["c", "d"]);
        }
        std::fs::write(&path, "{\"tests\":[\"a\"]}\nhalf").unwrap();
        let last = LastResults::read(&path);
        assert_eq!(last.failed().collect::<Vec<_>>(), ["a"]);
    }
}
