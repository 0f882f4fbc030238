//! A component keeps its result when its streams fail.

use tests::{Sandbox, pipe};

use super::{ACK, REPORT};

#[test]
fn a_print_goes_to_the_log() {
    let sandbox = Sandbox::new();
    let output = sandbox.component("prints").run();
    let report = output.success().returned(REPORT);
    assert_eq!(report["passed"], 1);
    output.stderr_has("a stray print");
    assert!(!output.stdout.contains("a stray print"));
}

#[test]
fn a_closed_stdout_is_no_failure() {
    let sandbox = Sandbox::new();
    let output = sandbox.component("noop").redirected(">&-").run();
    output
        .success()
        .stdout_is("")
        .stderr_has("Log this and exit");
}

#[test]
fn a_full_disk_under_the_result() {
    let sandbox = Sandbox::new();
    let output = sandbox.component("noop").redirected(">/dev/full").run();
    output
        .code(1)
        .stderr_has("failed to write the result, No space left on device");
    let dump = sandbox
        .component("snooze")
        .arg("--dump-settings")
        .redirected(">/dev/full")
        .run();
    dump.code(1).stderr_has("failed to write the result");
}

#[test]
fn a_closed_stderr_keeps_the_result() {
    let sandbox = Sandbox::new();
    for name in ["noop", "prints"] {
        let output = sandbox.component(name).redirected("2>&-").run();
        assert_eq!(output.success().stderr, "");
        output.message();
    }
}

#[test]
fn a_broken_log_pipe_keeps_the_result() {
    let sandbox = Sandbox::new();
    for name in ["noop", "prints", "floods"] {
        let (reader, writer) = pipe();
        drop(reader);
        // The log meets the closed pipe first: at this level, it has a line
        // before the function starts.
        let program = sandbox.component(name).arg("--debug-level=TRACE");
        program.stderr(writer).run().success().message();
    }
}

#[test]
fn a_broken_result_pipe_is_no_failure() {
    let sandbox = Sandbox::new();
    let (reader, writer) = pipe();
    drop(reader);
    let output = sandbox.component("noop").stdout(writer).run();
    output.success().stderr_lacks("failed");
}

#[test]
fn all_standard_streams_closed() {
    let sandbox = Sandbox::new();
    let program = sandbox.component("noop").redirected("<&- >&- 2>&-");
    program.run().success();
}

#[test]
fn the_result_in_a_file() {
    let sandbox = Sandbox::new();
    let output = sandbox
        .component("noop")
        .arg("--output-file=result.json")
        .run();
    output.success().stdout_is("");
    let result: serde_json::Value =
        serde_json::from_str(&sandbox.read("result.json")).expect("the file holds JSON");
    assert_eq!(result["value"][0], ACK);
    // A symlink is followed, and a device is written to: neither is replaced.
    std::os::unix::fs::symlink("result.json", sandbox.path().join("link")).expect("it is new");
    std::os::unix::fs::symlink("/dev/null", sandbox.path().join("null")).expect("it is new");
    sandbox.write("result.json", "old");
    for name in ["link", "null"] {
        let noop = sandbox.component("noop");
        noop.arg(format!("--output-file={name}")).run().success();
        let path = sandbox.path().join(name);
        assert!(path.symlink_metadata().expect("it exists").is_symlink());
    }
    assert!(sandbox.read("result.json").contains(ACK));
    let nowhere = sandbox
        .component("noop")
        .arg("--output-file=/proc/no/file")
        .run();
    nowhere
        .code(1)
        .stderr_has("failed to write `/proc/no/file`");
}
