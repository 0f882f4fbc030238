//! The roles that tests run against: their order, and their failures.

use super::{CLIENT, Group, PASSED, SERVER, SERVER_RS, ZOMBIE, only_place, places};

#[test]
fn a_panic_before_ready_ends_the_run() {
    let group = Group::demo();
    group.edit(
        SERVER_RS,
        "    ready.announce();",
        "    if true { panic!(\"no readiness\") }\n    ready.announce();",
    );
    let output = group.test(["-v"]).run();
    output
        .code(100)
        .stdout_has("role \"test-client\" (pass/fail): 0/0\n")
        .stderr_has("because an operational role failed")
        .stderr_has("1 role not run")
        .stderr_lacks("Started test-client");
    let place = only_place(&output);
    assert!(
        place.text.starts_with("server-0: component panicked"),
        "{place:?}"
    );
    assert!(place.text.contains("no readiness"), "{place:?}");
    assert_eq!(place.file, group.path().join(SERVER_RS));
    assert!(place.source().contains("panic!("), "{place:?}");
    output.stderr_has("Log of server-0, its last lines");
    group.is_still();
}

#[test]
fn a_failure_before_ready_has_its_reason() {
    let second = SERVER.replace("server-0", "server-1");
    let group = Group::of(&[SERVER, &second, CLIENT]);
    let output = group.test([]).run();
    output.code(100).stderr_has("1 role not run");
    let place = only_place(&output);
    assert!(place.text.contains("in use"), "{place:?}");
    assert!(place.source().contains("TcpListener::bind"), "{place:?}");
}

#[test]
fn a_death_during_tests_fails_the_run() {
    let group = Group::demo();
    group.edit(
        SERVER_RS,
        "let (stream, from) = accepted?;",
        "let (stream, from) = accepted?; if true { panic!(\"at the first word\") }",
    );
    let output = group.test([]).run();
    output.code(100);
    let places = places(&output);
    let of_server: Vec<_> = places
        .iter()
        .filter(|place| place.text.starts_with("server-0: "))
        .collect();
    let [place] = of_server.as_slice() else {
        panic!("one line of the server in {places:?}")
    };
    assert!(place.text.contains("at the first word"), "{place:?}");
    assert!(place.source().contains("panic!("), "{place:?}");
    assert!(places.len() > 1, "the test failed, too: {places:?}");
    group.is_still();
}

#[test]
fn an_unknown_executable_ends_the_run() {
    let group = Group::of(&[SERVER, CLIENT, r#"db-0 = { executable = "database" }"#]);
    let output = group.test([]).run();
    output.code(100).stderr_has("1 role not run");
    let place = only_place(&output);
    assert!(
        place.text.contains("executable `database` not found"),
        "{place:?}"
    );
    assert!(place.source().starts_with("db-0 = "), "{place:?}");
}

/// Returns the position of the first progress line that begins with `text`.
#[track_caller]
fn at(output: &tests::Output, text: &str) -> usize {
    let mut lines = output.stderr.lines();
    let found = lines.position(|line| line.trim_start().starts_with(text));
    output.check(found.is_some(), || format!("expected `{text}`"));
    found.unwrap_or_default()
}

#[test]
fn after_orders_the_start_and_the_stop() {
    let first = ZOMBIE
        .replace("zombie-0", "a-0")
        .replace(" }", ", after = [\"server-0\"] }");
    let last = ZOMBIE
        .replace("zombie-0", "b-0")
        .replace(" }", ", after = [\"c-0\"] }");
    let middle = ZOMBIE
        .replace("zombie-0", "c-0")
        .replace(" }", ", after = [\"a-0\"] }");
    let group = Group::of(&[SERVER, &first, &last, &middle, CLIENT]);
    let output = group.test(["-v"]).run();
    output.success();
    let order = [
        "Started server-0",
        "Ready server-0",
        "Started a-0",
        "Ready a-0",
        "Started c-0",
        "Ready c-0",
        "Started b-0",
        "Ready b-0",
        "Started test-client",
        "Ended test-client",
        "Ended b-0",
        "Ended c-0",
        "Ended a-0",
        "Ended server-0",
    ];
    let lines: Vec<usize> = order.iter().map(|text| at(&output, text)).collect();
    assert!(lines.is_sorted(), "{}", output.stderr);

    // The stored logs agree.
    let logs = ["server-0", "a-0", "c-0", "b-0", "test-client"].map(|role| group.log(role));
    let stamps: Vec<&str> = logs
        .iter()
        .filter_map(|log| log.split(' ').nth(1))
        .collect();
    assert!(stamps.len() == 5 && stamps.is_sorted(), "{stamps:?}");
}

#[test]
fn a_role_may_finish_early() {
    let noop = r#"prepare-0 = { executable = "noop" }"#;
    let server = SERVER.replace("settings", "after = [\"prepare-0\"], settings");
    let group = Group::of(&[noop, &server, CLIENT]);
    group.test([]).run().success().stdout_is(PASSED);
}

#[test]
fn orphans_in_a_roles_group_are_killed() {
    let group = Group::of(&[SERVER, CLIENT, r#"noop-0 = { executable = "noop" }"#]);
    group.edit(
        "test-fixtures/src/bin/noop.rs",
        "cx.console(",
        "let _ = std::process::Command::new(\"sleep\").arg(\"600\").spawn();\n    cx.console(",
    );
    group.test([]).run().success().stdout_is(PASSED);
    group.is_still();
}
