//! Determines the outcome of a role from its exit status, its output, and the
//! actions of the engine.

use std::path::PathBuf;
use std::time::Duration;

use crate::host::process::Exit;
use crate::host::process::signal;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::model::quoted::quoted_list;
use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::lifecycle::{Aborted, Ack, Faulted};
use ansar_contract::test::{Check, TestReport};
use jiff::Timestamp;

use crate::model::stop::StopSignal;
use crate::supervisor::last_output::LastOutput;
use crate::supervisor::launch::Judge;

/// Largest result, in bytes.
pub(crate) const LARGEST_RESULT: usize = 64 << 20;

/// Number of unfinished tests that are named; the rest is counted.
const NAMES: usize = 5;

/// Actions of the engine on a role before it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineActions {
    /// The role was asked to stop.
    pub asked: bool,
    /// The role was killed.
    pub killed: bool,
    /// The role was stopped after this timeout.
    pub timed_out: Option<Duration>,
    /// The role was stopped because it was not ready after this time.
    pub never_ready: Option<Duration>,
    /// The conditions that it had not met then.
    pub unready: Option<String>,
    /// The role was stopped because it was unhealthy, for this reason.
    pub unhealthy: Option<String>,
}

impl EngineActions {
    /// Returns true if the role was stopped because it had failed.
    pub fn is_failure(&self) -> bool {
        self.timed_out.is_some() || self.never_ready.is_some() || self.unhealthy.is_some()
    }
}

/// The end of all processes of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit of the main process.
    pub exit: Exit,
    /// The output on stdout, unless that is part of the log.
    pub stdout: Vec<u8>,
    /// The end of the output in the log, if it is kept.
    pub last: LastOutput,
}

/// A finished start, to be judged.
#[derive(Debug)]
pub struct FinishedStart<'a> {
    /// The role.
    pub role: &'a RoleName,
    /// The source of its outcome.
    pub judge: Judge,
    /// The signal that asks it to stop; SIGINT if unset.
    pub stop_signal: Option<StopSignal>,
    /// The file and line that describe it.
    pub described: Option<&'a (PathBuf, u32)>,
    /// The end.
    pub finished: &'a Finished,
    /// The actions of the engine.
    pub actions_taken: &'a EngineActions,
    /// True if it had become ready.
    pub was_ready: bool,
    /// Time of the end.
    pub at: Timestamp,
}

