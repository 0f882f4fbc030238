//! A home that was moved or copied.

use std::path::Path;

use tests::{Signal, Workspace, processes_named};

use super::workspace;

/// Creates a workspace with its roles deployed.
fn prepared() -> Workspace {
    let workspace = workspace("");
    workspace.ansar(["test", "--no-run"]).run().success();
    workspace
}

/// Runs a role of a home at another path.
fn run(workspace: &Workspace, home: &str, role: &str) -> tests::Output {
    let home = format!("--home-path={}", workspace.path().join(home).display());
    workspace.ansar(["run", &home, role]).run()
}

#[test]
fn a_moved_home_works() {
    let workspace = prepared();
    let (from, to) = (workspace.path().join(".ansar-home"), "elsewhere/moved");
    std::fs::create_dir(workspace.path().join("elsewhere")).expect("the folder is new");
    std::fs::rename(from, workspace.path().join(to)).expect("it is moved");
    run(&workspace, to, "noop-0")
        .success()
        .stderr_lacks("warning");
    run(&workspace, to, "strays-0").success();
    workspace.is_still();
    let old = workspace.path().join(".ansar-home");
    assert!(
        !Path::new(&old).exists(),
        "nothing is made at the old place"
    );
}

#[test]
fn a_copied_home_does_not_affect_the_original() {
    let workspace = prepared();
    let command = workspace.ansar(["run", "--debug-level=CONSOLE", "zombie-0", "strays-0"]);
    let command = command.start();
    command.wait_for("zombie - ");
    let copied = workspace.program("cp").args(["-a", ".ansar-home", "copy"]);
    copied.run().success();
    let running = || {
        let roles = workspace.path().join(".ansar-home/bin/zombie");
        processes_named(&format!("{} ", roles.display()))
    };
    let before = running();
    assert_eq!(before.len(), 1);
    run(&workspace, "copy", "noop-0")
        .success()
        .stderr_lacks("warning");
    assert_eq!(running(), before);
    // The role of that name runs in the original, and may also run in the copy.
    let home = format!("--home-path={}", workspace.path().join("copy").display());
    let second = workspace.ansar(["run", "--debug-level=CONSOLE", &home, "zombie-0"]);
    let second = second.start();
    second.wait_for("zombie - ");
    second.signal(Signal::SIGINT);
    second.wait().stdout_has("Aborted");
    assert_eq!(running(), before);
    command.signal(Signal::SIGINT);
    command.wait().stdout_has("Aborted");
    workspace.is_still();
}
