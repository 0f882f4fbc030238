//! `--test-analyzer`, and the key `analyzer`: a component receives the results,
//! and its result is the verdict.

use serde_json::json;
use tests::{Sandbox, Signal, Workspace};

use super::{ABORTED, ACK, FAULTED, with_home};

/// Creates a home with two roles that report, one of them failures, and one
/// that does not.
fn with_reports() -> Sandbox {
    let sandbox = with_home();
    for add in [
        ["add", "checks", "test-a", "--checks=2"].as_slice(),
        &["add", "checks", "test-b", "--checks=3", "--fail_every=3"],
        &["add", "noop"],
    ] {
        sandbox.ansar(add).run().success();
    }
    sandbox
}

/// Adds an analyzer to the home that treats failures as a fault.
fn strict(sandbox: &Sandbox) {
    let settings = json!({"value": {"strict": true}}).to_string();
    sandbox.write(".ansar-home/settings/analyzer.json", &settings);
}

#[test]
fn the_analyzers_result_is_the_runs_result() {
    let sandbox = with_reports();
    let run = ["run", "--test-analyzer=analyzer", "--debug-level=CONSOLE"];
    let output = sandbox.ansar(run).run();
    output
        .success()
        .stderr_has("Analyzing 2 reports with `analyzer`")
        .stderr_has("Analyzed test-a")
        .stderr_has("Analyzed test-b")
        .stderr_lacks("Analyzed noop-0")
        .returned(ACK);
    // The analyzer does not become a role.
    let list = sandbox.ansar(["list"]).run();
    list.success().stdout_is("noop-0\ntest-a\ntest-b\n");

    let tested = sandbox.ansar(run).arg("--test-run").run();
    tested
        .code(100)
        .stdout_has("role \"test-b\" (pass/fail): 2/1\n")
        .stdout_has(ACK);
}

#[test]
fn the_analyzers_fault_sets_the_exit_code() {
    let sandbox = with_reports();
    strict(&sandbox);
    let run = ["run", "test-.*", "--test-analyzer=analyzer"];
    let output = sandbox.ansar(run).run();
    let fault = output.code(7).returned(FAULTED);
    assert_eq!(fault["condition"], "1 checks failed");
    let passing = sandbox.ansar(["run", "test-a", "--test-analyzer=analyzer"]);
    passing.run().success().returned(ACK);
    let panicking = sandbox.ansar(["run", "test-a", "--test-analyzer=panics"]);
    panicking.run().code(1).returned(FAULTED);
}

#[test]
fn an_unknown_analyzer_is_refused_first() {
    let sandbox = with_reports();
    let run = ["run", "--test-analyzer=analyser", "--debug-level=CONSOLE"];
    let output = sandbox.ansar(run).run();
    output
        .code(2)
        .stdout_is("")
        .stderr_has("error: executable `analyser` not found")
        .stderr_has("hint: did you mean `analyzer`?")
        .stderr_lacks("Made ");
}

#[test]
fn a_role_of_the_analyzers_name_keeps_it() {
    let sandbox = with_reports();
    let add = sandbox.ansar(["add", "noop", "analyzer"]);
    add.run().success();
    let run = sandbox.ansar(["run", "test-a", "--test-analyzer=analyzer", "-v"]);
    run.run()
        .success()
        .stderr_has("Started analyzer-1 (analyzer, ");
}

#[test]
fn after_control_c_what_was_collected_is_analyzed() {
    let sandbox = with_reports();
    sandbox.ansar(["add", "zombie"]).run().success();
    let run = [
        "run",
        "--test-analyzer=analyzer",
        "-v",
        "--debug-level=CONSOLE",
    ];
    let run = sandbox.ansar(run).start();
    for ended in [
        "Ended test-a",
        "Ended test-b",
        "Do nothing until interrupted",
    ] {
        run.wait_for(ended);
    }
    run.signal(Signal::SIGINT);
    let output = run.wait();
    output.code(130).stderr_has("Analyzed test-b").returned(ACK);

    sandbox.ansar(["add", "stubborn"]).run().success();
    let run = [
        "run",
        "--test-analyzer=analyzer",
        "-v",
        "--debug-level=CONSOLE",
    ];
    let run = sandbox.ansar(run).start();
    run.wait_for("Ignoring every signal");
    run.wait_for("Ended test-b");
    run.signal(Signal::SIGINT);
    run.wait_for("Stopping ");
    run.signal(Signal::SIGINT);
    let output = run.wait();
    // It did not run.
    output
        .code(130)
        .stderr_lacks("Analyzed")
        .stdout_has(ABORTED);
}

#[test]
fn failed_checks_decide_despite_the_analyzer() {
    let workspace = Workspace::new();
    let roles = |analyzer: &str, fail_every: u32| {
        workspace.manifest(&format!(
            "[workspace.metadata.ansar]\n{analyzer}\n\
             [workspace.metadata.ansar.role.test-a]\nexecutable = \"checks\"\n\
             settings = {{ checks = 3, fail_every = {fail_every} }}\n"
        ));
    };
    roles("analyzer = 'analyzer'", 0);
    let passing = workspace.ansar(["test"]).run();
    passing
        .success()
        .stdout_has("role \"test-a\" (pass/fail): 3/0\n")
        .stdout_has(ACK)
        .stderr_has("Analyzing 1 report with `analyzer`")
        .stderr_has("Passed 3 checks in 1 role");
    let home = workspace.path().join(".ansar-home");
    assert!(home.join("bin/analyzer").exists());

    roles("analyzer = 'analyzer'", 3);
    strict(&workspace);
    let failing = workspace.ansar(["test"]).run();
    failing.code(100).stdout_has("\"exit_code\": 7");

    roles("analyzer = 'missing'", 0);
    let missing = workspace.ansar(["test"]).run();
    missing.code(2).stderr_has("executable `missing` not found");
    let instead = workspace.ansar(["test", "--test-analyzer=panics"]).run();
    instead
        .code(1)
        .stdout_has("this component panics")
        .stderr_has("Passed 3 checks in 1 role");
}

#[test]
fn results_larger_than_a_pipe() {
    let sandbox = with_home();
    let add = sandbox.ansar(["add", "checks", "test-{number}", "--count=10"]);
    let add = add.args(["--checks=255", "--fail_every=1"]);
    add.run().success();
    let run = ["run", "--test-analyzer=analyzer", "--debug-level=CONSOLE"];
    let output = sandbox.ansar(run).run();
    let analyzed = output.success().log("Analyzed test-");
    assert_eq!(analyzed.len(), 10);
}
