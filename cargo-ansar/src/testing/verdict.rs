//! The verdict of a run: the expected roles less those that reported.

use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::lifecycle::{Aborted, Faulted, Maybe};
use ansar_contract::test::{TestReport, TestSuite};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome};
pub use crate::model::run_report::{Failure, Row, RunReport, Standing, TestResult, Try};
use crate::testing::source_paths::Sources;

/// The run of a role, to be judged.
#[derive(Debug, Clone)]
pub struct RoleRun {
    /// The role.
    pub role: RoleName,
    /// True if the role was expected to report checks.
    pub is_test: bool,
    /// True if the role runs a test target, whose tests are its checks.
    pub is_target: bool,
    /// Its outcome.
    pub outcome: RoleOutcome,
    /// Time of its exit.
    pub at: Timestamp,
    /// Outcomes of earlier tries, with their times.
    pub before: Vec<(RoleOutcome, Timestamp)>,
    /// File and line that describe the role, for failures without a source.
    pub described: (PathBuf, u32),
}

/// Result of judging a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Reports, with resolved source paths.
    pub suite: TestSuite,
    /// The report of the run, without what the verdict does not depend on.
    pub report: RunReport,
}

impl Verdict {
    /// Judges the runs of roles.
    pub fn of(role_runs: &[RoleRun], sources: &mut Sources) -> Self {
        let mut sorted: Vec<&RoleRun> = role_runs.iter().collect();
        sorted.sort_by(|one, other| one.role.cmp(&other.role));
        let mut verdict = Self::default();
        for role_run in sorted {
            verdict.add(role_run, sources);
        }
        let Self { suite, report } = &mut verdict;
        suite.navigation = report.failures.iter().map(Failure::navigation).collect();
        (suite.passed, suite.failed) = (report.passed, report.failed);
        verdict
    }

    fn add(&mut self, role_run: &RoleRun, sources: &mut Sources) {
        let role = &role_run.role;
        let mut nth = 0;
        for (outcome, at) in &role_run.before {
            nth += 1;
            let found = TryReport::of(role_run, outcome, *at, sources);
            self.report.tries.push(Try {
                role: role.clone(),
                nth,
                standing: found.standing,
                failures: found.failures,
            });
        }
        let found = TryReport::of(role_run, &role_run.outcome, role_run.at, sources);
        let counts = found.report.as_ref().map(|it| (it.passed, it.failed));
        let (passed, failed) = counts.unwrap_or_default();
        if role_run.is_test || found.report.is_some() {
            let listed = if found.report.is_some() {
                found.failures.len() as u64
            } else {
                0
            };
            self.suite.role.push(role.to_string());
            self.report.roles.push(Row {
                role: role.clone(),
                passed,
                failed,
                cut: failed.saturating_sub(listed),
                ignored: found.report.as_ref().map_or(0, |report| report.ignored),
                unfinished: found
                    .report
                    .as_ref()
                    .map_or_else(Vec::new, |report| report.unfinished.clone()),
                tests: tests(role_run, found.report.as_ref()),
                standing: found.standing,
                tries: nth + 1,
                elapsed: None,
            });
        }
        self.report.passed += passed;
        self.report.failed += failed;
        let report = found.report.into_iter();
        let report = report.map(|report| (role.to_string(), report));
        self.suite.report.extend(report);
        self.report.failures.extend(found.failures);
    }
}

/// Returns the failures of a role with this outcome.
pub(super) fn failures(
    role_run: &RoleRun,
    outcome: &RoleOutcome,
    sources: &mut Sources,
) -> Vec<Failure> {
    TryReport::of(role_run, outcome, role_run.at, sources).failures
}

/// Returns the tests of a role that runs a test target.
fn tests(role_run: &RoleRun, report: Option<&TestReport>) -> Vec<TestResult> {
    let checks = report.into_iter().flat_map(|report| &report.tested);
    let checks = checks.filter(|check| role_run.is_target && !check.name.is_empty());
    let tested = checks.map(|check| TestResult {
        name: check.name.clone(),
        passed: check.condition,
        elapsed: check
            .elapsed_us
            .map(|us| Duration::from_micros(us).as_secs_f64()),
    });
    tested.collect()
}

