//! The last run as one self-contained HTML page without scripts.
//!
//! `page.html` is the template. Every text of a run is untrusted; the template
//! escapes all values with [`text::Visible`].

#[cfg(test)]
mod tests;
pub mod text;
pub mod timeline;
pub mod trend;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use ansar_contract::test::TestReport;
use askama::Template;
use serde::Serialize;

use crate::events::{Kind, LogEvent, RoleEvent};
use crate::home::last_run::LastRun;
use crate::home::loops::Loop;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::run_report;
use crate::model::run_report::{Failure, LogRecord, RunReport, Standing, Which};
use crate::report::html::timeline::{Drawing, Timeline};
use crate::report::human::{count, short, summary};

/// Maximum number of log lines on a page.
const MOST_LINES: usize = 5000;

/// The page: a heading around the part.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'r> {
    command: &'r str,
    at: String,
    class: &'static str,
    verb: &'static str,
    summary: String,
    body: String,
}

/// The numbers and sections of a run.
#[derive(Template)]
#[template(path = "run.html")]
struct Body<'r> {
    numbers: [Number; 6],
    failures: Vec<Card<'r>>,
    flaky: Vec<Card<'r>>,
    roles: Vec<Row<'r>>,
    trend: Vec<trend::Bar>,
    timeline: Drawing,
    tests: Vec<Tests<'r>>,
    checks: Vec<Checks<'r>>,
    excerpts: Vec<Excerpt<'r>>,
    log: LogLines,
}

/// A number of the overview.
struct Number {
    name: &'static str,
    value: String,
    class: &'static str,
}

/// A failure. Its context is collapsed if the failure before has the same.
struct Card<'r> {
    failure: &'r Failure,
    role: String,
    details: Vec<Detail<'r>>,
    context: LogLines,
    is_repeated: bool,
}

/// A line of a failure's text after the first.
struct Detail<'r> {
    class: &'static str,
    text: &'r str,
}

/// Log lines of several roles, with the width of the longest role name.
struct LogLines {
    width: usize,
    lines: Vec<LogLine>,
}

struct LogLine {
    role: RoleName,
    text: String,
}

/// A test role in the table of roles.
struct Row<'r> {
    role: &'r RoleName,
    class: &'static str,
    standing: String,
    passed: u64,
    failed: u64,
    elapsed: String,
}

/// The tests of a role's target.
struct Tests<'r> {
    role: &'r RoleName,
    title: String,
    rows: Vec<TestRow<'r>>,
}

/// A test of a target. Its place is that of its failure, and its time is empty if
/// it is not known.
struct TestRow<'r> {
    class: &'static str,
    outcome: &'static str,
    name: &'r str,
    place: String,
    elapsed: String,
}

/// The stored checks of one try of a role.
struct Checks<'r> {
    role: &'r RoleName,
    title: String,
    report: TestReport,
}

/// The last lines of a log, or those around the failures.
struct Excerpt<'r> {
    role: &'r RoleName,
    title: &'static str,
    lines: Vec<String>,
}

/// A run as a part of another page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The outcome in one word.
    pub verb: &'static str,
    /// The class of the outcome.
    pub class: &'static str,
    /// The outcome in a few words.
    pub summary: String,
    /// The command, and the time of its end.
    pub about: String,
    /// Numbers and sections of the run, as markup.
    pub html: String,
}

/// Returns the page of a run, with the last loops of `watch`.
pub fn page(last: &LastRun, loops: &[Loop]) -> String {
    let run = &last.report;
    let (class, verb) = verdict(run);
    let page = Page {
        command: &run.command,
        at: ended(last),
        class,
        verb,
        summary: summary(run),
        body: body(last, loops),
    };
    // Rendering into a string fails only if a value cannot be displayed.
    page.render().unwrap_or_default()
}

/// Returns a run, with the last loops of `watch`, as a part of another page.
pub fn part(last: &LastRun, loops: &[Loop]) -> Part {
    let run = &last.report;
    let (class, verb) = verdict(run);
    Part {
        verb,
        class,
        summary: summary(run),
        about: format!("cargo ansar {}, {} UTC", run.command, ended(last)),
        html: body(last, loops),
    }
}