impl FinishedStart<'_> {
    /// Returns the outcome of the role.
    pub fn outcome(&self) -> RoleOutcome {
        let Finished { exit, stdout, .. } = self.finished;
        if let Some(outcome) = overdue(self.actions_taken) {
            let partial = (self.judge == Judge::Report).then(|| self.partial(&outcome));
            return partial.flatten().unwrap_or(outcome);
        }
        match self.judge {
            Judge::Message | Judge::Report => of_message(*exit, stdout, self.actions_taken),
            Judge::Service | Judge::Task | Judge::Check => self.of_exit(),
        }
    }

    /// Returns the report of a role that was stopped for a failure, with that
    /// failure as a check; `None` without a report.
    fn partial(&self, failure: &RoleOutcome) -> Option<RoleOutcome> {
        let outcome = RoleOutcome {
            result: message(&self.finished.stdout).ok()?,
            cause: failure.cause,
        };
        let unfinished = outcome.report()?.unfinished;
        let more = match unfinished.len().saturating_sub(NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let unfinished = match unfinished.as_slice() {
            [] => String::new(),
            names => format!(
                ", before the end of {}{more}",
                quoted_list(names.iter().take(NAMES))
            ),
        };
        let text = format!("{}{unfinished}", failure.fault()?);
        let place = (self.role, self.described);
        Some(with_failures(outcome, &[text], place, self.at))
    }

    /// Returns the outcome of a role that is judged by its exit status.
    fn of_exit(&self) -> RoleOutcome {
        let exit = self.finished.exit;
        if self.actions_taken.asked && self.has_stopped() {
            let is_killed = self.actions_taken.killed;
            let cause = if is_killed {
                Cause::Killed
            } else {
                Cause::Stopped
            };
            return RoleOutcome::of(&Aborted {}, cause);
        }
        // An application that wraps its `main` writes one if it says more.
        if let Ok(result) = message(&self.finished.stdout) {
            return RoleOutcome {
                result,
                cause: Cause::Returned,
            };
        }
        match (exit, self.judge) {
            (Exit::Code(0), Judge::Task) => RoleOutcome::of(&Ack {}, Cause::Returned),
            (Exit::Code(0), Judge::Check) => {
                RoleOutcome::of(&self.report(true, "exited with 0"), Cause::Returned)
            }
            (Exit::Code(0), _) if self.was_ready => RoleOutcome::of(&Aborted {}, Cause::Exited(0)),
            (Exit::Signal(number), _) if signal::means_stop(number) => {
                RoleOutcome::of(&Aborted {}, Cause::Signal(number))
            }
            _ => self.failure(),
        }
    }

    /// Returns true if the exit of a role that was asked to stop is no failure.
    /// Many programs exit with another code than 0 then; a panic or a crash is
    /// one all the same.
    fn has_stopped(&self) -> bool {
        match self.finished.exit {
            Exit::Code(0) => true,
            Exit::Code(_) => self.finished.last.panic().is_none(),
            Exit::Signal(number) => {
                let own = self.stop_signal;
                self.actions_taken.killed
                    || signal::means_stop(number)
                    || own.is_some_and(|own| signal::is_same(number, own))
            }
        }
    }

    /// Returns the outcome of a failed role: at the place of its panic, if there
    /// was one.
    fn failure(&self) -> RoleOutcome {
        let Finished { exit, last, .. } = self.finished;
        let is_early = self.judge == Judge::Service && !self.was_ready;
        let text = exit_text(*exit, is_early, &last.last_line());
        let cause = cause_of(*exit);
        if self.judge == Judge::Check && (last.panic().is_some() || self.described.is_some()) {
            return RoleOutcome::of(&self.report(false, &text), cause);
        }
        let fault = match last.panic() {
            Some(panic) => Faulted::new(&panic.message, "").at(&panic.source, panic.line),
            None => Faulted::new(text, ""),
        };
        RoleOutcome::of(&fault, cause)
    }

    /// Returns a report of one check, at the place of a panic or else of the
    /// role.
    fn report(&self, passed: bool, text: &str) -> TestReport {
        let panic = self.finished.last.panic().filter(|_| !passed);
        let of_panic = panic.map(|panic| (panic.source.clone(), panic.line, Some(panic.column)));
        let of_role = || {
            let (path, line) = self.described?;
            Some((path.display().to_string(), *line, None))
        };
        let check = of_panic
            .or_else(of_role)
            .map(|(source, line, column)| Check {
                condition: passed,
                line,
                column,
                name: self.role.to_string(),
                source,
                stamp: stamp(self.at),
                text: panic.map_or_else(
                    || format!("{}: {text}", self.role),
                    |panic| panic.message.clone(),
                ),
                elapsed_us: None,
            });
        TestReport {
            passed: u64::from(passed),
            failed: u64::from(!passed),
            tested: check.into_iter().collect(),
            ..TestReport::default()
        }
    }
}

/// Returns the outcome of a role that the engine has stopped for a failure.
fn overdue(actions_taken: &EngineActions) -> Option<RoleOutcome> {
    let (condition, cause) = if let Some(limit) = actions_taken.timed_out {
        let condition = format!("timed out after {}", ShortDuration(limit));
        (condition, Cause::TimedOut)
    } else if let Some(limit) = actions_taken.never_ready {
        let why = actions_taken.unready.iter().map(|why| format!(": {why}"));
        let why: String = why.collect();
        let condition = format!("not ready after {}{why}", ShortDuration(limit));
        (condition, Cause::TimedOut)
    } else if let Some(why) = &actions_taken.unhealthy {
        (format!("unhealthy: {why}"), Cause::Stopped)
    } else {
        return None;
    };
    Some(RoleOutcome::of(&Faulted::new(condition, ""), cause))
}

/// Formats the time of a check.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Returns a text such as `exited with 1 before it was ready: LAST LINE`.
pub fn exit_text(exit: Exit, is_early: bool, last_line: &str) -> String {
    let exited = match exit {
        Exit::Code(code) => format!("exited with {code}"),
        Exit::Signal(number) => format!("killed by {}", signal::name(number)),
    };
    let early = if is_early { " before it was ready" } else { "" };
    match exit {
        Exit::Code(_) if !last_line.is_empty() => format!("{exited}{early}: {last_line}"),
        _ => format!("{exited}{early}"),
    }
}

