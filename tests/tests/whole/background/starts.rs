//! `start`, and the roles that it starts.

use std::os::unix::fs::PermissionsExt;

use tests::{Sandbox, eventually, executable};

use super::{ansar, comes_to, down, engine, home_with, is_quiet, processes, set};

/// Creates a home with a server that waits for a file `gate` in the working
/// folder.
fn late() -> Sandbox {
    let sandbox = Sandbox::new();
    let gate = sandbox.write("gate", "");
    let script = format!(
        "#!/bin/sh\n# ansar-component: 1\nwhile ! [ -e '{}' ]; do sleep 0.01; done\nexec '{}' \"$@\"\n",
        gate.display(),
        executable("server").display()
    );
    let late = sandbox.write("bin/late", &script);
    std::fs::set_permissions(&late, PermissionsExt::from_mode(0o755)).expect("it is there");
    let bin = sandbox.path().join("bin");
    for name in ["noop", "zombie", "panics"] {
        std::os::unix::fs::symlink(executable(name), bin.join(name)).expect("it is new");
    }
    let redirect = format!("--redirect-bin={}", bin.display());
    sandbox.ansar(["create", &redirect]).run().success();
    let host = format!("--host={}", tests::loopback());
    sandbox.ansar(["add", "late", &host]).run().success();
    for name in ["noop", "zombie", "panics"] {
        ansar(&sandbox, &format!("add {name}")).success();
    }
    std::fs::remove_file(gate).expect("it is there");
    sandbox
}

#[test]
fn start_waits_for_a_slow_role() {
    let sandbox = late();
    let start = sandbox.ansar(["start", "late-0", "zombie-0"]).start();
    start.wait_for("Waiting for late-0 to be ready");
    assert_eq!(comes_to(&sandbox, "late-0", "starting")["attempt"], 1);
    comes_to(&sandbox, "zombie-0", "ready");
    let waiting = sandbox.ansar(["status", "--wait", "ready"]).start();
    let impatient = ansar(&sandbox, "status --wait ready --timeout 100ms");
    impatient.code(106).stdout_is("");
    sandbox.write("gate", "");
    start.wait().success().stderr_has("Started 2 roles");
    waiting.wait().success().stdout_is("late-0\nzombie-0\n");
    down(&sandbox);
}

#[test]
fn a_role_that_is_never_ready() {
    let sandbox = late();
    let words = "start --ready-timeout 300ms late-0 zombie-0 noop-0 panics-0";
    let start = ansar(&sandbox, words);
    start
        .code(1)
        .stderr_has("Started `zombie-0`")
        .stderr_has("error: not started: `late-0` (not ready after 300ms)")
        .stderr_has("hint: ");
    let up: Vec<String> = processes(&sandbox).into_keys().collect();
    assert_eq!(up, ["zombie-0"]);
    down(&sandbox);
}

#[test]
fn no_wait_returns_at_once() {
    let sandbox = late();
    ansar(&sandbox, "start --no-wait late-0")
        .success()
        .stderr_has("Starting `late-0`")
        .stderr_lacks("Started");
    comes_to(&sandbox, "late-0", "starting");
    down(&sandbox);
}

#[test]
fn an_engine_ends_with_its_last_role() {
    let sandbox = home_with(&["noop", "panics"]);
    // An executable without notices counts as ready when it starts.
    ansar(&sandbox, "start noop-0").success();
    is_quiet(&sandbox);
    ansar(&sandbox, "start panics-0").code(1);
    is_quiet(&sandbox);
    sandbox
        .ansar(["add", "server", "--host=nowhere"])
        .run()
        .success();
    ansar(&sandbox, "start server-0")
        .code(1)
        .stderr_has("error: not started: `server-0` (")
        .stderr_has("hint: ");
    is_quiet(&sandbox);
}

#[test]
fn a_crash_during_the_settle_time() {
    let sandbox = home_with(&["panics", "zombie", "noop"]);
    ansar(&sandbox, "add snooze --seconds=0.05").success();
    for words in ["start", "start -f"] {
        ansar(&sandbox, words)
            .code(1)
            .stdout_is("")
            .stderr_has("error: not started: `panics-0` (")
            .stderr_has("Started `zombie-0`")
            .stderr_has("Ended 2 roles already")
            .stderr_has("Log of panics-0, its last lines")
            .stderr_has("panicked: this component panics")
            .stderr_has("hint: see more with `cargo ansar log panics-0`");
    }
    set(&sandbox, "timeout", "zombie-0", "0.05");
    ansar(&sandbox, "restart zombie-0")
        .code(1)
        .stderr_has("error: not started: `zombie-0` (")
        .stderr_lacks("Started");
    is_quiet(&sandbox);
    let log = ansar(&sandbox, "log panics-0");
    log.success().stdout_has("panicked: this component panics");
}

#[test]
fn the_settle_time_can_be_set() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "add snooze --seconds=0.5").success();
    // It exits successfully during the settle time.
    ansar(&sandbox, "start snooze-0 --settle-time 30s")
        .success()
        .stderr_has("Ended `snooze-0` already");
    is_quiet(&sandbox);
    ansar(&sandbox, "add snooze snooze-crashes --seconds=600").success();
    set(&sandbox, "timeout", "snooze-crashes", "0.5");
    ansar(&sandbox, "start snooze-crashes --settle-time 30s")
        .code(1)
        .stderr_has("not started: `snooze-crashes` (");
    is_quiet(&sandbox);
    ansar(&sandbox, "start --no-wait --settle-time 1s").code(2);
}

