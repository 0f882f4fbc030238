//! The verdict of a run: expected, less what was reported.

use std::path::PathBuf;

use ansar_runtime::contract::lifecycle::{Aborted, Faulted};
use ansar_runtime::contract::test::{TestReport, TestSuite};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::source::Sources;
pub use crate::model::conclusion::{Failure, Row, Standing};
use crate::model::ending::{Cause, Ending};
use crate::model::name::RoleName;

/// A role that took part in a run.
#[derive(Debug, Clone)]
pub struct Participant {
    /// Its name.
    pub role: RoleName,
    /// Whether it was to report checks.
    pub is_test: bool,
    /// How it ended.
    pub ending: Ending,
    /// When it ended.
    pub at: Timestamp,
    /// Where it is described: what fails without a place of its own, fails
    /// there.
    pub described: (PathBuf, u32),
}

/// What was found in a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The reports, with sources found.
    pub suite: TestSuite,
    /// The roles that gave a report or were to give one, sorted.
    pub roles: Vec<Row>,
    /// Every failure, in the order of `roles`.
    pub failures: Vec<Failure>,
}

impl Verdict {
    /// Judges a run.
    pub fn of(participants: &[Participant], sources: &mut Sources) -> Self {
        let mut sorted: Vec<&Participant> = participants.iter().collect();
        sorted.sort_by(|one, other| one.role.cmp(&other.role));
        let mut verdict = Self::default();
        for participant in sorted {
            verdict.add(participant, sources);
        }
        verdict.suite.navigation = verdict.failures.iter().map(Failure::navigation).collect();
        verdict
    }

    /// Whether every check passed and every role did what it was to do.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
            && self.suite.failed == 0
            && self
                .roles
                .iter()
                .all(|row| row.standing == Standing::Passed)
    }

    /// How many roles have this standing.
    pub fn count(&self, standing: Standing) -> usize {
        let rows = self.roles.iter();
        rows.filter(|row| row.standing == standing).count()
    }

    fn add(&mut self, participant: &Participant, sources: &mut Sources) {
        let role = &participant.role;
        if let Some(mut report) = participant.ending.report() {
            for check in &mut report.tested {
                check.source = sources.resolve(&check.source);
            }
            self.report(role, &report);
            self.suite.report.push((role.to_string(), report));
            self.suite.role.push(role.to_string());
            return;
        }
        if participant.is_test {
            self.suite.role.push(role.to_string());
            let skipped = participant.ending.cause == Cause::NeverStarted
                && participant.ending.fault().is_none();
            self.roles.push(Row {
                role: role.clone(),
                passed: 0,
                failed: 0,
                cut: 0,
                standing: if skipped {
                    Standing::NotRun
                } else {
                    Standing::Unreported
                },
                elapsed: None,
            });
        }
        if let Some((fault, text)) = complaint(participant) {
            let (source, line) = match (&fault.source, fault.line) {
                (Some(source), Some(line)) => (sources.resolve(source), line),
                _ => {
                    let (manifest, line) = &participant.described;
                    (manifest.display().to_string(), *line)
                }
            };
            self.failures.push(Failure {
                role: role.clone(),
                executable: None,
                source,
                line,
                column: None,
                text,
                at: participant.at,
                context: Vec::new(),
            });
        }
    }

    fn report(&mut self, role: &RoleName, report: &TestReport) {
        self.suite.passed += report.passed;
        self.suite.failed += report.failed;
        let failed = report.tested.iter().filter(|check| !check.condition);
        let listed = self.failures.len();
        self.failures.extend(failed.map(|check| Failure {
            role: role.clone(),
            executable: None,
            source: check.source.clone(),
            line: check.line,
            column: None,
            text: check.text.clone(),
            at: read_stamp(&check.stamp),
            context: Vec::new(),
        }));
        let listed = (self.failures.len() - listed) as u64;
        self.roles.push(Row {
            role: role.clone(),
            passed: report.passed,
            failed: report.failed,
            cut: report.failed.saturating_sub(listed),
            standing: if report.failed == 0 {
                Standing::Passed
            } else {
                Standing::Failed
            },
            elapsed: None,
        });
    }
}

/// What there is to complain of in a role that gave no report.
fn complaint(participant: &Participant) -> Option<(Faulted, String)> {
    let ending = &participant.ending;
    let role = &participant.role;
    if let Some(fault) = ending.fault() {
        let text = format!("{role}: {fault}");
        return Some((fault, text));
    }
    if let Some(reason) = ending.gave_up() {
        return Some((Faulted::default(), format!("{role}: gave up, {reason}")));
    }
    let text = match ending.cause {
        // What was stopped on purpose, or not even started, has its reason
        // elsewhere.
        Cause::Stopped | Cause::Killed | Cause::NeverStarted => return None,
        _ if ending.result.is::<Aborted>() => format!("{role}: stopped by somebody else"),
        _ if participant.is_test => format!(
            "{role}: returned `{}`, expected a `TestReport`",
            ending.result.name
        ),
        _ => return None,
    };
    Some((Faulted::default(), text))
}

