//! Every way in which a test can end has its verdict, place and reason.

use std::collections::BTreeMap;

use tests::Output;

use super::Package;
use crate::test::formats::junit::checked;

const ROLES: &str = "[test-kinds]\ntest = \"kinds\"\ntest-timeout = \"3s\"\n";
const KINDS: &str = "tests/kinds.rs";
const COMMON: &str = "tests/common/mod.rs";

/// The failures: name, file, text of the line, and reason.
const FAILURES: [(&str, &str, &str, &str); 18] = [
    ("aborts", KINDS, "fn aborts()", "killed by SIGABRT"),
    ("asserts", KINDS, "assert!(1 + 1", "sums: x.rs:9:9"),
    (
        "differs",
        KINDS,
        "lines(\"five\")",
        "assertion `left == right` failed: left (-) and right (+) differ:",
    ),
    (
        "differs_shortly",
        KINDS,
        "assert_eq!(200, 409)",
        "assertion `left == right` failed, left: 200, right: 409",
    ),
    (
        "exits_with_a_code",
        KINDS,
        "fn exits_with_a_code()",
        "exited with code 3 before the test finished",
    ),
    (
        "exits_with_success",
        KINDS,
        "fn exits_with_success()",
        "exited with code 0 before the test finished",
    ),
    (
        "fails_in_a_helper",
        COMMON,
        "panic!(\"in a helper\")",
        "in a helper",
    ),
    (
        "fails_in_a_thread",
        KINDS,
        "panic!(\"in a thread\")",
        "in a thread",
    ),
    (
        "fails_in_a_tracked_helper",
        KINDS,
        "common::tracked()",
        "in the caller",
    ),
    ("fails_once", KINDS, "assert!(!is_first", "the first time"),
    ("is_killed", KINDS, "fn is_killed()", "killed by SIGKILL"),
    ("never_ends", KINDS, "fn never_ends()", "timed out after 3s"),
    ("overflows", KINDS, "fn overflows()", "stack overflow"),
    (
        "panics::other",
        KINDS,
        "panic!(\"that\")",
        "panic did not contain expected string",
    ),
    (
        "panics::wrong",
        KINDS,
        "fn wrong()",
        "test did not panic as expected",
    ),
    (
        "prints_a_megabyte",
        KINDS,
        "panic!(\"after a megabyte\")",
        "after a megabyte",
    ),
    (
        "returns_a_code",
        KINDS,
        "fn returns_a_code()",
        "returned an exit code other than 0",
    ),
    (
        "returns_an_error",
        KINDS,
        "fn returns_an_error()",
        "\"no luck\"",
    ),
];

const PASSED: [&str; 3] = ["leaves_a_process", "panics::right", "passes"];

fn kinds(roles: &str) -> Package {
    let package = Package::of(roles);
    package.write(KINDS, include_str!("fixture/kinds.rs"));
    package.write(COMMON, include_str!("fixture/common.rs"));
    package
}

#[test]
fn each_failure_has_its_line_and_reason_in_every_form() {
    let package = kinds(ROLES);
    let run = package.runs("test --message-format json --junit junit.xml");
    run.code(100);
    let messages = run.json_lines();
    let diagnostics = messages
        .iter()
        .filter(|it| it["reason"] == "compiler-message");
    let diagnostics: BTreeMap<String, String> = diagnostics
        .map(|it| {
            let span = &it["message"]["spans"][0];
            let place = format!(
                "{}:{}",
                span["file_name"].as_str().expect("it has a file"),
                span["line_start"]
            );
            let text = it["message"]["message"].as_str().expect("it has a text");
            (text.to_owned(), place)
        })
        .collect();
    let junit = package.read("junit.xml");
    let file = checked(&junit);
    assert_eq!(
        (file.tests, file.failures, file.errors),
        (21, 18, 0),
        "{junit}"
    );
    package.runs("report --html page.html").success();
    let page = package.read("page.html");
    let report = package.runs("report --context=never");
    assert_eq!(diagnostics.len(), FAILURES.len(), "{diagnostics:#?}");
    for (name, file, line, reason) in FAILURES {
        let place = package.place(file, line);
        let text = format!("{name}: {reason}");
        report.stdout_has(&format!("{place} - {text}\n"));
        let message = format!("test-kinds: {text}");
        let found = diagnostics.iter().find(|(it, _)| it.starts_with(&message));
        let (_, found) = found.unwrap_or_else(|| panic!("no `{text}` in {diagnostics:#?}"));
        assert!(
            found.ends_with(&place) || place.ends_with(found),
            "{found}, not {place}"
        );
        let (case, escaped) = (format!("name=\"{name}\""), text.replace('"', "&quot;"));
        assert!(
            junit.contains(&case) && junit.contains(&place),
            "{case} in {junit}"
        );
        assert!(junit.contains(&escaped), "{escaped} in {junit}");
        assert!(
            page.contains(name) && page.contains(&place),
            "{name}: {place} in {page}"
        );
    }
    report.stdout_has("role \"test-kinds\" (pass/fail): 3/18\n");
    report.stderr_has("1 ignored");
    for name in PASSED {
        assert!(
            junit.contains(&format!("name=\"{name}\"")),
            "{name} in {junit}"
        );
        let row = format!("<td class=\"passed\">passed</td><td class=\"mono\">{name}</td>");
        assert!(page.contains(&row), "{row} in {page}");
    }
    package.is_still();
}

/// Returns the number of log lines that tell a result.
fn results(run: &Output, result: &str) -> usize {
    let lines = run.stderr.lines();
    lines
        .filter(|line| line.starts_with('[') && line.contains(result))
        .count()
}

#[test]
fn a_retry_repeats_failed_tests_only() {
    let filter = "filter = [\"fails_once\", \"passes\", \"asserts\"]\n";
    let package = kinds(&format!("{ROLES}{filter}"));
    let run = package.runs("test --retries 1 --debug-level TRACE");
    run.code(100);
    run.stdout_has("role \"test-kinds\" (pass/fail): 2/1\n");
    assert_eq!(results(&run, "passes passed"), 1, "{run:?}");
    assert_eq!(results(&run, "asserts failed"), 2, "{run:?}");
    assert_eq!(results(&run, "fails_once passed"), 1, "{run:?}");
    // The next run begins with the failed test.
    let run = package.runs("test --debug-level TRACE -j 1");
    let lines = run.stderr.lines();
    let mut results = lines.filter(|line| line.starts_with('[') && line.contains(" after "));
    let first = results.next();
    assert!(
        first.is_some_and(|line| line.contains("asserts failed")),
        "{run:?}"
    );
    let run = package.runs("test --failed");
    run.stdout_has("role \"test-kinds\" (pass/fail): 0/1\n");
}

#[test]
fn what_a_failed_test_printed_is_its_context() {
    let package = kinds(&format!("{ROLES}filter = [\"aborts\"]\n"));
    let run = package.runs("test --context=always");
    run.code(100).stderr_has("about to abort");
}
