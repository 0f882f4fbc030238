//! Merging the reports of several machines that ran parts of the test roles.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::name::RoleName;
use crate::model::partition::Partition;
use crate::model::run_report::{Row, RunReport, Try};

/// Exit code of a command whose checks failed.
const TESTS_FAILED: u8 = 100;

/// An error about results that are to be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A folder is neither a home with a run, nor the folder of its last run.
    #[error("no results in `{path}`: neither `last/run.jsonl` nor `run.jsonl`", path = .0.display())]
    NoFile(PathBuf),
    /// A file holds no verdict, since its run did not reach one.
    #[error("no verdict in `{path}`", path = .0.display())]
    NoVerdict(PathBuf),
    /// Some results are of a part, and others are not, or of another division.
    #[error("`{path}` is not a part of the same run: {found} instead of one of {count} parts", path = path.display())]
    OtherDivision {
        /// The path.
        path: PathBuf,
        /// Its part.
        found: String,
        /// The number of parts of the first path.
        count: usize,
    },
    /// The same part, or the same test role, is in the results of two machines.
    #[error("{what} is both in `{one}` and in `{other}`", one = one.display(), other = other.display())]
    Twice {
        /// The part or role.
        what: String,
        /// The first path.
        one: PathBuf,
        /// The second path.
        other: PathBuf,
    },
    /// The results of parts are missing.
    #[error("no results of {}", parts(.missing))]
    Missing {
        /// The parts.
        missing: Vec<Partition>,
    },
}

fn parts(missing: &[Partition]) -> String {
    let noun = if missing.len() == 1 { "part" } else { "parts" };
    let parts: Vec<String> = missing.iter().map(|part| format!("`{part}`")).collect();
    format!("{noun} {}", parts.join(", "))
}

impl MergeError {
    /// Returns the step that resolves the error, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NoFile(_) => {
                    "name a home, its folder `last`, or a file with the output of `--format json`"
                }
                Self::NoVerdict(_) => "its run did not end: run this part again",
                Self::OtherDivision { .. } => {
                    "run all parts with the same number of parts, as in `--partition 2/4`"
                }
                Self::Twice { .. } => "name the results of each machine once",
                Self::Missing { .. } => {
                    "name the results of all parts: each machine of `--partition` has one"
                }
            }
            .to_owned(),
        )
    }
}

/// Merges reports into one. Every test role must be in one of them; if they are
/// of parts of a run, all parts must be there, and those of a role are added up.
pub fn merge(reports: Vec<(PathBuf, RunReport)>) -> Result<RunReport, MergeError> {
    check_parts(&reports)?;
    check_roles(&reports)?;
    let mut merged = RunReport {
        command: "test".to_owned(),
        ..RunReport::default()
    };
    for (_, report) in reports {
        merged.interrupted |= report.interrupted;
        merged.killed |= report.killed;
        merged.elapsed = merged.elapsed.max(report.elapsed);
        merged.passed += report.passed;
        merged.failed += report.failed;
        merged.roles.extend(report.roles);
        merged.failures.extend(report.failures);
        merged.tries.extend(report.tries);
        merged.excerpts.extend(report.excerpts);
    }
    // These sorts keep the order within a role, or a test.
    merged.roles.sort_by(|one, other| one.role.cmp(&other.role));
    merged.roles = joined(merged.roles, |one, other| one.role == other.role, join_row);
    merged
        .failures
        .sort_by(|one, other| (&one.role, &one.test).cmp(&(&other.role, &other.test)));
    let key = |it: &Try| (it.role.clone(), it.nth);
    merged.tries.sort_by_key(key);
    merged.tries = joined(merged.tries, |one, other| key(one) == key(other), join_try);
    let is_pass = merged.is_pass() && !merged.interrupted;
    merged.exit = if is_pass { 0 } else { TESTS_FAILED };
    Ok(merged)
}

