//! The progress: in a terminal, in a pipe, and what it leaves alone.

use tests::{Running, Sandbox, Signal, eventually, executable};

use super::package::{ansar, is_quiet, workspace};

const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "./db"
ready = { log = "^accepting" }

[workspace.metadata.ansar.role.test-a]
program = "./test"

[workspace.metadata.ansar.role.test-b]
program = "true"
"#;

/// Creates a workspace whose database is ready once there is a file `up`, and
/// whose test ends once there is a file `go`.
fn slow() -> Sandbox {
    let wait_for = |file: &str| format!("until test -e {file}; do sleep 0.02; done");
    let serve = "trap 'exit 0' INT; echo accepting; while :; do sleep 0.02; done";
    let scripts = [
        ("db", format!("{}; {serve}", wait_for("up"))),
        ("test", wait_for("go")),
    ];
    let scripts: Vec<_> = scripts.iter().map(|(name, it)| (*name, &**it)).collect();
    workspace(ROLES, &scripts)
}

/// Starts a script in a terminal of 100 columns, in which `$ANSAR` is this
/// program.
fn in_a_terminal<'s>(
    sandbox: &'s Sandbox,
    environment: &[(&str, &str)],
    script: &str,
) -> Running<'s> {
    sandbox.write("script.sh", &format!("stty cols 100 rows 30\n{script}\n"));
    let ansar = format!("{} ansar", executable("cargo-ansar").display());
    let terminal = sandbox.terminal("bash script.sh").env("ANSAR", ansar);
    let terminal = terminal.env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
    terminal.envs(environment.iter().copied()).start()
}

const TEST: &str = "$ANSAR test; echo \"code $?\"";
const PASSED: &str = "role \"test-a\" (pass/fail): 1/0\nrole \"test-b\" (pass/fail): 1/0\n";

#[test]
fn a_terminal_shows_what_goes_on() {
    let sandbox = slow();
    let mut terminal = in_a_terminal(&sandbox, &[], TEST);
    terminal.wait_for_text_on_stdout("for db-0 (1 s): log line `^accepting`");
    sandbox.write("up", "");
    terminal.wait_for_text_on_stdout("1/2 roles, 1 check passed: test-a (");
    sandbox.write("go", "");
    terminal.wait_for_next_on_stdout("code 0");
    let output = terminal.wait();
    let text = output.stdout.replace("\r\n", "\n");
    output.check(text.contains("█▒"), || "no bar".to_owned());
    // The line is erased before anything else is printed.
    let lines = text
        .lines()
        .filter(|line| line.contains("test-a") && line.contains("role \""));
    for line in lines {
        let shown = line.rsplit("\x1b[J").next().unwrap_or_default();
        output.check(shown.starts_with("role \"test-a\""), || format!("{line:?}"));
    }
    output.check(!text.contains("to be ready"), || "told twice".to_owned());
}

#[test]
fn the_environment_is_respected() {
    let sandbox = slow();
    sandbox.write("up", "");
    let draws = "\x1b[J";
    for (environment, script, is_drawn, is_coloured) in [
        ([("NO_COLOR", "1")], "", true, false),
        ([("TERM", "dumb")], "", false, false),
        ([("CI", "true")], "", false, true),
        ([("CI", "true")], "--progress=bar", true, true),
        ([("CARGO_TERM_PROGRESS_WHEN", "never")], "", false, true),
        ([("X", "")], "--progress=never", false, true),
        ([("X", "")], "--progress plain", false, true),
        ([("X", "")], "-q", false, true),
    ] {
        let _ = std::fs::remove_file(sandbox.path().join("go"));
        let test = format!("$ANSAR test {script} --slow-timeout=1; echo \"code $?\"");
        let mut terminal = in_a_terminal(&sandbox, &environment, &test);
        if is_drawn {
            terminal.wait_for_text_on_stdout("test-a (1 s)");
        } else if script != "-q" {
            terminal.wait_for_text_on_stdout("Slow");
        }
        sandbox.write("go", "");
        terminal.wait_for_next_on_stdout("code 0");
        let output = terminal.wait();
        let case = format!("{environment:?} {script}");
        output.check(output.stdout.contains(draws) == is_drawn, || case.clone());
        if script != "-q" {
            let coloured = output.stdout.replace(draws, "").contains("\x1b[");
            output.check(coloured == is_coloured, || case);
        }
    }
}

