//! Results of a run for people and programs: records, messages and files.

use std::path::Path;

use cargo_metadata::{CompilerMessage, Message};
use serde_json::Value;
use tests::Sandbox;

use super::{CLIENT, CLIENT_RS, Group, SERVER};

/// Returns the events of the last run, as stored in the home.
pub(super) fn record(group: &Group) -> Vec<Value> {
    events(&group.read(".ansar-home/last/run.jsonl"))
}

fn events(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    let names = events.iter().map(|event| event["event"].as_str());
    names
        .map(|name| name.expect("an event has a name"))
        .collect()
}

/// Runs a test with one failed check.
fn failed_run(arguments: &[&str]) -> (Group, tests::Output) {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    let output = group.test([]).args(arguments).run();
    output.code(100);
    (group, output)
}

#[test]
fn the_last_run_is_recorded() {
    let (group, output) = failed_run(&[]);
    let events = record(&group);
    let names = names(&events);
    let order = [
        "building", "built", "deployed", "testing", "started", "ready", "ended", "verdict",
    ];
    let mut at = 0;
    for name in order {
        let found = names[at..].iter().position(|other| *other == name);
        at += found.unwrap_or_else(|| panic!("`{name}` in {names:?}"));
    }
    let verdict = events.last().expect("there is one");
    assert_eq!(verdict["event"], "verdict");
    assert_eq!(verdict["exit"], 100);
    assert_eq!(
        (&verdict["passed"], &verdict["failed"]),
        (&2.into(), &1.into())
    );
    let failure = &verdict["failures"][0];
    let place = format!("{}:{}", failure["file"].as_str().unwrap(), failure["line"]);
    assert!(output.stdout.contains(&place), "{place}");
    assert!(verdict["roles"][0]["elapsed"].as_f64().unwrap() > 0.0);

    // A failed build is not a run, and the last results remain.
    group.edit(CLIENT_RS, "b\"keen\"", "b\"eager");
    group.test([]).run().code(101);
    assert_eq!(record(&group).last(), Some(verdict));
}

#[test]
fn programs_read_the_events_and_the_verdict() {
    let (group, output) = failed_run(&["--format", "json"]);
    let told = events(&output.stdout);
    assert!(told.iter().all(|event| event["version"] == 1), "{told:?}");
    let verdict = told.last().expect("there is one");
    assert_eq!(
        (&verdict["event"], &verdict["exit"]),
        (&"verdict".into(), &100.into())
    );
    assert_eq!(told, record(&group), "one record");
    output.stderr_has("      Failed 1 of 3 checks in 1 of 1 role, ");

    let shown = |line: &[&str]| {
        let line = line.iter().chain(&["--format", "json"]);
        let output = group.ansar(["-q"]).args(line).run();
        output.success();
        events(&output.stdout)
    };
    let role = &shown(&["list"])[1];
    assert_eq!(
        (&role["role"], &role["executable"]),
        (&"test-client".into(), &"client".into())
    );
    assert_eq!(shown(&["test", "--list"])[0]["role"], "test-client");
    assert_eq!(shown(&["status"]), Vec::<Value>::new());
    let run = &shown(&["history", "test-client"])[0];
    assert_eq!(
        (&run["state"], &run["cause"]),
        (&"ended".into(), &"returned".into())
    );
    assert_eq!(
        shown(&["returned", "test-client"])[0]["value"][1]["failed"],
        1
    );
    assert_eq!(shown(&["settings", "server-0"])[0]["value"]["port"], 65432);
    assert_eq!(
        shown(&["get", "executable", "server-0"])[0]["value"],
        "server"
    );
    let folder = &shown(&["folder", "logs", "server-0"])[0]["path"];
    assert!(
        folder.as_str().unwrap().ends_with("/logs/server-0"),
        "{folder}"
    );
    let lines = shown(&["log", "server-0", "test-client"]);
    assert!(
        lines.iter().any(|line| line["role"] == "test-client"),
        "{lines:?}"
    );
    assert!(lines.is_sorted_by_key(|line| line["at"].as_str().unwrap().to_owned()));
}

