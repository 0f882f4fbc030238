//! The HTML page of a run, as a browser renders it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tests::Browser;

use crate::test::results::record;
use crate::test::{CLIENT, CLIENT_RS, Group, SERVER};

/// Runs tests with every kind of result.
fn run() -> Group {
    let group = Group::of(&[
        SERVER,
        CLIENT,
        r#"test-differs = { executable = "talks", input = "difference" }"#,
        r#"test-error = { executable = "talks", input = "error" }"#,
        r#"test-flaky = { executable = "talks", input = "flaky" }"#,
        r#"test-steady = { executable = "prints" }"#,
    ]);
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    group.test(["--retries=1"]).run().code(100);
    group
}

#[test]
fn the_page_is_self_contained() {
    let group = run();
    let written = group.ansar(["report", "--html", "made/page.html"]).run();
    written.success().stdout_is("").stderr_has("Wrote");
    let file = group.path().join("made/page.html");
    let Some(seen) = dom(&group, &file) else {
        return;
    };
    let seen = Page(&seen);

    let events = record(&group);
    let verdict = events.last().expect("there is one");
    for row in verdict["roles"].as_array().unwrap() {
        seen.has(&format!(
            "<td class=\"mono\">{}</td>",
            row["role"].as_str().unwrap()
        ));
    }
    seen.has("<span class=\"badge flaky\">flaky</span>");
    let failures = verdict["failures"].as_array().unwrap();
    assert!(failures.len() >= 3, "{failures:?}");
    let tries = verdict["tries"].as_array().unwrap().iter();
    let flaky = tries.filter(|it| it["role"] == "test-flaky");
    let flakes = flaky.flat_map(|it| it["failures"].as_array().unwrap());
    for failure in failures.iter().chain(flakes) {
        let text = |name: &str| failure[name].as_str().unwrap();
        let column = failure["column"].as_u64();
        let column = column
            .map(|column| format!(":{column}"))
            .unwrap_or_default();
        let place = format!("{}:{}{column}", text("file"), failure["line"]);
        seen.has(&format!("<code class=\"place\">{place}</code>"));
        for line in text("text").lines() {
            seen.has(&escaped(line));
        }
        let context = failure["context"].as_array().expect("it has a context");
        assert!(!context.is_empty(), "{failure}");
        for said in context {
            let line = said["text"].as_str().unwrap().lines().next().unwrap();
            let (_, line) = line.split_once('T').expect("it has a time");
            seen.has(&format!(
                "<b>{}</b>{}",
                said["role"].as_str().unwrap(),
                escaped(line)
            ));
        }
    }
    assert_eq!(seen.timeline(), told(&events));
}

/// Escapes a text as a browser does in the content of an element.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// The document that a browser has built from a page.
struct Page<'p>(&'p str);

/// A segment of a timeline: role, state, and its begin and end in milliseconds.
type Part = (String, String, i64, i64);

impl Page<'_> {
    #[track_caller]
    fn has(&self, text: &str) {
        assert!(self.0.contains(text), "`{text}` in {}", self.0);
    }

    /// Returns every segment of every line.
    fn timeline(&self) -> BTreeSet<Part> {
        let (_, timeline) = self
            .0
            .split_once("<section id=\"timeline\">")
            .expect("there is one");
        let (timeline, _) = timeline.split_once("</section>").expect("it ends");
        let mut parts = BTreeSet::new();
        for line in timeline.split("<div class=\"row\">").skip(1) {
            let (line, _) = line.split_once("</div>").expect("it ends");
            let name = between(line, " title=\"", "\"");
            for part in line.split("<rect ").skip(1) {
                let number = |name: &str| between(part, &format!(" {name}=\""), "\"").parse();
                parts.insert((
                    name.to_owned(),
                    between(part, "class=\"", "\"").to_owned(),
                    number("data-from").unwrap(),
                    number("data-to").unwrap(),
                ));
            }
        }
        parts
    }
}

#[track_caller]
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("`{before}` in {text}"));
    rest.split_once(after).expect("it ends").0
}

/// Returns the timeline that the events describe.
fn told(events: &[Value]) -> BTreeSet<Part> {
    let at = |event: &Value| -> i64 {
        let at: jiff::Timestamp = event["at"].as_str().unwrap().parse().unwrap();
        at.as_millisecond()
    };
    let begun = events.iter().map(at).min().unwrap();
    let end = events.iter().map(at).max().unwrap() - begun;
    let mut parts = BTreeSet::new();
    let phases = [
        ("building", "build"),
        ("built", "deploy"),
        ("testing", "tests"),
        ("stopping", "stop"),
    ];
    let phases: Vec<(i64, &str)> = events
        .iter()
        .filter_map(|event| {
            let (_, name) = phases.iter().find(|(name, _)| event["event"] == *name)?;
            Some((at(event) - begun, *name))
        })
        .collect();
    for (nth, (from, name)) in phases.iter().enumerate() {
        let to = phases.get(nth + 1).map_or(end, |(to, _)| *to);
        parts.insert(((*name).to_owned(), (*name).to_owned(), *from, to));
    }
    let roles: BTreeSet<&str> = events.iter().filter_map(|it| it["role"].as_str()).collect();
    for role in roles {
        let mut doing: Option<(&str, i64)> = None;
        for event in events {
            let next = match event["event"].as_str().unwrap() {
                "stopping" => doing.map(|_| "stop"),
                _ if event["role"] != role => continue,
                "started" => Some("start"),
                "ready" => doing.map(|_| "run"),
                "ended" => None,
                _ => continue,
            };
            let now = at(event) - begun;
            // A role that exits at the moment of its stop was not stopping.
            if let Some((what, since)) =
                doing.filter(|(what, since)| now > *since || *what != "stop")
            {
                parts.insert((role.to_owned(), what.to_owned(), since, now));
            }
            doing = next.map(|what| (what, now));
        }
    }
    parts
}

/// Returns a page as a browser renders it; `None` if there is no browser.
fn dom(group: &Group, page: &Path) -> Option<String> {
    let mut browser = Browser::start(group)?;
    browser.open(&format!("file://{}", page.display()));
    let dom = browser.evaluate("document.documentElement.outerHTML");
    dom.as_str().map(str::to_owned)
}
