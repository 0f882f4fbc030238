//! What a run found, where people and programs look for it.

use serde_json::Value;

use super::{CLIENT, CLIENT_RS, Group, SERVER};

/// The events of the last run, as the home keeps them.
fn record(group: &Group) -> Vec<Value> {
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

/// A run with one failed check.
fn failed_run(arguments: &[&str]) -> (Group, tests::Output) {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    let output = group.test([]).args(arguments).run();
    output.code(100);
    (group, output)
}

#[test]
fn the_last_run_is_kept_with_what_came_of_it() {
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

    // A build that fails is no run, and what was found stays.
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
