//! Runs whose engine is killed: what was recorded until then is the last run.

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Running, Signal, children_of, eventually};

use super::Package;

const ROLES: &str = "[test-api]\ntest = \"api\"\nexclusive = [\"it\"]\n\n\
                     [test-later]\ntest = \"later\"\nexclusive = [\"it\"]\n";

/// The third test tells that it waits, and never ends.
const API: &str = "#[test]\nfn a_passes() {}\n#[test]\nfn b_fails() {\n    assert_eq!(1, 2);\n}\n\
                   #[test]\nfn c_waits() {\n    std::fs::write(\"waits\", \"\").unwrap();\n    \
                   loop {\n        std::thread::park();\n    }\n}\n\
                   #[test]\nfn d_comes_last() {}\n#[test]\n#[ignore]\nfn e_ignored() {}\n";

fn package(roles: &str) -> Package {
    let package = Package::of(roles);
    package.write("tests/api.rs", API);
    package.write("tests/later.rs", "#[test]\nfn passes() {}\n");
    package
}

/// Starts a run, and waits for the test that never ends.
fn until_it_waits(package: &Package) -> Running<'_> {
    let run = package.ansar(["test", "-j", "1"]).start();
    let waits = package.path().join("waits");
    eventually(|| waits.exists().then_some(())).expect("the third test runs");
    run
}

fn engine_of(run: &Running<'_>) -> Pid {
    let engine = eventually(|| children_of(run.pid()).first().copied());
    Pid::from_raw(engine.expect("the guardian has an engine"))
}

/// Asserts that each form of the last run shows the tests that ran, and names
/// the others.
fn is_told(package: &Package) {
    let report = package.runs("report");
    let place = package.place("tests/api.rs", "assert_eq!");
    let failure = "b_fails: assertion `left == right` failed, left: 1, right: 2";
    report.success().stdout_is(&format!(
        "role \"test-api\" (pass/fail): 1/1\nrole \"test-later\" (pass/fail): 0/0\n\
         {place} - {failure}\n"
    ));
    report.stderr_has("  Unfinished test-api: c_waits, d_comes_last\n");
    report.stderr_has("     Not run test-later\n");
    report.stderr_has("      Killed 1 of 2 checks in 1 of 2 roles, 1 role not run, 1 ignored");
    let check = package.runs("check --last --message-format rustc");
    check.code(100).stdout_has(&format!("test-api: {failure}"));
    check.stderr_has("warning: the last run was killed before its end\n");
    check.stderr_has("  Unfinished test-api: c_waits, d_comes_last\n");
    package
        .runs("report --junit run.xml --html run.html")
        .success();
    let junit = package.read("run.xml");
    assert!(junit.contains("name=\"d_comes_last\""), "{junit}");
    assert!(package.read("run.html").contains("Killed"));
}

#[test]
fn a_killed_engine_leaves_the_verdict_of_what_ran() {
    let package = package(ROLES);
    let run = until_it_waits(&package);
    kill(engine_of(&run), Signal::SIGKILL).expect("the engine runs");
    run.wait().code(137);
    package.is_still();
    is_told(&package);
    // The next run begins with what has not passed, and is the last one then.
    let run = package.runs("test test-later --failed");
    run.success()
        .stdout_is("role \"test-later\" (pass/fail): 1/0\n");
    package
        .runs("report")
        .stdout_is("role \"test-later\" (pass/fail): 1/0\n");
}

#[test]
fn a_killed_engine_and_guardian_leave_it_too() {
    let package = package(ROLES);
    let run = until_it_waits(&package);
    let engine = engine_of(&run);
    // A suspended guardian cannot act in between.
    run.signal(Signal::SIGSTOP);
    kill(engine, Signal::SIGKILL).expect("the engine runs");
    run.signal(Signal::SIGKILL);
    run.wait().killed_by(Signal::SIGKILL);
    is_told(&package);
    package.runs("test test-later").success();
    package.is_still();
}

#[test]
fn tests_in_one_process_are_recorded_as_they_end() {
    let package = package("[test-api]\ntest = \"api\"\nisolate = false\n");
    let mut run = package
        .ansar(["test", "-j", "2", "--debug-level", "TRACE"])
        .start();
    run.wait_for_next("a_passes passed");
    let waits = package.path().join("waits");
    eventually(|| waits.exists().then_some(())).expect("the third test runs");
    let results = package.path().join(".ansar-home/last/test-api.tests.jsonl");
    let recorded = || {
        let results = std::fs::read_to_string(&results).expect("it is there");
        (results.lines().count() == 4).then_some(())
    };
    eventually(recorded).expect("three tests have ended");
    kill(engine_of(&run), Signal::SIGKILL).expect("the engine runs");
    run.wait().code(137);
    let report = package.runs("report");
    let place = package.place("tests/api.rs", "fn b_fails");
    report.stdout_is(&format!(
        "role \"test-api\" (pass/fail): 2/1\n\
         {place} - b_fails: failed; the run ended before the test could tell why\n"
    ));
    report.stderr_has("  Unfinished test-api: c_waits\n");
}
