//! Commands before and after a test role.

use tests::{Sandbox, Signal, eventually};

use super::package::{ansar, is_quiet, line_of, log, script, workspace};

const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "./db"
ready = { log = "^accepting" }

[workspace.metadata.ansar.role.test-a]
program = "./test"
before = [["./load", "one"], ["./load", "two"]]
after-all = [["./dump", "one", "{home}"], ["./dump", "two", "{home}"]]
ready-timeout = "2s"
"#;

/// Creates the workspace of [`ROLES`] with this test.
fn of(test: &str) -> Sandbox {
    let scripts = [
        (
            "db",
            "trap 'rm up; exit 0' INT; touch up; echo accepting; while :; do sleep 0.02; done",
        ),
        ("load", "echo \"load $1\"; test -e up"),
        ("test", test),
        // It needs the database, and takes longer than a stop.
        (
            "dump",
            "sleep 0.1; test -e up && echo \"dump $1 $ANSAR_OUTCOME\"",
        ),
    ];
    workspace(ROLES, &scripts)
}

/// Returns the line of the verdict for this failure.
fn failure(sandbox: &Sandbox, text: &str) -> String {
    let manifest = sandbox.path().join("Cargo.toml");
    format!(
        "{}:{} - test-a: {text}\n",
        manifest.display(),
        line_of(sandbox, "test-a")
    )
}

#[test]
fn commands_run_around_every_try() {
    let sandbox = of("echo testing; test -e again || { touch again; exit 1; }");
    let run = ansar(&sandbox, "test --retries=1");
    run.success()
        .stdout_is("role \"test-a\" (pass/fail): 1/0\n")
        .stderr_has("1 role flaky");
    let lines = |outcome: &str| {
        let [one, two] = ["one", "two"].map(|number| format!("dump {number} {outcome}"));
        ["load one", "load two", "testing"]
            .map(str::to_owned)
            .into_iter()
            .chain([one, two])
            .collect::<Vec<_>>()
    };
    let expected = [lines("failed"), lines("passed")].concat();
    assert_eq!(log(&sandbox, "test-a"), expected);
    is_quiet(&sandbox);
}

#[test]
fn failed_command_before_a_test_fails_it() {
    let sandbox = of("echo testing");
    script(&sandbox, "load", "echo \"no $1\"; exit 3");
    let text = failure(&sandbox, "before `./load one` exited with 3: no one");
    let run = ansar(&sandbox, "test");
    run.code(100)
        .stdout_is(&format!("role \"test-a\" (pass/fail): 0/0\n{text}"));
    assert_eq!(
        log(&sandbox, "test-a"),
        ["no one", "dump one failed", "dump two failed"]
    );
}

#[test]
fn each_failed_command_after_a_test_fails_it() {
    let sandbox = of("echo testing");
    let root = sandbox.path().join(".ansar-home").display().to_string();
    script(
        &sandbox,
        "dump",
        "test $1 = one && exit 2; echo hanging; exec sleep 600",
    );
    let failures = [
        format!("after-all `./dump one {root}` exited with 2"),
        format!("after-all `./dump two {root}` not finished after 2s"),
    ];
    let failures = failures.map(|text| failure(&sandbox, &text));
    let run = ansar(&sandbox, "test");
    run.code(100).stdout_is(&format!(
        "role \"test-a\" (pass/fail): 1/2\n{}",
        failures.concat()
    ));
    is_quiet(&sandbox);
}

#[test]
fn commands_after_a_test_follow_a_timeout() {
    let sandbox = of("echo testing; exec sleep 600");
    let text = failure(&sandbox, "timed out after 300ms");
    let run = ansar(&sandbox, "test --timeout=300ms");
    run.code(100).stdout_has(&text);
    assert_eq!(
        log(&sandbox, "test-a")[2..],
        ["testing", "dump one failed", "dump two failed"]
    );
    is_quiet(&sandbox);
}

#[test]
fn commands_after_a_test_follow_an_interrupt() {
    let sandbox = of("echo testing; touch begun; exec sleep 600");
    let test = sandbox.ansar(["test"]).start();
    let begun = eventually(|| sandbox.path().join("begun").exists().then_some(()));
    assert!(begun.is_some(), "the test does not run");
    test.signal(Signal::SIGINT);
    test.wait().code(130);
    assert_eq!(
        log(&sandbox, "test-a")[2..],
        ["testing", "dump one stopped", "dump two stopped"]
    );
    is_quiet(&sandbox);
}

#[test]
fn second_interrupt_ends_commands_after_a_test() {
    let sandbox = of("exit 0");
    script(&sandbox, "dump", "touch begun; exec sleep 600");
    let test = sandbox.ansar(["test"]).start();
    let begun = eventually(|| sandbox.path().join("begun").exists().then_some(()));
    assert!(begun.is_some(), "the command does not run");
    test.signal(Signal::SIGINT);
    test.signal(Signal::SIGINT);
    test.wait().code(130);
    is_quiet(&sandbox);
}

#[test]
fn missing_command_is_named_before_anything_starts() {
    let sandbox = of("exit 0");
    let manifest = sandbox
        .read("Cargo.toml")
        .replace("./dump\", \"two", "no-such");
    sandbox.write("Cargo.toml", &manifest);
    let error = ansar(&sandbox, "test");
    error
        .code(103)
        .stderr_has("program `no-such` not found, needed by its after-all\n");
    assert!(!sandbox.path().join("up").exists());
}
