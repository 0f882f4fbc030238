//! A command that runs while the roles run: it leaves a last run.

use serde_json::Value;
use tests::{Workspace, executable};

/// A workspace with a role and a package whose tests are ordinary ones.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.manifest(
        "[workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n\
         [workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n",
    );
    workspace.write(
        "ordinary.rs",
        "#[test]\nfn passes() {}\n\n#[test]\nfn fails() {\n    assert_eq!(1, 2, \"numbers\");\n}\n\n\
         #[test]\n#[should_panic]\nfn expected() {\n    panic!(\"as expected\");\n}\n",
    );
    workspace
}

/// Runs the tests of `ordinary.rs`, without the time that Cargo needs.
const TESTS: &str = "rustc --test ordinary.rs -o ordinary && ./ordinary";

fn diagnostics(workspace: &Workspace) -> Vec<(String, u64, String)> {
    let check = workspace.ansar(["check", "--last", "--message-format=json"]);
    let lines = check.run().json_lines();
    let messages = lines
        .iter()
        .filter(|line| line["reason"] == "compiler-message")
        .map(|line| &line["message"]);
    let found = messages.filter(|message| message["level"] == "error");
    let place = |message: &Value| {
        let span = &message["spans"][0];
        let file = span["file_name"].as_str().unwrap_or_default().to_owned();
        let text = message["message"].as_str().unwrap_or_default().to_owned();
        (file, span["line_start"].as_u64().unwrap_or_default(), text)
    };
    found.map(place).collect()
}

#[test]
fn failed_tests_of_cargo_are_diagnostics() {
    let workspace = workspace();
    workspace.write(
        "test-fixtures/tests/ordinary.rs",
        &workspace.read("ordinary.rs"),
    );
    let cargo = [
        "with",
        "--",
        "cargo",
        "test",
        "--offline",
        "--test",
        "ordinary",
    ];
    let with = workspace.ansar(cargo).run();
    with.code(101).stdout_has("test fails ... FAILED");
    let source = workspace.path().join("test-fixtures/tests/ordinary.rs");
    let text = "fails: assertion `left == right` failed: numbers";
    let diagnostics = diagnostics(&workspace);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    assert_eq!(diagnostics[0].1, 6);
    assert!(source.ends_with(&diagnostics[0].0), "{diagnostics:?}");
    assert!(diagnostics[0].2.ends_with(text), "{diagnostics:?}");
    let report = workspace.ansar(["report"]).run();
    report.success().stdout_is(&format!(
        "role \"command\" (pass/fail): 0/1\n{}:6 - {text}\n",
        source.display()
    ));
    let files = ["report", "--junit=run.xml", "--html=run.html"];
    workspace.ansar(files).run().success();
    assert!(
        workspace
            .read("run.xml")
            .contains("ordinary.rs:6:5 - fails: assertion")
    );
    let page = workspace.read("run.html");
    assert!(page.contains("cargo ansar with -- cargo test --offline --test ordinary"));
    workspace.is_still();
}

#[test]
fn output_and_exit_code_pass_unchanged() {
    let workspace = workspace();
    let script = "echo out; echo failed >&2; exit 7";
    let with = workspace
        .ansar(["with", "-q", "--", "sh", "-c", script])
        .run();
    with.code(7).stdout_is("out\n").stderr_has("failed\n");
    let joined = workspace.shell(&format!("$ANSAR ansar with -q -- sh -c '{script}' 2>&1"));
    let joined = joined.env("ANSAR", executable("cargo-ansar")).run();
    joined.code(7).stdout_is("out\nfailed\n");
    let report = workspace.ansar(["report"]).run();
    let manifest = workspace.path().join("Cargo.toml").display().to_string();
    report.success().stdout_is(&format!(
        "role \"command\" (pass/fail): 0/1\n\
         {manifest}:1 - `sh -c '{script}'` exited with 7: failed\n"
    ));
}

#[test]
fn a_command_that_succeeds_passes() {
    let workspace = workspace();
    // A panic that is expected fails nothing.
    let script = format!("{TESTS} --nocapture expected");
    let with = workspace.ansar(["with", "--", "sh", "-c", &script]).run();
    with.success().stderr_has("panicked at ordinary.rs:12:5");
    let report = workspace.ansar(["report"]).run();
    report
        .success()
        .stdout_is("role \"command\" (pass/fail): 1/0\n");
}

#[test]
fn runs_of_the_command_itself_are_kept() {
    let workspace = Workspace::new();
    workspace.manifest("[workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n");
    let ansar = executable("cargo-ansar").display().to_string();
    let with = workspace
        .ansar(["with", "--", &ansar, "ansar", "test"])
        .run();
    with.success();
    let report = workspace.ansar(["report"]).run();
    report.success().stdout_has("role \"test-prints\"");
}

#[test]
fn a_terminal_remains_one_for_cargo() {
    let workspace = workspace();
    workspace.write(
        "cargo-shows",
        &format!("#!/bin/sh\ntest -t 1 && test -t 2 && stty size <&1\n{TESTS}\n"),
    );
    let script = r#"chmod +x cargo-shows; stty rows 33 cols 99
$ANSAR ansar with -q -- ./cargo-shows; echo "code $?""#;
    let terminal = workspace.terminal(script).open_stdin();
    let shown = terminal.env("ANSAR", executable("cargo-ansar")).run();
    shown.success().stdout_has("33 99").stdout_has("code 101");
    let report = workspace.ansar(["report"]).run();
    report
        .success()
        .stdout_has("ordinary.rs:6 - fails: assertion");
    workspace.is_still();
}