#[test]
fn a_pipe_gets_a_message_after_a_while() {
    let sandbox = slow();
    sandbox.write("up", "");
    let command = sandbox.ansar(["test", "--progress=plain"]);
    let test = command.start();
    test.wait_for("     Testing [00:00:0");
    sandbox.write("go", "");
    let output = test.wait();
    output.success().stdout_is(PASSED).stderr_lacks("\x1b");
    let told = output.stderr.lines().find(|line| line.contains("[00:00:0"));
    let told = told.unwrap_or_default();
    output.check(told.contains("1/2 roles, 1 check passed: test-a ("), || {
        told.to_owned()
    });
    is_quiet(&sandbox);
}

#[test]
fn stdout_is_the_same_in_every_form() {
    let sandbox = slow();
    sandbox.write("up", "");
    sandbox.write("go", "");
    let forms: [&[&str]; 5] = [
        &["test"],
        &["test", "--message-format=rustc"],
        &["test", "--message-format=json"],
        &["report", "--format=json"],
        &["status"],
    ];
    for form in forms {
        let stdout = |progress: &str| {
            let script = format!("$ANSAR {} --progress={progress} >stdout", form.join(" "));
            let _ = in_a_terminal(&sandbox, &[], &script).wait();
            let stdout = sandbox.read("stdout");
            // Times differ from run to run.
            stdout.replace(|c: char| c.is_ascii_digit(), "0")
        };
        let without = stdout("never");
        for progress in ["auto", "bar", "plain"] {
            assert_eq!(stdout(progress), without, "{form:?} {progress}");
        }
    }
}

#[test]
fn a_command_in_the_background_draws_nothing() {
    let sandbox = slow();
    sandbox.write("up", "");
    let script = "set -m\n$ANSAR test --slow-timeout=1 & wait $!; echo \"code $?\"";
    let mut terminal = in_a_terminal(&sandbox, &[], script);
    terminal.wait_for_text_on_stdout("        Slow");
    sandbox.write("go", "");
    terminal.wait_for_next_on_stdout("code 0");
    let output = terminal.wait();
    output.check(!output.stdout.contains("\x1b[J"), || "it draws".to_owned());
}

#[test]
fn a_stopped_command_goes_on_drawing() {
    let sandbox = slow();
    sandbox.write("up", "");
    let script = "set -m\n$ANSAR test; echo stopped\nfg; echo \"code $?\"";
    let mut terminal = in_a_terminal(&sandbox, &[], script);
    terminal.wait_for_text_on_stdout("test-a (1 s)");
    let guardian = sandbox.processes().into_iter().find_map(|(pid, line)| {
        let is_it = line.contains("cargo-ansar ansar test") && !line.contains("bash");
        is_it.then_some(pid)
    });
    let guardian = nix::unistd::Pid::from_raw(guardian.expect("it runs"));
    nix::sys::signal::kill(guardian, Signal::SIGTSTP).expect("it runs");
    terminal.wait_for_text_on_stdout("stopped");
    terminal.wait_for_text_on_stdout("test-a (");
    sandbox.write("go", "");
    terminal.wait_for_next_on_stdout("code 0");
    terminal.wait();
}

#[test]
fn a_narrow_terminal_gets_a_short_line() {
    let sandbox = slow();
    sandbox.write("up", "");
    let shrink = "(until test -e shrink; do sleep 0.02; done; stty cols 25 </dev/tty) &";
    let script = format!("{shrink}\nstty cols 40\n$ANSAR test; echo \"code $?\"");
    let mut terminal = in_a_terminal(&sandbox, &[], &script);
    terminal.wait_for_text_on_stdout("[00:00:01]");
    sandbox.write("shrink", "");
    // The terminal has wrapped the line.
    terminal.wait_for_text_on_stdout("\x1b[1A");
    sandbox.write("go", "");
    terminal.wait_for_next_on_stdout("code 0");
    let output = terminal.wait();
    let drawn = output.stdout.split(['\r', '\n']);
    for line in drawn.filter(|line| line.contains("[00:00:")) {
        let plain: String = line
            .split('\x1b')
            .map(|part| {
                part.split_once(['m', 'J', 'A'])
                    .map_or(part, |(_, rest)| rest)
            })
            .collect();
        output.check(plain.chars().count() < 40, || format!("{plain:?}"));
    }
}