/// Joins neighbours that belong together.
fn joined<T>(all: Vec<T>, belong: impl Fn(&T, &T) -> bool, join: impl Fn(&mut T, T)) -> Vec<T> {
    let mut joined: Vec<T> = Vec::with_capacity(all.len());
    for next in all {
        match joined.last_mut().filter(|last| belong(last, &next)) {
            Some(last) => join(last, next),
            None => joined.push(next),
        }
    }
    joined
}

/// Adds the row of another part of the same role.
fn join_row(row: &mut Row, other: Row) {
    row.passed += other.passed;
    row.failed += other.failed;
    row.cut += other.cut;
    row.ignored += other.ignored;
    row.unfinished.extend(other.unfinished);
    row.tests.extend(other.tests);
    row.tests.sort_by(|one, other| one.name.cmp(&other.name));
    row.standing = row.standing.worse(other.standing);
    row.tries = row.tries.max(other.tries);
    row.elapsed = match (row.elapsed, other.elapsed) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    };
}

/// Adds the same try of another part of the same role.
fn join_try(tried: &mut Try, other: Try) {
    tried.standing = tried.standing.worse(other.standing);
    tried.failures.extend(other.failures);
}

/// Checks that the reports are of all parts of one division, or of none.
fn check_parts(reports: &[(PathBuf, RunReport)]) -> Result<(), MergeError> {
    let Some((_, first)) = reports.first() else {
        return Ok(());
    };
    let count = first.partition.map(Partition::count);
    let mut seen: BTreeMap<Partition, &PathBuf> = BTreeMap::new();
    for (path, report) in reports {
        let found = report.partition;
        if found.map(Partition::count) != count {
            return Err(MergeError::OtherDivision {
                path: path.clone(),
                found: found
                    .map_or_else(|| "all roles".to_owned(), |part| format!("part `{part}`")),
                count: count.unwrap_or(1),
            });
        }
        let Some(part) = found else {
            continue;
        };
        if let Some(one) = seen.insert(part, path) {
            return Err(MergeError::Twice {
                what: format!("part `{part}`"),
                one: one.clone(),
                other: path.clone(),
            });
        }
    }
    let all = first.partition.into_iter().flat_map(Partition::all);
    let missing: Vec<Partition> = all.filter(|part| !seen.contains_key(part)).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(MergeError::Missing { missing })
    }
}

