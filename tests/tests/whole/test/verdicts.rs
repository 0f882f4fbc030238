//! A role that does not do its work fails the run, with its location.

use super::{CLIENT, Group, PASSED, SERVER, ZOMBIE, only_place, places, roles};

const PANICS: &str = r#"test-panics = { executable = "panics" }"#;
const HANGS: &str = r#"test-hangs = { executable = "hangs" }"#;
const SILENT: &str = r#"test-silent = { executable = "silent" }"#;
const NOOP: &str = r#"test-noop = { executable = "noop" }"#;
const MISSING: &str = r#"test-missing = { executable = "missing" }"#;
const TALKS: &str = r#"test-talks = { executable = "talks", input = "difference" }"#;

#[test]
fn every_kind_of_failure_has_its_line() {
    let group = Group::of(&[SERVER, CLIENT, PANICS, HANGS, SILENT, NOOP, MISSING, TALKS]);
    let output = group.test(["--timeout", "2s"]).run();
    output.code(100).stdout_has(PASSED);
    assert_eq!(
        roles(&output),
        [
            "test-client",
            "test-hangs",
            "test-missing",
            "test-noop",
            "test-panics",
            "test-silent",
            "test-talks"
        ]
    );
    let places = places(&output);
    assert_eq!(places.len(), 6, "{places:?}");
    let in_manifest = [
        ("test-hangs", "timed out after 2s"),
        ("test-missing", "executable `missing` not found"),
        (
            "test-noop",
            "returned `ansar.create.lifecycle.Ack`, expected a `TestReport`",
        ),
        ("test-silent", "exited without a result"),
    ];
    for (role, why) in in_manifest {
        let of_role: Vec<_> = places
            .iter()
            .filter(|place| place.text.starts_with(&format!("{role}: ")))
            .collect();
        let [place] = of_role.as_slice() else {
            panic!("one line of `{role}` in {places:?}")
        };
        assert!(place.text.contains(why), "{place:?}");
        assert_eq!(place.file, group.path().join("Cargo.toml"));
        assert!(
            place.source().starts_with(&format!("{role} = ")),
            "{place:?}"
        );
    }
    let fixture = |name: &str| {
        group
            .path()
            .join(format!("test-fixtures/src/bin/{name}.rs"))
    };
    for (name, text, source) in [
        ("panics", "test-panics: component panicked", "panic!("),
        ("talks", "", "cx.test_eq("),
    ] {
        let place = places.iter().find(|place| place.file == fixture(name));
        let place = place.unwrap_or_else(|| panic!("`{name}` in {places:?}"));
        assert!(place.text.starts_with(text), "{place:?}");
        assert!(place.source().contains(source), "{place:?}");
    }
    output
        .stderr_has("Log of test-panics, its last lines")
        .stderr_has("About to panic")
        .stderr_has("Hanging")
        .stderr_has("Leaving without a word")
        .stderr_has("Details of ")
        .stderr_has("5 roles without a report");
    group.is_still();
}

#[test]
fn a_failed_check_shows_the_servers_log() {
    let group = Group::of(&[SERVER, CLIENT]);
    group.remove(super::WORDS);
    let output = group.test([]).run();
    output
        .code(100)
        .stderr_has("Log of test-client, its last lines")
        .stderr_has("Log of server-0, around the failure")
        .stderr_has("Accepted on ");
}

#[test]
fn many_failures_are_listed_up_to_a_limit() {
    let group = Group::of(&[r#"test-talks = { executable = "talks", input = "many" }"#]);
    let output = group.test([]).run();
    output
        .code(100)
        .stdout_has("role \"test-talks\" (pass/fail): 200/100\n")
        .stderr_has("Failed 100 of 300 checks in 1 of 1 role");
    assert_eq!(places(&output).len(), 100);
}

#[test]
fn a_print_goes_to_the_log() {
    let group = Group::of(&[r#"test-prints = { executable = "prints" }"#]);
    let output = group.test([]).run();
    output
        .success()
        .stdout_is("role \"test-prints\" (pass/fail): 1/0\n");
    assert!(group.log("test-prints").contains("a stray print"));
}

#[test]
fn a_flood_of_log_lines_is_stored() {
    let group = Group::of(&[
        r#"floods-0 = { executable = "floods", settings = { lines = 5000 } }"#,
        SERVER,
        CLIENT,
    ]);
    group.test([]).run().success().stdout_is(PASSED);
    let log = group.log("floods-0");
    let lines = log.lines().filter(|line| line.contains("Line "));
    assert!(lines.count() <= 5000);
}

#[test]
fn a_timeout_in_the_manifest() {
    let hangs = r#"test-hangs = { executable = "hangs", timeout = "200ms" }"#;
    let group = Group::of(&[SERVER, ZOMBIE, CLIENT, hangs]);
    let output = group.test(["--timeout", "50s"]).run();
    output.code(100).stdout_has(PASSED);
    assert!(only_place(&output).text.contains("timed out after 200ms"));
}

#[test]
fn exhausted_retries_are_a_failure() {
    let client = CLIENT.replace(
        "settings",
        "retry = { first_steps = [0.01, 0.01] }, settings",
    );
    let group = Group::of(&[&client]);
    let output = group.test([]).run();
    output
        .code(100)
        .stdout_has("role \"test-client\" (pass/fail): 0/0\n");
    let place = only_place(&output);
    assert!(
        place.text.contains("retries exhausted after 3 attempts"),
        "{place:?}"
    );
    assert!(place.source().starts_with("test-client = "));
    let attempts = group.log("test-client");
    assert_eq!(attempts.matches("Session error").count(), 3, "{attempts}");
}

#[test]
fn a_timeout_bounds_retries_too() {
    let client = CLIENT.replace("settings", "retry = { regular_steps = 0.05 }, settings");
    let group = Group::of(&[&client]);
    let output = group.test(["--timeout", "500ms"]).run();
    output.code(100);
    assert!(only_place(&output).text.contains("timed out after 500ms"));
}
