//! `run --interactive`: a role at the terminal.

use tests::{Sandbox, executable};

use super::package::workspace;

/// A shell beside a database.
const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "./db"
ready = { log = "^accepting" }

[workspace.metadata.ansar.role.shell-0]
program = "./shell"
after = ["db-0"]
"#;

const DB: &str = "echo accepting; exec sleep 600";

/// Asks for a name. Control-c is no reason to end. At a terminal it waits for that
/// before it reads, once its process group has the foreground: a shell that is about to
/// read does not see a signal before the next line.
const SHELL: &str = r#"trap 'seen=yes; echo interrupted' INT
if test -t 0; then
    until read -r _ _ _ _ own _ _ foreground _ < /proc/$$/stat && test "$own" = "$foreground"
    do sleep 0.01; done
    echo terminal
    echo Name?
    until test -n "$seen"; do sleep 0.01; done
else
    echo Name?
fi
while ! read -r name; do test -t 0 || exit 4; done
echo "Hello $name"
test "$name" != none"#;

fn of() -> Sandbox {
    let sandbox = workspace(ROLES, &[("db", DB), ("shell", SHELL)]);
    sandbox.ansar(["deploy"]).run().success();
    sandbox
}

#[test]
fn the_role_has_the_terminal_and_its_keys() {
    let sandbox = of();
    let ansar = executable("cargo-ansar");
    let script = format!(
        "'{}' ansar run --color=never --interactive=shell-0; echo code $?",
        ansar.display()
    );
    let mut terminal = sandbox.terminal(&script).open_stdin().start();
    terminal.wait_for_next_on_stdout("terminal");
    terminal.wait_for_next_on_stdout("Name?");
    // Control-c.
    terminal.write("\u{3}");
    terminal.wait_for_next_on_stdout("interrupted");
    terminal.write("you\n");
    terminal.wait_for_next_on_stdout("Hello you");
    terminal.wait_for_next_on_stdout("code 0");
    terminal.close_stdin();
    let output = terminal.wait();
    // The database was not asked for.
    assert!(!output.stdout.contains("db-0"), "{}", output.stdout);
    sandbox
        .ansar(["log", "shell-0"])
        .run()
        .success()
        .stdout_is("");
    sandbox.is_still();
}

#[test]
fn others_run_until_the_role_ends() {
    let sandbox = of();
    let words = ["run", "db-0", "--interactive=shell-0"];
    let run = sandbox.ansar(words).stdin("you\n").run();
    run.success().stdout_is("Name?\nHello you\n");
    let history = sandbox.ansar(["history", "db-0"]).run();
    history.success().stdout_has("(Aborted)");
    let failed = sandbox.ansar(words).stdin("none\n").run();
    failed.code(1).stdout_is("Name?\nHello none\n");
    sandbox.is_still();
}

#[test]
fn a_missing_or_inverted_role_is_refused() {
    let sandbox = of();
    let missing = sandbox.ansar(["run", "--interactive=shel-0"]).run();
    missing.code(2).stderr_has("shel-0").stderr_has("shell-0");
    let inverted = sandbox.ansar(["run", "-i", "--interactive=shell-0"]).run();
    inverted.code(2).stderr_has("cannot be used with");
}