#[test]
fn a_command_that_waits_for_the_home_says_so() {
    let sandbox = slow();
    sandbox.write("up", "");
    let first = sandbox.ansar(["test"]).start();
    first.wait_for("     Testing 2 roles");
    let second = sandbox.ansar(["test", "--progress=plain"]).start();
    second.wait_for("    Blocking waiting for another command in");
    second.wait_for("    Blocking [00:00:0");
    sandbox.write("go", "");
    first.wait().success();
    second.wait().success();
}

#[test]
fn a_test_waits_visibly_for_a_role_in_the_background() {
    let sandbox = slow();
    ansar(&sandbox, "deploy").success();
    ansar(&sandbox, "start db-0 --no-wait").success();
    let mut terminal = in_a_terminal(&sandbox, &[], TEST);
    terminal.wait_for_text_on_stdout("for db-0 (1 s): no log line matched `^accepting`");
    sandbox.write("up", "");
    sandbox.write("go", "");
    terminal.wait_for_next_on_stdout("code 0");
    terminal.wait();
    ansar(&sandbox, "stop").success();
    assert!(eventually(|| sandbox.processes().is_empty().then_some(())).is_some());
}

/// Tests that fail one after the other, when there are files of their names.
const FAILING: &str = r#"
[workspace.metadata.ansar.role.test-a]
program = "./fails"
args = ["a"]

[workspace.metadata.ansar.role.test-b]
program = "./fails"
args = ["b"]
"#;

fn failing() -> Sandbox {
    let script = "until test -e $1; do sleep 0.02; done; echo \"no $1\"; exit 3";
    workspace(FAILING, &[("fails", script)])
}

#[test]
fn a_failure_is_told_at_once_and_sorted_at_the_end() {
    let sandbox = failing();
    let mut test = sandbox.ansar(["test", "--retries=1"]).start();
    let manifest = sandbox.path().join("Cargo.toml").display().to_string();
    test.wait_for("     Testing 2 roles");
    // The second one fails while the first one runs.
    sandbox.write("b", "");
    let told = test.wait_for_next("        Fail test-b: ");
    assert!(told.contains("no b") && told.contains(&manifest), "{told}");
    sandbox.write("a", "");
    test.wait_for_next("        Fail test-a: ");
    test.wait_for_next("Rerunning test-");
    // Each try is told.
    test.wait_for_next("        Fail test-");
    let output = test.wait();
    output.code(100);
    let failures = output.stdout.lines().skip(2);
    let roles: Vec<_> = failures.filter_map(|line| line.split_once(" - ")).collect();
    let roles: Vec<_> = roles.iter().map(|(_, text)| &text[..6]).collect();
    assert_eq!(roles, ["test-a", "test-b"], "{}", output.stdout);

    let quiet = ansar(&sandbox, "test -q");
    quiet.code(100).stderr_lacks("Fail ");
}

#[test]
fn failures_are_the_last_thing_on_a_full_terminal() {
    let sandbox = failing();
    sandbox.write("a", "");
    sandbox.write("b", "");
    for (rows, times) in [(500, 2), (8, 4)] {
        let script = format!("stty rows {rows}\n$ANSAR test; echo \"code $?\"");
        let mut terminal = in_a_terminal(&sandbox, &[("NO_COLOR", "1")], &script);
        terminal.wait_for_next_on_stdout("code 100");
        let output = terminal.wait();
        let told = output.stdout.matches("        Fail test-").count();
        output.check(told == times, || format!("{told} times"));
        let last = output.stdout.lines().rev().nth(2).unwrap_or_default();
        output.check(last.contains("Fail test-b") == (rows == 8), || {
            last.to_owned()
        });
    }
}

#[test]
fn a_role_that_fails_beside_a_command_is_told() {
    let roles = "\n[workspace.metadata.ansar.role.db-0]\nprogram = \"./db\"\nready = \"started\"\n";
    let script = "until test -e a; do sleep 0.02; done; echo oh; exit 3";
    let sandbox = workspace(roles, &[("db", script)]);
    let wait = "touch a; until test -e b; do sleep 0.02; done";
    let with = sandbox.ansar(["with", "--", "sh", "-c", wait]).start();
    with.wait_for("        Fail db-0: ");
    sandbox.write("b", "");
    let output = with.wait();
    output.stderr_has("       Broke ");
}
