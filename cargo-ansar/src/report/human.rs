//! Text for people about events and outcomes. The text is not a contract and
//! may change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::line::Line;
use serde::Serialize;

use crate::commands::init;
use crate::events::{
    Author, DeployEvent, Event, Kind, LogEvent, Phase, RoleEvent, RunEvent, SourceEvent,
    StopReason, Until,
};
use crate::home::word;
use crate::manifest::import::Described;
use crate::manifest::init::Proposed;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::model::quoted::escaped;
use crate::model::run_report::{Excerpt, Failure, LogRecord, Row, RunReport, Standing, Which};
use crate::report::diagnostics;
use crate::report::json;
use crate::report::shell::{Form, Shell, Verbosity, size};
use crate::testing::verdict::Verdict;

/// Number of names that are listed; the rest is counted.
const NAMES: usize = 5;

/// Seconds from which on a role is listed as slow.
const SLOW: f64 = 1.0;

/// Returns true if an event is shown at this verbosity.
pub fn is_told(kind: &Kind, verbosity: Verbosity) -> bool {
    match kind {
        Kind::Role(event) => is_role_told(event, verbosity),
        Kind::Run(event) => match event {
            // Shown as progress, or at the end of the run.
            RunEvent::Awaiting { .. }
            | RunEvent::Placed { .. }
            | RunEvent::Result { .. }
            | RunEvent::Verdict(_) => false,
            RunEvent::Placing { .. }
            | RunEvent::ShardLost { .. }
            | RunEvent::Running { .. }
            | RunEvent::Testing { .. }
            | RunEvent::Analyzing { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Waiting { .. }
            | RunEvent::Orphans { .. }
            | RunEvent::CleanedUp { .. }
            | RunEvent::Unkept { .. } => true,
        },
        Kind::Deploy(event) => match event {
            // Shown as progress, or by Cargo itself.
            DeployEvent::Building {} | DeployEvent::Built {} | DeployEvent::Transferring { .. } => {
                false
            }
            DeployEvent::Blocked { .. }
            | DeployEvent::HomeCreated { .. }
            | DeployEvent::Phase { .. }
            | DeployEvent::Retired { .. }
            | DeployEvent::PortMoved { .. }
            | DeployEvent::Conflict { .. }
            | DeployEvent::Passed { .. }
            | DeployEvent::Hidden { .. }
            | DeployEvent::Deployed { .. }
            | DeployEvent::Suspending { .. }
            | DeployEvent::Restored { .. }
            | DeployEvent::Unrestored { .. } => true,
        },
        Kind::Log(_) | Kind::Source(_) => true,
    }
}

fn is_role_told(event: &RoleEvent, verbosity: Verbosity) -> bool {
    match event {
        RoleEvent::Started { .. } | RoleEvent::Ready { .. } | RoleEvent::Retrying { .. } => {
            verbosity >= Verbosity::Verbose
        }
        RoleEvent::Check { passed, .. } => !passed && verbosity >= Verbosity::Normal,
        RoleEvent::Ended { outcome, .. } => {
            verbosity >= Verbosity::Verbose || outcome.cause == Cause::Killed
        }
        RoleEvent::Unhealthy { .. }
        | RoleEvent::Healthy { .. }
        | RoleEvent::Rerunning { .. }
        | RoleEvent::Slow { .. }
        | RoleEvent::Restarting { .. }
        | RoleEvent::Unkillable { .. }
        | RoleEvent::Unrecorded { .. } => true,
    }
}

/// Shows an event for which [`is_told`] returns true.
pub fn event(shell: &mut Shell, event: &Event) {
    match &event.kind {
        Kind::Log(event) => log(shell, event),
        Kind::Role(event) => life(shell, event),
        Kind::Run(event) => run(shell, event),
        Kind::Deploy(event) => deploy(shell, event),
        Kind::Source(event) => watching(shell, event),
    }
}

fn log(shell: &mut Shell, event: &LogEvent) {
    match event {
        LogEvent::Line { role, text, .. } => shell.line(role, text),
        LogEvent::Lost {
            role,
            count: lost,
            is_over,
            why,
        } => shell.warn(&if *is_over {
            let lost = count(*lost, "log line");
            format!("{lost} of role `{role}` lost in all")
        } else {
            format!("log lines of role `{role}` are lost: {why}")
        }),
    }
}

fn run(shell: &mut Shell, event: &RunEvent) {
    match event {
        RunEvent::Running { roles } => shell.status("Running", &count(*roles, "role")),
        RunEvent::Testing {
            tests, operational, ..
        } => {
            let against = match operational {
                0 => String::new(),
                _ => format!(" against {}", count(*operational, "operational role")),
            };
            shell.status("Testing", &format!("{}{against}", count(*tests, "role")));
        }
        RunEvent::Analyzing {
            reports,
            executable,
        } => {
            let reports = count(*reports, "report");
            shell.status("Analyzing", &format!("{reports} with `{executable}`"));
        }
        RunEvent::Stopping { roles, why } => stopping(shell, *roles, *why),
        RunEvent::Waiting { roles, until, why } => waiting(shell, roles, *until, why),
        RunEvent::Orphans { count: left } => shell.warn(&format!(
            "ended {} that roles had orphaned",
            count(*left, "process")
        )),
        RunEvent::CleanedUp { count: left } => shell.warn(&format!(
            "an earlier command was killed; ended {} that it had orphaned",
            count(*left, "process")
        )),
        RunEvent::Unkept { why } => {
            shell.warn(&format!("cannot save the run for `report`: {why}"));
        }
        RunEvent::Placing { on, shards } => {
            shell.status("Placing", &format!("{} on {on}", count(*shards, "shard")));
        }
        RunEvent::ShardLost {
            shard,
            node,
            why,
            roles,
        } => {
            let node = node.as_ref().map(|node| format!(" (node {node})"));
            let node = node.unwrap_or_default();
            let roles = count(*roles, "role");
            shell.warn(&format!(
                "shard {shard}{node} is lost, {roles} without an outcome: {why}"
            ));
        }
        RunEvent::Awaiting { .. }
        | RunEvent::Placed { .. }
        | RunEvent::Result { .. }
        | RunEvent::Verdict(_) => {}
    }
}

fn deploy(shell: &mut Shell, event: &DeployEvent) {
    match event {
        DeployEvent::Building {} | DeployEvent::Built {} | DeployEvent::Transferring { .. } => {}
        DeployEvent::Phase { phase } => shell.status("Phase", phase_text(*phase)),
        DeployEvent::Blocked { home } => shell.status(
            "Blocking",
            &format!("waiting for another command in `{}`", home.display()),
        ),
        DeployEvent::HomeCreated { home } => {
            shell.status("Created", &format!("home `{}`", home.display()));
        }
        DeployEvent::Retired { role } => shell.status(
            "Retired",
            &format!("role `{role}`, which is no longer described"),
        ),
        DeployEvent::PortMoved {
            role,
            before,
            after,
        } => shell.warn(&format!(
            "port {before} of role `{role}` is used by another program; it gets port {after}"
        )),
        DeployEvent::Conflict { path, why } => {
            shell.warn(&format!("`{}` is left alone: {why}", path.display()));
        }
        DeployEvent::Passed { path, why } => {
            shell.warn(&format!("`{}` is not deployed: {why}", path.display()));
        }
        DeployEvent::Hidden { role, setting } => shell.warn(&format!(
            "setting `{setting}` of role `{role}` was set by hand, which overrides the manifest"
        )),
        DeployEvent::Deployed {
            changed,
            executables,
            relinked,
            affected,
        } => {
            let of = match relinked {
                0 => String::new(),
                _ => format!(" ({relinked} of {})", count(*executables, "executable")),
            };
            let affected = count(*affected, "role");
            let text = format!("{}{of}, {affected} affected", some_of(changed));
            shell.status("Deploying", &text);
        }
        DeployEvent::Suspending { roles } => shell.status("Stopping", &some_roles(roles)),
        DeployEvent::Restored { roles } => shell.status("Restored", &some_roles(roles)),
        DeployEvent::Unrestored { roles } => {
            shell.warn(&format!("restarted, but not ready: {}", some_roles(roles)));
        }
    }
}

/// Returns one line about a failure: its role, its message and its place.
fn failure_text(role: &RoleName, text: &str, place: &str) -> String {
    let name = format!("{role}: ");
    let text = text.strip_prefix(&name).unwrap_or(text);
    format!("{name}{text} ({place})")
}

/// Number of failures that are repeated.
const REPEATED: usize = 10;

/// Repeats the failures after so many lines that they have left the terminal.
fn repeated(shell: &mut Shell, run: &RunReport, lines: usize) {
    let Some((_, rows)) = size().filter(|_| shell.is_terminal()) else {
        return;
    };
    let repeated = run.failures.len().min(REPEATED);
    if lines + repeated + 2 < rows {
        return;
    }
    for failure in &run.failures[..repeated] {
        let text = failure_text(&failure.role, failure.headline(), &failure.place());
        shell.bad_status("Fail", &text);
    }
    if run.failures.len() > repeated {
        let more = count(run.failures.len() - repeated, "more failure");
        shell.bad_status("Fail", &more);
    }
}

fn waiting(shell: &mut Shell, roles: &[RoleName], until: Until, why: &BTreeMap<RoleName, String>) {
    let until = match until {
        Until::Stopped => "to stop",
        Until::Ready => "to be ready",
    };
    let mut text = format!("for {} {until}", some_roles(roles));
    let why = why.iter().take(NAMES);
    let why: Vec<String> = match roles {
        [_] => why.map(|(_, why)| why.clone()).collect(),
        _ => why.map(|(role, why)| format!("{role}: {why}")).collect(),
    };
    if !why.is_empty() {
        let _ = write!(text, ": {}", why.join("; "));
    }
    shell.status("Waiting", &text);
}

fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Locked => "the home is locked",
        Phase::Build => "build with Cargo",
        Phase::Plan => "compare the home with its sources",
        Phase::Apply => "apply the changes",
    }
}

