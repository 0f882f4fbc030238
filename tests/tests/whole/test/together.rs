//! Two runs in one home.

use super::builds::Gate;
use super::{CLIENT_RS, Group, PASSED, SERVER_RS, only_place};

#[test]
fn concurrent_runs_share_a_home() {
    let group = Group::demo();
    let running: Vec<_> = (0..3).map(|_| group.test([]).start()).collect();
    for running in running {
        running.wait().success().stdout_is(PASSED);
    }
    group.is_still();
}

#[test]
fn the_second_run_tests_the_newest_sources() {
    let group = Group::demo();
    group.test([]).run().success();
    group.edit(SERVER_RS, "Accepted on", "Taken on");
    let gate = Gate::before(&group, "server");
    let first = gate.holds(group.test([])).start();
    gate.wait();
    let second = group.test([]).start();
    let waits = second.wait_for("another command");
    assert!(waits.contains("Blocking waiting for "), "{waits}");
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    gate.open();
    first.wait().success().stdout_is(PASSED);
    let second = second.wait();
    second.code(100);
    assert!(only_place(&second).text.contains("b\"keen\""));
    assert!(group.log("server-0").contains("Taken on"));
}

#[test]
fn homes_apart_do_not_wait_for_each_other() {
    let group = Group::of(&[r#"test-hangs = { executable = "hangs", timeout = "1s" }"#]);
    let one = group
        .test(["--home-path=one", "--debug-level=CONSOLE"])
        .start();
    one.wait_for("Hanging");
    let other = group
        .test(["--home-path=other", "--debug-level=CONSOLE"])
        .start();
    other.wait_for("Hanging");
    for running in [one, other] {
        running.wait().code(100).stderr_lacks("another command");
    }
}

#[test]
fn parts_of_the_tests_are_disjoint_and_complete() {
    let roles: Vec<String> = (0..8)
        .map(|number| format!("test-part-{number} = {{ executable = \"noop\" }}"))
        .collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let group = Group::of(&roles);
    let list = |arguments: &[&str]| -> Vec<String> {
        let listed = group.test(["--list"]).args(arguments).run();
        let lines = listed.success().stdout.lines();
        lines.map(str::to_owned).collect()
    };
    let all = list(&[]);
    let mut parts: Vec<String> = (1..=3)
        .flat_map(|part| list(&["--partition", &format!("{part}/3")]))
        .collect();
    parts.sort();
    assert_eq!(parts, all);
    let wrong = group.test(["--partition", "4/3"]).run();
    wrong.code(2);
    wrong.stderr_has("expected a part and the number of parts, as in `2/4`");
}

#[test]
fn results_of_all_parts_become_one_verdict() {
    let group = Group::of(&[
        r#"test-steady = { executable = "prints" }"#,
        r#"test-wrong = { executable = "noop" }"#,
        r#"test-other = { executable = "prints" }"#,
    ]);
    let part = |part: &str, home: &str| {
        let partition = format!("--partition={part}");
        group
            .test([&partition, &format!("--home-path={home}")])
            .run()
    };
    let (one, two) = (part("1/2", "one"), part("2/2", "two"));
    let codes = [one, two].map(|run| run.status.code());
    assert!(
        codes.contains(&Some(0)) && codes.contains(&Some(100)),
        "{codes:?}"
    );
    let merge = |paths: &[&str]| group.ansar(["report", "--merge"]).args(paths).run();

    let all = merge(&["one", "two/last"]);
    all.code(100).stderr_has("Failed");
    for role in ["test-steady", "test-other"] {
        all.stdout_has(&format!("role \"{role}\" (pass/fail): "));
    }
    let files = ["one", "two", "--junit=all.xml", "--html=all.html"];
    merge(&files).code(100).stdout_is("");
    let junit = std::fs::read_to_string(group.path().join("all.xml")).unwrap();
    for role in ["test-steady", "test-other", "test-wrong"] {
        assert!(junit.contains(role), "{junit}");
    }

    let partial = merge(&["one"]);
    partial.code(100).stderr_has("no results of part `2/2`");
    let twice = merge(&["one", "one"]);
    twice
        .code(2)
        .stderr_has("part `1/2` is both in `one` and in `one`");
    merge(&["one/logs"]).code(2).stderr_has("no results in");
}
