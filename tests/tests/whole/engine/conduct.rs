//! Roles that become ready, end and stop in ways of their own.

use std::os::unix::net::UnixDatagram;

use tests::Sandbox;

use super::{WAITS, ansar, appears, home_of};

/// Script that writes the address of its notification socket to `NAME`.
fn tells(name: &str) -> String {
    format!("printf %s \"$NOTIFY_SOCKET\" > {name}.new; mv {name}.new {name}; {WAITS}")
}

/// Sends a datagram to the socket whose address is in a file.
#[track_caller]
fn notify(sandbox: &Sandbox, file: &str, datagram: &str) {
    appears(sandbox, file);
    let sender = UnixDatagram::unbound().expect("there is room for a socket");
    let sent = sender.send_to(datagram.as_bytes(), sandbox.read(file));
    sent.expect("the engine listens");
}

#[test]
fn a_script_is_ready_by_a_notice_without_a_name() {
    let sandbox = home_of(&[("one", &tells("one")), ("other", &tells("other"))]);
    let start = sandbox.ansar(["start"]).start();
    notify(&sandbox, "one", "READY=1");
    notify(&sandbox, "other", "X_ANSAR_ROLE=one-0\nREADY=1\n");
    start.wait_for("Waiting for other-0 to be ready");
    notify(&sandbox, "other", "STATUS=up\nREADY=1");
    start.wait().success().stderr_has("Started 2 roles");
    let address = sandbox.read("one");
    ansar(&sandbox, "stop").success();
    assert!(!std::path::Path::new(&address).exists());
}

/// Sets a property of a role.
#[track_caller]
fn set(sandbox: &Sandbox, property: &str, role: &str, value: &str) {
    let set = sandbox.ansar(["set", property, role]);
    let value = format!("{{\"value\": {value}}}");
    set.stdin(&value).run().success();
}

#[test]
fn a_role_starts_after_a_one_shot_role() {
    let seeds = "while ! [ -e gate ]; do sleep 0.01; done; acknowledge";
    let sandbox = home_of(&[("seed", seeds), ("later", "touch late; acknowledge")]);
    set(&sandbox, "after", "later-0", r#"["seed-0"]"#);
    set(&sandbox, "ready", "seed-0", r#""done""#);
    let run = sandbox.ansar(["run"]).start();
    run.wait_for("Waiting for seed-0 to be ready");
    assert!(!sandbox.path().join("late").exists());
    sandbox.write("gate", "");
    run.wait().success();
    appears(&sandbox, "late");
}

#[test]
fn a_role_after_a_failed_one_says_so() {
    let sandbox = home_of(&[
        ("seed", "exit 3"),
        ("later", "acknowledge"),
        ("last", WAITS),
    ]);
    for (role, after) in [("later-0", "seed-0"), ("last-0", "later-0")] {
        set(&sandbox, "after", role, &format!(r#"["{after}"]"#));
    }
    let run = ansar(&sandbox, "run");
    run.code(1);
    let completed = run.json()["value"][1]["completed"].clone();
    let condition = |nth: usize| completed[nth][1][1]["condition"].clone();
    assert_eq!(
        condition(1),
        "not started: `seed-0`, which it starts after, failed"
    );
    assert_eq!(
        condition(0),
        "not started: `later-0`, which it starts after, did not start"
    );
}

#[test]
fn a_role_has_its_own_stop_signal() {
    let script = "trap 'echo \"asked by USR1\" >&2; exit 0' USR1; trap '' INT TERM; \
                  touch up; while :; do sleep 0.01; done";
    let sandbox = home_of(&[("asked", script)]);
    set(&sandbox, "stop", "asked-0", r#"{"signal": "USR1"}"#);
    ansar(&sandbox, "start --no-wait").success();
    appears(&sandbox, "up");
    ansar(&sandbox, "stop").success();
    ansar(&sandbox, "log asked-0").stdout_has("asked by USR1");
}

#[test]
fn a_role_without_grace_is_killed_at_once() {
    let script = "trap '' INT TERM; touch up; while :; do sleep 0.01; done";
    let sandbox = home_of(&[("stays", script)]);
    set(&sandbox, "stop", "stays-0", r#"{"grace": 0.001}"#);
    ansar(&sandbox, "start --no-wait").success();
    appears(&sandbox, "up");
    let stop = ansar(&sandbox, "stop");
    stop.success().stderr_lacks("Waiting for");
    sandbox.is_still();
}

#[test]
fn stdout_that_is_no_message_is_logged() {
    let sandbox = home_of(&[("fails", "echo first >&2; echo 'the reason'; exit 3")]);
    ansar(&sandbox, "run").code(1);
    let log = ansar(&sandbox, "log fails-0");
    let found = log.stdout.find("first").zip(log.stdout.find("the reason"));
    let (first, reason) = found.expect("both lines are logged");
    assert!(first < reason, "{}", log.stdout);
}
