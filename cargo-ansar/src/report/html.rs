//! The last run as one self-contained HTML page without scripts. Every text of
//! a run is untrusted and must be escaped.

#[cfg(test)]
mod tests;
pub mod text;
pub mod timeline;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::events::Kind;
use crate::home::last_run::LastRun;
use crate::model::run_report::{Failure, LogRecord, RunReport, Standing, Which};
use crate::report::html::text::escaped;
use crate::report::html::timeline::Timeline;
use crate::report::human::{count, short, summary};

const STYLE: &str = include_str!("html/page.css");
/// Maximum number of log lines on a page.
const MOST_LINES: usize = 5000;

/// Returns the page of a run.
pub fn page(last: &LastRun) -> String {
    let run = &last.report;
    let (class, verb) = verdict(run);
    let title = format!("{verb}: cargo ansar {}", run.command);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <p class=\"role\">cargo ansar {}, {} UTC</p>\n\
         <h1><span class=\"badge {class}\">{verb}</span> <span>{}</span></h1>\n",
        escaped(&title),
        escaped(&run.command),
        last.at.strftime("%Y-%m-%d %H:%M:%S"),
        escaped(&summary(run)),
    );
    numbers(&mut page, run);
    page.push_str("</header>\n<main>\n");
    failures(&mut page, run);
    flaky(&mut page, run);
    roles(&mut page, run);
    Timeline::of(last).draw(&mut page);
    checks(&mut page, last);
    logs(&mut page, last);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn verdict(run: &RunReport) -> (&'static str, &'static str) {
    if run.interrupted {
        ("not-run", "Interrupted")
    } else if run.is_pass() {
        ("passed", "Passed")
    } else {
        ("failed", "Failed")
    }
}

/// Appends an overview of counts.
fn numbers(page: &mut String, run: &RunReport) {
    let elapsed = format!("{:.2}s", run.elapsed);
    let silent = run.count(Standing::Unreported) + run.count(Standing::NotRun);
    page.push_str("<dl class=\"numbers\">");
    for (what, number, class) in [
        ("roles", run.roles.len().to_string(), ""),
        ("checks passed", run.passed.to_string(), "passed"),
        ("checks failed", run.failed.to_string(), "failed"),
        ("without a report", silent.to_string(), "unreported"),
        ("flaky", run.flaky().count().to_string(), "flaky"),
        ("took", elapsed, ""),
    ] {
        // A zero is not highlighted.
        let class = if number == "0" { "role" } else { class };
        let _ = write!(
            page,
            "<div><dd class=\"{class}\">{number}</dd><dt>{what}</dt></div>"
        );
    }
    page.push_str("</dl>\n");
}

fn failures(page: &mut String, run: &RunReport) {
    if run.failures.is_empty() {
        return;
    }
    page.push_str("<section id=\"failures\">\n<h2>Failures</h2>\n");
    let mut shown: &[LogRecord] = &[];
    for failure in &run.failures {
        let again = shown == failure.context;
        self::failure(page, "failure", failure, failure.role.as_str(), again);
        shown = &failure.context;
    }
    page.push_str("</section>\n");
}

/// Appends failed tries of flaky roles.
fn flaky(page: &mut String, run: &RunReport) {
    let mut rows = run.flaky().peekable();
    if rows.peek().is_none() {
        return;
    }
    page.push_str("<section id=\"flaky\">\n<h2>Flaky</h2>\n");
    let mut shown: &[LogRecord] = &[];
    for row in rows {
        for it in run.failed_tries(&row.role) {
            let which = format!("{}, try {} of {}", row.role, it.nth, row.tries);
            for failure in &it.failures {
                let again = shown == failure.context;
                self::failure(page, "flake", failure, &which, again);
                shown = &failure.context;
            }
        }
    }
    page.push_str("</section>\n");
}

/// Appends a failure. Its context is collapsed if the previous failure has the
/// same (`again`).
fn failure(page: &mut String, class: &str, failure: &Failure, role: &str, again: bool) {
    let _ = write!(
        page,
        "<article class=\"card {class}\">\n<h3>{}</h3>\n\
         <div><code class=\"place\">{}</code> <span class=\"role\">{}</span></div>\n",
        escaped(failure.headline()),
        escaped(&failure.place()),
        escaped(role),
    );
    let mut details = failure.details().peekable();
    if details.peek().is_some() {
        page.push_str("<pre class=\"details\">");
        for line in details {
            let class = match line.as_bytes().first() {
                Some(b'-') => "minus",
                Some(b'+') => "plus",
                _ => "same",
            };
            let _ = writeln!(page, "<span class=\"{class}\">{}</span>", escaped(line));
        }
        page.push_str("</pre>\n");
    }
    if !failure.context.is_empty() {
        let open = if again { "" } else { " open" };
        let _ = writeln!(
            page,
            "<details{open}>\n<summary>Log lines of all roles around it</summary>"
        );
        said(page, &failure.context);
        page.push_str("</details>\n");
    }
    page.push_str("</article>\n");
}

