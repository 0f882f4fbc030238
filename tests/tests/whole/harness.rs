//! Guarantees of the harness: scratch workspaces are fresh and separate, and
//! sandboxes report remaining processes and files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tests::{Sandbox, Workspace, loopback};

/// Returns the message of the panic when a sandbox is dropped after `work`.
fn left_by(work: impl FnOnce(&Sandbox)) -> Option<String> {
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let sandbox = Sandbox::new();
        work(&sandbox);
    }));
    failed.err().map(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => "no text".to_owned(),
    })
}

#[test]
fn a_remaining_process_fails_its_test() {
    let mut pid = String::new();
    let failure = left_by(|sandbox| {
        let script = "setsid sleep 600 >/dev/null 2>&1 & echo $!";
        let output = sandbox.program("sh").args(["-c", script]).run();
        output.success().stdout.trim().clone_into(&mut pid);
    });
    let failure = failure.expect("the sleeper is noticed");
    assert!(failure.contains("sleep 600"), "{failure}");
    assert!(failure.contains(&pid), "{failure}");
    let command = std::fs::read_to_string(Path::new("/proc").join(pid).join("cmdline"));
    assert_eq!(command.unwrap_or_default(), "");
}

#[test]
fn a_remaining_temporary_file_fails_its_test() {
    let failure = left_by(|sandbox| {
        sandbox.program("mktemp").run().success();
    });
    assert!(failure.is_some_and(|text| text.contains("files are left behind")));
}

#[test]
fn dropping_a_program_kills_its_group() {
    assert_eq!(
        left_by(|sandbox| {
            let script = "sleep 600 & echo started >&2; wait";
            let shell = sandbox.program("sh").args(["-c", script]).start();
            shell.wait_for("started");
        }),
        None
    );
}

#[test]
fn nothing_of_the_developers_environment_is_passed_on() {
    let sandbox = Sandbox::new();
    let output = sandbox.program("env").run();
    let mut names: Vec<_> = output
        .success()
        .stdout
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    let expected = [
        "ANSAR_TEST_ID",
        "HOME",
        "LC_ALL",
        "PATH",
        "TMPDIR",
        "XDG_CONFIG_HOME",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_tool_is_started_as_cargo_starts_it() {
    let workspace = Workspace::new();
    workspace.ansar(["--version"]).run().success();
}

#[test]
fn loopback_addresses_are_distinct_and_can_be_bound() {
    let addresses: std::collections::BTreeSet<_> = (0..300).map(|_| loopback()).collect();
    assert_eq!(addresses.len(), 300);
    for address in addresses {
        assert!(
            std::net::TcpListener::bind((address, 0)).is_ok(),
            "{address}"
        );
    }
}

#[test]
fn workspaces_are_fresh_and_separate() {
    let edited = Workspace::new();
    let other = Workspace::new();
    for workspace in [&edited, &other] {
        let output = workspace.cargo_build().run();
        output.success().stderr_lacks("Compiling");
    }
    edited.edit(
        "test-fixtures/src/bin/noop.rs",
        "Log this and exit",
        "Log that and exit",
    );
    let built = edited.cargo_build().run();
    let built = built.success().log("Compiling");
    assert!(
        matches!(built.as_slice(), [one] if one.contains("test-fixtures")),
        "{built:?}"
    );
    other
        .cargo_build()
        .run()
        .success()
        .stderr_lacks("Compiling");
    let noop = |workspace: &Workspace| workspace.program("target/debug/noop").run();
    noop(&edited).success().stderr_has("Log that and exit");
    noop(&other).success().stderr_has("Log this and exit");
}

#[test]
fn copies_of_the_example_are_fresh() {
    let orders = Workspace::orders();
    let all = ["build", "--workspace", "--tests", "--locked"];
    let output = orders.cargo(all).run();
    output.success().stderr_lacks("Compiling");
    orders.edit("worker/src/main.rs", "\"not pending\"", "\"done before\"");
    let built = orders.cargo(["build", "--locked"]).run();
    let built = built.success().log("Compiling");
    assert!(
        matches!(built.as_slice(), [one] if one.contains("worker")),
        "{built:?}"
    );
}

#[test]
fn a_manifest_can_be_set_repeatedly() {
    let workspace = Workspace::new();
    workspace.manifest("[workspace.metadata.ansar]\ntests = \"a\"");
    workspace.manifest("[workspace.metadata.ansar]\ntests = \"b\"");
    let manifest = workspace.read("Cargo.toml");
    assert!(manifest.ends_with("tests = \"b\"") && !manifest.contains("\"a\""));
    workspace
        .cargo_build()
        .run()
        .success()
        .stderr_lacks("Compiling");
    workspace.remove("test-fixtures/src/bin/noop.rs");
    let built = workspace.cargo_build().arg("--bin=noop").run();
    built.code(101).stderr_has("no bin target named `noop`");
}
