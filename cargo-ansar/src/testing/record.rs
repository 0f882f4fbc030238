//! Reporting a finished run, and recording it in the home for `why`.

use crate::error::with_causes;
use crate::events::{Events, RunEvent};
use crate::model::run_report::RunReport;
use crate::testing::CompletedRun;

/// Emits the report of a run as its last event and stores the record of the
/// run. `exit` is the exit code of the command.
///
/// A record that cannot be written is reported as an event, and does not fail
/// the run.
pub fn record_run(command: &str, ran: CompletedRun, exit: u8, events: &Events) -> RunReport {
    let CompletedRun {
        verdict,
        analysis,
        interrupted,
        home,
        recorder,
        note,
        ..
    } = ran;
    let mut run = RunReport {
        command: command.to_owned(),
        exit,
        interrupted: interrupted.is_some(),
        result: analysis.map(|analysis| analysis.result),
        ..verdict.report
    };
    for row in &mut run.roles {
        row.elapsed = recorder.elapsed(&row.role).map(|span| span.as_secs_f64());
    }
    for failure in run.all_failures() {
        failure.executable = recorder.executable(&failure.role);
    }
    let told = recorder.reading(events);
    told.emit(RunEvent::Verdict(Box::new(run.clone())));
    if let Err(error) = recorder.keep(&home) {
        let why = with_causes(&error);
        events.emit(RunEvent::Unkept { why });
    }
    // If this process is killed before, the run is judged from its note.
    drop(note);
    run
}
