//! Comparison of the output shown in a document with the output of a command.
//!
//! `…` matches any text within a line, and alone on a line any lines. Any time,
//! duration, process id or size matches: both sides are normalised before they
//! are compared.

use std::sync::LazyLock;

use regex::Regex;

const ANY: &str = "…";

/// Patterns of text that differs from run to run, and their replacements.
static NORMAL: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
        (r"\[\d{8}\]", "[PID]"),
        (r"(<|process |client |server )\d{2,7}\b", "${1}PID"),
        (r"\b(\d+d)?(\d+h)?(\d+m)?\d+(\.\d+)?(s|ms)\b", "DURATION"),
        (r"\b\d+(\.\d+)? ([kKMG]i?)?B\b", "SIZE"),
        (r"\b\d+ bytes\b", "SIZE"),
        (r#"(127\.0\.0\.1:|"port": )\d{5}\b"#, "${1}PORT"),
        (
            r#""(pid|engine|uptime|cpu|memory|elapsed)": ?[0-9.]+"#,
            r#""$1":N"#,
        ),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
        (r"(\S) +", "$1 "),
    ]
    .map(|(pattern, by)| (Regex::new(pattern).expect("it is a pattern"), by))
    .into()
});

/// Replaces text that differs from run to run.
fn normal(line: &str) -> String {
    let line = line.trim_end().to_owned();
    NORMAL.iter().fold(line, |line, (pattern, by)| {
        pattern.replace_all(&line, *by).into_owned()
    })
}

/// Returns true if the printed lines match the lines that are shown.
pub(super) fn is_shown(shown: &[String], seen: &[&str]) -> bool {
    let shown: Vec<String> = shown.iter().map(|line| normal(line)).collect();
    let seen: Vec<String> = seen.iter().map(|line| normal(line)).collect();
    are_lines(&shown, &seen)
}

fn are_lines(shown: &[String], seen: &[String]) -> bool {
    match shown.split_first() {
        None => seen.is_empty(),
        Some((first, rest)) if first == ANY => {
            (0..=seen.len()).any(|skipped| are_lines(rest, &seen[skipped..]))
        }
        Some((first, rest)) => seen
            .split_first()
            .is_some_and(|(line, more)| is_line(first, line) && are_lines(rest, more)),
    }
}

/// Returns true if a printed line matches the line that is shown.
pub(super) fn is_line(shown: &str, seen: &str) -> bool {
    let (shown, seen) = (normal(shown), normal(seen));
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
fn variable_parts_of_lines_are_ignored() {
    let shown = |lines: &[&str], seen: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        is_shown(&lines, seen)
    };
    assert!(shown(&["  a", "…"], &["  a"]) && shown(&["  a", "…"], &["  a", "b", "c"]));
    assert!(!shown(&["  a", "…"], &[]) && !shown(&["a"], &["a", "b"]));
    assert!(is_line("[…] … ^ x", "[1] 2 ^ x") && is_line("a…", "a"));
    assert!(!is_line("[…] … ^ x", "[1] 2 ^ xy") && !is_line("a…a", "a"));
    assert!(is_line(
        "[00004711] 2026-11-22T10:00:01.400 ^ Running for 2m25.6s (process 7711)",
        "[00000001] 2023-04-06T01:52:17.317 ^ Running for 17ms (process 42)",
    ));
    assert!(!is_line(
        "Passed 3 checks in 1 role, 0.01s",
        "Passed 4 checks in 1 role, 0.01s"
    ));
    assert!(is_line("<4711> 1.5s  ready", "<17> 12.6s ready"));
}
