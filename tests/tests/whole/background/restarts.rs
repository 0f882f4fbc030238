//! The property `restart`.

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Sandbox, Signal, Workspace, eventually};

use super::{ansar, comes_to, down, home_with, is_quiet, processes, set, statuses};

/// Returns the number of starts in a role's history.
fn starts(sandbox: &Sandbox, role: &str) -> usize {
    let history = sandbox.ansar(["history", role]).run();
    history.success().stdout.lines().count()
}

#[test]
fn a_failed_role_is_restarted_by_its_policy() {
    let sandbox = home_with(&[]);
    sandbox
        .ansar(["add", "server", "--host=nowhere"])
        .run()
        .success();
    set(&sandbox, "restart", "server-0", r#""on-failure""#);
    set(
        &sandbox,
        "retry",
        "server-0",
        r#"{"first_steps": [0.02, 0.03]}"#,
    );
    let start = ansar(&sandbox, "start");
    start.code(1).stderr_has("not started: `server-0`");
    is_quiet(&sandbox);
    assert_eq!(starts(&sandbox, "server-0"), 3);
    // In the foreground, the role is not restarted.
    ansar(&sandbox, "run").code(1);
    assert_eq!(starts(&sandbox, "server-0"), 4);
    set(&sandbox, "restart", "server-0", r#""never""#);
    ansar(&sandbox, "start").code(1);
    is_quiet(&sandbox);
    assert_eq!(starts(&sandbox, "server-0"), 5);
}

#[test]
fn a_restarting_role_can_be_stopped() {
    let sandbox = home_with(&["panics"]);
    set(&sandbox, "restart", "panics-0", r#""on-failure""#);
    set(&sandbox, "retry", "panics-0", r#"{"regular_steps": 600.0}"#);
    ansar(&sandbox, "start --no-wait").success();
    let status = comes_to(&sandbox, "panics-0", "restarting");
    assert!(status["pid"].is_null(), "{status}");
    assert_eq!(status["restarts"], 1);
    ansar(&sandbox, "status -l")
        .stdout_has("panics-0 <> ")
        .stdout_has("restarts 1");
    ansar(&sandbox, "start")
        .code(104)
        .stderr_has("already running: `panics-0`\n");
    ansar(&sandbox, "stop").success();
    sandbox.is_still();
    assert_eq!(starts(&sandbox, "panics-0"), 1);
}

#[test]
fn roles_that_do_not_run_yet_can_be_started_alone() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "add zombie zombie-{number} --start=1").success();
    ansar(&sandbox, "start zombie-0").success();
    ansar(&sandbox, "start")
        .code(104)
        .stderr_has("error: already running: `zombie-0` (process ")
        .stderr_has(
            "hint: start only the one that is not running with `cargo ansar start zombie-1`, \
             or restart the others as well with `-f`",
        );
    ansar(&sandbox, "start zombie-1").success();
    ansar(&sandbox, "stop").success();
}

#[test]
fn start_gives_up_on_a_crashing_role() {
    let sandbox = home_with(&["silent"]);
    set(&sandbox, "restart", "silent-0", r#""always""#);
    set(&sandbox, "retry", "silent-0", r#"{"regular_steps": 0.05}"#);
    let start = ansar(&sandbox, "start --ready-timeout 300ms");
    // `start` reports success or failure, depending on timing; the role goes
    // on.
    start.check(start.status.code().is_some_and(|code| code < 2), || {
        "expected an answer".to_owned()
    });
    let again = eventually(|| {
        let status = statuses(&sandbox).remove("silent-0")?;
        status["restarts"].as_u64().filter(|count| *count >= 3)
    });
    assert!(again.is_some());
    down(&sandbox);
}

#[test]
fn killed_roles_restart_and_stopped_ones_do_not() {
    let sandbox = home_with(&["zombie", "noop"]);
    for (role, restart) in [("zombie-0", r#""on-failure""#), ("noop-0", r#""always""#)] {
        set(&sandbox, "restart", role, restart);
        set(&sandbox, "retry", role, r#"{"regular_steps": 0.02}"#);
    }
    ansar(&sandbox, "start zombie-0").success();
    let first = processes(&sandbox)["zombie-0"];
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it runs");
    let back = eventually(|| {
        let second = *processes(&sandbox).get("zombie-0")?;
        (second != first).then_some(second)
    });
    assert!(back.is_some());
    let status = comes_to(&sandbox, "zombie-0", "ready");
    assert_eq!(status["restarts"], 1);
    ansar(&sandbox, "status --wait ready").success();
    ansar(&sandbox, "status --wait ready noop-0").code(105);
    ansar(&sandbox, "stop zombie-0").success();
    sandbox.is_still();

    ansar(&sandbox, "start --no-wait noop-0").success();
    let again = eventually(|| (starts(&sandbox, "noop-0") > 2).then_some(()));
    assert!(again.is_some());
    down(&sandbox);
}

#[test]
fn a_role_that_is_never_ready_is_restarted() {
    let sandbox = home_with(&[]);
    sandbox
        .ansar(["add", "snooze", "--seconds=600"])
        .run()
        .success();
    set(&sandbox, "restart", "snooze-0", r#""on-failure""#);
    set(&sandbox, "retry", "snooze-0", r#"{"regular_steps": 0.02}"#);
    set(&sandbox, "timeout", "snooze-0", "0.2");
    // It runs longer than the settle time.
    ansar(&sandbox, "start --settle-time 10ms").success();
    let again = eventually(|| (starts(&sandbox, "snooze-0") > 2).then_some(()));
    assert!(again.is_some());
    down(&sandbox);
}

#[test]
fn restart_in_the_manifest() {
    let workspace = Workspace::new();
    workspace.manifest(
        "[workspace.metadata.ansar.role.panics-0]\nexecutable = \"panics\"\n\
         restart = \"on-failure\"\nstorage = 131072\nretry = { first_steps = [0.02] }\n\
         [workspace.metadata.ansar.role.test-x]\nexecutable = \"noop\"\n",
    );
    workspace.ansar(["test", "--no-run"]).run().success();
    ansar(&workspace, "get restart panics-0").stdout_has("on-failure");
    ansar(&workspace, "get storage panics-0").stdout_has("131072");
    ansar(&workspace, "start");
    is_quiet(&workspace);
    assert_eq!(starts(&workspace, "panics-0"), 2);
}
