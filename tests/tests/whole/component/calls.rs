//! Calls: a component that runs another executable as a function.

use std::collections::BTreeMap;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::{Notices, Output, Program, Running, Sandbox, Signal, eventually};

use super::{ABORTED, ACK, FAULTED, Home, this_parent};

/// The role `calls-0`, which calls `executable` so many times at once.
fn calls<'s>(home: &Home<'s>, executable: &str, count: usize, then: &str) -> Program<'s> {
    let settings = json!({"value": {"executable": executable, "count": count, "then": then}});
    home.write("settings/calls-0.json", &settings.to_string());
    home.role("calls", "calls-0").envs([this_parent()])
}

/// Returns the processes of the sandbox that run `executable`.
fn running(sandbox: &Sandbox, executable: &str) -> Vec<i32> {
    let mut processes: BTreeMap<i32, String> = sandbox.processes();
    let path = format!("/{executable} ");
    processes.retain(|_, command| command.contains(&path));
    processes.into_keys().collect()
}

/// Waits until so many processes run `executable`.
#[track_caller]
fn wait_for(sandbox: &Sandbox, executable: &str, count: usize) -> Vec<i32> {
    let reached = eventually(|| {
        let pids = running(sandbox, executable);
        (pids.len() == count).then_some(pids)
    });
    reached.unwrap_or_else(|| panic!("{:?}", sandbox.processes()))
}

/// Waits until so many of them have logged a line.
#[track_caller]
fn wait_for_lines(running: &mut Running<'_>, text: &str, count: usize) {
    for _ in 0..count {
        running.wait_for_next(text);
    }
}

#[track_caller]
fn condition(output: &Output) -> String {
    let fault = output.returned(FAULTED);
    fault["condition"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn concurrent_calls_have_numbered_sub_roles() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let output = calls(&home, "noop", 3, "await").run();
    output.success().returned(ACK);
    assert_eq!(output.log("Log this and exit").len(), 3);
    let started = output.log(" ( <00000009>calls - Started process (");
    let mut names: Vec<_> = started
        .iter()
        .filter_map(|line| line.rsplit_once(" as ").map(|(_, name)| name.to_owned()))
        .collect();
    names.sort();
    let expected = ["calls-0.noop", "calls-0.noop-1", "calls-0.noop-2"];
    assert_eq!(names, expected);
    assert_eq!(output.log(" ) <00000009>calls - Ended process (").len(), 3);
}

#[test]
fn input_and_log_level_are_passed_on() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write("input/calls-0.json", r#"{"value": 3}"#);
    let output = calls(&home, "factorial", 1, "expect").arg("--debug-level=CONSOLE");
    let output = output.run();
    output
        .success()
        .stderr_has("Result 6")
        .stderr_has("factorial(0)")
        .stderr_lacks("start_vector");
    assert_eq!(output.log("factorial(").len(), 4);
}

#[test]
fn settings_of_a_sub_role_are_its_own() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let host = r#"{"value": {"seconds": 0.25}}"#;
    home.write("settings/calls-0.snooze.json", host);
    let output = calls(&home, "snooze", 1, "await").run();
    output.success().stderr_has("Do nothing for 0.25 seconds");
}

#[test]
fn folders_of_a_sub_role() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    calls(&home, "noop", 1, "await").run().success();
    assert!(!home.path().join("model/calls-0.noop").exists());
    home.write("input/calls-0.json", r#"{"value": "folders"}"#);
    for times in 0..2 {
        let output = calls(&home, "talks", 1, "await").run();
        output
            .success()
            .stderr_has(&format!("model: {times} times before"))
            .stderr_has("tmp: 0 times before");
    }
    assert!(home.path().join("model/calls-0.talks/times.json").exists());
}

#[test]
fn a_missing_executable_is_a_fault() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let output = calls(&home, "missing", 1, "await").run();
    let fault = output.code(1).returned(FAULTED);
    assert_eq!(fault["condition"], "executable `missing` not found");
    let bin = home.path().join("bin").display().to_string();
    let why = fault["explanation"].as_str().unwrap_or_default();
    assert!(why.contains(&format!("`{bin}` or `")), "{why}");
    for name in ["../noop", "", "a b"] {
        let output = calls(&home, name, 1, "await").run();
        let expected = format!("`{name}` is not a name of an executable");
        assert_eq!(condition(output.code(1)), expected);
    }
    // An executable of the home takes precedence.
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(tests::executable("noop"), bin.join("missing")).unwrap();
    calls(&home, "missing", 1, "await").run().success();
}

