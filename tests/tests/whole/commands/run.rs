//! `run`: roles in the foreground, to completion, and the `Run` message.

use std::path::Path;

use serde_json::json;
use tests::{Sandbox, Signal, Workspace, loopback, repository};

use super::{
    ABORTED, ACK, FAULTED, MAYBE, REPORT, RUN, completed, ends, names_who_runs, pairs, tree,
    with_home, with_roles,
};

/// Creates a home with a server and a client on an address of their own.
fn with_server_and_client() -> Sandbox {
    let sandbox = with_home();
    let host = format!("--host={}", loopback());
    for executable in ["server", "client"] {
        sandbox.ansar(["add", executable, &host]).run().success();
    }
    sandbox
}

/// Makes the client retry until the server is ready.
fn retry(sandbox: &Sandbox, policy: &str) {
    let set = sandbox.ansar(["set", "retry", "client-0"]);
    let policy = format!("{{\"value\": {policy}}}");
    set.stdin(&policy).run().success();
}

#[test]
fn results_and_log_in_the_output() {
    let sandbox = with_roles(&["noop"]);
    let run = sandbox.ansar(["run"]).run();
    let message = run.success().returned(RUN);
    assert_eq!(message["completed"], json!([["noop-0", [ACK, {}, []]]]));
    let home = sandbox.path().join(".ansar-home");
    assert_eq!(
        message["home"].as_str().map(Path::new),
        Some(home.as_path())
    );
    run.stderr_lacks("Log this and exit");

    let console = sandbox.ansar(["run", "--debug-level=CONSOLE"]).run();
    let lines = console.success().log("<");
    assert!(
        matches!(lines.as_slice(), [one] if one.starts_with('[') && one.ends_with(" ^ <00000009>noop - Log this and exit")),
        "{lines:?}"
    );
    let debug = sandbox.ansar(["run", "--debug-level", "DEBUG"]).run();
    debug
        .success()
        .stderr_has("~ <00000008>start_vector - Executable \"");
    let fault = sandbox.ansar(["run", "--debug-level", "FAULT"]).run();
    assert!(fault.success().log("<").is_empty());
}

#[test]
fn results_are_sorted_bytewise_and_a_search_narrows() {
    let sandbox = with_roles(&["noop"]);
    let many = ["add", "noop", "many-{number}", "--count=11"];
    sandbox.ansar(many).run().success();
    sandbox
        .ansar(["add", "snooze", "A", "--seconds=0.1"])
        .run()
        .success();
    let run = sandbox.ansar(["run"]).run();
    let names: Vec<_> = ends(run.success())
        .into_iter()
        .map(|(role, _)| role)
        .collect();
    assert_eq!(names[..4], ["A", "many-0", "many-1", "many-10"]);
    assert_eq!(
        names[4..],
        [
            "many-2", "many-3", "many-4", "many-5", "many-6", "many-7", "many-8", "many-9",
            "noop-0"
        ]
    );
    let run = sandbox.ansar(["run", "-i", "many-.*", "noop-0"]).run();
    assert_eq!(ends(run.success()), pairs(&[("A", ACK)]));
}

#[test]
fn a_faulted_role_fails_the_run() {
    let sandbox = with_roles(&["noop", "panics", "silent"]);
    let run = sandbox.ansar(["run"]).run();
    let all = completed(run.code(1));
    assert_eq!(
        ends(&run),
        pairs(&[
            ("noop-0", ACK),
            ("panics-0", FAULTED),
            ("silent-0", FAULTED)
        ])
    );
    assert_eq!(all[1].2["explanation"], "this component panics");
    assert_eq!(all[2].2["condition"], "exited without a result");
}

#[test]
fn a_missing_executable_faults_its_roles() {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    let bin = sandbox.path().join(".ansar-home/bin");
    for name in ["noop", "zombie"] {
        std::fs::copy(tests::executable(name), bin.join(name)).unwrap();
        sandbox.ansar(["add", name]).run().success();
    }
    std::fs::remove_file(bin.join("zombie")).unwrap();
    let run = sandbox.ansar(["run"]).run();
    let all = completed(run.code(1));
    assert_eq!(ends(&run), pairs(&[("noop-0", ACK), ("zombie-0", FAULTED)]));
    assert_eq!(all[1].2["condition"], "could not be started");
    let why = all[1].2["explanation"].as_str().unwrap_or_default();
    assert!(why.contains("executable `zombie` not found"), "{why}");
}

