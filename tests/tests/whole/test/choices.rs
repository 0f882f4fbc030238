//! Selection of roles, concurrency, and early ends.

use super::{CLIENT, Group, PASSED, SERVER, only_place, roles};

const SNOOZE: &str = r#"test-snooze = { executable = "snooze", settings = { seconds = 600 } }"#;

/// Returns four clients, `test-client-0` to `test-client-3`.
fn clients() -> String {
    CLIENT
        .replace("test-client", "\"test-client-{number}\"")
        .replace("settings", "count = 4, settings")
}

#[test]
fn a_search_narrows_the_test_roles() {
    let group = Group::of(&[SERVER, CLIENT, &clients(), SNOOZE]);
    for (search, found) in [
        (
            ["test-client-[02]"].as_slice(),
            ["test-client-0", "test-client-2"].as_slice(),
        ),
        (
            &["test-client", "test-client-1"],
            &["test-client", "test-client-1"],
        ),
        (
            &["-i", "test-client-.*", "--executable", "client"],
            &["test-client"],
        ),
    ] {
        let listed = group.test([]).arg("--list").args(search).run();
        assert_eq!(listed.success().stdout.lines().collect::<Vec<_>>(), found);
        let ran = group.test([]).args(search).run();
        assert_eq!(roles(ran.success()), found);
    }
}

#[test]
fn a_list_builds_and_makes_nothing() {
    let group = Group::of(&[SERVER, CLIENT, SNOOZE]);
    group.remove("target");
    let listed = group.test(["--list"]).run();
    listed.success().stdout_is("test-client\ntest-snooze\n");
    listed.check(listed.stderr.is_empty(), || "expected silence".to_owned());
    assert!(!group.home().exists() && !group.path().join("target").exists());
}

#[test]
fn a_search_without_matches_builds_nothing() {
    let group = Group::of(&[SERVER, CLIENT]);
    group.edit(super::CLIENT_RS, "Connected to", "Joined to");
    for flags in [
        ["missing"].as_slice(),
        &["--list", "missing"],
        &["server-0"],
    ] {
        let output = group.test([]).args(flags).run();
        output
            .code(4)
            .stdout_is("")
            .stderr_has("no test role matches `")
            .stderr_has("hint: list the roles with `cargo ansar test --list`")
            .stderr_lacks("Compiling");
    }
    let wrong = group.test(["test-("]).run();
    wrong.code(2).stderr_has("`test-(`");
}

#[test]
fn prepared_and_not_run() {
    let group = Group::demo();
    let prepared = group.test(["--no-run"]).run();
    prepared
        .success()
        .stdout_is("")
        .stderr_has("Deploying")
        .stderr_lacks("Testing");
    assert!(group.home().join("bin/client").is_file());
    let ran = group.test([]).run();
    ran.success().stdout_is(PASSED).stderr_lacks("Deploying");
}

#[test]
fn one_at_a_time() {
    let group = Group::of(&[SERVER, &clients()]);
    let output = group.test(["-j", "1", "-v"]).run();
    output.success();
    let life: Vec<&str> = output
        .stderr
        .lines()
        .map(str::trim_start)
        .filter(|line| line.contains(" test-client-"))
        .filter(|line| !line.starts_with("Ready") && !line.starts_with("Slowest"))
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(life, ["Started", "Ended"].repeat(4), "{}", output.stderr);
    group.test(["-j", "0"]).run().code(2);
}

#[test]
fn fail_fast_ends_at_the_first_failure() {
    let group = Group::of(&[SERVER, r#"test-panics = { executable = "panics" }"#, SNOOZE]);
    let output = group.test(["--fail-fast"]).run();
    output.code(100).stderr_has("after the first failure");
    assert!(only_place(&output).text.starts_with("test-panics: "));
    assert_eq!(roles(&output), ["test-panics", "test-snooze"]);
    group.is_still();
}

#[test]
fn an_invalid_timeout_is_wrong_usage() {
    let group = Group::of(&[SERVER, CLIENT]);
    for time in ["0", "-1", "soon", "0s"] {
        let flag = format!("--timeout={time}");
        group.test([&flag]).run().code(2).stdout_is("");
    }
}

#[test]
fn a_search_for_the_name_of_a_test() {
    let group = Group::of(&[r#"test-api = { test = "api" }"#]);
    for (word, hint) in [
        (
            "squares",
            "hint: choose tests by their names with `cargo ansar test 'test-api::squares'`, \
             or list the roles with `cargo ansar test --list`",
        ),
        (
            "api",
            "hint: did you mean `test-api`? see all with `cargo ansar test --list`",
        ),
    ] {
        let output = group.ansar(["test", "--list", word]).run();
        output
            .code(4)
            .stdout_is("")
            .stderr_has(&format!("error: no test role matches `{word}`\n"))
            .stderr_has(hint);
    }
}

#[test]
fn a_misspelt_executable_deploys_nothing() {
    let group = Group::of(&[r#"server-0 = { executable = "servre" }"#, CLIENT]);
    for words in [&["test"][..], &["deploy"]] {
        let output = group.ansar(words).run();
        output
            .code(96)
            .stdout_is("")
            .stderr_has("error: role `server-0` (")
            .stderr_has("): executable `servre` not found: not a binary of this workspace, and not deployed in this home\n")
            .stderr_has("hint: did you mean `server`?");
    }
}

#[test]
fn a_workspace_without_test_roles() {
    let group = Group::of(&[r#"noop-0 = { executable = "noop" }"#]);
    for words in [&["test"][..], &["test", "--list"]] {
        let output = group.ansar(words).run();
        output
            .code(4)
            .stderr_has("error: no test roles: no role name matches `test-.*`")
            .stderr_has("hint: rename a role, or set the pattern of test names with `tests`");
    }
}
