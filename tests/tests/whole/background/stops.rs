//! `stop` of roles in any engine.

use tests::{Running, Sandbox, Signal};

use super::{ABORTED, ansar, comes_to, down, engine, home_with, is_quiet, named, processes};

#[test]
fn a_stubborn_role_is_named_and_killed() {
    let sandbox = home_with(&["stubborn", "zombie"]);
    ansar(&sandbox, "start").success();
    // The role announces readiness before it ignores signals.
    let log = tests::eventually(|| {
        let log = ansar(&sandbox, "log stubborn-0");
        log.stdout.contains("Ignoring every signal").then_some(())
    });
    assert!(log.is_some());
    let stop = sandbox.ansar(["stop"]).start();
    stop.wait_for("Waiting for stubborn-0 to stop");
    assert_eq!(
        comes_to(&sandbox, "stubborn-0", "stopping")["role"],
        "stubborn-0"
    );
    let stopped = stop.wait();
    stopped
        .success()
        .stderr_has("role `stubborn-0` did not stop in time and was killed")
        .stderr_has("Stopped 2 roles");
    sandbox.is_still();
    ansar(&sandbox, "history -l stubborn-0").stdout_has("killed");
}

#[test]
fn nothing_to_stop() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "stop").code(105).stderr_has("`zombie-0`");
    ansar(&sandbox, "stop -f")
        .success()
        .stderr_has("no role runs");
    ansar(&sandbox, "stop none")
        .code(2)
        .stderr_has("no role matches");
}

/// Starts `run` of all roles in another command.
fn foreground(sandbox: &Sandbox) -> Running<'_> {
    let run = sandbox.ansar(["run", "-v"]).start();
    for role in ["hangs-0", "zombie-0"] {
        run.wait_for(&format!("Ready {role}"));
    }
    run
}

#[test]
fn foreground_roles_are_shown_and_stopped() {
    let sandbox = home_with(&["zombie", "hangs"]);
    let run = foreground(&sandbox);
    ansar(&sandbox, "status")
        .success()
        .stdout_is("hangs-0\nzombie-0\n");
    let long = ansar(&sandbox, "status -l zombie-0");
    long.success()
        .stdout_has(" ready")
        .stdout_has("in the foreground");
    let refused = ansar(&sandbox, "start zombie-0");
    refused.code(104);
    assert_eq!(named(&refused, "zombie-0"), processes(&sandbox)["zombie-0"]);
    ansar(&sandbox, "restart zombie-0")
        .code(104)
        .stderr_has("cannot restart role `zombie-0`: it runs in the foreground (process ");
    ansar(&sandbox, "stop zombie-0").success();
    assert_eq!(processes(&sandbox).len(), 1);
    // A role stopped there can run elsewhere.
    ansar(&sandbox, "start zombie-0").success();
    assert!(engine(&sandbox).is_some());
    ansar(&sandbox, "status")
        .success()
        .stdout_is("hangs-0\nzombie-0\n");
    ansar(&sandbox, "stop").success();
    run.wait().stdout_has(ABORTED);
    is_quiet(&sandbox);
}

#[test]
fn roles_move_from_the_foreground_by_force() {
    let sandbox = home_with(&["zombie", "hangs"]);
    let run = foreground(&sandbox);
    ansar(&sandbox, "start -f").success();
    run.wait().stdout_has(ABORTED);
    assert_eq!(processes(&sandbox).len(), 2);
    assert!(engine(&sandbox).is_some());
    down(&sandbox);
}

#[test]
fn a_signalled_engine_stops_its_roles() {
    let sandbox = home_with(&["zombie", "hangs"]);
    ansar(&sandbox, "start").success();
    let (guardian, _) = engine(&sandbox).expect("it runs");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(guardian), Signal::SIGTERM).expect("it runs");
    is_quiet(&sandbox);
    ansar(&sandbox, "returned zombie-0")
        .success()
        .returned(ABORTED);
}

#[test]
fn status_waits_for_an_end() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "status --wait stopped")
        .success()
        .stdout_is("");
    ansar(&sandbox, "status --wait ready").code(105);
    ansar(&sandbox, "start").success();
    ansar(&sandbox, "status --wait ready")
        .success()
        .stdout_is("zombie-0\n");
    ansar(&sandbox, "status --wait stopped --timeout 50ms")
        .code(106)
        .stderr_has("timed out after 50ms waiting for roles to stop: `zombie-0`\n");
    let waiting = sandbox.ansar(["status", "--wait", "stopped"]).start();
    down_while(&sandbox);
    waiting.wait().success().stdout_is("");
    is_quiet(&sandbox);
}

fn down_while(sandbox: &Sandbox) {
    ansar(sandbox, "stop").success();
}