/// Result of one try of a role.
struct TryReport {
    report: Option<TestReport>,
    standing: Standing,
    failures: Vec<Failure>,
}

impl TryReport {
    fn of(role_run: &RoleRun, outcome: &RoleOutcome, at: Timestamp, sources: &mut Sources) -> Self {
        let failure = |source, line, column, text, at| Failure {
            role: role_run.role.clone(),
            executable: None,
            source,
            line,
            column,
            test: None,
            text,
            at,
            context: Vec::new(),
        };
        if let Some(mut report) = outcome.report() {
            for check in report.tested.iter_mut().filter(|check| !check.condition) {
                if check.source.is_empty() {
                    let (manifest, line) = &role_run.described;
                    (check.source, check.line) = (manifest.display().to_string(), *line);
                }
            }
            for check in report.tested.iter_mut().filter(|it| !it.source.is_empty()) {
                check.source = sources.resolve(&check.source);
            }
            let failed = report.tested.iter().filter(|check| !check.condition);
            let failures = failed.map(|it| {
                let (source, text) = (it.source.clone(), it.text.clone());
                Failure {
                    test: role_run.is_target.then(|| it.name.clone()),
                    ..failure(source, it.line, it.column, text, read_stamp(&it.stamp))
                }
            });
            return Self {
                failures: failures.collect(),
                standing: match (report.failed, report.unfinished.is_empty()) {
                    (0, true) => Standing::Passed,
                    (0, false) => Standing::NotRun,
                    _ => Standing::Failed,
                },
                report: Some(report),
            };
        }
        let skipped = outcome.cause == Cause::NeverStarted && outcome.fault().is_none();
        let failure_text = failure_text(role_run, outcome).map(|(fault, text)| {
            let (source, line) = match (&fault.source, fault.line) {
                (Some(source), Some(line)) => (sources.resolve(source), line),
                _ => {
                    let (manifest, line) = &role_run.described;
                    (manifest.display().to_string(), *line)
                }
            };
            failure(source, line, None, text, at)
        });
        Self {
            report: None,
            standing: if skipped {
                Standing::NotRun
            } else {
                Standing::Unreported
            },
            failures: failure_text.into_iter().collect(),
        }
    }
}

/// Returns the fault and the message of a role that exited without a report, or
/// `None` if its exit is not a failure.
fn failure_text(role_run: &RoleRun, outcome: &RoleOutcome) -> Option<(Faulted, String)> {
    let role = &role_run.role;
    if let Some(fault) = outcome.fault() {
        let text = format!("{role}: {fault}");
        return Some((fault, text));
    }
    if let Some(reason) = outcome.gave_up() {
        // With a `retry`, the last `Maybe` becomes a fault.
        let remedy = if outcome.result.is::<Maybe>() {
            "; its role has no `retry`, such as `{ first_steps = [1.0, 2.0] }`"
        } else {
            ""
        };
        let text = format!("{role}: gave up, {reason}{remedy}");
        return Some((Faulted::default(), text));
    }
    if let Some(reason) = outcome.malformed_report() {
        let text = format!("{role}: returned a malformed `TestReport`: {reason}");
        return Some((Faulted::default(), text));
    }
    let text = match outcome.cause {
        // For roles that were stopped or never started, the reason is reported
        // elsewhere.
        Cause::Stopped | Cause::Killed | Cause::NeverStarted => return None,
        // A program that has ended on its own, with success.
        Cause::Exited(0) if outcome.result.is::<Aborted>() => return None,
        _ if outcome.result.is::<Aborted>() => format!("{role}: stopped by another program"),
        _ if role_run.is_test => format!(
            "{role}: returned `{}`, expected a `TestReport`",
            outcome.result.name
        ),
        _ => return None,
    };
    Some((Faulted::default(), text))
}

