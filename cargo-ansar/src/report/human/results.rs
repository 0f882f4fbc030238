//! Text about a run: its results, its failures and the log lines around them.

use std::collections::BTreeSet;

use ansar_contract::line::Line;

use crate::model::name::RoleName;
use crate::model::run_report::{Excerpt, LogRecord, Row, RunReport, Standing, Which};
use crate::report::diagnostics;
use crate::report::human::{NAMES, count, failure_text, message, some_of};
use crate::report::json;
use crate::report::shell::{Form, Shell, Verbosity, size};
use crate::testing::verdict::Verdict;

/// Seconds from which on a role is listed as slow.
const SLOW: f64 = 1.0;

/// Number of failures that are repeated.
const REPEATED: usize = 10;

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
        found(shell, run);
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
    found(shell, &verdict.report);
}

fn found(shell: &mut Shell, run: &RunReport) {
    if shell.form() == Form::Human {
        rows(shell, &run.roles);
        for failure in &run.failures {
            shell.data(&failure.navigation());
        }
        shell.flush();
    }
    for failure in &run.failures {
        let mut details = failure.details().peekable();
        if details.peek().is_some() {
            shell.status("Details", &format!("of {}", failure.place()));
            for line in details {
                shell.tell(&format!("             {line}"));
            }
        }
    }
    cut(shell, &run.roles);
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
    for failure in &verdict.report.failures {
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

pub(in crate::report) fn excerpt(shell: &mut Shell, excerpt: &Excerpt) {
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
pub(in crate::report) fn short(line: &str) -> String {
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
