//! Reporting a finished run, and recording it in the home for `why`.

use std::time::Duration;

use crate::error::full;
use crate::events::{Events, RunEvent};
use crate::model::run_report::RunReport;
use crate::testing::Ran;
use crate::testing::verdict::Verdict;

/// Emits the report of a run as its last event and stores the record of the
/// run. `exit` is the exit code of the command.
///
/// A record that cannot be written is reported as an event, and does not fail
/// the run.
pub fn record_run(command: &str, ran: Ran, exit: u8, events: &Events) -> RunReport {
    let Ran {
        verdict,
        analysis,
        excerpts,
        elapsed,
        interrupted,
        home,
        recorder,
        note,
        partition,
        ..
    } = ran;
    let mut run = run_report(command, verdict, exit, interrupted.is_some(), elapsed);
    run.partition = partition;
    run.excerpts = excerpts;
    run.result = analysis.map(|analysis| analysis.result);
    for row in &mut run.roles {
        row.elapsed = recorder.elapsed(&row.role).map(|span| span.as_secs_f64());
    }
    for failure in run.all_failures() {
        failure.executable = recorder.executable(&failure.role);
    }
    let told = recorder.reading(events);
    told.emit(RunEvent::Verdict(Box::new(run.clone())));
    if let Err(error) = recorder.keep(&home) {
        let why = full(&error.into());
        events.emit(RunEvent::Unkept { why });
    }
    // If this process is killed before, the run is judged from its note.
    drop(note);
    run
}

/// Creates the report of a run from its verdict.
pub fn run_report(
    command: &str,
    verdict: Verdict,
    exit: u8,
    interrupted: bool,
    elapsed: Duration,
) -> RunReport {
    RunReport {
        command: command.to_owned(),
        partition: None,
        exit,
        interrupted,
        killed: false,
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
