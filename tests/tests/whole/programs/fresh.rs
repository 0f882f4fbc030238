//! Instances of operational roles that belong to one test role.

use std::fs;

use tests::{Sandbox, Signal, eventually};

use super::package::{ansar, is_quiet, line_of, log, script, workspace};

const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "./db"
args = ["{model}", "{port}"]
setup = [["./init", "{model}"]]
ready = { log = "^accepting" }
tags = ["storage"]

[workspace.metadata.ansar.role.migrate-0]
program = "./migrate"
args = ["{address:db-0}", "{number}"]
ready = "done"
after = ["db-0"]

[workspace.metadata.ansar.role.test-a]
program = "./check"
args = ["{address:db-0}"]
fresh = ["db-0", "migrate-0"]

[workspace.metadata.ansar.role.test-b]
program = "./check"
args = ["{address:db-0}"]
fresh = ["db-0", "migrate-0"]

[workspace.metadata.ansar.role.test-c]
program = "./check"
args = ["{address:db-0}"]
"#;

/// Creates the workspace of [`ROLES`] with these commands of the tests.
fn of(check: &str) -> Sandbox {
    let scripts = [
        ("init", "echo init; touch \"$1/made\""),
        (
            "db",
            "test -e \"$1/made\" || exit 1\n\
             case $ANSAR_ROLE in fresh-*) mkdir \"$1/used\" || exit 1;; esac\n\
             trap 'echo stopping; exit 0' INT; echo \"accepting $2\"\n\
             while :; do sleep 0.02; done",
        ),
        ("migrate", "echo \"migrating $1 $2\""),
        (
            "check",
            &format!("test \"$1\" = \"$ANSAR_DB_0_ADDRESS\" || exit 9; echo \"$1\"\n{check}"),
        ),
    ];
    workspace(ROLES, &scripts)
}

/// Returns the names in an area of the home.
fn names(sandbox: &Sandbox, area: &str) -> Vec<String> {
    let folder = sandbox.path().join(".ansar-home").join(area);
    let names = fs::read_dir(folder).expect("the area is there");
    let names = names.map(|name| name.expect("it is a name").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    names
}

#[test]
fn each_test_has_its_own() {
    let sandbox = of("");
    ansar(&sandbox, "test").success();
    let addresses = ["test-a", "test-b", "test-c"].map(|role| log(&sandbox, role)[0].clone());
    let shared = ansar(&sandbox, "address db-0").stdout;
    assert_eq!(addresses[2], shared.trim());
    assert_ne!(addresses[0], addresses[1]);
    assert!(!addresses[..2].contains(&addresses[2]), "{addresses:?}");
    for (address, test) in addresses[..2].iter().zip(["a", "b"]) {
        let (_, port) = address.rsplit_once(':').expect("it has a port");
        assert_eq!(
            log(&sandbox, &format!("fresh-test-{test}-db-0")),
            [&format!("accepting {port}"), "stopping"]
        );
        assert_eq!(
            log(&sandbox, &format!("fresh-test-{test}-migrate-0")),
            [format!("migrating {address} 0")]
        );
    }
    assert_eq!(log(&sandbox, "db-0")[0], "init");
    // Nothing but the log is left, and they are no roles of other commands.
    for area in ["model", "tmp", "lock", "setup"] {
        let names = names(&sandbox, area);
        assert!(
            names.iter().all(|name| !name.starts_with("fresh-")),
            "{names:?}"
        );
    }
    let roles = "db-0\nmigrate-0\ntest-a\ntest-b\ntest-c\n";
    ansar(&sandbox, "list").success().stdout_is(roles);
    ansar(&sandbox, "start @storage").success();
    ansar(&sandbox, "status").stdout_is("db-0\n");
    // Also beside roles in the background.
    ansar(&sandbox, "test").success();
    ansar(&sandbox, "stop").success();
    is_quiet(&sandbox);
}

#[test]
fn every_try_has_a_new_one() {
    let sandbox = of("test -e \"again-$ANSAR_ROLE\" || { touch \"again-$ANSAR_ROLE\"; exit 1; }");
    ansar(&sandbox, "test --retries=1 -j1").success();
    let log = log(&sandbox, "fresh-test-b-db-0");
    assert_eq!(log.len(), 4, "{log:?}");
    assert_eq!(
        log[..2],
        log[2..],
        "its model is new, and its port the same"
    );
    is_quiet(&sandbox);
}

#[test]
fn test_whose_own_role_fails_is_not_run() {
    let sandbox = of("");
    script(
        &sandbox,
        "migrate",
        "test \"$ANSAR_ROLE\" = migrate-0 || { echo no; exit 3; }",
    );
    let place = sandbox.path().join("Cargo.toml").display().to_string();
    let line = line_of(&sandbox, "migrate-0");
    let failed =
        |test| format!("{place}:{line} - fresh-test-{test}-migrate-0: exited with 3: no\n");
    let output = ansar(&sandbox, "test");
    output.code(100).stdout_is(&format!(
        "role \"test-a\" (pass/fail): 0/0\nrole \"test-b\" (pass/fail): 0/0\n\
         role \"test-c\" (pass/fail): 1/0\n{}{}",
        failed("a"),
        failed("b")
    ));
    is_quiet(&sandbox);
}

#[test]
fn interrupt_leaves_nothing() {
    let sandbox = of("touch \"begun-$ANSAR_ROLE\"; exec sleep 600");
    let test = sandbox.ansar(["test"]).start();
    let begun = eventually(|| sandbox.path().join("begun-test-a").exists().then_some(()));
    assert!(begun.is_some(), "the test does not run");
    test.signal(Signal::SIGINT);
    test.wait().code(130);
    is_quiet(&sandbox);
    let names = names(&sandbox, "model");
    assert!(
        names.iter().all(|name| !name.starts_with("fresh-")),
        "{names:?}"
    );
}
