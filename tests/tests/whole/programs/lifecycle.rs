//! Start, end and verdict of programs.

use std::collections::BTreeSet;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Signal, children_of, eventually};

use super::Group;
use super::package::{ansar, is_quiet, line_of, log, script, workspace};

/// A server, a migration after it, and a test of both.
const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "./db"
ready = { log = "^accepting" }

[workspace.metadata.ansar.role.migrate-0]
program = "./migrate"
ready = "done"
after = ["db-0"]

[workspace.metadata.ansar.role.api-0]
program = "./api"
ready = "started"
after = ["migrate-0"]

[workspace.metadata.ansar.role.test-smoke]
program = "./smoke"
"#;

const SERVES: &str = "echo accepting; exec sleep 600";

/// Creates the workspace of [`ROLES`] with these two scripts.
fn of(migrate: &str, smoke: &str) -> tests::Sandbox {
    let scripts = [
        ("db", SERVES),
        ("migrate", migrate),
        ("api", SERVES),
        ("smoke", smoke),
    ];
    workspace(ROLES, &scripts)
}

/// Prints a panic as the standard library does.
const PANICS: &str = "echo \"thread 'main' (7) panicked at src/lib.rs:3:5:\" >&2; \
                      echo 'no table' >&2; echo 'note: run with `RUST_BACKTRACE=1`' >&2; exit 101";

#[test]
fn programs_that_succeed_pass() {
    let sandbox = of("echo migrating", "echo out; echo err >&2; echo out");
    let test = ansar(&sandbox, "test");
    test.success()
        .stdout_is("role \"test-smoke\" (pass/fail): 1/0\n")
        .stderr_has("Passed 1 check in 1 role");
    assert_eq!(log(&sandbox, "test-smoke"), ["out", "err", "out"]);
    assert_eq!(log(&sandbox, "migrate-0"), ["migrating"]);
    ansar(&sandbox, "history migrate-0").stdout_has("(Ack)");
    ansar(&sandbox, "history db-0").stdout_has("(Aborted)");
}

#[test]
fn failed_test_program_is_shown_at_its_place() {
    let sandbox = of("", PANICS);
    let folder = sandbox.path();
    let test = ansar(&sandbox, "test");
    let panic = format!("{}/src/lib.rs:3 - no table\n", folder.display());
    test.code(100)
        .stdout_has(&panic)
        .stderr_has("Failed 1 of 1 check");
    script(&sandbox, "smoke", "echo 'last words'; exit 3");
    let described = format!(
        "{}/Cargo.toml:{} - test-smoke: exited with 3: last words\n",
        folder.display(),
        line_of(&sandbox, "test-smoke")
    );
    ansar(&sandbox, "test").code(100).stdout_has(&described);
}

#[test]
fn failed_migration_is_a_fault_and_starts_nothing_after_it() {
    let sandbox = of("echo 'no table' >&2; exit 3", "");
    let folder = sandbox.path();
    let at = |role| {
        format!(
            "{}/Cargo.toml:{}",
            folder.display(),
            line_of(&sandbox, role)
        )
    };
    let failed = format!("{} - migrate-0: exited with 3: no table", at("migrate-0"));
    let skipped = format!(
        "{} - api-0: not started: `migrate-0`, which it starts after, failed",
        at("api-0")
    );
    let test = ansar(&sandbox, "test");
    test.code(100).stdout_has(&failed).stdout_has(&skipped);
    assert_eq!(log(&sandbox, "api-0"), [""; 0]);
    let start = ansar(&sandbox, "start");
    start
        .code(1)
        .stderr_has("`migrate-0` (exited with 3: no table)")
        .stderr_has("`api-0` (not started: `migrate-0`, which it starts after, failed)");
    ansar(&sandbox, "stop db-0").success();
}

#[test]
fn panic_of_a_server_is_its_fault() {
    let sandbox = of("", "touch over; while ! [ -e down ]; do sleep 0.01; done");
    let waits = "while ! [ -e over ]; do sleep 0.01; done; touch down";
    script(&sandbox, "api", &format!("{waits}; {PANICS}"));
    let folder = sandbox.path();
    let panic = format!("{}/src/lib.rs:3 - api-0: no table", folder.display());
    ansar(&sandbox, "test").code(100).stdout_has(&panic);
}

#[test]
fn server_that_ends_before_it_is_ready_says_so() {
    let sandbox = of("", "");
    script(&sandbox, "db", "echo 'FATAL: no data'; exit 1");
    let start = ansar(&sandbox, "start db-0");
    start
        .code(1)
        .stderr_has("`db-0` (exited with 1 before it was ready: FATAL: no data)");
    is_quiet(&sandbox);
}

#[test]
fn server_that_ends_by_itself_with_success_fails_nothing() {
    let sandbox = of("", "touch over; sleep 0.1");
    script(
        &sandbox,
        "api",
        "echo up; while ! [ -e over ]; do sleep 0.01; done",
    );
    ansar(&sandbox, "test").success();
}

#[test]
fn program_that_ends_before_the_tests_begin_skips_none() {
    let sandbox = of("sleep 0.2", "");
    let roles = "[workspace.metadata.ansar.role.seed-0]\nprogram = \"./seed\"\n";
    let manifest = sandbox.read("Cargo.toml");
    sandbox.write("Cargo.toml", &format!("{manifest}{roles}"));
    script(&sandbox, "seed", "");
    ansar(&sandbox, "test").success();
}

#[test]
fn killed_engine_loses_no_line_of_a_program() {
    let roles = "[workspace.metadata.ansar.role.a-0]\nprogram = \"./a\"\n";
    let writes = "i=0; while :; do echo \"out $i\"; echo \"err $i\" >&2; echo $i > count; \
                  i=$((i + 1)); done";
    let sandbox = workspace(roles, &[("a", writes)]);
    let run = sandbox.ansar(["run"]).start();
    let written = || {
        let count = std::fs::read_to_string(sandbox.path().join("count")).ok()?;
        count.trim().parse::<usize>().ok()
    };
    let flows = eventually(|| written().filter(|number| *number > 300));
    assert!(flows.is_some(), "nothing is written");
    let engine = children_of(run.pid())[0];
    kill(Pid::from_raw(engine), Signal::SIGKILL).expect("the engine runs");
    run.wait().code(137);
    let written = written().unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut lines = log(&sandbox, "a-0");
    // Lines that were being stored when the engine was killed are stored twice.
    lines.retain(|line| seen.insert(line.clone()));
    let expected = (0..=written).flat_map(|i| [format!("out {i}"), format!("err {i}")]);
    let expected: Vec<String> = expected.collect();
    assert!(lines.len() >= expected.len(), "{} lines", lines.len());
    assert_eq!(lines[..expected.len()], expected);
}

#[test]
fn start_and_restart_name_sources_that_are_newer() {
    let group = Group::of("\n[zombie-0]\nexecutable = \"zombie\"\n");
    group.does("deploy");
    group.does("start").stderr_lacks("warning:");
    let source = "test-fixtures/src/bin/zombie.rs";
    group.edit(source, "Do nothing until", "Nothing until");
    let restart = group.does("restart");
    restart.stderr_has(&format!(
        "warning: `{source}` is newer than what is deployed\n\
         hint: build, deploy and restart affected roles with `cargo ansar deploy -f`\n"
    ));
    group.does("deploy -f");
    group.does("restart").stderr_lacks("warning:");
    group.stop();
}
