//! Control-c and SIGTERM at several moments: a graceful end without remains,
//! after which the next run works.

use tests::{Output, Running, Signal};

use super::builds::Gate;
use super::{CLIENT, CLIENT_RS, Group, PASSED, SERVER, ZOMBIE};

const HANGS: &str = r#"test-hangs = { executable = "hangs" }"#;
const STUBBORN: &str = r#"stubborn-0 = { executable = "stubborn" }"#;
const KILLED: &str = "role `stubborn-0` did not stop in time and was killed";

const SNOOZE: &str = r#"test-snooze = { executable = "snooze", settings = { seconds = 600 } }"#;

/// The signals that request an end, and their exit codes.
const ENDS: [(Signal, i32); 3] = [
    (Signal::SIGINT, 130),
    (Signal::SIGQUIT, 131),
    (Signal::SIGTERM, 143),
];

/// Asserts the notes of a wait, after 1 s, 2 s and 4 s: within the grace period
/// of 5 s there are no more.
#[track_caller]
fn ended_within_grace(output: &Output) {
    let told = output.log("Waiting for").len();
    output.check(told <= 3, || format!("told {told} times to wait"));
}

/// Asserts that no role runs, and that the next run passes without the
/// misbehaving roles.
#[track_caller]
fn all_is_well_after(group: &Group) {
    group.is_still();
    group.describe(&[SERVER, ZOMBIE, CLIENT]);
    group.test([]).run().success().stdout_is(PASSED);
}

#[test]
fn while_cargo_builds() {
    for (signal, code) in ENDS {
        let group = Group::demo();
        group.test([]).run().success();
        group.edit(CLIENT_RS, "Connected to", "Joined to");
        let gate = Gate::before(&group, "client");
        let running = gate.holds(group.test([])).start();
        gate.wait();
        running.signal(signal);
        let output = running.wait();
        output.code(code).stdout_is("").stderr_lacks("Testing");
        all_is_well_after(&group);
        assert!(group.log("test-client").contains("Joined to"));
    }
}

#[test]
fn at_every_progress_line() {
    let group = Group::demo();
    for (nth, line) in [
        "Created home",
        "Deploying client",
        "Testing 1 role",
        "Started server-0",
        "Ready server-0",
        "Started zombie-0",
        "Started test-client",
        "Ended test-client",
        "Stopping 2 roles",
        "Ended server-0",
        "Passed 3 checks",
    ]
    .into_iter()
    .enumerate()
    {
        let (signal, code) = ENDS[nth % ENDS.len()];
        if line.starts_with("Deploying") {
            group.remove(".ansar-home");
        }
        let running = group.test(["-v"]).start();
        running.wait_for(line);
        running.signal(signal);
        let output = running.wait();
        // A verdict that was reached before the signal remains.
        let ended = output.status.code();
        output.check(ended == Some(code) || ended == Some(0), || {
            format!("expected exit code {code} after `{line}`")
        });
        output.stderr_lacks("killed");
        group.is_still();
    }
    group.test([]).run().success().stdout_is(PASSED);
}

#[test]
fn right_after_testing_began() {
    for (signal, code) in ENDS {
        let group = Group::of(&[SERVER, ZOMBIE, CLIENT, SNOOZE]);
        let running = group.test([]).start();
        running.wait_for("Testing");
        running.signal(signal);
        let output = running.wait();
        output.code(code).stderr_has("Interrupted");
        output.stderr_lacks("Waiting for");
        all_is_well_after(&group);
    }
}

#[test]
fn while_a_test_hangs_beside_a_stubborn_role() {
    let groups = ENDS.map(|_| Group::of(&[SERVER, STUBBORN, CLIENT, HANGS]));
    // In parallel, since each takes the whole grace period.
    let running = groups.each_ref().map(|group| {
        let running = group.test(["--debug-level=CONSOLE"]).start();
        running.wait_for("Hanging");
        running.wait_for("Ignoring every signal");
        running
    });
    for (running, (signal, _)) in running.iter().zip(ENDS) {
        running.signal(signal);
    }
    for (running, (_, code)) in running.into_iter().zip(ENDS) {
        let output = running.wait();
        // Results from before the interrupt are reported.
        output.code(code).stdout_has(PASSED).stderr_has(KILLED);
        ended_within_grace(&output);
    }
    groups.iter().for_each(all_is_well_after);
}

/// Starts a run whose test has passed, and which waits for a stubborn role.
fn stopping(group: &Group) -> Running<'_> {
    let running = group.test([]).start();
    running.wait_for("Waiting for stubborn-0 to stop");
    running
}

#[test]
fn during_the_stop() {
    let group = Group::of(&[SERVER, STUBBORN, CLIENT]);
    let running = stopping(&group);
    running.signal(Signal::SIGTERM);
    let output = running.wait();
    output.code(143).stdout_has(PASSED).stderr_has(KILLED);
    ended_within_grace(&output);
    all_is_well_after(&group);
}

#[test]
fn a_killed_stubborn_role_fails_nothing() {
    let group = Group::of(&[SERVER, STUBBORN, CLIENT]);
    let output = group.test([]).run();
    output.success().stdout_is(PASSED).stderr_has(KILLED);
    ended_within_grace(&output);
    group.is_still();
}

#[test]
fn a_second_interrupt_is_immediate() {
    let group = Group::of(&[SERVER, STUBBORN, CLIENT]);
    let mut running = stopping(&group);
    running.signal_group(Signal::SIGINT);
    assert!(running.outlives_its_signals());
    // Two signals at once count as one.
    running.wait_for_next("Waiting for stubborn-0 to stop");
    running.wait_for_next("Waiting for stubborn-0 to stop");
    running.signal_group(Signal::SIGINT);
    let output = running.wait();
    output.code(130);
    // The next note would have come before the end of the grace period.
    assert_eq!(output.log("Waiting for").len(), 2);
    all_is_well_after(&group);
}

#[test]
fn while_it_waits_for_the_home() {
    let group = Group::of(&[SERVER, CLIENT, HANGS]);
    let first = group.test(["--debug-level=CONSOLE"]).start();
    first.wait_for("Hanging");
    let second = group.test([]).start();
    second.wait_for("another command");
    second.signal(Signal::SIGINT);
    second.wait().code(130).stdout_is("");
    first.signal(Signal::SIGINT);
    first.wait().code(130).stdout_has(PASSED);
    all_is_well_after(&group);
}