/// Appends log lines of several roles, each with its role.
fn said(page: &mut String, said: &[LogRecord]) {
    let width = said.iter().map(|said| said.role.as_str().len()).max();
    let width = width.unwrap_or_default() + 2;
    let _ = write!(
        page,
        "<pre class=\"said context\" style=\"--names: {width}ch\">"
    );
    for said in said {
        for line in said.text.lines() {
            let (role, line) = (escaped(said.role.as_str()), short(line));
            let _ = writeln!(page, "<b>{role}</b>{}", escaped(&line));
        }
    }
    page.push_str("</pre>\n");
}

fn roles(page: &mut String, run: &RunReport) {
    page.push_str(
        "<section id=\"roles\">\n<h2>Test roles</h2>\n<div class=\"card scroll\"><table>\n\
         <tr><th>Role</th><th></th><th class=\"number\">Passed</th>\
         <th class=\"number\">Failed</th><th class=\"number\">Time</th></tr>\n",
    );
    for row in &run.roles {
        let class = if row.is_flaky() {
            "flaky"
        } else {
            class(row.standing)
        };
        let standing = class.replace('-', " ");
        let elapsed = row.elapsed.map(|elapsed| format!("{elapsed:.2}s"));
        let _ = writeln!(
            page,
            "<tr><td class=\"mono\">{}</td><td><span class=\"badge {class}\">{standing}</span></td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td></tr>",
            escaped(row.role.as_str()),
            row.passed,
            row.failed,
            elapsed.unwrap_or_default(),
        );
    }
    page.push_str("</table></div>\n</section>\n");
}

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Passed => "passed",
        Standing::Failed => "failed",
        Standing::Unreported => "unreported",
        Standing::NotRun => "not-run",
    }
}

/// Appends every stored check, by role.
fn checks(page: &mut String, last: &LastRun) {
    let mut tries = BTreeMap::new();
    let mut reports = Vec::new();
    for event in &last.events {
        if let Kind::Ended { role, outcome } = &event.kind {
            let nth = tries.entry(role).or_insert(0);
            *nth += 1;
            let report = outcome.report().filter(|it| !it.tested.is_empty());
            reports.extend(report.map(|report| (role, *nth, report)));
        }
    }
    if reports.is_empty() {
        return;
    }
    reports.sort_by_key(|(role, nth, _)| (*role, *nth));
    page.push_str("<section id=\"checks\">\n<h2>Checks</h2>\n");
    for (role, nth, report) in reports {
        let which = if tries.get(role).is_some_and(|tries| *tries > 1) {
            format!("try {nth}: ")
        } else {
            String::new()
        };
        let _ = write!(
            page,
            "<details class=\"card\"{}>\n<summary><span class=\"mono\">{}</span> \
             <span class=\"role\">{which}{}, {} failed</span></summary>\n\
             <div class=\"scroll\"><table>\n",
            if report.failed > 0 { " open" } else { "" },
            escaped(role.as_str()),
            count(report.passed + report.failed, "check"),
            report.failed,
        );
        for check in &report.tested {
            let class = if check.condition { "passed" } else { "failed" };
            let _ = writeln!(
                page,
                "<tr><td class=\"{class}\">{class}</td><td class=\"mono\">{}:{}{}</td><td>{}</td></tr>",
                escaped(&check.source),
                check.line,
                check.column.map(|it| format!(":{it}")).unwrap_or_default(),
                escaped(&check.text),
            );
        }
        if report.cut() > 0 {
            let more = count(report.cut(), "more check");
            let _ = writeln!(page, "<tr><td></td><td></td><td>{more} not kept</td></tr>");
        }
        page.push_str("</table></div>\n</details>\n");
    }
    page.push_str("</section>\n");
}

/// Appends the stored log lines.
fn logs(page: &mut String, last: &LastRun) {
    let lines = last.events.iter().filter_map(|event| match &event.kind {
        Kind::Line { role, text, .. } => Some(LogRecord {
            role: role.clone(),
            text: text.clone(),
        }),
        _ => None,
    });
    let lines: Vec<LogRecord> = lines.take(MOST_LINES).collect();
    let excerpts = &last.report.excerpts;
    if lines.is_empty() && excerpts.is_empty() {
        return;
    }
    page.push_str("<section id=\"logs\">\n<h2>Logs</h2>\n");
    for excerpt in excerpts {
        let which = match excerpt.which {
            Which::Last => "its last lines",
            Which::Around => "around the failures",
        };
        let _ = write!(
            page,
            "<details class=\"card\">\n<summary><span class=\"mono\">{}</span> \
             <span class=\"role\">{which}</span></summary>\n<pre>",
            escaped(excerpt.role.as_str()),
        );
        for line in &excerpt.lines {
            let _ = writeln!(page, "{}", escaped(&short(line)));
        }
        page.push_str("</pre>\n</details>\n");
    }
    if !lines.is_empty() {
        page.push_str(
            "<details class=\"card\">\n<summary>Shown log lines of all roles</summary>\n",
        );
        said(page, &lines);
        page.push_str("</details>\n");
    }
    page.push_str("</section>\n");
}
