//! Retries of failed test roles, and slow ones.

use cargo_metadata::Message;
use serde_json::Value;
use tests::Signal;

use super::Group;
use super::formats::junit;

const FLAKY: &str = r#"test-flaky = { executable = "talks", input = "flaky" }"#;
const STEADY: &str = r#"test-steady = { executable = "prints" }"#;
const FAILS: &str = r#"test-fails = { executable = "talks", input = "difference" }"#;

/// Returns the events of the last run.
fn record(group: &Group) -> Vec<Value> {
    let lines = group.read(".ansar-home/last/run.jsonl");
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .collect()
}

/// Returns the events of roles as `EVENT ROLE`, in order.
fn lives(events: &[Value]) -> Vec<String> {
    let told = events.iter().filter_map(|event| {
        let (name, role) = (event["event"].as_str()?, event["role"].as_str()?);
        ["started", "rerunning", "ended"]
            .contains(&name)
            .then(|| format!("{name} {role}"))
    });
    told.collect()
}

#[test]
fn a_role_that_passes_on_retry_is_flaky() {
    let group = Group::of(&[FLAKY, STEADY]);
    let output = group
        .test(["--retries", "2", "--junit", "made/junit.xml"])
        .env("GITHUB_ACTIONS", "true")
        .run();
    output
        .success()
        .stdout_is("role \"test-flaky\" (pass/fail): 1/0\nrole \"test-steady\" (pass/fail): 1/0\n")
        .stderr_has("   Rerunning test-flaky, try 2 of 3\n")
        .stderr_has("       Flaky test-flaky, passed in try 2\n")
        .stderr_has("talks.rs:")
        .stderr_has("      Passed 2 checks in 2 roles, 1 role flaky, ")
        .stderr_has("::warning file=")
        .stderr_lacks("::error");

    let events = record(&group);
    let lives = lives(&events);
    let at = |what: &str| lives.iter().position(|life| life == what);
    let again = at("rerunning test-flaky").expect("it is run again");
    assert!(at("ended test-flaky") < Some(again), "{lives:?}");
    assert!(at("ended test-steady") < Some(again), "{lives:?}");
    let rest = ["started test-flaky", "ended test-flaky"];
    assert_eq!(lives[again + 1..], rest, "every try is told");

    let verdict = events.last().expect("there is one");
    assert_eq!(
        (&verdict["exit"], &verdict["failures"]),
        (&0.into(), &Value::Array(vec![]))
    );
    let row = &verdict["roles"][0];
    assert_eq!(
        (&row["standing"], &row["tries"]),
        (&"passed".into(), &2.into())
    );
    assert_eq!(verdict["roles"][1].get("tries"), None);
    let tried = &verdict["tries"][0];
    assert_eq!(
        (&tried["role"], &tried["try"]),
        (&"test-flaky".into(), &1.into())
    );
    let failure = &tried["failures"][0];
    assert_eq!(failure["text"], "try 1");
    assert!(failure["column"].as_u64() > Some(1), "{failure}");

    let file = junit::checked(&group.read("made/junit.xml"));
    assert_eq!((file.tests, file.failures, file.errors), (2, 0, 0));
    assert_eq!(file.count("flakyFailure"), 1);

    // A failure followed by a pass is remembered as a pass.
    group
        .ansar(["report"])
        .run()
        .success()
        .stderr_has("       Flaky test-flaky");
    group.test([]).run().success().stderr_lacks("Flaky");
}

#[test]
fn a_role_that_always_fails_counts_once() {
    let group = Group::of(&[FAILS]);
    let output = group
        .test(["--retries=1", "--junit", "made/junit.xml"])
        .run();
    output
        .code(100)
        .stderr_has("   Rerunning test-fails, try 2 of 2\n")
        .stderr_lacks("Flaky")
        .stderr_has("      Failed 1 of 1 check in 1 of 1 role, ");
    super::only_place(&output);
    let verdict = record(&group).pop().expect("there is one");
    assert_eq!(verdict["failures"].as_array().map(Vec::len), Some(1));
    assert_eq!(verdict["tries"].as_array().map(Vec::len), Some(1));
    let file = junit::checked(&group.read("made/junit.xml"));
    assert_eq!((file.tests, file.failures), (1, 1));
    assert_eq!(file.count("rerunFailure"), 1);
}

#[test]
fn a_timed_out_role_is_not_retried() {
    let group = Group::of(&[
        r#"test-nap = { executable = "snooze", settings = { seconds = 600.0 }, timeout = "100ms" }"#,
    ]);
    let output = group.test(["--retries=1"]).run();
    output.code(100).stderr_lacks("Rerunning");
    let verdict = record(&group).pop().expect("there is one");
    assert_eq!(verdict["roles"][0]["standing"], "unreported");
}

#[test]
fn the_command_line_overrides_the_manifests_retries() {
    let group = Group::of(&[]);
    let describe = |table: &str| {
        let roles = group.description(&[FLAKY]);
        group.manifest(&roles.replacen("snapshot = ", &format!("{table}\nsnapshot = "), 1));
    };
    describe("retries = 1");
    group
        .test(["--retries=0"])
        .run()
        .code(100)
        .stderr_lacks("Rerunning");
    group.ansar(["-f", "destroy"]).run().success();
    group
        .test([])
        .run()
        .success()
        .stderr_has("       Flaky test-flaky");
    describe("retries = true");
    group
        .test([])
        .run()
        .code(96)
        .stderr_has("`workspace.metadata.ansar.retries` is a boolean, expected an integer");
}

#[test]
fn editors_show_flaky_roles_as_warnings() {
    let group = Group::of(&[FLAKY]);
    let output = group.test(["--retries=1", "--message-format=json"]).run();
    output.success();
    let messages = output.json_lines().into_iter();
    let messages: Vec<Message> = messages
        .map(|line| serde_json::from_value(line).expect("it is a message"))
        .collect();
    let told = messages.iter().filter_map(|message| match message {
        Message::CompilerMessage(message) => Some(&message.message),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].message, "test-flaky is flaky: try 1");
    assert_eq!(
        told[0].level,
        cargo_metadata::diagnostic::DiagnosticLevel::Warning
    );
    assert!(told[0].spans[0].column_start > 1);
    assert!(matches!(messages.last(), Some(Message::BuildFinished(end)) if end.success));

    let checked = group.ansar(["check", "--last"]).run();
    checked
        .success()
        .stdout_has("warning: test-flaky is flaky: try 1\n  --> ");
}

#[test]
fn a_slow_role_is_reported_repeatedly() {
    let nap = r#"test-nap = { executable = "snooze", settings = { seconds = 600.0 } }"#;
    let group = Group::of(&[]);
    let roles = group.description(&[nap]);
    let slow = "slow-timeout = \"80ms\"\nsnapshot = ";
    group.manifest(&roles.replacen("snapshot = ", slow, 1));
    for (arguments, first) in [(vec![], 80), (vec!["--slow-timeout=50ms"], 50)] {
        let mut test = group.test([]).args(&arguments).start();
        test.wait_for_next(&format!("        Slow test-nap, {first}ms"));
        test.wait_for_next(&format!("        Slow test-nap, {}ms", first * 2));
        test.signal(Signal::SIGINT);
        test.wait().code(130);
    }
}