fn life(shell: &mut Shell, event: &RoleEvent) {
    match event {
        RoleEvent::Check {
            role,
            file,
            line,
            column,
            text,
            ..
        } => {
            let column = column.map(|column| format!(":{column}"));
            let place = format!("{file}:{line}{}", column.unwrap_or_default());
            shell.bad_status("Fail", &failure_text(role, text, &place));
        }
        RoleEvent::Started {
            role,
            executable,
            pid,
            ..
        } => shell.status("Started", &format!("{role} ({executable}, process {pid})")),
        RoleEvent::Ready { role } => shell.status("Ready", role.as_str()),
        RoleEvent::Unhealthy { role, why } => {
            shell.warn(&format!("role `{role}` is unhealthy: {why}"));
        }
        RoleEvent::Healthy { role } => shell.status("Healthy", role.as_str()),
        RoleEvent::Ended { role, outcome } => ended(shell, role, outcome),
        RoleEvent::Unkillable { role, pid, why } => shell.warn(&format!(
            "role `{role}` cannot be killed: process {pid}: {why}"
        )),
        RoleEvent::Retrying { role, delay } => {
            shell.status("Retrying", &format!("{role} in {}", ShortDuration(*delay)));
        }
        RoleEvent::Restarting { role, delay } => {
            shell.status(
                "Restarting",
                &format!("{role} in {}", ShortDuration(*delay)),
            );
        }
        RoleEvent::Rerunning { role, nth, of } => {
            shell.odd_status("Rerunning", &format!("{role}, try {nth} of {of}"));
        }
        RoleEvent::Slow {
            role,
            elapsed,
            test,
        } => {
            let test = test.as_ref().map(|test| format!("::{test}"));
            let test = test.unwrap_or_default();
            let elapsed = ShortDuration(*elapsed);
            shell.odd_status("Slow", &format!("{role}{test}, {elapsed}"));
        }
        RoleEvent::Unrecorded { role, why } => {
            shell.warn(&format!("the history of role `{role}` has a gap: {why}"));
        }
    }
}

