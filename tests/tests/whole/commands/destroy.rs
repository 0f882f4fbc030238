//! `destroy`: a home and everything in it, unless something runs.

use tests::{Sandbox, Signal};

use super::{ABORTED, ends, hinted, listed, names_who_runs, pairs, with_roles};

#[test]
fn a_home_with_running_roles_is_kept() {
    let sandbox = with_roles(&["noop", "zombie"]);
    let run = sandbox
        .ansar(["run", "zombie-0", "--debug-level=CONSOLE"])
        .start();
    run.wait_for("Do nothing until interrupted");
    let destroy = sandbox.ansar(["destroy"]).run();
    destroy.code(104).stderr_has("hint: ");
    names_who_runs(&sandbox, &destroy, "zombie-0");
    assert_eq!(listed(&sandbox), ["noop-0", "zombie-0"]);
    run.signal(Signal::SIGINT);
    run.wait().code(130);
    sandbox
        .ansar(["destroy"])
        .run()
        .success()
        .stderr_has("Destroyed home `");
    assert!(!sandbox.path().join(".ansar-home").exists());
}

#[test]
fn force_stops_running_roles_first() {
    let sandbox = with_roles(&["noop", "zombie"]);
    let again = ["add", "zombie", "zombie-1"];
    sandbox.ansar(again).run().success();
    let runs = ["zombie-0", "zombie-1"].map(|role| {
        let run = sandbox
            .ansar(["run", role, "--debug-level=CONSOLE"])
            .start();
        run.wait_for("Do nothing until interrupted");
        (role, run)
    });
    sandbox.ansar(["destroy", "--force"]).run().success();
    assert!(!sandbox.path().join(".ansar-home").exists());
    for (role, run) in runs {
        let output = run.wait();
        assert_eq!(ends(output.success()), pairs(&[(role, ABORTED)]));
    }
}

#[test]
fn a_missing_home_cannot_be_destroyed() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["destroy"][..],
        &["-f", "destroy", "a b"],
        &["list"],
        &["run"],
    ] {
        let none = sandbox.ansar(arguments).run();
        none.code(96).stderr_has("error: no home at `");
    }
    let none = sandbox.ansar(["destroy", "nowhere"]).run();
    hinted(&sandbox, &none).run().success();
    sandbox.read("nowhere/home.json");
    let spaced = sandbox.ansar(["destroy", "a b"]).run();
    spaced.stderr_has("/scratch/a b'`");
}
