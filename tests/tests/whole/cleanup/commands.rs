//! `with`: a foreign command that runs among the roles.

use tests::{Output, Program, Signal, Workspace, processes_named};

use super::workspace;

/// `with`, and a shell that runs this script.
fn with<'s>(workspace: &'s Workspace, script: &str) -> Program<'s> {
    let roles = ["with", "server-0", "zombie-0", "--", "sh", "-c"];
    workspace.ansar(roles).arg(script)
}

/// Asserts that no process of the workspace runs.
#[track_caller]
fn is_quiet(workspace: &Workspace) {
    workspace.is_still();
    let left = processes_named(&workspace.path().display().to_string());
    assert!(left.is_empty(), "{left:?}");
}

fn text(output: &Output) -> Vec<&str> {
    output.stdout.lines().collect()
}

#[test]
fn roles_end_with_the_command() {
    let workspace = workspace("");
    let script = r#"echo "$ANSAR_SERVER_0_PORT"; echo "$ANSAR_HOME_PATH"; pgrep -f "$ANSAR_HOME_PATH/bin" | wc -l"#;
    let output = with(&workspace, script).run();
    let home = workspace.path().join(".ansar-home").display().to_string();
    assert_eq!(text(output.success()), ["65432", &home, "2"]);
    is_quiet(&workspace);
}

#[test]
fn its_exit_code_is_that_of_the_command() {
    let workspace = workspace("");
    with(&workspace, "exit 7").run().code(7);
    with(&workspace, "kill -TERM $$").run().code(143);
    let nowhere = ["with", "server-0", "--", "no-such-command"];
    let nowhere = workspace.ansar(nowhere).run();
    nowhere.code(127).stderr_has("no-such-command");
    is_quiet(&workspace);
}

#[test]
fn a_failed_role_prevents_the_command() {
    let workspace = workspace(
        r#"
[workspace.metadata.ansar.role.server-1]
executable = "server"
settings = { host = "192.0.2.1" }
"#,
    );
    let failing = [
        "with",
        "server-1",
        "server-0",
        "--",
        "echo",
        "run all the same",
    ];
    let output = workspace.ansar(failing).run();
    output
        .code(1)
        .stdout_is("")
        .stderr_has("Cannot assign requested address");
    is_quiet(&workspace);
}

#[test]
fn an_interrupt_reaches_the_command_and_the_roles() {
    let workspace = workspace("");
    let script = "trap 'echo heard; exit 3' INT; echo up >&2; while :; do sleep 0.1; done";
    let command = with(&workspace, script).start();
    command.wait_for("up");
    command.signal(Signal::SIGINT);
    command.wait().code(130).stdout_is("heard\n");
    is_quiet(&workspace);
}

#[test]
fn orphans_of_the_command_are_killed() {
    let workspace = workspace("");
    let script = "setsid sleep 600 >/dev/null 2>&1 & echo gone";
    let output = with(&workspace, script).run();
    output.success().stdout_is("gone\n");
    is_quiet(&workspace);
}

#[test]
fn orphans_in_the_commands_group_may_finish() {
    let workspace = workspace("");
    let script = "sleep 0.3 >/dev/null 2>&1 & echo gone";
    let output = with(&workspace, script).run();
    output.success().stdout_is("gone\n");
    is_quiet(&workspace);
}
