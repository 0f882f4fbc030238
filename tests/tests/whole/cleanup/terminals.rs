//! In a terminal with job control.

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Program, Signal, Workspace, eventually, executable, processes_named};

use super::workspace;

/// A workspace with its roles in place.
fn prepared() -> Workspace {
    let workspace = workspace("");
    workspace.ansar(["test", "--no-run"]).run().success();
    workspace
}

/// A script of a shell with job control, in a terminal of its own; what the
/// terminal shows is on stdout.
fn in_a_terminal<'s>(workspace: &'s Workspace, script: &str) -> Program<'s> {
    workspace.write("script.sh", &format!("set -m\n{script}\n"));
    let terminal = workspace.program("script");
    let terminal = terminal.args(["-qec", "bash script.sh", "/dev/null"]);
    terminal
        .env("ANSAR", executable("cargo-ansar"))
        .open_stdin()
}

/// The states of the roles of a workspace.
fn states(workspace: &Workspace) -> String {
    let roles = workspace
        .path()
        .join(".ansar-home/bin")
        .display()
        .to_string();
    let roles = processes_named(&roles).into_keys();
    let stat = |pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    roles
        .filter_map(|pid| stat(pid).rsplit_once(") ")?.1.chars().next())
        .collect()
}

#[test]
fn a_background_job_ignores_tostop() {
    let workspace = prepared();
    let script = r#"stty tostop; $ANSAR ansar run noop-0 & wait $!; echo "code $?""#;
    let output = in_a_terminal(&workspace, script).run();
    output.success().stdout_has("Running").stdout_has("code 0");
    workspace.is_still();
}

#[test]
fn a_suspended_command_suspends_its_roles() {
    let workspace = prepared();
    let script = r#"$ANSAR ansar run zombie-0 server-0; echo "stopped"
until [ -e go ]; do sleep 0.05; done
fg; echo "code $?""#;
    let mut terminal = in_a_terminal(&workspace, script).start();
    terminal.wait_for_next_on_stdout("Running");
    let up = eventually(|| (states(&workspace).len() == 2).then_some(()));
    assert!(up.is_some(), "the roles do not start");
    // As control-z does: the guardian alone is in the foreground.
    let command = format!("{} ansar run", executable("cargo-ansar").display());
    let foreground = || {
        let ours = workspace.processes().into_iter();
        let mut ours = ours.filter(|(_, line)| line.starts_with(&command));
        ours.next().map(|(pid, _)| pid)
    };
    let guardian = Pid::from_raw(eventually(foreground).expect("it runs"));
    kill(guardian, Signal::SIGTSTP).expect("it runs");
    terminal.wait_for_next_on_stdout("stopped");
    // A process stops when the kernel runs it next.
    let stopped = eventually(|| (states(&workspace) == "TT").then_some(()));
    assert!(stopped.is_some(), "{}", states(&workspace));
    workspace.write("go", "");
    let on = eventually(|| (!states(&workspace).contains('T')).then_some(()));
    assert!(
        on.is_some(),
        "the roles do not go on: {}",
        states(&workspace)
    );
    kill(guardian, Signal::SIGINT).expect("it runs");
    terminal.wait_for_next_on_stdout("code 130");
    terminal.wait();
    workspace.is_still();
}

#[test]
fn a_closed_terminal_ends_everything() {
    let workspace = prepared();
    let script = "$ANSAR ansar run zombie-0 deserts-0 server-0";
    let mut terminal = in_a_terminal(&workspace, script).start();
    terminal.wait_for_next_on_stdout("Running");
    let up = eventually(|| (states(&workspace).len() == 3).then_some(()));
    assert!(up.is_some(), "the roles do not start");
    terminal.signal(Signal::SIGKILL);
    let path = workspace.path().display().to_string();
    let gone = eventually(|| {
        let left = processes_named(&path);
        (left.is_empty() && workspace.processes().is_empty()).then_some(())
    });
    assert!(gone.is_some(), "{:?}", workspace.processes());
    terminal.wait();
}
