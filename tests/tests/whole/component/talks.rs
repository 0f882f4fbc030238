//! Messages and logs of a component, one topic of the fixture `talks` each.

use serde_json::json;
use tests::{Output, Program, Sandbox, Signal, repository};

use super::{ABORTED, FAULTED, Home, REPORT};

const SOURCE: &str = "test-fixtures/src/bin/talks.rs";

fn about<'s>(sandbox: &'s Sandbox, topic: &str) -> Program<'s> {
    let input = json!({"value": topic}).to_string();
    let talks = sandbox.component("talks").arg("--call-signature=io");
    talks.stdin(&input).arg("--debug-level=DEBUG")
}

/// Returns the log lines without process, time and lines of the runtime.
fn said(output: &Output) -> Vec<&str> {
    let lines = output.stderr.lines();
    let texts = lines.filter_map(|line| line.get("[00438217] 2023-04-06T01:52:17.317 ".len()..));
    let texts = texts.skip_while(|text| !text.contains("Talking of"));
    texts.skip(1).collect()
}

#[test]
fn children_have_their_own_state() {
    let sandbox = Sandbox::new();
    let output = about(&sandbox, "children").run();
    output.success().returned(REPORT);
    assert_eq!(
        said(&output)[..8],
        [
            "+ <0000000a>child - Created by <00000009>",
            "^ <0000000a>child[SPEAKING] - first line",
            "| <0000000a>child[SPEAKING] - second line",
            "+ <0000000b>grandchild - Created by <0000000a>",
            "_ <0000000b>grandchild - as well",
            "X <0000000b>grandchild - Destroyed",
            "X <0000000a>child[SPEAKING] - Destroyed",
            "X <00000009>talks - Destroyed",
        ]
    );
}

#[test]
fn tracing_events_are_log_lines() {
    let sandbox = Sandbox::new();
    let output = about(&sandbox, "events").run();
    output.success();
    for (tag, text) in [
        ("!", "talks: an error"),
        ("?", "talks: a warning count=3"),
        ("^", "talks: an info"),
        ("~", "talks: a debug"),
        ("_", "elsewhere: a trace"),
    ] {
        let line = output.log(text);
        assert_eq!(line.len(), 1, "{text} in {line:?}");
        assert!(line[0].contains(&format!(" {tag} <")), "{}", line[0]);
    }
}

#[test]
fn a_subscriber_of_the_component_gets_the_events() {
    let sandbox = Sandbox::new();
    let output = about(&sandbox, "subscriber").run();
    output.success().stderr_has("talks: before");
    for text in ["after", "of a thread"] {
        assert_eq!(output.log(&format!("talks: {text}")).len(), 0, "{text}");
        let own = output.stderr.lines();
        let own = own.filter(|line| line.starts_with("own subscriber:") && line.contains(text));
        assert_eq!(own.count(), 1, "{text} in {}", output.stderr);
    }
}

#[test]
fn events_of_libraries_are_logged_from_info() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let talks = home.role("talks", "talks-0").arg("--call-signature=io");
    let output = talks.stdin(r#"{"value": "events"}"#).run();
    output.success().stderr_has("talks: a debug");
    output.stderr_lacks("elsewhere: a trace");
}

#[test]
fn a_component_that_does_not_ask_is_dropped() {
    let sandbox = Sandbox::new();
    let talks = about(&sandbox, "deaf").start();
    talks.wait_for("Talking of Deaf");
    talks.signal(Signal::SIGINT);
    let output = talks.wait();
    output.code(130).returned(ABORTED);
    output.stderr_has("Dropped, as it does not check for Stop");
}

#[test]
fn log_level_and_rust_log_filter_events() {
    let sandbox = Sandbox::new();
    let quiet = about(&sandbox, "events").arg("--debug-level=WARNING").run();
    quiet
        .success()
        .stderr_has("a warning")
        .stderr_lacks("an info");
    let filtered = about(&sandbox, "events").env("RUST_LOG", "warn,elsewhere=trace");
    let filtered = filtered.run();
    filtered
        .success()
        .stderr_has("a warning")
        .stderr_lacks("an info")
        .stderr_has("a trace");
    let nonsense = about(&sandbox, "events").env("RUST_LOG", "talks=loud");
    nonsense.run().success().stderr_has("an info");
}

#[test]
fn a_panic_in_a_task_is_logged() {
    let sandbox = Sandbox::new();
    let output = about(&sandbox, "task").run();
    let report = output.success().returned(REPORT);
    assert_eq!(report["passed"], 1);
    let log = output.log("panicked: this task panics");
    assert!(
        log[0].contains(" ! <") && log[0].contains(SOURCE),
        "{log:?}"
    );
}

#[test]
fn a_thread_that_blocks_hears_stop() {
    let sandbox = Sandbox::new();
    let talks = about(&sandbox, "thread").start();
    talks.wait_for("Blocking");
    talks.signal(Signal::SIGINT);
    let output = talks.wait();
    output.code(130).stderr_has("Heard Stop").returned(ABORTED);
}

#[test]
fn texts_that_differ_are_shown_as_a_difference() {
    let sandbox = Sandbox::new();
    let output = about(&sandbox, "difference").run();
    let report = output.success().returned(REPORT);
    assert_eq!(report["failed"], 1);
    let text = report["tested"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("\n- 2\n+ two\n"), "{text}");
    let log = output.log(" = ");
    let place = format!("(talks.rs:{})", report["tested"][0]["line"]);
    assert!(log[0].ends_with(&place), "{log:?}");
    assert_eq!(output.log(" | <00000009>talks - - 2").len(), 1);
}

#[test]
fn many_checks_keep_counts_and_failures() {
    let sandbox = Sandbox::new();
    let output = about(&sandbox, "many").run();
    let report = output.success().returned(REPORT);
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(200), &json!(100))
    );
    let kept = report["tested"].as_array().expect("checks are a list");
    assert_eq!(kept.len(), 255);
    let failed = kept.iter().filter(|check| check["condition"] == false);
    assert_eq!(failed.count(), 100);
}

#[test]
fn an_error_faults_at_its_question_mark() {
    let sandbox = Sandbox::new();
    let output = about(&sandbox, "error").run();
    let fault = output.code(1).returned(FAULTED);
    assert_eq!(fault["condition"], "invalid digit found in string");
    assert_eq!(fault["source"], SOURCE);
    let source = std::fs::read_to_string(repository().join(SOURCE));
    let source = source.expect("the fixture has a source");
    let line = fault["line"]
        .as_u64()
        .and_then(|line| usize::try_from(line).ok());
    let line = line.and_then(|line| source.lines().nth(line - 1));
    assert!(line.is_some_and(|line| line.contains("parse::<u32>()?")));
}
