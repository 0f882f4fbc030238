//! Results for people and programs after every run of a watch.

use serde_json::Value;
use tests::{Output, Running, Signal};

use super::junit;
use crate::test::{CLIENT, CLIENT_RS, Group, SERVER};

/// Runs a watch of two test runs: the first passes, the second fails.
fn watched(group: &Group, arguments: &[&str]) -> Output {
    let watch = group.ansar(["watch"]).args(arguments);
    let mut watch: Running<'_> = watch
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", group.path())
        .start();
    watch.wait_for_next("    Watching ");
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next("    Watching ");
    watch.signal(Signal::SIGINT);
    let output = watch.wait();
    output.code(130);
    output
}

#[test]
fn programs_read_the_events_of_every_loop() {
    let group = Group::of(&[SERVER, CLIENT]);
    let events = watched(&group, &["--format", "json"]).json_lines();
    assert!(events.iter().all(|event| event["version"] == 1));
    let of = |name: &str| -> Vec<&Value> {
        let named = events.iter().filter(|event| event["event"] == name);
        named.collect()
    };
    let exits: Vec<_> = of("verdict").iter().map(|it| it["exit"].as_u64()).collect();
    assert_eq!(exits, [Some(0), Some(100)]);
    assert!(of("verdict").iter().all(|it| it["command"] == "watch"));
    assert_eq!(of("changed")[0]["files"][0], CLIENT_RS);
    assert_eq!(of("watching").len(), 2);
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str()).collect();
    let at = |name| names.iter().position(|other| *other == Some(name));
    assert!(
        at("verdict") < at("watching") && at("watching") < at("changed"),
        "{names:?}"
    );
}

#[test]
fn every_watched_run_has_its_files() {
    let group = Group::of(&[SERVER, CLIENT]);
    let output = watched(&group, &["--context", "--junit", "made/junit.xml"]);
    output
        .stderr_has(&format!(
            "::error file={CLIENT_RS},line=40,col=8,title=test-client::"
        ))
        .stderr_has("     Context of ")
        .stderr_has("             server-0    | ")
        .stderr_has("             test-client | ")
        .stderr_lacks("Log of");
    let file = junit::checked(&group.read("made/junit.xml"));
    assert_eq!((file.tests, file.failures), (1, 1), "that of the last loop");
}

#[test]
fn a_watch_tries_again_what_failed() {
    let flaky = r#"test-flaky = { executable = "talks", input = "flaky" }"#;
    let group = Group::of(&[flaky]);
    let mut watch = group.ansar(["watch", "--retries=1"]).start();
    watch.wait_for_next("   Rerunning test-flaky, try 2 of 2");
    watch.wait_for_next("      Passed 1 check in 1 role, 1 role flaky");
    watch.wait_for_next("    Watching ");
    watch.signal(Signal::SIGINT);
    watch.wait().code(130);
}