/// Returns the messages of Cargo in an output.
pub(super) fn messages(output: &tests::Output) -> Vec<Message> {
    let lines = output.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no message: {line}")))
        .collect()
}

/// Returns the only error among messages, the failed check, and whether the
/// build succeeded.
#[track_caller]
fn only_error(messages: &[Message]) -> (CompilerMessage, bool) {
    let errors = messages.iter().filter_map(|message| match message {
        Message::CompilerMessage(message) => Some(message.clone()),
        _ => None,
    });
    let mut errors: Vec<_> = errors.collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let Some(Message::BuildFinished(end)) = messages.last() else {
        panic!("the end of the build is told last");
    };
    (errors.remove(0), end.success)
}

#[test]
fn editors_show_failed_checks_as_errors() {
    let (group, output) = failed_run(&["--message-format", "json"]);
    let line = group.read(CLIENT_RS);
    let line = line.lines().position(|line| line.contains("cx.test("));
    let (message, success) = only_error(&messages(&output));
    assert!(message.package_id.repr.contains("test-fixtures"));
    assert_eq!(message.target.name, "client");
    let span = &message.message.spans[0];
    assert!(span.is_primary);
    let file = group.path().join(CLIENT_RS);
    assert_eq!(Path::new(&span.file_name), file);
    assert_eq!(Some(span.line_start), line.map(|line| line + 1));
    let text = &message.message.message;
    assert!(
        text.starts_with("test-client: expected b\"keen\""),
        "{text}"
    );
    assert!(!success);

    group.edit(CLIENT_RS, "b\"keen\"", "b\"keen\" oops");
    let broken = group.test(["--message-format", "json"]).run();
    broken.code(101);
    let messages = messages(&broken);
    assert!(
        messages
            .iter()
            .any(|message| matches!(message, Message::CompilerMessage(_)))
    );
    assert!(matches!(messages.last(), Some(Message::BuildFinished(end)) if !end.success));
}