#[test]
fn a_ready_role_has_no_settle_time() {
    let sandbox = home_with(&[]);
    let host = format!("add server --host={}", tests::loopback());
    ansar(&sandbox, &host).success();
    ansar(&sandbox, "start --settle-time 1h").success();
    down(&sandbox);
}

#[test]
fn settings_for_a_run_are_behind_the_dashes() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "add snooze --seconds=600").success();
    let line = || {
        let all = sandbox.processes().into_values();
        all.filter(|line| line.contains("--role-name=snooze-0"))
            .collect::<String>()
    };
    ansar(&sandbox, "start snooze-0 -- --seconds=601").success();
    assert!(line().contains("--seconds=601"));
    ansar(&sandbox, "restart snooze-0 -- --seconds=602").success();
    assert!(line().contains("--seconds=602"));
    // The component rejects the setting before anything is stopped.
    let refused = ansar(&sandbox, "restart snooze-0 -- --seconds=soon");
    refused.code(103).stderr_has("error: role `snooze-0`");
    let refused = ansar(&sandbox, "start -f -- --seconds=1");
    refused.code(103).stderr_has("error: role `zombie-0`");
    assert!(line().contains("--seconds=602"));
    ansar(&sandbox, "settings snooze-0").stdout_has("600");
    ansar(&sandbox, "restart snooze-0").success();
    assert!(!line().contains("--seconds"));
    down(&sandbox);
}

#[test]
fn a_second_start_uses_the_same_engine() {
    let sandbox = home_with(&["zombie", "hangs"]);
    ansar(&sandbox, "start zombie-0").success();
    let first = engine(&sandbox);
    assert!(first.is_some());
    ansar(&sandbox, "start hangs-0").success();
    assert_eq!(engine(&sandbox), first);
    ansar(&sandbox, "status").stdout_is("hangs-0\nzombie-0\n");
    ansar(&sandbox, "stop zombie-0").success();
    assert_eq!(engine(&sandbox), first);
    // It is stopped and started again in the same engine.
    ansar(&sandbox, "start zombie-0").success();
    assert_eq!(engine(&sandbox), first);
    down(&sandbox);
}

#[test]
fn two_concurrent_starts_share_an_engine() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "add zombie zombie-{number} --start=1 --count=5").success();
    let starts: Vec<_> = (0..6)
        .map(|number| {
            sandbox
                .ansar(["start", &format!("zombie-{number}")])
                .start()
        })
        .collect();
    for start in starts {
        start.wait().success();
    }
    assert_eq!(processes(&sandbox).len(), 6);
    assert!(engine(&sandbox).is_some());
    let all = sandbox.processes();
    assert_eq!(all.len(), 8, "one engine and its guardian: {all:?}");
    down(&sandbox);
}

#[test]
fn force_replaces_running_roles() {
    let sandbox = home_with(&["zombie", "hangs"]);
    ansar(&sandbox, "start").success();
    let first = processes(&sandbox);
    ansar(&sandbox, "start -f zombie-0").success();
    let second = processes(&sandbox);
    assert_eq!(first["hangs-0"], second["hangs-0"]);
    assert_ne!(first["zombie-0"], second["zombie-0"]);
    down(&sandbox);
}

#[test]
fn roles_have_the_environment_of_their_start() {
    let sandbox = home_with(&["zombie", "hangs"]);
    for (role, value) in [("zombie-0", "one"), ("hangs-0", "other")] {
        let start = sandbox.ansar(["start", role]).env("WHOSE", value);
        start.env("TEXT", "a\nb=c \u{e9}").run().success();
        let pid = processes(&sandbox)[role];
        let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("it runs");
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let variables: Vec<&str> = environment.split('\0').collect();
        assert!(
            variables.contains(&&*format!("WHOSE={value}")),
            "{variables:?}"
        );
        assert!(variables.contains(&"TEXT=a\nb=c \u{e9}"), "{variables:?}");
    }
    down(&sandbox);
}

#[test]
fn incomplete_roles_are_refused_before_anything_stops() {
    let sandbox = late();
    ansar(&sandbox, "start zombie-0").success();
    let first = processes(&sandbox);
    std::fs::remove_file(sandbox.path().join("bin/noop")).expect("it is there");
    ansar(&sandbox, "start -f zombie-0 noop-0")
        .code(2)
        .stderr_has("executable `noop` not found");
    assert_eq!(processes(&sandbox), first);
    down(&sandbox);
}

#[test]
fn an_interrupted_start_leaves_roles_to_the_engine() {
    let sandbox = late();
    let start = sandbox.ansar(["start", "late-0"]).start();
    start.wait_for("Waiting for late-0 to be ready");
    start.signal(tests::Signal::SIGINT);
    start.wait().code(130);
    sandbox.write("gate", "");
    comes_to(&sandbox, "late-0", "ready");
    down(&sandbox);
    let gone = eventually(|| engine(&sandbox).is_none().then_some(()));
    assert!(gone.is_some());
}