/// Parses the time of a check, or returns the Unix epoch if it is invalid.
fn read_stamp(stamp: &str) -> Timestamp {
    stamp
        .parse::<jiff::civil::DateTime>()
        .ok()
        .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use ansar_contract::lifecycle::{Ack, Cannot};
    use ansar_contract::test::Check;

    use super::*;

    fn role_run(role: &str, outcome: RoleOutcome) -> RoleRun {
        RoleRun {
            role: role.parse().unwrap(),
            is_test: role.starts_with("test-"),
            is_target: false,
            outcome,
            at: Timestamp::UNIX_EPOCH,
            before: Vec::new(),
            described: ("/ws/Cargo.toml".into(), 7),
        }
    }

    fn report(passed: u64, failed: &[&str]) -> RoleOutcome {
        let check = |text: &&str| Check {
            condition: false,
            line: 51,
            column: Some(9),
            name: "client".into(),
            source: "src/client.rs".into(),
            stamp: "2026-11-22T10:00:00.000001".into(),
            text: (*text).into(),
            elapsed_us: None,
        };
        let report = TestReport {
            passed,
            failed: failed.len() as u64,
            tested: failed.iter().map(check).collect(),
            ..TestReport::default()
        };
        RoleOutcome::of(&report, Cause::Returned)
    }

    fn verdict(role_runs: &[RoleRun]) -> Verdict {
        Verdict::of(role_runs, &mut Sources::default())
    }

    #[test]
    fn a_malformed_report_names_its_field() {
        let check = serde_json::json!({
            "condition": false, "line": 7, "name": "a", "source": "/x.rs", "stamp": 1.5, "text": "",
        });
        for (body, expected) in [
            (
                serde_json::json!({"passed": 0, "failed": 1, "tested": [check]}),
                "test-a: returned a malformed `TestReport`: field `tested[0].stamp`: \
                 invalid type: floating point `1.5`, expected a string",
            ),
            (
                serde_json::json!({"passed": "x", "failed": 1, "tested": []}),
                "test-a: returned a malformed `TestReport`: field `passed`: \
                 invalid type: string \"x\", expected u64",
            ),
            (
                serde_json::json!({}),
                "test-a: returned a malformed `TestReport`: missing field `failed`",
            ),
        ] {
            let mut outcome = report(0, &[]);
            outcome.result.body = body;
            let verdict = verdict(&[role_run("test-a", outcome)]);
            assert_eq!(verdict.report.failures.len(), 1);
            assert_eq!(verdict.report.failures[0].text, expected);
        }
    }

    #[test]
    fn a_run_passes_if_all_reports_pass() {
        let verdict = verdict(&[
            role_run("test-b", report(3, &[])),
            role_run("test-a", report(1, &[])),
            role_run("server-0", RoleOutcome::of(&Aborted {}, Cause::Stopped)),
        ]);
        assert!(verdict.report.is_pass());
        assert_eq!(verdict.suite.passed, 4);
        assert_eq!(verdict.suite.role, ["test-a", "test-b"]);
    }

    #[test]
    fn a_failed_check_has_its_navigation_line() {
        let verdict = verdict(&[role_run("test-a", report(1, &["expected x\n- x\n+ y"]))]);
        assert!(!verdict.report.is_pass());
        assert_eq!(verdict.suite.navigation, ["src/client.rs:51 - expected x"]);
        assert_eq!(verdict.report.failures[0].details().count(), 2);
        assert_eq!(
            verdict.report.failures[0].at.to_string(),
            "2026-11-22T10:00:00.000001Z"
        );
    }

    #[test]
    fn a_flaky_test_passes_and_keeps_its_tries() {
        let crash = RoleOutcome::of(&Faulted::new("killed by SIGSEGV", ""), Cause::Signal(11));
        let flaky = RoleRun {
            before: vec![
                (report(2, &["expected x"]), Timestamp::UNIX_EPOCH),
                (crash, Timestamp::UNIX_EPOCH),
            ],
            ..role_run("test-a", report(3, &[]))
        };
        let verdict = verdict(&[flaky]);
        assert!(verdict.report.is_pass());
        assert_eq!((verdict.suite.passed, verdict.suite.failed), (3, 0));
        assert!(verdict.suite.navigation.is_empty());
        assert!(verdict.report.roles[0].is_flaky());
        assert_eq!(verdict.report.roles[0].tries, 3);
        let tries = verdict.report.tries.iter();
        let tries: Vec<_> = tries
            .map(|it| (it.nth, it.standing, it.failures[0].navigation()))
            .collect();
        assert_eq!(
            tries,
            [
                (
                    1,
                    Standing::Failed,
                    "src/client.rs:51 - expected x".to_owned()
                ),
                (
                    2,
                    Standing::Unreported,
                    "/ws/Cargo.toml:7 - test-a: killed by SIGSEGV".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_failed_test_has_its_last_failures() {
        let failing = RoleRun {
            before: vec![(report(0, &["first"]), Timestamp::UNIX_EPOCH)],
            ..role_run("test-a", report(0, &["last"]))
        };
        let verdict = verdict(&[failing]);
        assert!(!verdict.report.is_pass());
        assert_eq!(verdict.suite.navigation, ["src/client.rs:51 - last"]);
        assert!(!verdict.report.roles[0].is_flaky());
    }

    #[test]
    fn a_test_without_a_report_fails() {
        for (outcome, text) in [
            (
                RoleOutcome::of(&Faulted::new("killed by SIGSEGV", ""), Cause::Signal(11)),
                "test-a: killed by SIGSEGV",
            ),
            (
                RoleOutcome::of(&Maybe::because("refused"), Cause::Returned),
                "test-a: gave up, refused; its role has no `retry`, such as `{ first_steps = [1.0, 2.0] }`",
            ),
            (
                RoleOutcome::of(&Cannot::because("refused"), Cause::Returned),
                "test-a: gave up, refused",
            ),
            (
                RoleOutcome::of(&Ack {}, Cause::Returned),
                "test-a: returned `ansar.create.lifecycle.Ack`, expected a `TestReport`",
            ),
            (
                RoleOutcome::of(&Aborted {}, Cause::Signal(15)),
                "test-a: stopped by another program",
            ),
        ] {
            let verdict = verdict(&[role_run("test-a", outcome)]);
            assert!(!verdict.report.is_pass());
            assert_eq!(
                verdict.suite.navigation,
                [format!("/ws/Cargo.toml:7 - {text}")]
            );
            assert_eq!(verdict.report.count(Standing::Unreported), 1);
        }
    }

    #[test]
    fn a_panic_fails_at_its_own_line() {
        let fault = Faulted::new("component panicked", "boom").at("src/x.rs", 9);
        let verdict = verdict(&[role_run("test-a", RoleOutcome::of(&fault, Cause::Returned))]);
        assert_eq!(
            verdict.suite.navigation,
            ["src/x.rs:9 - test-a: component panicked, boom"]
        );
    }

    #[test]
    fn an_operational_role_that_crashes_fails_the_run() {
        let done = role_run("noop-0", RoleOutcome::of(&Ack {}, Cause::Returned));
        let tested = role_run("test-a", report(1, &[]));
        assert!(verdict(&[done, tested.clone()]).report.is_pass());
        let broken = RoleOutcome::of(&Faulted::new("killed by SIGKILL", ""), Cause::Signal(9));
        let verdict = verdict(&[role_run("server-0", broken), tested]);
        assert!(!verdict.report.is_pass());
        assert_eq!(verdict.report.roles.len(), 1, "only tests have a row");
    }

    #[test]
    fn a_skipped_test_fails_without_a_line() {
        let skipped = RoleOutcome::of(&Aborted {}, Cause::NeverStarted);
        let verdict = verdict(&[role_run("test-a", skipped)]);
        assert!(!verdict.report.is_pass());
        assert!(verdict.report.failures.is_empty());
        assert_eq!(verdict.report.count(Standing::NotRun), 1);
    }
}
