//! The verdict of a test run that was killed, from what it recorded: the starts
//! and exits of its roles, and the results of single tests.

use std::path::Path;
use std::time::Duration;

use ansar_contract::lifecycle::Aborted;
use jiff::Timestamp;

use crate::harness::journal::LastResults;
use crate::home::current_run::{CurrentRole, CurrentRun};
use crate::home::history::{End, Run};
use crate::home::last_run::LastRun;
use crate::home::{Home, HomeError};
use crate::model::outcome::{Cause, RoleOutcome};
use crate::model::run_report::RunReport;
use crate::supervisor::judge;
use crate::testing::log_context;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::{RoleRun, Verdict};

/// Exit code of a killed command.
const KILLED: u8 = 137;

/// Returns the last run of a home, also if it was killed.
pub fn last_run(home: &Home) -> Result<Option<LastRun>, HomeError> {
    match killed(home)? {
        Some(last) => Ok(Some(last)),
        None => home.last_run(),
    }
}

/// Returns the report of the last run of a home, also if it was killed.
pub fn last_report(home: &Home) -> Result<Option<RunReport>, HomeError> {
    match killed(home)? {
        Some(last) => Ok(Some(last.report)),
        None => home.last_report(),
    }
}

/// Judges the last run if it was killed. Its events are lost.
fn killed(home: &Home) -> Result<Option<LastRun>, HomeError> {
    let Some(run) = home.killed_run()? else {
        return Ok(None);
    };
    let mut at = run.at;
    let mut role_runs = Vec::new();
    let mut spans = Vec::new();
    for role in &run.roles {
        let runs = runs_since(home, role, run.at)?;
        at = runs.iter().map(last_time).fold(at, Timestamp::max);
        spans.push((role, runs.last().and_then(span)));
        role_runs.push(role_run(home, role, &runs, run.at));
    }
    let mut sources = sources(home, &run);
    let mut verdict = Verdict::of(&role_runs, &mut sources);
    let roles = run.roles.iter().map(|it| &it.role);
    log_context::attach(home, roles, verdict.report.all_failures(), None);
    at = verdict
        .report
        .failures
        .iter()
        .map(|it| it.at)
        .fold(at, Timestamp::max);
    let elapsed = Duration::try_from(at.duration_since(run.at)).unwrap_or_default();
    let mut report = RunReport {
        command: "test".to_owned(),
        exit: KILLED,
        interrupted: true,
        killed: true,
        elapsed: elapsed.as_secs_f64(),
        ..verdict.report
    };
    for row in &mut report.roles {
        let found = spans.iter().find(|(it, _)| it.role == row.role);
        row.elapsed = found.and_then(|(_, span)| *span);
    }
    for failure in report.all_failures() {
        let role = run.roles.iter().find(|it| it.role == failure.role);
        failure.executable = role.map(|it| it.executable.clone());
    }
    Ok(Some(LastRun {
        events: Vec::new(),
        at,
        report,
    }))
}

/// Returns the recorded runs of a role since `begun`, oldest first.
fn runs_since(home: &Home, role: &CurrentRole, begun: Timestamp) -> Result<Vec<Run>, HomeError> {
    let mut runs = home.history(&role.role)?.runs;
    runs.retain(|run| run.start.at >= begun);
    Ok(runs)
}

fn last_time(run: &Run) -> Timestamp {
    run.end.as_ref().map_or(run.start.at, |end| end.at)
}

/// Returns the duration of a run that has ended, in seconds.
fn span(run: &Run) -> Option<f64> {
    let span = run.end.as_ref()?.at.duration_since(run.start.at);
    Some(span.as_secs_f64())
}

fn role_run(home: &Home, role: &CurrentRole, runs: &[Run], begun: Timestamp) -> RoleRun {
    let (last, before) = match runs.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, runs),
    };
    let results = || {
        role.is_target
            .then(|| LastResults::read(&home.test_results(&role.role)))
    };
    let report = || results()?.report_since(begun);
    let ended = last.and_then(|run| run.end.as_ref()).and_then(outcome);
    let outcome_of_report = || Some(RoleOutcome::of(&report()?, Cause::Returned));
    let outcome_of_start = || match last {
        Some(_) if !role.is_test => RoleOutcome::of(&Aborted {}, Cause::Killed),
        _ => judge::skipped(),
    };
    let before = before.iter().filter(|_| role.is_test);
    let before = before.filter_map(|run| {
        let end = run.end.as_ref()?;
        Some((outcome(end)?, end.at))
    });
    RoleRun {
        role: role.role.clone(),
        is_test: role.is_test,
        is_target: role.is_target,
        outcome: ended
            .or_else(outcome_of_report)
            .unwrap_or_else(outcome_of_start),
        at: last.map_or(begun, last_time),
        before: before.collect(),
        described: role.described.clone(),
    }
}

/// Returns the outcome of a run; `None` if it was too large to be recorded.
fn outcome(end: &End) -> Option<RoleOutcome> {
    Some(RoleOutcome {
        result: end.result.clone()?,
        cause: end.cause.into(),
    })
}

fn sources(home: &Home, run: &CurrentRun) -> Sources {
    let folders = home.workspace().map(Path::to_owned);
    Sources::new(folders.into_iter().collect(), run.artifacts.clone())
}
