//! The last step of a run: what came of it is told, and kept in the home for
//! later questions.

use std::time::Duration;

use crate::error::full;
use crate::events::{Events, Kind};
use crate::model::run_report::RunReport;
use crate::testing::Ran;
use crate::testing::verdict::Verdict;

/// What came of a run of `command`, which ends with the code `exit`: the last
/// event of its stream, and of its record. A record that cannot be kept costs
/// the run nothing, and is told.
pub fn conclude(command: &str, ran: Ran, exit: u8, events: &Events) -> RunReport {
    let Ran {
        verdict,
        analysis,
        excerpts,
        elapsed,
        interrupted,
        home,
        recorder,
        ..
    } = ran;
    let mut run = run_report(command, verdict, exit, interrupted.is_some(), elapsed);
    run.excerpts = excerpts;
    run.result = analysis.map(|analysis| analysis.result);
    for row in &mut run.roles {
        row.elapsed = recorder.elapsed(&row.role).map(|span| span.as_secs_f64());
    }
    for failure in run.all_failures() {
        failure.executable = recorder.executable(&failure.role);
    }
    let told = recorder.reading(events);
    told.emit(Kind::Verdict(Box::new(run.clone())));
    if let Err(error) = recorder.keep(&home) {
        let why = full(&error.into());
        events.emit(Kind::Unkept { why });
    }
    run
}

/// What came of a run, of which nothing but its verdict is known.
pub fn run_report(
    command: &str,
    verdict: Verdict,
    exit: u8,
    interrupted: bool,
    elapsed: Duration,
) -> RunReport {
    RunReport {
        command: command.to_owned(),
        exit,
        interrupted,
        elapsed: elapsed.as_secs_f64(),
        passed: verdict.suite.passed,
        failed: verdict.suite.failed,
        roles: verdict.roles,
        failures: verdict.failures,
        tries: verdict.tries,
        excerpts: Vec::new(),
        result: None,
    }
}