fn cause_of(exit: Exit) -> Cause {
    match exit {
        Exit::Code(code) => Cause::Exited(code),
        Exit::Signal(number) => Cause::Signal(number),
    }
}

/// Parses the result that a role wrote to stdout.
pub fn message(stdout: &[u8]) -> serde_json::Result<Typed> {
    serde_json::from_slice::<Envelope<Typed>>(stdout).map(|envelope| envelope.value)
}

/// Returns the outcome of a role that returns a message on stdout.
fn of_message(exit: Exit, stdout: &[u8], actions_taken: &EngineActions) -> RoleOutcome {
    let unreadable = match message(stdout) {
        Ok(result) => {
            let cause = if actions_taken.asked {
                Cause::Stopped
            } else {
                Cause::Returned
            };
            return RoleOutcome { result, cause };
        }
        Err(_) if stdout.is_empty() => None,
        Err(error) => Some(error),
    };
    if actions_taken.killed {
        return RoleOutcome::of(&Aborted {}, Cause::Killed);
    }
    if stdout.len() > LARGEST_RESULT {
        let most = LARGEST_RESULT >> 20;
        let faulted = Faulted::new(
            "returned a result that is too large",
            format!("it has more than {most} MiB, the most that a result may have"),
        );
        return RoleOutcome::of(&faulted, cause_of(exit));
    }
    let fault = |condition: String, cause| {
        let why = unreadable
            .as_ref()
            .map(|error| format!("stdout is not a message: {error}"));
        RoleOutcome::of(&Faulted::new(condition, why.unwrap_or_default()), cause)
    };
    match exit {
        Exit::Signal(number) if signal::means_stop(number) => RoleOutcome::of(
            &Aborted {},
            if actions_taken.asked {
                Cause::Stopped
            } else {
                Cause::Signal(number)
            },
        ),
        Exit::Signal(number) => fault(
            format!("killed by {}", signal::name(number)),
            Cause::Signal(number),
        ),
        Exit::Code(0) => fault("exited without a result".to_owned(), Cause::Exited(0)),
        Exit::Code(code) => fault(
            format!("exited with code {code} and without a result"),
            Cause::Exited(code),
        ),
    }
}

/// Returns the outcome of a role if a command before it, `text` of `property`,
/// has failed or was stopped.
pub fn failed_step(
    (property, text): (&str, &str),
    finished: &Finished,
    actions_taken: &EngineActions,
) -> Option<RoleOutcome> {
    let condition = if let Some(limit) = actions_taken.timed_out {
        let limit = ShortDuration(limit);
        format!("timed out after {limit} in its {property}, `{text}`")
    } else if let Some(limit) = actions_taken.never_ready {
        let limit = ShortDuration(limit);
        format!("{property} `{text}` not finished after {limit}")
    } else if actions_taken.asked {
        return Some(skipped());
    } else if finished.exit == Exit::Code(0) {
        return None;
    } else {
        let exited = exit_text(finished.exit, false, &finished.last.last_line());
        format!("{property} `{text}` {exited}")
    };
    let fault = Faulted::new(condition, "");
    Some(RoleOutcome::of(&fault, Cause::NeverStarted))
}

/// Returns the failure of a command after a role, if it has failed. `limit` is
/// the time after which it was stopped.
pub fn failed_after(text: &str, finished: &Finished, limit: Option<Duration>) -> Option<String> {
    match (limit, finished.exit) {
        (Some(limit), _) => {
            let limit = ShortDuration(limit);
            Some(format!("after-all `{text}` not finished after {limit}"))
        }
        (None, Exit::Code(0)) => None,
        (None, exit) => {
            let exited = exit_text(exit, false, &finished.last.last_line());
            Some(format!("after-all `{text}` {exited}"))
        }
    }
}