fn watching(shell: &mut Shell, event: &SourceEvent) {
    let named = |files: &[PathBuf]| {
        let names: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        some_of(&names)
    };
    match event {
        SourceEvent::Watching { files } => {
            shell.status(
                "Watching",
                &format!("{}, until Control-C", count(*files, "file")),
            );
        }
        SourceEvent::Polling { limit } => shell.warn(&format!(
            "inotify limit reached, polling for changes every 500 ms; raise `sysctl {limit}`"
        )),
        SourceEvent::Changed { files } => shell.status("Changed", &named(files)),
        SourceEvent::Rewritten { files } => shell.status(
            "Unchanged",
            &format!("{}, saved without changes", named(files)),
        ),
        SourceEvent::Written { files, by } => {
            let (by, when) = match by {
                Author::Build => ("every build writes", "while nothing is built"),
                Author::Roles => ("roles write", "while no role runs"),
            };
            shell.warn(&format!(
                "{by} {}: not counted as a change until it is saved {when}",
                named(files)
            ));
        }
        SourceEvent::Uncompiled { files } => {
            shell.warn(&format!(
                "{} changed but was not compiled: its date is older than the last build",
                named(files)
            ));
            let words: Vec<String> = files.iter().map(|file| word(file)).collect();
            shell.hint(&format!("`touch {}`", words.join(" ")));
        }
        SourceEvent::Untold {
            folder,
            filesystem,
            interval,
        } => shell.status(
            "Polling",
            &format!(
                "every {} ms: {filesystem} does not report all changes in `{}`",
                interval.as_millis(),
                folder.display()
            ),
        ),
    }
}