fn ended(last: &LastRun) -> String {
    last.at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn body(last: &LastRun, loops: &[Loop]) -> String {
    let run = &last.report;
    let body = Body {
        numbers: numbers(run),
        failures: cards(run.failures.iter().map(|it| (it, it.role.to_string()))),
        flaky: cards(flaky(run)),
        roles: run.roles.iter().map(row).collect(),
        trend: trend::bars(loops),
        timeline: Timeline::of(last).draw(),
        tests: run.roles.iter().filter_map(|row| tests(run, row)).collect(),
        checks: checks(last),
        excerpts: excerpts(run),
        log: log(last),
    };
    // Rendering into a string fails only if a value cannot be displayed.
    body.render().unwrap_or_default()
}

fn verdict(run: &RunReport) -> (&'static str, &'static str) {
    if run.killed {
        ("not-run", "Killed")
    } else if run.interrupted {
        ("not-run", "Interrupted")
    } else if run.is_pass() {
        ("passed", "Passed")
    } else {
        ("failed", "Failed")
    }
}

fn numbers(run: &RunReport) -> [Number; 6] {
    let silent = run.count(Standing::Unreported) + run.count(Standing::NotRun);
    [
        ("roles", run.roles.len().to_string(), ""),
        ("checks passed", run.passed.to_string(), "passed"),
        ("checks failed", run.failed.to_string(), "failed"),
        ("without a report", silent.to_string(), "unreported"),
        ("flaky", run.flaky().count().to_string(), "flaky"),
        ("took", format!("{:.2}s", run.elapsed), ""),
    ]
    .map(|(name, value, class)| Number {
        // A zero is not highlighted.
        class: if value == "0" { "role" } else { class },
        name,
        value,
    })
}

/// Returns the failed tries of flaky roles.
fn flaky(run: &RunReport) -> impl Iterator<Item = (&Failure, String)> {
    run.flaky().flat_map(|row| {
        run.failed_tries(&row.role).flat_map(|it| {
            let title = format!("{}, try {} of {}", row.role, it.nth, row.tries);
            it.failures.iter().map(move |it| (it, title.clone()))
        })
    })
}

fn cards<'r>(failures: impl Iterator<Item = (&'r Failure, String)>) -> Vec<Card<'r>> {
    let mut shown: &[LogRecord] = &[];
    failures
        .map(|(failure, role)| Card {
            failure,
            role,
            details: failure.details().map(detail).collect(),
            context: log_lines(failure.context.iter()),
            is_repeated: std::mem::replace(&mut shown, &failure.context) == failure.context,
        })
        .collect()
}

fn detail(text: &str) -> Detail<'_> {
    let class = match text.as_bytes().first() {
        Some(b'-') => "minus",
        Some(b'+') => "plus",
        _ => "same",
    };
    Detail { class, text }
}

fn log_lines<'l>(records: impl Iterator<Item = &'l LogRecord>) -> LogLines {
    let lines: Vec<LogLine> = records
        .flat_map(|record| {
            record.text.lines().map(|line| LogLine {
                role: record.role.clone(),
                text: short(line),
            })
        })
        .collect();
    let width = lines.iter().map(|line| line.role.as_str().len()).max();
    LogLines {
        width: width.unwrap_or_default() + 2,
        lines,
    }
}

fn row(row: &run_report::Row) -> Row<'_> {
    let class = if row.is_flaky() {
        "flaky"
    } else {
        class(row.standing)
    };
    let elapsed = row.elapsed.map(|elapsed| format!("{elapsed:.2}s"));
    Row {
        role: &row.role,
        class,
        standing: class.replace('-', " "),
        passed: row.passed,
        failed: row.failed,
        elapsed: elapsed.unwrap_or_default(),
    }
}

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Passed => "passed",
        Standing::Failed => "failed",
        Standing::Unreported => "unreported",
        Standing::NotRun => "not-run",
    }
}