/// Adds failures of commands after a role to its outcome: as failed checks to a
/// report, and else to the fault.
pub fn with_failures(
    mut outcome: RoleOutcome,
    failures: &[String],
    (role, described): (&RoleName, Option<&(PathBuf, u32)>),
    at: Timestamp,
) -> RoleOutcome {
    if failures.is_empty() {
        return outcome;
    }
    if let Some(mut report) = outcome.report() {
        report.failed += failures.len() as u64;
        let checks = failures.iter().filter_map(|failure| {
            let (path, line) = described?;
            Some(Check {
                condition: false,
                line: *line,
                column: None,
                name: role.to_string(),
                source: path.display().to_string(),
                stamp: stamp(at),
                text: format!("{role}: {failure}"),
                elapsed_us: None,
            })
        });
        report.tested.extend(checks);
        return RoleOutcome::of(&report, outcome.cause);
    }
    let failures = failures.join("; ");
    let fault = match outcome.fault() {
        Some(mut fault) if fault.explanation.is_empty() => {
            fault.explanation = failures;
            fault
        }
        Some(mut fault) => {
            fault.explanation = format!("{}; {failures}", fault.explanation);
            fault
        }
        None => {
            // Its own cause would be that of a stop, which is no failure.
            outcome.cause = Cause::Returned;
            Faulted::new(failures, "")
        }
    };
    RoleOutcome::of(&fault, outcome.cause)
}

/// Returns the outcome of a role that was asked to stop before its process was
/// started.
pub fn stopped_early(actions_taken: &EngineActions) -> RoleOutcome {
    overdue(actions_taken).unwrap_or_else(skipped)
}

/// Returns the outcome of a role that could not be started.
pub fn not_started(reason: &str) -> RoleOutcome {
    RoleOutcome::of(
        &Faulted::new("could not be started", reason),
        Cause::NeverStarted,
    )
}

/// Returns the outcome of a role that survived being killed, once nothing waits
/// for it any more.
pub fn unkillable(reason: &str) -> RoleOutcome {
    RoleOutcome::of(&Faulted::new("cannot be killed", reason), Cause::TimedOut)
}

/// Returns the outcome of a role that starts after `needed`, which has ended
/// with `outcome`; `None` if that is not a failure. Without an outcome, it could
/// not be killed.
pub fn skipped_after(needed: &RoleName, outcome: Option<&RoleOutcome>) -> Option<RoleOutcome> {
    let has = match outcome {
        Some(outcome) if outcome.success() != Success::No => return None,
        Some(outcome) if outcome.cause == Cause::NeverStarted => "did not start",
        _ => "failed",
    };
    let fault = Faulted::new(
        format!("not started: `{needed}`, which it starts after, {has}"),
        "",
    );
    Some(RoleOutcome::of(&fault, Cause::NeverStarted))
}

