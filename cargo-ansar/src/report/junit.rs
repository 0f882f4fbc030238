//! A run as a JUnit file with a test case per role, and per test of a test
//! target.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use crate::model::name::RoleName;
use crate::model::run_report::{Failure, Row, RunReport, Standing, Try};

/// Name of the suite.
const NAME: &str = "cargo ansar";

/// Returns the content of the file. An operational role has a test case only if
/// it failed.
pub fn junit(run: &RunReport) -> Vec<u8> {
    let elapsed = seconds(run.elapsed);
    let mut suite = TestSuite::new(NAME);
    suite.set_time(elapsed);
    for row in &run.roles {
        suite.add_test_cases(tests(run, row));
        if !row.tests.is_empty() && is_told_by_tests(run, row) {
            continue;
        }
        let mut case = TestCase::new(row.role.as_str(), status(run, row));
        case.set_classname(NAME)
            .set_assertions(usize::try_from(row.passed + row.failed).unwrap_or(usize::MAX));
        if let Some(elapsed) = row.elapsed {
            case.set_time(seconds(elapsed));
        }
        suite.add_test_case(case);
    }
    let is_test = |role: &RoleName| run.roles.iter().any(|row| row.role == *role);
    for failure in run.failures.iter().filter(|it| !is_test(&it.role)) {
        let status = failed(NonSuccessKind::Error, "broken", &[failure]);
        let mut case = TestCase::new(failure.role.as_str(), status);
        case.set_classname(NAME);
        suite.add_test_case(case);
    }
    let mut report = Report::new(NAME);
    report.set_time(elapsed).add_test_suite(suite);
    let mut file = Vec::new();
    // Writing to memory cannot fail, and the texts hold only characters that
    // XML allows.
    let _ = report.serialize(&mut file);
    file
}

/// Returns a test case for each test of a test target.
fn tests(run: &RunReport, row: &Row) -> Vec<TestCase> {
    let cases = row.tests.iter().map(|test| {
        let failures = run.failures.iter();
        let failures = failures.filter(|it| it.role == row.role && it.test() == Some(&test.name));
        let failures: Vec<_> = failures.collect();
        let status = if test.passed {
            TestCaseStatus::success()
        } else {
            failed(NonSuccessKind::Failure, "test", &failures)
        };
        let mut case = TestCase::new(test.name.as_str(), status);
        case.set_classname(row.role.as_str());
        if let Some(elapsed) = test.elapsed {
            case.set_time(seconds(elapsed));
        }
        case
    });
    let skipped = row.unfinished.iter().map(|name| {
        let mut case = TestCase::new(name.as_str(), TestCaseStatus::skipped());
        case.set_classname(row.role.as_str());
        case
    });
    cases.chain(skipped).collect()
}

/// Returns true if the test cases of a role's tests hold everything about it.
fn is_told_by_tests(run: &RunReport, row: &Row) -> bool {
    let of_row = |role: &RoleName| *role == row.role;
    let mut failures = run.failures.iter().filter(|it| of_row(&it.role));
    let mut tries = run.tries.iter();
    let is_test = |name: &String| row.tests.iter().any(|test| test.name == *name);
    !tries.any(|it| of_row(&it.role)) && failures.all(|it| it.test().is_some_and(is_test))
}

fn status(run: &RunReport, row: &Row) -> TestCaseStatus {
    let failures = run.failures.iter();
    let failures: Vec<_> = failures.filter(|it| it.role == row.role).collect();
    let mut status = match row.standing {
        Standing::Passed => TestCaseStatus::success(),
        Standing::NotRun => TestCaseStatus::skipped(),
        Standing::Failed | Standing::Unreported => {
            let (kind, what) = kind(row.standing);
            failed(kind, what, &failures)
        }
    };
    status.add_reruns(run.failed_tries(&row.role).map(rerun));
    status
}

/// Returns the kind and the type of a standing that is not a success.
fn kind(standing: Standing) -> (NonSuccessKind, &'static str) {
    match standing {
        Standing::Passed | Standing::Failed => (NonSuccessKind::Failure, "check"),
        Standing::Unreported | Standing::NotRun => (NonSuccessKind::Error, "unreported"),
    }
}

/// Returns a status with the first failure as its message and all failures as
/// its text.
fn failed(kind: NonSuccessKind, what: &str, failures: &[&Failure]) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(what);
    if let Some(first) = failures.first() {
        status.set_message(located(first));
    }
    status.set_description(described(failures.iter().copied()));
    status
}

/// Returns the rerun element of a failed try that was followed by another.
fn rerun(it: &Try) -> TestRerun {
    let (kind, what) = kind(it.standing);
    let mut rerun = TestRerun::new(kind);
    rerun.set_type(what);
    if let Some(first) = it.failures.first() {
        rerun.set_message(located(first));
    }
    rerun.set_description(described(&it.failures));
    rerun
}

/// Formats a failure after its source position.
fn located(failure: &Failure) -> String {
    format!("{} - {}", failure.place(), failure.headline())
}

fn described<'f>(failures: impl IntoIterator<Item = &'f Failure>) -> String {
    let texts = failures.into_iter().map(|failure| {
        let details = failure.details().flat_map(|line| ["\n", line]);
        located(failure) + &details.collect::<String>()
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn seconds(span: f64) -> Duration {
    Duration::try_from_secs_f64(span).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_role_is_a_case_and_failures_have_their_place() {
        let file = String::from_utf8(junit(&sample::run())).unwrap();
        let read = Report::deserialize_from_str(&file).unwrap();
        assert_eq!(
            (read.tests, read.failures, read.errors),
            (5, 1, 2),
            "{file}"
        );
        let cases = &read.test_suites[0].test_cases;
        let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["test-a", "test-b", "test-c", "test-d", "server-0"]);
        for text in [
            "message=\"/ws/src/a.rs:7:5 - expected &lt;x&gt;\"",
            "/ws/src/a.rs:9 - &amp;",
            "/ws/Cargo.toml:3 - test-b: timed out",
            "<rerunError message=\"/ws/Cargo.toml:3 - test-b: killed by SIGSEGV\" \
             type=\"unreported\">",
            "<flakyFailure message=\"/ws/src/a.rs:11:9 - expected y\" type=\"check\">",
        ] {
            assert!(file.contains(text), "`{text}` in {file}");
        }
    }

    #[test]
    fn what_no_xml_can_hold_is_left_out() {
        let mut run = sample::run();
        run.failures[0].text = "\u{0}\u{1b}[31mred\u{1b}[0m ]]> \u{fffe}".to_owned();
        let file = String::from_utf8(junit(&run)).unwrap();
        assert!(Report::deserialize_from_str(&file).is_ok(), "{file}");
        assert!(!file.contains(['\u{0}', '\u{1b}']), "{file}");
    }
}