/// Returns all tests of a role's target: those that failed, those that did not
/// finish, then the others; `None` if it has none.
fn tests<'r>(run: &'r RunReport, row: &'r run_report::Row) -> Option<Tests<'r>> {
    let failures = run.failures.iter().filter(|it| it.role == row.role);
    let places = failures.filter_map(|it| Some((it.test()?.as_str(), it.place())));
    let places: BTreeMap<&str, String> = places.collect();
    let finished = row.tests.iter().map(|test| TestRow {
        class: if test.passed { "passed" } else { "failed" },
        outcome: if test.passed { "passed" } else { "failed" },
        name: &test.name,
        place: places.get(test.name.as_str()).cloned().unwrap_or_default(),
        elapsed: test.elapsed.map(seconds).unwrap_or_default(),
    });
    let unfinished = row.unfinished.iter().map(|name| TestRow {
        class: "not-run",
        outcome: "unfinished",
        name,
        place: String::new(),
        elapsed: String::new(),
    });
    let mut rows: Vec<TestRow<'_>> = finished.chain(unfinished).collect();
    rows.sort_by_key(|test| ["failed", "not-run", "passed"].map(|it| it != test.class));
    let failed = row.tests.iter().filter(|test| !test.passed).count();
    let mut title = format!("{}, {failed} failed", count(rows.len(), "test"));
    for (number, what) in [
        (row.unfinished.len() as u64, "unfinished"),
        (row.ignored, "ignored"),
    ] {
        if number > 0 {
            let _ = write!(title, ", {number} {what}");
        }
    }
    (!rows.is_empty()).then_some(Tests {
        role: &row.role,
        title,
        rows,
    })
}

/// Formats the time of a test, which may be short.
fn seconds(elapsed: f64) -> String {
    if elapsed < 0.001 {
        "<1ms".to_owned()
    } else {
        Duration::try_from_secs_f64(elapsed)
            .map(|elapsed| ShortDuration(elapsed).to_string())
            .unwrap_or_default()
    }
}

/// Returns every stored check, by role. Those of test targets are listed as tests.
fn checks(last: &LastRun) -> Vec<Checks<'_>> {
    let mut tries = BTreeMap::new();
    let mut reports = Vec::new();
    for event in &last.events {
        if let Kind::Role(RoleEvent::Ended { role, outcome }) = &event.kind {
            let nth = tries.entry(role).or_insert(0);
            *nth += 1;
            let mut rows = last.report.roles.iter();
            if rows.any(|row| row.role == *role && !row.tests.is_empty()) {
                continue;
            }
            let report = outcome.report().filter(|it| !it.tested.is_empty());
            reports.extend(report.map(|report| (role, *nth, report)));
        }
    }
    reports.sort_by_key(|(role, nth, _)| (*role, *nth));
    let reports = reports.into_iter().map(|(role, nth, report)| {
        let all = count(report.passed + report.failed, "check");
        let title = format!("{all}, {} failed", report.failed);
        let has_tries = tries.get(role).is_some_and(|tries| *tries > 1);
        Checks {
            role,
            title: if has_tries {
                format!("try {nth}: {title}")
            } else {
                title
            },
            report,
        }
    });
    reports.collect()
}

impl Checks<'_> {
    /// Returns the number of checks without details, in words.
    fn more(&self) -> String {
        count(self.report.cut(), "more check")
    }
}

fn excerpts(run: &RunReport) -> Vec<Excerpt<'_>> {
    let excerpts = run.excerpts.iter().map(|excerpt| Excerpt {
        role: &excerpt.role,
        title: match excerpt.which {
            Which::Last => "its last lines",
            Which::Around => "around the failures",
        },
        lines: excerpt.lines.iter().map(|line| short(line)).collect(),
    });
    excerpts.collect()
}

/// Returns the log lines that the run showed.
fn log(last: &LastRun) -> LogLines {
    let records = last.events.iter().filter_map(|event| match &event.kind {
        Kind::Log(LogEvent::Line { role, text, .. }) => Some(LogRecord {
            role: role.clone(),
            text: text.clone(),
        }),
        _ => None,
    });
    let records: Vec<LogRecord> = records.take(MOST_LINES).collect();
    log_lines(records.iter())
}