fn stopping(shell: &mut Shell, roles: usize, why: StopReason) {
    let why = match why {
        StopReason::Finished if !shell.tells(Verbosity::Verbose) => return,
        StopReason::Finished => "",
        StopReason::Interrupted => "; interrupt again to kill them",
        StopReason::FailFast => " after the first failure",
        StopReason::Broken => ", because an operational role failed",
    };
    shell.status("Stopping", &format!("{}{why}", count(roles, "role")));
}

fn ended(shell: &mut Shell, role: &RoleName, outcome: &RoleOutcome) {
    if outcome.cause == Cause::Killed {
        shell.warn(&format!(
            "role `{role}` did not stop in time and was killed"
        ));
    } else {
        let how = match (outcome.success(), outcome.fault()) {
            (Success::No, Some(fault)) => fault.to_string(),
            _ => outcome.result.name.clone(),
        };
        shell.status("Ended", &format!("{role}: {how}"));
    }
}

/// Use of the log context of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Show it on a terminal.
    OnTerminal,
    /// Always show it.
    Always,
    /// Never show it.
    Never,
}

/// Shows the last run.
pub fn reported(shell: &mut Shell, run: &RunReport, context: Context) {
    match shell.form() {
        Form::Human | Form::Rustc => tested(shell, run, context),
        Form::Json | Form::Messages => json::item(shell, run),
    }
}

/// Shows a test run: role lines and navigation lines as data, then log excerpts
/// or context, then the summary.
pub fn tested(shell: &mut Shell, run: &RunReport, context: Context) {
    if shell.form() == Form::Rustc {
        rows(shell, &run.roles);
        diagnostics::texts(shell, run);
        shell.flush();
        cut(shell, &run.roles);
    } else {
        found(shell, &run.roles, &run.failures);
    }
    let after_failures = shell.told();
    // For programs, the verdict contains the result.
    if let (Some(result), true) = (&run.result, shell.is_for_people()) {
        message(shell, result);
        shell.flush();
    }
    unfinished(shell, run);
    flaky(shell, run);
    if !run.interrupted || run.killed {
        reasons(shell, run, context);
    }
    slowest(shell, run);
    repeated(shell, run, shell.told() - after_failures);
    let text = summary(run);
    if run.killed {
        shell.bad_status("Killed", &text);
    } else if run.interrupted {
        shell.bad_status("Interrupted", &text);
    } else if run.is_pass() {
        shell.status("Passed", &text);
    } else {
        shell.bad_status("Failed", &text);
    }
}

