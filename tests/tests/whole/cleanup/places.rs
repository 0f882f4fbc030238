//! The environment of a command: its folder, streams, signals and variables.

use tests::{Output, Program, Signal, Workspace, executable, pipe, processes_named};

use super::workspace;

/// A role that runs until it is stopped, and one that hides a grandchild.
const ROLES: &str = "zombie-0 deserts-0";

/// Creates a workspace with its roles deployed.
fn prepared() -> Workspace {
    let workspace = workspace("");
    workspace.ansar(["test", "--no-run"]).run().success();
    workspace
}

/// Creates a workspace with a role that writes more than a pipe holds, then
/// exits.
fn flooding() -> Workspace {
    let workspace = workspace(
        r#"
[workspace.metadata.ansar.role.floods-0]
executable = "floods"
"#,
    );
    workspace.ansar(["test", "--no-run"]).run().success();
    workspace
}

/// Waits until a role of an executable runs, or does not.
#[track_caller]
fn becomes(workspace: &Workspace, executable: &str, running: bool) {
    let bin = workspace.path().join(".ansar-home/bin").join(executable);
    let bin = bin.display().to_string();
    let found = tests::eventually(|| (processes_named(&bin).is_empty() != running).then_some(()));
    assert!(found.is_some(), "`{executable}` runs: {}", !running);
}

/// A shell that runs a script, in which `$ANSAR` is the command.
fn shell<'s>(workspace: &'s Workspace, script: &str) -> Program<'s> {
    // Adds the variables that cargo sets for subcommands, as `ansar` does.
    let shell = workspace.program("sh").args(["-c", script]);
    shell
        .env("ANSAR", executable("cargo-ansar"))
        .env("ROLES", ROLES)
}

/// Asserts that no process of the workspace runs.
#[track_caller]
fn is_quiet(workspace: &Workspace) {
    workspace.is_still();
    let left = processes_named(&workspace.path().display().to_string());
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
fn aborted(output: &Output) {
    output
        .stdout_has("Aborted")
        .stderr_lacks("did not stop in time");
}

#[test]
fn an_interrupt_reaches_roles_of_a_background_command() {
    let workspace = prepared();
    // SIGINT is ignored in the background of a script.
    let script = "$ANSAR ansar run --debug-level=CONSOLE $ROLES & wait $!; echo \"code $?\"";
    let command = shell(&workspace, script).start();
    command.wait_for("Left (");
    command.wait_for("Do nothing until");
    command.signal_group(Signal::SIGTERM);
    let _ = command.wait();
    is_quiet(&workspace);

    let script = "$ANSAR ansar run --debug-level=CONSOLE $ROLES & \
                  while read line; do kill -INT $!; done; wait $!; echo \"code $?\"";
    let mut command = shell(&workspace, script).open_stdin().start();
    command.wait_for("Left (");
    command.wait_for("Do nothing until");
    command.close_stdin();
    command.signal_group(Signal::SIGINT);
    aborted(&command.wait());
    is_quiet(&workspace);
}

#[test]
fn a_hang_up_that_nohup_ignores_ends_nothing() {
    let workspace = prepared();
    let script = "exec nohup $ANSAR ansar run --debug-level=CONSOLE $ROLES";
    let command = shell(&workspace, script).start();
    command.wait_for("Do nothing until");
    command.signal(Signal::SIGTERM);
    let output = command.wait();
    aborted(output.code(143));
    is_quiet(&workspace);
}

#[test]
fn the_timeout_command_ends_it() {
    let workspace = prepared();
    for (options, code) in [("-s INT 1", 124), ("1", 124)] {
        let script = format!("exec timeout {options} $ANSAR ansar run $ROLES");
        aborted(shell(&workspace, &script).run().code(code));
        is_quiet(&workspace);
    }
}

#[test]
fn closed_streams_end_nothing() {
    let workspace = prepared();
    for (redirection, code) in [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0)] {
        let output = workspace.ansar(["run", "noop-0"]).redirected(redirection);
        output.run().code(code);
        is_quiet(&workspace);
    }
}

#[test]
fn an_unread_stderr_blocks_no_role() {
    let workspace = flooding();
    let (reader, writer) = pipe();
    let command = workspace.ansar(["run", "--debug-level=CONSOLE", "floods-0"]);
    let command = command.stderr(writer).start();
    let path = workspace
        .path()
        .join(".ansar-home/bin")
        .display()
        .to_string();
    // It floods its log, which is not read here, and exits all the same.
    let begun = tests::eventually(|| (!processes_named(&path).is_empty()).then_some(()));
    assert!(begun.is_some(), "the role does not start");
    let ended = tests::eventually(|| processes_named(&path).is_empty().then_some(()));
    assert!(ended.is_some(), "the role is stalled");
    drop(reader);
    command.wait().success();
    is_quiet(&workspace);
}

#[test]
fn an_interrupted_command_with_unread_output() {
    let workspace = flooding();
    let (reader, writer) = pipe();
    let command = workspace.ansar(["run", "--debug-level=CONSOLE", "floods-0", "zombie-0"]);
    let command = command.stderr(writer).start();
    becomes(&workspace, "zombie", true);
    becomes(&workspace, "floods", true);
    // The pipe is full by then.
    becomes(&workspace, "floods", false);
    command.signal(Signal::SIGINT);
    command.wait().code(130);
    drop(reader);
    is_quiet(&workspace);
}

#[test]
fn a_finished_command_with_unread_output() {
    let workspace = flooding();
    let (reader, writer) = pipe();
    let command = workspace.ansar(["run", "--format=json", "--debug-level=DEBUG", "floods-0"]);
    let command = command.stdout(writer).start();
    becomes(&workspace, "floods", true);
    becomes(&workspace, "floods", false);
    // Only its output is still unread.
    command.signal(Signal::SIGINT);
    command.wait().code(130);
    drop(reader);
    is_quiet(&workspace);
}