/// Returns the outcome of a role that was skipped.
pub fn skipped() -> RoleOutcome {
    RoleOutcome::of(&Aborted {}, Cause::NeverStarted)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    const ACK: &[u8] = br#"{"value": ["ansar.create.lifecycle.Ack", {}, []]}"#;

    /// Returns the outcome of a component.
    fn judge(exit: Exit, stdout: &[u8], actions_taken: &EngineActions) -> RoleOutcome {
        let finished = Finished {
            exit,
            stdout: stdout.to_owned(),
            last: LastOutput::default(),
        };
        start(Judge::Message, &finished, actions_taken).outcome()
    }

    fn start<'a>(
        judge: Judge,
        finished: &'a Finished,
        actions_taken: &'a EngineActions,
    ) -> FinishedStart<'a> {
        static ROLE: LazyLock<RoleName> = LazyLock::new(|| "a-0".parse().unwrap());
        static DESCRIBED: LazyLock<(PathBuf, u32)> =
            LazyLock::new(|| (PathBuf::from("/ws/Cargo.toml"), 7));
        FinishedStart {
            role: &ROLE,
            judge,
            stop_signal: None,
            described: Some(&DESCRIBED),
            finished,
            actions_taken,
            was_ready: true,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    /// Returns the end of a program with this output.
    fn finished(exit: Exit, output: &str) -> Finished {
        let mut last = LastOutput::default();
        output.lines().for_each(|line| last.line(line.as_bytes()));
        Finished {
            exit,
            stdout: Vec::new(),
            last,
        }
    }

    fn condition(outcome: &RoleOutcome) -> String {
        outcome
            .fault()
            .map_or_else(String::new, |fault| fault.to_string())
    }

    #[test]
    fn result_counts_for_any_exit() {
        let outcome = judge(Exit::Code(7), ACK, &EngineActions::default());
        assert_eq!(outcome.success(), Success::Yes);
        assert_eq!(outcome.cause, Cause::Returned);
    }

    #[test]
    fn late_result_does_not_count() {
        let actions_taken = EngineActions {
            timed_out: Some(Duration::from_secs(2)),
            ..EngineActions::default()
        };
        let outcome = judge(Exit::Code(0), ACK, &actions_taken);
        assert_eq!(condition(&outcome), "timed out after 2s");
    }

    #[test]
    fn exit_without_result_is_a_fault() {
        for (exit, stdout, expected) in [
            (Exit::Code(0), "", "exited without a result"),
            (Exit::Code(3), "", "exited with code 3 and without a result"),
            (Exit::Signal(11), "", "killed by SIGSEGV"),
            (Exit::Signal(9), "", "killed by SIGKILL"),
        ] {
            let outcome = judge(exit, stdout.as_bytes(), &EngineActions::default());
            assert_eq!(condition(&outcome), expected);
        }
        let garbage = judge(Exit::Code(0), b"hello", &EngineActions::default());
        assert!(condition(&garbage).contains("is not a message"));
        let large = vec![b'x'; LARGEST_RESULT + 1];
        let large = judge(Exit::Code(0), &large, &EngineActions::default());
        assert_eq!(
            condition(&large),
            "returned a result that is too large, \
             it has more than 64 MiB, the most that a result may have"
        );
    }

    #[test]
    fn stop_signals_are_no_fault() {
        for signal in [1, 2, 3, 15] {
            let outcome = judge(Exit::Signal(signal), b"", &EngineActions::default());
            assert_eq!(outcome.success(), Success::Stopped);
        }
    }

    #[test]
    fn killed_after_a_stop_counts_as_stopped() {
        let actions_taken = EngineActions {
            asked: true,
            killed: true,
            ..EngineActions::default()
        };
        let outcome = judge(Exit::Signal(9), b"", &actions_taken);
        assert_eq!(outcome.cause, Cause::Killed);
        assert_eq!(outcome.success(), Success::Stopped);
    }

    const PANIC: &str = "thread 'main' (7) panicked at src/main.rs:7:5:\nno table\nnote: x";

    #[test]
    fn failure_of_a_program_names_its_exit_and_its_last_line() {
        for (exit, output, expected) in [
            (
                Exit::Code(1),
                "one\nFATAL: no\n",
                "exited with 1: FATAL: no",
            ),
            (Exit::Code(3), "", "exited with 3"),
            (Exit::Signal(11), "hello", "killed by SIGSEGV"),
            (Exit::Code(101), PANIC, "no table"),
        ] {
            let finished = finished(exit, output);
            let actions_taken = EngineActions::default();
            for judge in [Judge::Service, Judge::Task] {
                let outcome = start(judge, &finished, &actions_taken).outcome();
                assert_eq!(condition(&outcome), expected);
                assert_eq!(outcome.success(), Success::No);
                let source = outcome.fault().unwrap().source;
                assert_eq!(
                    source.as_deref(),
                    (output == PANIC).then_some("src/main.rs")
                );
            }
        }
    }

    #[test]
    fn a_service_that_ends_before_it_is_ready_has_failed() {
        for (exit, expected) in [
            (Exit::Code(0), "exited with 0 before it was ready: bye"),
            (Exit::Code(1), "exited with 1 before it was ready: bye"),
            (Exit::Signal(6), "killed by SIGABRT before it was ready"),
        ] {
            let (finished, actions_taken) = (finished(exit, "bye"), EngineActions::default());
            let start = FinishedStart {
                was_ready: false,
                ..start(Judge::Service, &finished, &actions_taken)
            };
            assert_eq!(condition(&start.outcome()), expected);
        }
    }

    #[test]
    fn exit_with_0_is_what_the_program_is_for() {
        let (finished, actions_taken) =
            (finished(Exit::Code(0), "hello"), EngineActions::default());
        let outcome = |judge| start(judge, &finished, &actions_taken).outcome();
        assert_eq!(outcome(Judge::Service).success(), Success::Stopped);
        assert_eq!(outcome(Judge::Service).cause, Cause::Exited(0));
        assert!(outcome(Judge::Task).result.is::<Ack>());
        let report = outcome(Judge::Check).report().unwrap();
        assert_eq!((report.passed, report.failed), (1, 0));
    }

    #[test]
    fn failed_check_is_at_its_panic_or_at_the_role() {
        for (output, place, text) in [
            (PANIC, ("src/main.rs", 7, Some(5)), "no table"),
            (
                "hello",
                ("/ws/Cargo.toml", 7, None),
                "a-0: exited with 1: hello",
            ),
        ] {
            let (finished, actions_taken) =
                (finished(Exit::Code(1), output), EngineActions::default());
            let outcome = start(Judge::Check, &finished, &actions_taken).outcome();
            let report = outcome.report().unwrap();
            assert_eq!((report.passed, report.failed), (0, 1));
            let check = &report.tested[0];
            assert_eq!((&*check.source, check.line, check.column), place);
            assert_eq!((&*check.text, &*check.name), (text, "a-0"));
            assert_eq!(check.stamp, "1970-01-01T00:00:00.000000");
        }
    }

    #[test]
    fn program_that_was_asked_to_stop_has_stopped() {
        let asked = EngineActions {
            asked: true,
            ..EngineActions::default()
        };
        for (exit, output, expected) in [
            (Exit::Code(0), "", Success::Stopped),
            (Exit::Code(1), "http: Server closed", Success::Stopped),
            (Exit::Code(143), "", Success::Stopped),
            (Exit::Signal(2), "", Success::Stopped),
            (Exit::Signal(10), "", Success::Stopped),
            (Exit::Signal(11), "", Success::No),
            (Exit::Code(101), PANIC, Success::No),
        ] {
            let finished = finished(exit, output);
            let start = FinishedStart {
                stop_signal: "USR1".parse().ok(),
                ..start(Judge::Service, &finished, &asked)
            };
            assert_eq!(start.outcome().success(), expected, "{exit:?}");
        }
    }

    #[test]
    fn failed_step_of_a_setup_has_its_command() {
        let failed = finished(Exit::Code(1), "initdb: error: no");
        let actions_taken = EngineActions::default();
        let step = |finished, actions_taken| {
            failed_step(("setup", "initdb -D x"), finished, actions_taken)
        };
        assert_eq!(
            condition(&step(&failed, &actions_taken).unwrap()),
            "setup `initdb -D x` exited with 1: initdb: error: no"
        );
        let succeeded = finished(Exit::Code(0), "");
        assert_eq!(step(&succeeded, &actions_taken), None);
        let late = EngineActions {
            asked: true,
            never_ready: Some(Duration::from_secs(60)),
            ..EngineActions::default()
        };
        assert_eq!(
            condition(&step(&succeeded, &late).unwrap()),
            "setup `initdb -D x` not finished after 60s"
        );
        let asked = EngineActions {
            asked: true,
            ..EngineActions::default()
        };
        for finished in [&failed, &succeeded] {
            assert_eq!(step(finished, &asked), Some(skipped()));
        }
    }

    #[test]
    fn dependents_of_a_failed_role_name_it() {
        let role: RoleName = "migrate-0".parse().unwrap();
        let failed = RoleOutcome::of(&Faulted::new("x", ""), Cause::Exited(1));
        let unstarted = RoleOutcome::of(&Faulted::new("x", ""), Cause::NeverStarted);
        for (outcome, expected) in [
            (
                &failed,
                "not started: `migrate-0`, which it starts after, failed",
            ),
            (
                &unstarted,
                "not started: `migrate-0`, which it starts after, did not start",
            ),
        ] {
            let skipped = skipped_after(&role, Some(outcome)).unwrap();
            assert_eq!(condition(&skipped), expected);
        }
        assert_eq!(skipped_after(&role, Some(&skipped())), None);
    }

    proptest! {
        #[test]
        fn any_exit_and_output_has_an_outcome(code: i32, stdout: Vec<u8>, asked: bool, killed: bool) {
            let actions_taken = EngineActions { asked, killed, ..EngineActions::default() };
            let outcome = judge(Exit::Code(code), &stdout, &actions_taken);
            prop_assert!(outcome.success() != Success::Yes || !stdout.is_empty());
        }
    }
}