/// Shows that nothing changed, with the last verdict.
pub fn unchanged(shell: &mut Shell, last: Option<&RunReport>) {
    let text = match last {
        None => "nothing to run".to_owned(),
        Some(run) => format!("{}: {}", standing(run), summary(run)),
    };
    shell.status("Unchanged", &text);
}

/// Shows that the last verdict is stale.
pub fn stale(shell: &mut Shell, last: Option<&RunReport>) {
    if let Some(run) = last {
        shell.bad_status("Stale", &format!("{}: {}", standing(run), summary(run)));
    }
}

fn standing(run: &RunReport) -> &'static str {
    if run.is_pass() { "passed" } else { "failed" }
}

/// Shows a verdict as data.
pub fn verdict(shell: &mut Shell, verdict: &Verdict) {
    found(shell, &verdict.roles, &verdict.failures);
}

fn found(shell: &mut Shell, roles: &[Row], failures: &[Failure]) {
    if shell.form() == Form::Human {
        rows(shell, roles);
        for failure in failures {
            shell.data(&failure.navigation());
        }
        shell.flush();
    }
    for failure in failures {
        let mut details = failure.details().peekable();
        if details.peek().is_some() {
            shell.status("Details", &format!("of {}", failure.place()));
            for line in details {
                shell.tell(&format!("             {line}"));
            }
        }
    }
    cut(shell, roles);
}

/// Shows the role lines.
fn rows(shell: &mut Shell, roles: &[Row]) {
    for row in roles {
        shell.data(&format!(
            "role \"{}\" (pass/fail): {}/{}",
            row.role, row.passed, row.failed
        ));
    }
}

/// Names the tests that did not run to their end.
fn unfinished(shell: &mut Shell, run: &RunReport) {
    for row in run.roles.iter().filter(|row| !row.unfinished.is_empty()) {
        let names = some_of(&row.unfinished);
        shell.odd_status("Unfinished", &format!("{}: {names}", row.role));
    }
    if run.killed {
        let names: Vec<String> = run.not_run().map(ToString::to_string).collect();
        if !names.is_empty() {
            shell.odd_status("Not run", &some_of(&names));
        }
    }
}

/// Warns that the last run was killed, and names what did not run.
pub fn killed(shell: &mut Shell, run: &RunReport) {
    if run.killed {
        shell.warn("the last run was killed before its end");
        unfinished(shell, run);
    }
}

/// Shows failed tries of flaky roles. They are not failures, so they go to
/// stderr and are indented.
fn flaky(shell: &mut Shell, run: &RunReport) {
    for row in run.flaky() {
        let text = format!("{}, passed in try {}", row.role, row.tries);
        shell.odd_status("Flaky", &text);
        let tries = run.failed_tries(&row.role);
        for failure in tries.flat_map(|it| &it.failures) {
            shell.tell(&format!("             {}", failure.navigation()));
        }
    }
}

fn cut(shell: &mut Shell, roles: &[Row]) {
    for row in roles.iter().filter(|row| row.cut > 0) {
        let failed = count(row.cut, "more failed check");
        shell.warn(&format!("{failed} of role `{}` not listed", row.role));
    }
}

/// Shows roles that failed while a command of `with` ran.
pub fn broken(shell: &mut Shell, verdict: &Verdict) {
    for failure in &verdict.failures {
        shell.bad_status("Broke", &failure.navigation());
    }
}

/// Shows the slowest roles.
fn slowest(shell: &mut Shell, run: &RunReport) {
    let rows = run.roles.iter();
    let mut rows: Vec<_> = rows
        .filter_map(|row| Some((row.elapsed?, &row.role)))
        .collect();
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let all = shell.tells(Verbosity::Verbose);
    if !all {
        rows.retain(|(elapsed, _)| *elapsed >= SLOW);
        rows.truncate(NAMES);
    }
    if run.roles.len() > 1 && !rows.is_empty() {
        let each = rows.iter();
        let each = each.map(|(elapsed, role)| format!("{role} {elapsed:.2}s"));
        shell.status("Slowest", &each.collect::<Vec<_>>().join(", "));
    }
}