#[test]
fn other_tools_find_a_file_and_annotations() {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    let output = group
        .test(["--junit", "made/for/junit.xml", "--paths", "relative"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", group.path())
        .run();
    output.code(100);
    let place = output.stdout.lines().last().expect("there is a line");
    assert!(place.starts_with(&format!("{CLIENT_RS}:")), "{place}");
    let line = place
        .split(':')
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let line = line.expect("there is a line");
    output.stderr_has(&format!(
        "::error file={CLIENT_RS},line={line},col=8,title=test-client::expected"
    ));
    let file = group.read("made/for/junit.xml");
    let case = "<testcase name=\"test-client\" classname=\"cargo ansar\" assertions=\"3\"";
    assert!(file.contains(case), "{file}");
    let place = group.path().join(CLIENT_RS);
    assert!(
        file.contains(&format!("{}:{line}:8 - expected", place.display())),
        "{file}"
    );

    let plain = group.test([]).run();
    plain.code(100).stderr_lacks("::error");
}

#[test]
fn the_last_run_can_be_reported_again() {
    let group = Group::of(&[SERVER, CLIENT]);
    let early = group.ansar(["report"]).run();
    early.code(96).stderr_has("no home at");
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    group.test(["--no-run"]).run().success();
    let early = group.ansar(["report"]).run();
    early
        .code(2)
        .stderr_has("no last run in home")
        .stderr_has("`cargo ansar test`");

    let output = group.test(["--context"]).run();
    output
        .code(100)
        .stderr_has("Context of ")
        .stderr_lacks("Log of");
    for line in ["server-0    | ", "test-client | "] {
        output.stderr_has(line);
    }
    let again = group.ansar(["report", "--context"]).run();
    again.success().stdout_is(&output.stdout);
    let (_, told) = output
        .stderr
        .split_once("     Context of")
        .expect("it is told");
    again.stderr_has(told);
    let plain = group.ansar(["report"]).run();
    plain
        .success()
        .stderr_has("Log of test-client")
        .stderr_lacks("Context");
}

#[test]
fn failed_roles_run_first_or_alone() {
    let passes = r#"test-a = { executable = "prints" }"#;
    let fails = r#"test-z = { executable = "talks", input = "difference" }"#;
    let group = Group::of(&[passes, fails]);
    let order = |arguments: &[&str]| {
        group.test(["-j", "1"]).args(arguments).run();
        let started = record(&group).into_iter();
        let started = started.filter(|event| event["event"] == "started");
        let roles = started.map(|event| event["role"].as_str().unwrap().to_owned());
        roles.collect::<Vec<_>>()
    };
    assert_eq!(order(&[]), ["test-a", "test-z"]);
    assert_eq!(order(&[]), ["test-z", "test-a"]);
    assert_eq!(order(&["--failed"]), ["test-z"]);
    assert_eq!(order(&["--failed", "test-a"]), ["test-a"]);
    group.describe(&[passes, fails]);
    assert_eq!(
        order(&["--failed"]),
        ["test-a", "test-z"],
        "none had failed"
    );
    group.describe(&[
        passes,
        &fails.replace("talks\", input = \"difference", "prints"),
    ]);
    assert_eq!(order(&["--failed"]), ["test-z"]);
    assert_eq!(order(&["--failed"]), ["test-a", "test-z"]);
}

/// Record that the first version wrote of a run with a failed check.
const VERDICT: &str = r#"{"version":1,"at":"2026-11-22T10:00:02Z","event":"verdict","command":"test","exit":100,"elapsed":0.3,"passed":2,"failed":1,"roles":[{"role":"test-a","passed":2,"failed":1,"standing":"failed"}],"failures":[{"role":"test-a","executable":"alone","file":"HERE/src/main.rs","line":2,"text":"expected <x>\n- x\n+ y","at":"2026-11-22T10:00:01.5Z"}]}
"#;

#[test]
fn cargo_check_shows_the_last_failures() {
    let sandbox = Sandbox::new();
    let here = sandbox.path().display().to_string();
    sandbox.write(
        "Cargo.toml",
        "[package]\nname = \"alone\"\nedition = \"2024\"\n[workspace]\n",
    );
    sandbox.write("src/main.rs", "fn main() {\n    println!(\"alone\");\n}\n");
    let check = |arguments: &[&str]| sandbox.ansar(["check", "--last"]).args(arguments).run();
    check(&[])
        .success()
        .stdout_is("")
        .stderr_has("Checking alone");
    sandbox.ansar(["create"]).run().success();
    check(&[]).success().stdout_is("");

    sandbox.write(
        ".ansar-home/last/run.jsonl",
        &VERDICT.replace("HERE", &here),
    );
    let shown = check(&[]);
    shown.code(100).stdout_is(&format!(
        "error: test-a: expected <x>\n  --> {here}/src/main.rs:2:1\n   = - x\n   = + y\n\n"
    ));
    let checked = check(&["--message-format", "json"]);
    checked.code(100);
    let (message, success) = only_error(&messages(&checked));
    assert!(!success);
    assert!(message.package_id.repr.contains("alone"));
    assert_eq!(message.target.name, "alone");
    assert_eq!(message.message.spans[0].line_start, 2);
    sandbox
        .ansar(["check", "--message-format", "json"])
        .run()
        .success();

    for damaged in ["null\n", "{\"version\":1,\"at\":\"2026", "\0\u{7f}"] {
        sandbox.write(".ansar-home/last/run.jsonl", damaged);
        for words in [&["report"][..], &["check", "--last"]] {
            let told = sandbox.ansar(words).run();
            told.code(96)
                .stderr_has("last/run.jsonl: no run that this version can read")
                .stderr_has("hint: correct it, or remove it");
        }
    }
    sandbox.write(
        ".ansar-home/last/run.jsonl",
        &VERDICT.replace("HERE", &here),
    );

    sandbox.write("src/main.rs", "fn main() {\n    oops\n}\n");
    let broken = check(&["--message-format", "json"]);
    broken.code(101);
    let messages = messages(&broken);
    let errors = messages.iter().filter_map(|message| match message {
        Message::CompilerMessage(message) => Some(&*message.message.message),
        _ => None,
    });
    let errors: Vec<_> = errors.collect();
    assert!(
        errors.iter().any(|error| error.contains("`oops`")),
        "{errors:?}"
    );
    assert!(errors.contains(&"test-a: expected <x>"), "{errors:?}");
}