#[test]
fn settings_for_a_run_are_behind_the_dashes() {
    let sandbox = with_roles(&["noop"]);
    let add = ["add", "snooze", "--count=2", "--seconds=600"];
    sandbox.ansar(add).run().success();
    let run = [
        "run",
        "snooze-.*",
        "--debug-level=CONSOLE",
        "--",
        "--seconds=0.01",
    ];
    let output = sandbox.ansar(run).run();
    output.success().stderr_has("Do nothing for 0.01 seconds");
    let settings = sandbox.ansar(["settings", "snooze-0"]).run();
    settings.success().stdout_has("600");
    for (words, code, told) in [
        (
            &["run", "snooze-0", "--", "snooze-1"][..],
            2,
            "`snooze-1` is not a setting, expected `--name=value`",
        ),
        (
            &["run", "snooze-0", "--", "--seconds"],
            2,
            "`--seconds` is not a setting, expected `--name=value`",
        ),
        (
            &["run", "snooze-0", "--", "--role-name=snooze-1"],
            2,
            "`--role-name` is not a setting",
        ),
        (&["run", "snooze-0", "--seconds=1"], 2, "--seconds"),
        (
            &["run", "snooze-0", "--", "--second=1"],
            103,
            "role `snooze-0`",
        ),
        (&["run", "--", "--seconds=0.01"], 103, "role `noop-0`"),
        (
            &["run", "snooze-0", "--", "--seconds=soon"],
            103,
            "role `snooze-0`",
        ),
        // After `--`, a flag of the command is a setting.
        (
            &["run", "snooze-0", "--", "--main-role=snooze-0"],
            103,
            "--main-role",
        ),
        (
            &["add", "noop", "x", "--", "--home-path=/"],
            2,
            "`--home-path` is not a setting",
        ),
        (
            &["list", "--", "--seconds=1"],
            2,
            "no role matches `--seconds=1`",
        ),
    ] {
        let refused = sandbox.ansar(words).run();
        refused
            .code(code)
            .stdout_is("")
            .stderr_has(told)
            .stderr_lacks("Running");
    }
}

#[test]
fn control_c_still_prints_the_results() {
    let sandbox = with_roles(&["noop", "snooze", "zombie"]);
    let long = ["add", "snooze", "snooze-long", "--seconds=600"];
    sandbox.ansar(long).run().success();
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGQUIT, 131),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        let search = ["run", "-i", "snooze-0", "-v", "--debug-level=CONSOLE"];
        let run = sandbox.ansar(search).start();
        run.wait_for("Do nothing until interrupted");
        run.wait_for("Do nothing for 600.0 seconds");
        run.wait_for("Ended noop-0");
        // A terminal signals the whole process group.
        run.signal_group(signal);
        let output = run.wait();
        output.code(code).stderr_has("Stopping 2 roles");
        let expected = [
            ("noop-0", ACK),
            ("snooze-long", ABORTED),
            ("zombie-0", ABORTED),
        ];
        assert_eq!(ends(&output), pairs(&expected));
        sandbox.is_still();
    }
}

#[test]
fn control_c_kills_after_the_grace_period() {
    let sandbox = with_roles(&["stubborn", "zombie"]);
    let run = sandbox.ansar(["run", "--debug-level=CONSOLE"]).start();
    run.wait_for("Ignoring every signal");
    run.wait_for("Do nothing until interrupted");
    run.signal(Signal::SIGINT);
    let output = run.wait();
    output
        .code(130)
        .stderr_has("Waiting for stubborn-0 to stop")
        .stderr_has("role `stubborn-0` did not stop in time and was killed");
    let expected = [("stubborn-0", ABORTED), ("zombie-0", ABORTED)];
    assert_eq!(ends(&output), pairs(&expected));
}

#[test]
fn control_c_twice_kills_at_once() {
    let sandbox = with_roles(&["stubborn"]);
    let run = sandbox.ansar(["run", "--debug-level=CONSOLE"]).start();
    run.wait_for("Ignoring every signal");
    run.signal(Signal::SIGINT);
    run.wait_for("Stopping 1 role");
    run.signal(Signal::SIGINT);
    let output = run.wait();
    assert_eq!(ends(output.code(130)), pairs(&[("stubborn-0", ABORTED)]));
}

