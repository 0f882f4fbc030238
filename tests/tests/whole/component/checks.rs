//! Many checks in one process: exact counts, few details, little memory.

use serde_json::Value;
use tests::{Output, Sandbox, executable};

use super::REPORT;

/// Reports so many checks, every `fail_every`th failing, in little memory.
fn make(sandbox: &Sandbox, checks: u64, fail_every: u64) -> Output {
    // Storing all details would need more.
    let script = "ulimit -v 150000; exec \"$@\"";
    let shell = sandbox.program("sh").args(["-c", script, "sh"]);
    let fixture = shell.arg(executable("checks"));
    let [checks, fail_every] = [
        format!("--checks={checks}"),
        format!("--fail-every={fail_every}"),
    ];
    fixture.args([checks, fail_every]).run()
}

/// Asserts the numbers of passed, failed and stored checks, and of stored
/// failures.
#[track_caller]
fn counts(output: &Output) -> [u64; 4] {
    let report = output.success().returned(REPORT);
    let number = |name: &str| report[name].as_u64().unwrap_or(u64::MAX);
    let tested: Vec<Value> = report["tested"].as_array().cloned().unwrap_or_default();
    let failed = tested.iter().filter(|check| check["condition"] == false);
    let failed = failed.count() as u64;
    [
        number("passed"),
        number("failed"),
        tested.len() as u64,
        failed,
    ]
}

#[test]
fn a_thousand_checks_are_counted_and_shortened() {
    let sandbox = Sandbox::new();
    let all_pass = make(&sandbox, 1000, 0);
    assert_eq!(counts(&all_pass), [1000, 0, 255, 0]);
    all_pass.stderr_has("Kept the details of 255 of 1000 checks");
    let some_fail = make(&sandbox, 1000, 100);
    assert_eq!(counts(&some_fail), [990, 10, 255, 10]);
    let all_fail = make(&sandbox, 1000, 1);
    assert_eq!(counts(&all_fail), [0, 1000, 255, 255]);
    let few = make(&sandbox, 255, 2);
    assert_eq!(counts(&few), [128, 127, 255, 127]);
    few.stderr_lacks("Kept the details");
}

#[test]
fn a_million_checks_are_counted_in_little_memory() {
    let sandbox = Sandbox::new();
    let all_pass = make(&sandbox, 1_000_000, 0);
    assert_eq!(counts(&all_pass), [1_000_000, 0, 255, 0]);
    all_pass.stderr_has("Kept the details of 255 of 1000000 checks");
    let some_fail = make(&sandbox, 1_000_000, 1000);
    assert_eq!(counts(&some_fail), [999_000, 1000, 255, 255]);
}