#[test]
fn a_killed_process_is_a_fault() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let silent = condition(calls(&home, "silent", 1, "await").run().code(1));
    assert!(silent.starts_with("`calls-0.silent` (process "), "{silent}");
    assert!(silent.ends_with(") exited without a result"), "{silent}");

    let running = calls(&home, "zombie", 1, "await").start();
    running.wait_for("Do nothing until interrupted");
    let pids = wait_for(&sandbox, "zombie", 1);
    kill(Pid::from_raw(pids[0]), Signal::SIGKILL).unwrap();
    let output = running.wait();
    let expected = format!(
        "`calls-0.zombie` (process {}) was killed by SIGKILL",
        pids[0]
    );
    assert_eq!(condition(output.code(1)), expected);
    assert_eq!(
        output.returned(FAULTED)["source"],
        "test-fixtures/src/bin/calls.rs"
    );
}

#[test]
fn a_fault_of_the_callee_faults_the_caller() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let output = calls(&home, "panics", 1, "await").run();
    // The caller asked for any result, and a fault is one.
    output
        .success()
        .stderr_has("Result ansar.create.lifecycle.Faulted");
    let output = calls(&home, "panics", 1, "expect").run();
    let fault = output.code(1).returned(FAULTED);
    let condition = fault["condition"].as_str().unwrap_or_default();
    assert!(
        condition.starts_with("`calls-0.panics` (process "),
        "{condition}"
    );
    assert!(
        condition.ends_with(") faulted: component panicked"),
        "{condition}"
    );
    assert_eq!(fault["explanation"], "this component panics");
    assert_eq!(fault["source"], "test-fixtures/src/bin/panics.rs");
}

#[test]
fn another_result_than_was_expected_names_both_types() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let output = calls(&home, "noop", 1, "expect").run();
    let condition = condition(output.code(1));
    let both = ") returned a `ansar.create.lifecycle.Ack`, \
                expected a `lib.factorial_if.FactorialReturned`";
    assert!(condition.ends_with(both), "{condition}");
}

#[test]
fn stop_runs_down_the_tree() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    for sub_role in ["calls-0.calls", "calls-0.calls-1"] {
        home.write(
            &format!("settings/{sub_role}.json"),
            r#"{"value": {"executable": "zombie", "then": "expect"}}"#,
        );
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut running = calls(&home, "calls", 2, "expect").start();
        wait_for_lines(&mut running, "Do nothing until interrupted", 2);
        // Only the first one, which forwards the signal.
        running.signal(signal);
        let output = running.wait();
        output.success().returned(ABORTED);
        assert_eq!(output.log("No result: stopped on request").len(), 4);
        sandbox.is_still();
    }
}

#[test]
fn by_hand_control_c_stops_the_tree() {
    let sandbox = Sandbox::new();
    let calls = sandbox.component("calls");
    let mut running = calls.args(["--executable=zombie", "--count=2"]).start();
    wait_for_lines(&mut running, "Do nothing until interrupted", 2);
    running.signal_group(Signal::SIGINT);
    let output = running.wait();
    output.code(130).returned(ACK);
    assert_eq!(output.log("Result ansar.create.lifecycle.Aborted").len(), 2);
    sandbox.is_still();
}

#[test]
fn a_call_is_stopped_or_dropped() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write("input/calls-0.json", r#"{"value": null}"#);
    let mut running = calls(&home, "zombie", 2, "stop").open_stdin().start();
    wait_for_lines(&mut running, "Do nothing until interrupted", 2);
    running.close_stdin();
    let output = running.wait();
    output.success();
    assert_eq!(output.log("Result ansar.create.lifecycle.Aborted").len(), 2);

    let mut running = calls(&home, "zombie", 2, "drop").open_stdin().start();
    wait_for_lines(&mut running, "Do nothing until interrupted", 2);
    running.close_stdin();
    running.wait_for("Dropped");
    wait_for(&sandbox, "zombie", 0);
    running.signal(Signal::SIGINT);
    running.wait().success().returned(ABORTED);
}

#[test]
fn one_that_does_not_stop_is_killed() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let mut running = calls(&home, "stubborn", 1, "stop").open_stdin().start();
    running.wait_for("Ignoring every signal");
    running.close_stdin();
    let output = running.wait();
    output.success().returned(ABORTED);
    output.stderr_has("No result: stopped on request");
}