#[test]
fn a_client_without_a_server() {
    let sandbox = with_server_and_client();
    let alone = sandbox.ansar(["run", "client-0"]).run();
    assert_eq!(ends(alone.code(1)), pairs(&[("client-0", MAYBE)]));

    retry(&sandbox, "{\"first_steps\": [0.01, 0.02]}");
    let exhausted = sandbox
        .ansar(["run", "client-0", "--debug-level=CONSOLE"])
        .run();
    let all = completed(exhausted.code(1));
    assert_eq!(ends(&exhausted), pairs(&[("client-0", FAULTED)]));
    assert_eq!(
        (&all[0].2["attempts"], &all[0].2["last"][0]),
        (&json!(3), &json!(MAYBE))
    );
    assert_eq!(exhausted.log("Pausing for 0.010000 seconds").len(), 1);

    let unset = ["set", "retry", "client-0", "--not-set"];
    sandbox.ansar(unset).run().success();
    let alone = sandbox.ansar(["run", "client-0"]).run();
    assert_eq!(ends(alone.code(1)), pairs(&[("client-0", MAYBE)]));
}

#[test]
fn a_client_retries_until_its_server_starts() {
    let sandbox = with_server_and_client();
    retry(&sandbox, "{\"regular_steps\": 0.02}");
    let run = sandbox.ansar(["run", "-v"]).start();
    run.wait_for("Ended client-0");
    run.signal(Signal::SIGINT);
    let output = run.wait();
    let expected = [("client-0", REPORT), ("server-0", ABORTED)];
    assert_eq!(ends(output.code(130)), pairs(&expected));
    // An interrupted run still prints its message.
    retry(&sandbox, "{\"regular_steps\": 0.02}");
    let run = sandbox.ansar(["run", "-v", "--test-run"]).start();
    run.wait_for("Ended client-0");
    run.signal(Signal::SIGINT);
    let output = run.wait();
    output
        .code(130)
        .stdout_has("role \"client-0\" (pass/fail): 0/3\n");
}

#[test]
fn a_test_run_prints_role_and_navigation_lines() {
    let sandbox = with_server_and_client();
    sandbox.ansar(["add", "noop"]).run().success();
    let server = sandbox.ansar(["run", "server-0", "-v"]).start();
    server.wait_for("Ready server-0");
    let code_path = format!("--code-path={}", repository().display());
    let search = ["run", "client-0", "noop-0", "--test-run", &code_path];
    let failing = sandbox.ansar(search).run();
    let source = repository().join("test-fixtures/src/bin/client.rs");
    let lines: Vec<_> = failing.code(100).stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "role \"client-0\" (pass/fail): 0/3");
    let at = format!("{}:", source.display());
    assert!(
        lines[1..].iter().all(|line| line.starts_with(&at)),
        "{lines:?}"
    );
    assert!(lines[3].ends_with(" - expected b\"droll\" for b\"fly\", got b\"fly\""));

    let words = r#"{"value": [["fervent", "eager"], ["explain", "define"], ["fly", "droll"]]}"#;
    sandbox.write(".ansar-home/model/server-0/word-map.json", words);
    server.signal(Signal::SIGTERM);
    server.wait().code(143);
    let server = sandbox.ansar(["run", "server-0", "-v"]).start();
    server.wait_for("Ready server-0");
    let passing = sandbox.ansar(search).run();
    passing
        .success()
        .stdout_is("role \"client-0\" (pass/fail): 3/0\n");
    server.signal(Signal::SIGINT);
    server.wait().code(130);
}

#[test]
fn a_test_role_without_a_report() {
    let sandbox = with_home();
    for (executable, role) in [
        ("prints", "test-a"),
        ("silent", "test-b"),
        ("noop", "test-c"),
    ] {
        sandbox.ansar(["add", executable, role]).run().success();
    }
    let run = sandbox.ansar(["run", "--test-run"]).run();
    let at = |role: &str| format!("/scratch/.ansar-home/entry/{role}.json:1 - {role}: ");
    run.code(100)
        .stdout_has("role \"test-a\" (pass/fail): 1/0\n")
        .stdout_has(&format!("{}exited without a result\n", at("test-b")))
        .stdout_has(&at("test-c"));
    let host = format!("--host={}", loopback());
    sandbox
        .ansar(["add", "client", "test-d", &host])
        .run()
        .success();
    let alone = sandbox.ansar(["run", "test-d", "--test-run"]).run();
    alone
        .code(100)
        .stdout_has(&format!("{}gave up, Connection refused", at("test-d")));
    let whole = sandbox.ansar(["run", "test-a", "--test-run"]).run();
    whole
        .success()
        .stdout_is("role \"test-a\" (pass/fail): 1/0\n");
}