/// Shows log lines that may explain failures: the context of each failure, or
/// excerpts of the roles involved.
fn reasons(shell: &mut Shell, run: &RunReport, context: Context) {
    let wanted = match context {
        Context::OnTerminal => shell.is_terminal(),
        Context::Always => true,
        Context::Never => false,
    };
    let has_context = run.failures.iter().any(|it| !it.context.is_empty());
    if !wanted || !has_context {
        for excerpt in &run.excerpts {
            self::excerpt(shell, excerpt);
        }
        return;
    }
    let mut shown: &[LogRecord] = &[];
    for failure in &run.failures {
        if failure.context.is_empty() || failure.context == shown {
            continue;
        }
        shown = &failure.context;
        shell.status("Context", &format!("of {}", failure.place()));
        if shell.tells(Verbosity::Normal) {
            said(shell, shown);
        }
    }
}

/// Shows log lines of several roles, each with its role.
fn said(shell: &mut Shell, said: &[LogRecord]) {
    let width = said.iter().map(|said| said.role.as_str().len()).max();
    let width = width.unwrap_or_default();
    for said in said {
        for line in said.text.lines() {
            let (role, line) = (said.role.as_str(), short(line));
            shell.tell(&format!("             {role:width$} | {line}"));
        }
    }
}

pub(super) fn excerpt(shell: &mut Shell, excerpt: &Excerpt) {
    let which = match excerpt.which {
        Which::Last => "its last lines",
        Which::Around => "around the failure",
    };
    shell.status("Log", &format!("of {}, {which}", excerpt.role));
    if shell.tells(Verbosity::Normal) {
        for line in &excerpt.lines {
            shell.tell(&format!("             {}", short(line)));
        }
    }
}

/// Returns a stored log line without its process id and date.
pub(super) fn short(line: &str) -> String {
    Line::parse(line).map_or_else(
        || line.to_owned(),
        |line| {
            let time = line
                .stamp
                .split_once('T')
                .map_or(line.stamp, |(_, time)| time);
            format!("{time} {} {}", line.tag.symbol(), line.text)
        },
    )
}

/// Returns the counts of a run in words, those of failures first.
pub fn summary(run: &RunReport) -> String {
    let checks = count(run.passed + run.failed, "check");
    let roles = count(run.roles.len(), "role");
    let failed = run.count(Standing::Failed);
    let mut parts = Vec::new();
    if run.is_pass() {
        parts.push(format!("{checks} in {roles}"));
    } else if run.failed > 0 {
        parts.push(format!("{} of {checks} in {failed} of {roles}", run.failed));
    } else {
        // No check has failed, so what has comes first.
        let others: BTreeSet<_> = run.failures.iter().map(|failure| &failure.role).collect();
        let is_other = |role: &&RoleName| !run.roles.iter().any(|row| row.role == **role);
        let others = others.into_iter().filter(is_other).count();
        if others > 0 {
            parts.push(count(others, "operational role"));
        }
    }
    for (standing, what) in [
        (Standing::Unreported, "without a report"),
        (Standing::NotRun, "not run"),
    ] {
        let roles = run.count(standing);
        if roles > 0 {
            parts.push(format!("{} {what}", count(roles, "role")));
        }
    }
    if !run.is_pass() && run.failed == 0 && run.passed > 0 {
        parts.push(format!("{} passed", count(run.passed, "check")));
    }
    let ignored: u64 = run.roles.iter().map(|row| row.ignored).sum();
    if ignored > 0 {
        parts.push(format!("{ignored} ignored"));
    }
    let flaky = run.flaky().count();
    if flaky > 0 {
        parts.push(format!("{} flaky", count(flaky, "role")));
    }
    parts.push(format!("{:.2}s", run.elapsed));
    parts.join(", ")
}

