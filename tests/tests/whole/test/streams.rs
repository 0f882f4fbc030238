//! A run whose streams fail still ends with its verdict, or with a write error
//! if the output was lost.

use tests::pipe;

use super::{Group, PASSED};

#[test]
fn a_closed_stdout_is_no_failure() {
    let group = Group::demo();
    let output = group.test([]).redirected(">&-").run();
    output.success().stderr_has("Passed").stderr_lacks("error");
}

#[test]
fn a_full_disk_under_stdout() {
    let group = Group::demo();
    let output = group.test([]).redirected(">/dev/full").run();
    output
        .code(110)
        .stderr_has("failed to write to stdout: No space left");
    group.is_still();
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let group = Group::demo();
    group.test([]).run().success();
    let (reader, writer) = pipe();
    drop(reader);
    let output = group.test([]).stdout(writer).run();
    output.success().stderr_has("Passed").stderr_lacks("error");

    // The verdict does not change.
    group.remove(super::WORDS);
    let (reader, writer) = pipe();
    drop(reader);
    let output = group.test([]).stdout(writer).run();
    output.code(100).stderr_has("Failed").stderr_lacks("error");
}

#[test]
fn a_closed_stderr_keeps_the_verdict() {
    let group = Group::demo();
    let output = group.test([]).redirected("2>&-").run();
    output.success().stdout_is(PASSED);
}

#[test]
fn all_standard_streams_closed() {
    let group = Group::demo();
    group.test([]).redirected("<&- >&- 2>&-").run().success();
}

#[test]
fn log_lines_and_quiet() {
    let group = Group::demo();
    let output = group.test(["--debug-level=CONSOLE"]).run();
    output
        .success()
        .stdout_is(PASSED)
        .stderr_has("Connected to ");
    let output = group.test(["-q"]).run();
    output
        .success()
        .stdout_is(PASSED)
        .check(output.stderr.is_empty(), || {
            "expected silence on stderr".to_owned()
        });
}