#[test]
fn sources_in_the_results_are_absolute() {
    let workspace = Workspace::new();
    workspace
        .ansar(["create", "--redirect-bin=target/debug"])
        .run()
        .success();
    for executable in ["prints", "panics"] {
        workspace.ansar(["add", executable]).run().success();
    }
    let source = |name: &str| workspace.path().join("test-fixtures/src/bin").join(name);
    let run = workspace.ansar(["run"]).in_dir("test-fixtures").run();
    let all = completed(run.code(1));
    let found = |value: &serde_json::Value| value.as_str().map(Path::new).map(Path::to_owned);
    assert_eq!(found(&all[0].2["source"]), Some(source("panics.rs")));
    assert_eq!(
        found(&all[1].2["tested"][0]["source"]),
        Some(source("prints.rs"))
    );
}

#[test]
fn a_role_cannot_run_twice_at_once() {
    let sandbox = with_roles(&["noop", "zombie"]);
    let zombie = sandbox
        .ansar(["run", "zombie-0", "--debug-level=CONSOLE"])
        .start();
    zombie.wait_for("Do nothing until interrupted");
    let logs = tree(&sandbox, ".ansar-home/logs/noop-0");
    let both = sandbox.ansar(["run"]).run();
    both.code(104).stdout_is("").stderr_has("hint: ");
    names_who_runs(&sandbox, &both, "zombie-0");
    assert_eq!(tree(&sandbox, ".ansar-home/logs/noop-0"), logs);
    let noop = sandbox.ansar(["run", "noop-0"]).run();
    assert_eq!(ends(noop.success()), pairs(&[("noop-0", ACK)]));
    let other = sandbox.ansar(["add", "zombie", "zombie-1"]).run();
    other.success();

    let forced = sandbox
        .ansar(["run", "-f", "zombie-0", "--debug-level=CONSOLE"])
        .start();
    let stopped = zombie.wait();
    assert_eq!(ends(stopped.success()), pairs(&[("zombie-0", ABORTED)]));
    forced.wait_for("Do nothing until interrupted");
    forced.signal(Signal::SIGINT);
    forced.wait().code(130);
}

#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let sandbox = with_roles(&["noop"]);
    let full = sandbox.ansar(["run"]).redirected(">/dev/full").run();
    full.code(110)
        .stderr_has("failed to write to stdout: No space left");
    sandbox.ansar(["run", "-q"]).redirected(">&- 2>&-").run();
    sandbox.ansar(["run"]).run().success();
}

#[test]
fn log_lines_have_the_colour_of_their_role() {
    let sandbox = with_roles(&["noop", "snooze"]);
    let set = ["run", "--debug-level=CONSOLE"];
    let plain = sandbox.ansar(set).run();
    plain.success().stderr_lacks("\u{1b}[");
    let run = sandbox.ansar(set).arg("--color=always").run();
    let color = |text: &str| {
        let line = run.log(text)[0];
        let (color, rest) = line.split_once("[0").unwrap();
        assert!(color.starts_with("\u{1b}["), "{line:?}");
        assert!(rest.contains("]\u{1b}[0m 2"), "{line:?}");
        color.to_owned()
    };
    assert_ne!(color("Log this and exit"), color("Do nothing for"));
}

#[test]
fn unlisted_failures_are_counted() {
    let sandbox = with_home();
    let add = ["add", "checks", "test-many", "--checks=1000000"];
    let add = sandbox.ansar(add).arg("--fail-every=1000");
    add.run().success();
    let run = sandbox.ansar(["run", "--test-run"]).run();
    run.code(100)
        .stdout_has("role \"test-many\" (pass/fail): 999000/1000\n")
        .stderr_has("745 more failed checks of role `test-many` not listed");
    assert_eq!(run.stdout.lines().count(), 1 + 255);
}

#[test]
fn a_component_at_the_terminal_returns_nothing() {
    let sandbox = with_roles(&["noop"]);
    let run = sandbox.ansar(["run", "--interactive=noop-0"]).run();
    run.success().stdout_is("");
    let history = sandbox.ansar(["history", "noop-0"]).run();
    history.success().stdout_has("(Ack)");
}