/// Checks that no role is in two reports. Parts share no test role, and each may
/// have results of operational roles.
fn check_roles(reports: &[(PathBuf, RunReport)]) -> Result<(), MergeError> {
    let whole = reports
        .iter()
        .filter(|(_, report)| report.partition.is_none());
    let mut seen: BTreeMap<&RoleName, &PathBuf> = BTreeMap::new();
    for (path, report) in whole {
        for row in &report.roles {
            if let Some(one) = seen.insert(&row.role, path) {
                return Err(MergeError::Twice {
                    what: format!("role `{}`", row.role),
                    one: one.clone(),
                    other: path.clone(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::run_report::{Failure, Standing, TestResult};

    fn row(role: &str, failed: u64) -> Row {
        Row {
            role: role.parse().unwrap(),
            passed: 2,
            failed,
            cut: 0,
            ignored: 0,
            unfinished: Vec::new(),
            tests: Vec::new(),
            standing: if failed == 0 {
                Standing::Passed
            } else {
                Standing::Failed
            },
            tries: 1,
            elapsed: Some(0.5),
        }
    }

    fn failure(role: &str) -> Failure {
        Failure {
            role: role.parse().unwrap(),
            executable: None,
            source: "/ws/src/a.rs".to_owned(),
            line: 7,
            column: None,
            test: None,
            text: "expected x".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            context: Vec::new(),
        }
    }

    fn run(path: &str, part: Option<&str>, rows: Vec<Row>) -> (PathBuf, RunReport) {
        let failed = rows.iter().filter(|row| row.failed > 0);
        let report = RunReport {
            command: "test".to_owned(),
            partition: part.map(|part| part.parse().unwrap()),
            elapsed: 1.5,
            passed: rows.iter().map(|row| row.passed).sum(),
            failed: rows.iter().map(|row| row.failed).sum(),
            failures: failed.map(|row| failure(row.role.as_str())).collect(),
            roles: rows,
            ..RunReport::default()
        };
        (path.into(), report)
    }

    fn refused(runs: Vec<(PathBuf, RunReport)>) -> String {
        merge(runs).unwrap_err().to_string()
    }

    #[test]
    fn the_whole_fails_if_a_part_has() {
        let one = run("a", Some("1/2"), vec![row("test-b", 1), row("test-d", 0)]);
        let other = run("b", Some("2/2"), vec![row("test-a", 1), row("test-c", 0)]);
        let merged = merge(vec![one, other]).unwrap();
        assert_eq!((merged.exit, merged.passed, merged.failed), (100, 8, 2));
        assert!(!merged.is_pass());
        let roles: Vec<&str> = merged.roles.iter().map(|row| row.role.as_str()).collect();
        assert_eq!(roles, ["test-a", "test-b", "test-c", "test-d"]);
        let failures: Vec<&str> = merged.failures.iter().map(|it| it.role.as_str()).collect();
        assert_eq!(failures, ["test-a", "test-b"]);
    }

    #[test]
    fn parts_of_a_role_are_added_up() {
        let target = |names: &[&str], failed| Row {
            tests: names
                .iter()
                .map(|name| TestResult {
                    name: (*name).to_owned(),
                    passed: true,
                    elapsed: None,
                })
                .collect(),
            ignored: 1,
            ..row("test-api", failed)
        };
        let one = run("a", Some("1/2"), vec![target(&["c", "a"], 0)]);
        let other = run("b", Some("2/2"), vec![target(&["b"], 1), row("test-z", 0)]);
        let merged = merge(vec![one, other]).unwrap();
        assert_eq!(merged.roles.len(), 2);
        let row = &merged.roles[0];
        assert_eq!((row.passed, row.failed, row.ignored), (4, 1, 2));
        assert_eq!(row.standing, Standing::Failed);
        let names: Vec<&str> = row.tests.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(!merged.is_pass());
    }

    #[test]
    fn the_whole_passes_if_all_parts_have() {
        let one = run("a", Some("1/2"), vec![row("test-b", 0)]);
        let merged = merge(vec![one.clone(), run("b", Some("2/2"), vec![])]).unwrap();
        assert!(merged.is_pass());
        assert_eq!((merged.exit, merged.passed, merged.partition), (0, 2, None));
        let mut interrupted = run("b", Some("2/2"), vec![]);
        interrupted.1.interrupted = true;
        assert_eq!(merge(vec![one, interrupted]).unwrap().exit, 100);
    }

    #[test]
    fn all_parts_must_be_there_once() {
        let part = |path: &str, part: &str| run(path, Some(part), vec![]);
        assert_eq!(
            refused(vec![part("a", "1/4"), part("b", "3/4")]),
            "no results of parts `2/4`, `4/4`"
        );
        assert_eq!(
            refused(vec![part("a", "1/2"), part("b", "1/2")]),
            "part `1/2` is both in `a` and in `b`"
        );
        assert_eq!(
            refused(vec![part("a", "1/2"), part("b", "2/3")]),
            "`b` is not a part of the same run: part `2/3` instead of one of 2 parts"
        );
        assert_eq!(
            refused(vec![part("a", "1/2"), run("b", None, vec![])]),
            "`b` is not a part of the same run: all roles instead of one of 2 parts"
        );
    }

    #[test]
    fn a_role_is_in_one_of_the_results() {
        let one = run("a", None, vec![row("test-a", 0)]);
        assert!(merge(vec![one.clone(), run("b", None, vec![row("test-b", 0)])]).is_ok());
        assert_eq!(
            refused(vec![one, run("b", None, vec![row("test-a", 0)])]),
            "role `test-a` is both in `a` and in `b`"
        );
    }
}