/// Shows a message as data.
pub fn message(shell: &mut Shell, message: &Typed) {
    if !shell.is_for_people() {
        return json::item(shell, Envelope::of(message));
    }
    // Encoding JSON values cannot fail.
    let text = serde_json::to_string_pretty(&Envelope::of(message)).unwrap_or_default();
    shell.json(&text);
}

/// Shows names as data, one per line.
pub fn names(shell: &mut Shell, names: &[RoleName]) {
    #[derive(Serialize)]
    struct Line<'a> {
        role: &'a RoleName,
    }

    for role in names {
        if shell.is_for_people() {
            shell.data(role.as_str());
        } else {
            json::item(shell, Line { role });
        }
    }
}

/// Names one role, or counts several.
pub fn roles(names: &[RoleName]) -> String {
    match names {
        [only] => format!("role `{only}`"),
        all => count(all.len(), "role"),
    }
}

/// Shows the outcome of `init`.
pub fn described(shell: &mut Shell, outcome: &init::Outcome) {
    for skipped in &outcome.skipped {
        shell.warn(&format!("skipped {skipped}"));
    }
    for proposed in &outcome.roles {
        let (role, runs) = (&proposed.role, runs(proposed));
        shell.status("Described", &format!("role `{role}`, which runs {runs}"));
    }
    for proposed in &outcome.programs {
        let (role, runs) = (&proposed.role, runs(proposed));
        let role = format!("role `{role}` in a comment, which runs {runs}");
        shell.status("Proposed", &role);
    }
    wrote(shell, &outcome.manifest);
    let is_test = |it: &Proposed| it.role.as_str().starts_with("test-");
    shell.hint(match &*outcome.roles {
        [] => "remove the `# ` before its roles, add what they need, then type `cargo ansar run`",
        roles if roles.iter().any(is_test) => "now type `cargo ansar test`",
        _ => "now type `cargo ansar run`",
    });
    for file in &outcome.importable {
        let file = word(file);
        shell.status("Found", &format!("`{file}`, which describes processes too"));
        shell.hint(&format!(
            "translate it with `cargo ansar init --from {file}`"
        ));
    }
}

/// Names what a proposed role runs.
fn runs(proposed: &Proposed) -> String {
    let target = &proposed.target;
    if proposed.is_integration_test {
        format!("the tests of `{target}`")
    } else {
        format!("`{target}`")
    }
}

/// Shows the outcome of `init --from`.
pub fn imported(shell: &mut Shell, outcome: &init::Imported) {
    for Described { role, runs } in &outcome.roles {
        shell.status(
            "Described",
            &format!("role `{role}`, which runs `{}`", escaped(runs)),
        );
    }
    wrote(shell, &outcome.manifest);
    if outcome.remarks > 0 {
        let parts = count(outcome.remarks, "part");
        let are = if outcome.remarks == 1 { "is" } else { "are" };
        let file = outcome.file.display();
        shell.warn(&format!(
            "{parts} of `{file}` {are} not translated; comments say why"
        ));
    }
}

fn wrote(shell: &mut Shell, manifest: &Path) {
    let manifest = manifest.display();
    shell.status(
        "Wrote",
        &format!("`[workspace.metadata.ansar]` in `{manifest}`"),
    );
}

/// Shows an error with its causes and its hint.
pub fn error(shell: &mut Shell, error: &dyn std::error::Error, hint: Option<&str>) {
    shell.flush();
    shell.error(&error.to_string());
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    for cause in causes {
        shell.tell(&format!("  caused by: {cause}"));
    }
    if let Some(hint) = hint {
        shell.hint(hint);
    }
}

pub(super) fn count(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = match number {
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{plural}")
}

fn some_roles(roles: &[RoleName]) -> String {
    let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
    some_of(&names)
}

fn some_of(names: &[String]) -> String {
    let mut text = names[..names.len().min(NAMES)].join(", ");
    if names.len() > NAMES {
        let _ = write!(text, " and {} more", names.len() - NAMES);
    }
    text
}