#[test]
fn a_tree_dies_with_its_root() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write(
        "settings/calls-0.calls.json",
        r#"{"value": {"executable": "zombie"}}"#,
    );
    let running = calls(&home, "calls", 1, "await").start();
    running.wait_for("Do nothing until interrupted");
    running.signal(Signal::SIGKILL);
    running.wait().killed_by(Signal::SIGKILL);
    wait_for(&sandbox, "zombie", 0);
}

#[test]
fn a_sub_role_sends_no_notices() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let notices = Notices::listen(&sandbox);
    let address = tests::loopback();
    let settings = json!({"value": {"host": address.to_string()}});
    home.write("settings/calls-0.server.json", &settings.to_string());
    let running = calls(&home, "server", 1, "await");
    let running = running.env("NOTIFY_SOCKET", notices.path()).start();
    running.wait_for("Ready");
    running.signal(Signal::SIGINT);
    running.wait().success();
    let introduction = notices.next();
    assert_eq!(introduction["X_ANSAR_ROLE"], "calls-0");
    let last = notices.next();
    assert_eq!(
        (&*last["X_ANSAR_ROLE"], &*last["STOPPING"]),
        ("calls-0", "1")
    );
}

/// A component run by hand, under limits that a shell sets.
fn limited<'s>(sandbox: &'s Sandbox, limits: &str, name: &str) -> Program<'s> {
    let script = format!("{limits} && exec \"$@\"");
    let shell = sandbox.program("sh").args(["-c", &script, "sh"]);
    shell.arg(tests::executable(name))
}

#[test]
fn too_few_descriptors_fault_a_tree() {
    let sandbox = Sandbox::new();
    let input =
        json!({"value": {"duties": ["noop", "factorial"], "management_levels": 3, "managers": 3}});
    let input = sandbox.write("busy-input", &input.to_string());
    let tree = limited(&sandbox, "ulimit -n 64", "busy").arg("--input-file");
    let returned = tree
        .arg(&input)
        .run()
        .success()
        .returned("lib.job_if.JobReturned");
    assert_eq!(returned["processes"], 39);

    let many = ["--executable=zombie", "--count=100"];
    let output = limited(&sandbox, "ulimit -n 64", "calls")
        .args(many)
        .start();
    output.wait_for("could not be started, Too many open files");
    output.signal(Signal::SIGINT);
    let output = output.wait();
    let fault = condition(output.code(1));
    assert!(fault.ends_with("` could not be started"), "{fault}");
    sandbox.is_still();
}

#[test]
fn too_few_descriptors_to_start() {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    for most in 4..=15 {
        let limits = format!("ulimit -n {most}");
        let by_hand = limited(&sandbox, &limits, "noop").run();
        by_hand
            .code(1)
            .stderr_has("error: too few file descriptors are allowed")
            .stderr_has("`ulimit -n 256`")
            .stderr_lacks("panicked");
        for words in [&["list"][..], &["run"], &["stop", "-f"]] {
            let tool = limited(&sandbox, &limits, "cargo-ansar").args(words).run();
            tool.code(96)
                .stderr_has(&format!("file descriptors: the limit is {most}"))
                .stderr_has("hint: allow more with `ulimit -n 256`")
                .stderr_lacks("panicked");
        }
    }
    // The soft limit is raised if possible.
    let list = limited(&sandbox, "ulimit -Sn 8", "cargo-ansar")
        .arg("list")
        .run();
    list.success();
}

/// Runs a component under a limit of processes, as another user if this one is
/// exempt from limits.
fn with_processes(sandbox: &Sandbox, most: u32, name: &str) -> Output {
    let id = sandbox.program("id").arg("-u").run();
    let limit = format!("--nproc={most}:{most}");
    let program = if id.stdout.trim() == "0" {
        let user = format!("--reuid={}", 70_000 + std::process::id() % 50_000);
        let own = sandbox.program("setpriv").arg(user);
        own.args(["--clear-groups", "prlimit", &limit])
    } else {
        sandbox.program("prlimit").arg(limit)
    };
    program.arg(tests::executable(name)).run()
}

#[test]
fn too_few_processes_are_a_fault() {
    let sandbox = Sandbox::new();
    // Each call needs a process and a thread.
    let output = with_processes(&sandbox, 8, "factorial");
    let fault: Value = output.code(1).returned(FAULTED);
    let text = fault.to_string();
    assert!(text.contains("Resource temporarily unavailable"), "{text}");
    sandbox.is_still();
}
