//! Exits of a component: on request, on its parent's death, or never.

use tests::{Notices, Program, Sandbox, Signal};

use super::{ABORTED, ACK, FAULTED, Home, this_parent};

/// A parent that starts a component, and exits when its stdin is closed.
fn below_a_shell<'s>(sandbox: &'s Sandbox, home: &Home<'_>, executable: &str) -> Program<'s> {
    sandbox
        .program("sh")
        .args(["-c", "ANSAR_PARENT=$$ \"$0\" \"$@\" & read line; exit 7"])
        .arg(tests::executable(executable))
        .args(["--call-signature=o", "--role-name=orphan"])
        .arg(format!("--home-path={}", home.path().display()))
        .open_stdin()
}

#[test]
fn every_signal_that_asks_to_stop_is_heard() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGQUIT, 131),
    ] {
        // By hand, the exit code tells the outcome; in a home, the result does.
        for (zombie, code) in [
            (sandbox.component("zombie"), code),
            (home.role("zombie", "zombie-0"), 0),
        ] {
            let zombie = zombie.start();
            zombie.wait_for("Do nothing until interrupted");
            zombie.signal(signal);
            zombie.wait().code(code).returned(ABORTED);
        }
    }
}

#[test]
fn a_stop_request_ends_a_sleep() {
    let sandbox = Sandbox::new();
    let snooze = sandbox.component("snooze").arg("--seconds=600").start();
    snooze.wait_for("Do nothing for");
    snooze.signal(Signal::SIGINT);
    snooze.wait().code(130).returned(ABORTED);
}

#[test]
fn a_second_signal_ends_a_hanging_component() {
    let sandbox = Sandbox::new();
    let hangs = sandbox.component("hangs").start();
    hangs.wait_for("Hanging");
    hangs.signal(Signal::SIGINT);
    assert!(hangs.outlives_its_signals());
    // A different signal: two equal ones may be merged.
    hangs.signal(Signal::SIGTERM);
    hangs.wait().code(143).stdout_is("");
}

#[test]
fn repeated_signals_in_a_home() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let notices = Notices::listen(&sandbox);
    let hangs = home
        .role("hangs", "hangs-0")
        .env("NOTIFY_SOCKET", notices.path())
        .envs([this_parent()])
        .start();
    hangs.wait_for("Hanging");
    assert_eq!(notices.next()["X_ANSAR_ANNOUNCES"], "0");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        hangs.signal(signal);
        assert_eq!(notices.next()["STOPPING"], "1");
    }
    assert!(hangs.outlives_its_signals());
    hangs.signal(Signal::SIGKILL);
    hangs.wait().killed_by(Signal::SIGKILL);
}

#[test]
fn a_component_stops_when_its_parent_dies() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let mut parent = below_a_shell(&sandbox, &home, "zombie").start();
    parent.wait_for("Do nothing until interrupted");
    parent.close_stdin();
    // The streams are closed by the component, not by the shell.
    parent.wait().code(7).returned(ABORTED);
    sandbox.is_still();
}

#[test]
fn a_hanging_component_dies_with_its_parent() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let mut parent = below_a_shell(&sandbox, &home, "hangs").start();
    parent.wait_for("Hanging");
    parent.close_stdin();
    parent.wait().code(7).stdout_is("");
    sandbox.is_still();
}

#[test]
fn a_component_with_a_dead_parent() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let late = home.role("zombie", "late").env("ANSAR_PARENT", "1");
    let output = late.run();
    output
        .success()
        .stderr_lacks("Do nothing")
        .returned(ABORTED);
}

#[test]
fn by_hand_there_is_no_parent() {
    let sandbox = Sandbox::new();
    let output = sandbox.component("noop").env("ANSAR_PARENT", "1").run();
    output.success().returned(ACK);
}

#[test]
fn a_panic_is_a_fault_at_its_place() {
    let sandbox = Sandbox::new();
    let output = sandbox.component("panics").run();
    let fault = output.code(1).returned(FAULTED);
    assert_eq!(fault["condition"], "component panicked");
    assert_eq!(fault["source"], "test-fixtures/src/bin/panics.rs");
    let line = fault["line"].as_u64().expect("a line is a number");
    let place = format!("(test-fixtures/src/bin/panics.rs:{line})");
    output.stderr_has(&place);
    assert_eq!(output.log("stack backtrace"), [""; 0]);
}

#[test]
fn a_wrong_setting_is_not_retried() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write(
        "entry/snooze-0.json",
        r#"{"value": {"retry": {"regular_steps": 0.01}}}"#,
    );
    let output = home.role("snooze", "snooze-0").arg("--seconds=-1").run();
    output.success().returned("ansar.create.lifecycle.Cannot");
}
