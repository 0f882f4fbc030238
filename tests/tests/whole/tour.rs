//! The tour, as it is written: every command of it is typed, in order, and
//! what is seen is compared with what it says.

use std::fs;

use tests::{Workspace, loopback, repository};

/// A command of the tour, and what it is said to show.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    shows: Vec<String>,
}

/// The steps in the console blocks of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(page.lines()) {
        if text.starts_with("```") {
            inside = text == "```console";
        } else if let Some(command) = text.strip_prefix("$ ").filter(|_| inside) {
            steps.push(Step {
                line,
                command: command.to_owned(),
                shows: Vec::new(),
            });
        } else if let Some(step) = steps.last_mut().filter(|_| inside) {
            step.shows.push(text.to_owned());
        }
    }
    steps
}

/// What stands for any text in a line, and alone for any lines.
const ANY: &str = "…";

/// Whether `seen` is what `shown` says.
fn is_shown(shown: &[String], seen: &[&str]) -> bool {
    match shown.split_first() {
        None => seen.is_empty(),
        Some((first, rest)) if first == ANY => {
            (0..=seen.len()).any(|skipped| is_shown(rest, &seen[skipped..]))
        }
        Some((first, rest)) => seen
            .split_first()
            .is_some_and(|(line, more)| is_line(first, line) && is_shown(rest, more)),
    }
}

fn is_line(shown: &str, seen: &str) -> bool {
    let mut parts = shown.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = seen.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn a_page_is_compared_line_by_line() {
    let page = "$ no\n```console\n$ one\n  a\n…\n$ two\n```\n```\n$ no\n```\n";
    let found = steps(page);
    let commands: Vec<_> = found
        .iter()
        .map(|step| (step.line, &*step.command))
        .collect();
    assert_eq!(commands, [(3, "one"), (6, "two")]);
    let shown = |seen: &[&str]| is_shown(&found[0].shows, seen);
    assert!(shown(&["  a"]) && shown(&["  a", "b", "c"]));
    assert!(!shown(&[]) && !shown(&["a"]));
    assert!(is_line("[…] … ^ x", "[1] 2 ^ x") && is_line("a…", "a"));
    assert!(!is_line("[…] … ^ x", "[1] 2 ^ xy") && !is_line("a…a", "a"));
}

#[test]
fn what_the_tour_says_is_what_is_seen() {
    let workspace = Workspace::new();
    // Tests run side by side, and the tour has one address.
    let host = loopback().to_string();
    let page = fs::read_to_string(repository().join("TOUR.md"));
    let page = page.expect("there is a tour").replace("127.0.0.1", &host);
    let manifest = fs::read_to_string(repository().join("Cargo.toml"));
    let manifest = manifest.expect("there is a manifest");
    let described = manifest.find("[workspace.metadata.ansar]");
    let described = &manifest[described.expect("it describes the demonstration")..];
    workspace.manifest(&described.replace("127.0.0.1", &host));
    let steps = steps(&page);
    assert!(steps.len() > 20, "there is a tour");
    let mut in_background = false;
    for step in steps {
        let script = format!("exec 2>&1; {}", step.command);
        let output = workspace.shell(&script).run();
        let seen: Vec<&str> = output.stdout.lines().collect();
        assert!(
            is_shown(&step.shows, &seen),
            "TOUR.md:{} - `{}` shows\n{}\nexpected\n{}",
            step.line,
            step.command,
            output.stdout,
            step.shows.join("\n")
        );
        // From `start` to the last `stop` something is to run.
        in_background |= step.command.contains("ansar start");
        in_background &= !step.command.contains("-f stop");
        if !in_background {
            workspace.is_still();
        }
    }
}