/// The time of a check; the beginning of time where it cannot be read.
fn read_stamp(stamp: &str) -> Timestamp {
    stamp
        .parse::<jiff::civil::DateTime>()
        .ok()
        .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use ansar_runtime::contract::lifecycle::{Ack, Maybe};
    use ansar_runtime::contract::test::Check;

    use super::*;

    fn participant(role: &str, ending: Ending) -> Participant {
        Participant {
            role: role.parse().unwrap(),
            is_test: role.starts_with("test-"),
            ending,
            at: Timestamp::UNIX_EPOCH,
            described: ("/ws/Cargo.toml".into(), 7),
        }
    }

    fn report(passed: u64, failed: &[&str]) -> Ending {
        let check = |text: &&str| Check {
            condition: false,
            line: 51,
            name: "client".into(),
            source: "src/client.rs".into(),
            stamp: "2026-11-22T10:00:00.000001".into(),
            text: (*text).into(),
        };
        let report = TestReport {
            passed,
            failed: failed.len() as u64,
            tested: failed.iter().map(check).collect(),
        };
        Ending::of(&report, Cause::Returned)
    }

    fn verdict(participants: &[Participant]) -> Verdict {
        Verdict::of(participants, &mut Sources::default())
    }

    #[test]
    fn a_run_passes_when_every_test_reported_and_every_check_passed() {
        let verdict = verdict(&[
            participant("test-b", report(3, &[])),
            participant("test-a", report(1, &[])),
            participant("server-0", Ending::of(&Aborted {}, Cause::Stopped)),
        ]);
        assert!(verdict.passed());
        assert_eq!(verdict.suite.passed, 4);
        assert_eq!(verdict.suite.role, ["test-a", "test-b"]);
    }

    #[test]
    fn a_failed_check_has_its_navigation_line() {
        let verdict = verdict(&[participant("test-a", report(1, &["expected x\n- x\n+ y"]))]);
        assert!(!verdict.passed());
        assert_eq!(verdict.suite.navigation, ["src/client.rs:51 - expected x"]);
        assert_eq!(verdict.failures[0].details().count(), 2);
        assert_eq!(
            verdict.failures[0].at.to_string(),
            "2026-11-22T10:00:00.000001Z"
        );
    }

    #[test]
    fn silence_of_a_test_is_a_failure_at_its_description() {
        for (ending, text) in [
            (
                Ending::of(&Faulted::new("killed by SIGSEGV", ""), Cause::Signal(11)),
                "test-a: killed by SIGSEGV",
            ),
            (
                Ending::of(&Maybe::because("refused"), Cause::Returned),
                "test-a: gave up, refused",
            ),
            (
                Ending::of(&Ack {}, Cause::Returned),
                "test-a: returned `ansar.create.lifecycle.Ack`, expected a `TestReport`",
            ),
            (
                Ending::of(&Aborted {}, Cause::Signal(15)),
                "test-a: stopped by somebody else",
            ),
        ] {
            let verdict = verdict(&[participant("test-a", ending)]);
            assert!(!verdict.passed());
            assert_eq!(
                verdict.suite.navigation,
                [format!("/ws/Cargo.toml:7 - {text}")]
            );
            assert_eq!(verdict.count(Standing::Unreported), 1);
        }
    }

    #[test]
    fn a_panic_is_a_failure_at_its_own_line() {
        let fault = Faulted::new("component panicked", "boom").at("src/x.rs", 9);
        let verdict = verdict(&[participant("test-a", Ending::of(&fault, Cause::Returned))]);
        assert_eq!(
            verdict.suite.navigation,
            ["src/x.rs:9 - test-a: component panicked, boom"]
        );
    }

    #[test]
    fn an_operational_role_that_breaks_fails_the_run_and_one_that_is_done_does_not() {
        let done = participant("noop-0", Ending::of(&Ack {}, Cause::Returned));
        let tested = participant("test-a", report(1, &[]));
        assert!(verdict(&[done, tested.clone()]).passed());
        let broken = Ending::of(&Faulted::new("killed by SIGKILL", ""), Cause::Signal(9));
        let verdict = verdict(&[participant("server-0", broken), tested]);
        assert!(!verdict.passed());
        assert_eq!(verdict.roles.len(), 1, "only tests have a row");
    }

    #[test]
    fn a_test_that_was_not_run_is_no_success_and_needs_no_line() {
        let skipped = Ending::of(&Aborted {}, Cause::NeverStarted);
        let verdict = verdict(&[participant("test-a", skipped)]);
        assert!(!verdict.passed());
        assert!(verdict.failures.is_empty());
        assert_eq!(verdict.count(Standing::NotRun), 1);
    }
}
