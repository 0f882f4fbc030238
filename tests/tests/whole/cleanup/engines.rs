//! Processes that remain when guardians and engines are killed at known
//! moments.

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Running, Signal, Workspace, children_of, eventually, processes_named};

use super::workspace;

/// Script of a role whose grandchild leads a session and keeps its environment;
/// its child clears its own.
fn leader(workspace: &Workspace) -> String {
    let mark = workspace.path().display().to_string();
    format!(
        r#"
[workspace.metadata.ansar.role.leader-0]
executable = "deserts"
settings = {{ mark = "{mark}", clears = false }}
"#
    )
}

/// Creates a workspace with that role deployed.
fn with_leader() -> Workspace {
    let workspace = workspace("");
    super::describe(&workspace, &leader(&workspace));
    workspace.ansar(["test", "--no-run"]).run().success();
    workspace
}

/// Runs roles, and waits for a line of each of these executables.
fn running<'s>(workspace: &'s Workspace, roles: &[&str], lines: &[&str]) -> Running<'s> {
    let running = workspace.ansar(["run", "--debug-level=CONSOLE"]);
    let running = running.args(roles).start();
    for line in lines {
        running.wait_for(&format!("{line} - "));
    }
    running
}

fn engine_of(command: &Running<'_>) -> Pid {
    let engine = eventually(|| children_of(command.pid()).first().copied());
    Pid::from_raw(engine.expect("the guardian has an engine"))
}

/// Waits until no process of the workspace runs.
#[track_caller]
fn is_quiet(workspace: &Workspace) {
    let path = workspace.path().display().to_string();
    let mut left = Vec::new();
    let quiet = eventually(|| {
        left = processes_named(&path).into_values().collect();
        (left.is_empty() && workspace.processes().is_empty()).then_some(())
    });
    assert!(quiet.is_some(), "left behind: {left:?}");
}

#[test]
fn an_orphan_found_late_is_killed() {
    let workspace = with_leader();
    let command = running(&workspace, &["leader-0"], &["deserts"]);
    command.signal(Signal::SIGKILL);
    command.wait().killed_by(Signal::SIGKILL);
    is_quiet(&workspace);
}

#[test]
fn the_next_command_cleans_up_once() {
    let workspace = with_leader();
    let roles = ["server-0", "zombie-0", "leader-0", "strays-0"];
    let command = running(&workspace, &roles, &["zombie", "deserts", "strays"]);
    let engine = engine_of(&command);
    // A suspended guardian cannot act in between.
    command.signal(Signal::SIGSTOP);
    kill(engine, Signal::SIGKILL).expect("the engine runs");
    command.signal(Signal::SIGKILL);
    // No remaining process holds its streams.
    command.wait().killed_by(Signal::SIGKILL);

    let next = workspace.ansar(["run", "noop-0"]).run();
    next.success();
    let said = next.log("an earlier command was killed");
    assert_eq!(said.len(), 1, "{}", next.stderr);
    is_quiet(&workspace);
    let last = workspace.ansar(["run", "noop-0"]).run();
    last.success().stderr_lacks("warning");
    let left = std::fs::read_dir(workspace.path().join(".ansar-home/engine"));
    let left: Vec<_> = left.into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
