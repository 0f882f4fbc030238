//! The setup of programs, before their first start.

use tests::{Sandbox, Signal, eventually};

use super::package::{ansar, is_quiet, line_of, log, script, workspace};

const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "./db"
args = ["{model}"]
setup = [["./init", "{model}"], ["./fill", "{model}"]]
ready = { log = "^accepting" }

[workspace.metadata.ansar.role.test-smoke]
program = "./smoke"
"#;

/// Creates the workspace of [`ROLES`] with this first command of the setup.
fn of(init: &str) -> Sandbox {
    let scripts = [
        ("init", init),
        (
            "fill",
            "echo fill; test -e \"$1/made\" && touch \"$1/filled\"",
        ),
        (
            "db",
            "test -e \"$1/filled\" || exit 1; echo accepting; exec sleep 600",
        ),
        ("smoke", ""),
    ];
    workspace(ROLES, &scripts)
}

const MAKES: &str = "echo init >&2; touch \"$1/made\"";

#[test]
fn setup_runs_once_before_the_first_start() {
    let sandbox = of(MAKES);
    ansar(&sandbox, "test").success();
    ansar(&sandbox, "test").success();
    let expected = ["init", "fill", "accepting", "accepting"];
    assert_eq!(log(&sandbox, "db-0"), expected);
    // Its commands are no starts of the role.
    let history = ansar(&sandbox, "history db-0").stdout;
    assert_eq!(history.lines().count(), 2, "{history}");
}

#[test]
fn failed_setup_is_a_fault_and_runs_again() {
    let sandbox = of("touch \"$1/made\"; echo 'initdb: error: no'; exit 1");
    // A long path is shortened in the middle of the line.
    let line = line_of(&sandbox, "db-0");
    let failed = format!(
        "Cargo.toml:{line} - db-0: setup `./init {}",
        sandbox.path().display()
    );
    let first = ansar(&sandbox, "test");
    first.code(100).stdout_has(&failed);
    first.stdout_has("` exited with 1: initdb: error: no\n");
    script(
        &sandbox,
        "init",
        "test -e \"$1/made\" && exit 9; touch \"$1/made\"",
    );
    ansar(&sandbox, "test").success();
}

#[test]
fn processes_that_a_setup_leaves_are_stopped_before_the_next_command() {
    // The process is left only once it can be asked to stop.
    let leaves = "(trap 'echo stopped; exit' INT TERM; touch \"$1/made\"; \
                   while :; do sleep 0.01; done) & \
                  until test -e \"$1/made\"; do sleep 0.01; done; echo init";
    let sandbox = of(leaves);
    ansar(&sandbox, "test").success();
    assert_eq!(
        log(&sandbox, "db-0"),
        ["init", "stopped", "fill", "accepting"]
    );
}

#[test]
fn interrupted_setup_runs_again() {
    let sandbox = of("test -e \"$1/made\" && exit 9; touch \"$1/made\" up; exec sleep 600");
    let test = sandbox.ansar(["test"]).start();
    let up = eventually(|| sandbox.path().join("up").exists().then_some(()));
    assert!(up.is_some(), "the setup does not run");
    test.signal(Signal::SIGINT);
    test.wait().code(130);
    sandbox.is_still();
    script(&sandbox, "init", MAKES);
    ansar(&sandbox, "test").success();
}

const SHARED: &str = r#"
[workspace.metadata.ansar.role."db-{number}"]
program = "./db"
args = ["{model}"]
setup = [["./init", "{model}"]]
ready = { log = "^accepting" }
count = 3

[workspace.metadata.ansar.role.other-0]
program = "./db"
args = ["{model}"]
setup = [["./init", "{model}", "{role}"]]
ready = { log = "^accepting" }

[workspace.metadata.ansar.role.test-smoke]
program = "./smoke"
"#;

#[test]
fn result_is_copied_for_roles_with_the_same_setup() {
    let scripts = [
        (
            "init",
            "mkdir -m 500 \"$1/data\"; ln -s data \"$1/link\"; \
             echo \"$2\" > \"$1/made\"; echo init",
        ),
        (
            "db",
            "test -d \"$1/link\" && test -e \"$1/made\" || exit 1; touch \"$1/used\"\n\
             echo accepting; exec sleep 600",
        ),
        ("smoke", ""),
    ];
    let sandbox = workspace(SHARED, &scripts);
    for expected in [
        ["init", "accepting"].as_slice(),
        &["init", "accepting", "accepting"],
    ] {
        ansar(&sandbox, "test").success();
        assert_eq!(log(&sandbox, "db-0"), expected);
        assert_eq!(log(&sandbox, "db-1"), expected[1..]);
        assert_eq!(log(&sandbox, "other-0"), expected);
    }
    let made = |role: &str| sandbox.read(format!(".ansar-home/model/{role}/made"));
    assert_eq!(
        (made("db-2"), made("other-0")),
        ("\n".to_owned(), "other-0\n".to_owned())
    );
    // What the first role wrote later is no part of the result.
    ansar(&sandbox, "delete db-2").success();
    ansar(&sandbox, "test").success();
    assert_eq!(log(&sandbox, "db-2"), ["accepting"]);
    // Other bytes are another setup.
    script(
        &sandbox,
        "init",
        "mkdir \"$1/data\"; ln -s data \"$1/link\"; touch \"$1/made\"",
    );
    ansar(&sandbox, "delete db-2").success();
    ansar(&sandbox, "test").success();
    assert_eq!(made("db-2"), "");
    is_quiet(&sandbox);
    ansar(&sandbox, "destroy -f").success();
    assert!(!sandbox.path().join(".ansar-home").exists());
}
