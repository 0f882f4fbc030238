//! Every fixture behaves as its row of the table declares.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::{kill, killpg};
use nix::unistd::Pid;
use test_fixtures::{Ends, FIXTURES, Fixture, Returns};
use tests::{Output, Program, Sandbox, Signal, bins_of, loopback, processes_named};

use super::{FAULTED, Home, MAYBE, this_parent};

fn fixture(name: &str) -> &'static Fixture {
    let named = FIXTURES.iter().find(|fixture| fixture.name == name);
    named.unwrap_or_else(|| panic!("no row `{name}`"))
}

/// Runs a fixture to the end that its row declares.
fn holds(name: &str, arguments: &[&str]) -> (Sandbox, Output) {
    let sandbox = Sandbox::new();
    let row = fixture(name);
    let output = end(row, &sandbox, arguments);
    output.stderr_has(row.logs);
    match row.returns {
        Returns::Message(name) => {
            output.code(code_of(row, name)).returned(name);
        }
        Returns::Fault(text) => {
            let fault = output.code(1).returned(FAULTED);
            assert!(fault.to_string().contains(text), "{fault}");
        }
        Returns::Nothing => {
            output.stdout_is("");
            assert!(matches!(output.status.code(), None | Some(0)));
        }
    }
    (sandbox, output)
}

/// Returns the exit code of a fixture that returns this message, by hand.
fn code_of(row: &Fixture, message: &str) -> i32 {
    match row.ends {
        Ends::Stopped => 128 + Signal::SIGINT as i32,
        _ if message == MAYBE => 1,
        _ => 0,
    }
}

fn end(row: &Fixture, sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let with = |program: Program<'_>| -> Output {
        let program = program.args(arguments).arg("--debug-level=DEBUG");
        if row.ends == Ends::Itself {
            return program.run();
        }
        let running = program.start();
        running.wait_for(row.logs);
        if row.ends == Ends::Stopped {
            running.signal(Signal::SIGINT);
            return running.wait();
        }
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            running.signal(signal);
            assert!(running.outlives_its_signals(), "{signal} ended it");
        }
        running.signal(Signal::SIGKILL);
        let output = running.wait();
        output.killed_by(Signal::SIGKILL);
        output
    };
    if row.ends == Ends::Killed {
        // By hand, a second signal ends any component that handles it.
        with(
            Home::new(sandbox)
                .role(row.name, row.name)
                .envs([this_parent()]),
        )
    } else {
        with(sandbox.component(row.name))
    }
}

#[test]
fn every_fixture_has_a_row() {
    let rows: BTreeSet<_> = FIXTURES.iter().map(|fixture| fixture.name).collect();
    assert_eq!(rows.len(), FIXTURES.len());
    assert_eq!(rows, bins_of("test-fixtures").into_iter().collect());
}

/// Every row of the table has a test in this file.
#[test]
fn every_row_is_held() {
    for row in &FIXTURES {
        let call = format!("holds(\"{}\"", row.name);
        assert!(include_str!("table.rs").contains(&call), "{call}");
    }
}

#[test]
fn noop() {
    holds("noop", &[]);
}

#[test]
fn snooze() {
    holds("snooze", &[]);
}

#[test]
fn zombie() {
    holds("zombie", &[]);
}

#[test]
fn server() {
    holds("server", &[&format!("--host={}", loopback())]);
}

#[test]
fn client() {
    holds("client", &[&format!("--host={}", loopback())]);
}

#[test]
fn panics() {
    holds("panics", &[]);
}

#[test]
fn stubborn() {
    holds("stubborn", &[]);
}

#[test]
fn deaf() {
    let (_sandbox, output) = holds("deaf", &[]);
    output.stderr_has("Freed what it held");
}

#[test]
fn hangs() {
    holds("hangs", &[]);
}

#[test]
fn silent() {
    let (_sandbox, output) = holds("silent", &[]);
    assert_eq!(output.status.signal(), None);
}

#[test]
fn prints() {
    holds("prints", &[]);
}

#[test]
fn wraps() {
    holds("wraps", &[]);
}

/// Returns the pid of the process that a fixture reports to have left.
fn left(output: &Output) -> i32 {
    let log = output.log("Left (");
    let pid = log[0]
        .rsplit_once("Left (")
        .map(|(_, pid)| pid.trim_end_matches(')'));
    pid.and_then(|pid| pid.parse().ok())
        .expect("a pid is logged")
}

#[test]
fn strays() {
    let (sandbox, output) = holds("strays", &[]);
    let pid = left(&output);
    let left: Vec<_> = sandbox.processes().into_keys().collect();
    assert_eq!(left, [pid], "only the grandchild is left");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the grandchild is there");
    let gone = tests::eventually(|| sandbox.processes().is_empty().then_some(()));
    assert_eq!(gone, Some(()));
}

#[test]
fn deserts() {
    let mark = format!("deserter-{}", loopback());
    let (sandbox, output) = holds("deserts", &[&format!("--mark={mark}")]);
    let pid = left(&output);
    // It hides some time later.
    let hidden = tests::eventually(|| {
        let hidden = ignores(pid, Signal::SIGINT) && has_no_streams(pid);
        (hidden && sandbox.processes().is_empty()).then_some(())
    });
    assert!(hidden.is_some(), "{:?}", sandbox.processes());
    assert!(processes_named(&mark).contains_key(&pid));
    // A new session is also a new process group.
    killpg(Pid::from_raw(pid), Signal::SIGKILL).expect("the grandchild is there");
    let gone = tests::eventually(|| processes_named(&mark).is_empty().then_some(()));
    assert_eq!(gone, Some(()));
}

fn ignores(pid: i32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal as i32 - 1)) != 0)
}

fn has_no_streams(pid: i32) -> bool {
    // A shell may have a file descriptor of its own above them.
    let open = |number: &u8| std::fs::exists(format!("/proc/{pid}/fd/{number}"));
    (0..=2).all(|number| open(&number).is_ok_and(|open| !open))
}

#[test]
fn floods() {
    let (_sandbox, output) = holds("floods", &[]);
    assert_eq!(output.log("Line ").len(), 100_000);
}

#[test]
fn factorial() {
    let (_sandbox, output) = holds("factorial", &[]);
    output.stderr_has("factorial(0)");
    assert_eq!(output.json()["value"][1]["value"], 120);
}

#[test]
fn busy() {
    let (_sandbox, output) = holds("busy", &[]);
    assert_eq!(output.json()["value"][1]["processes"], 9);
}

#[test]
fn analyzer() {
    holds("analyzer", &[]);
}

#[test]
fn calls() {
    holds("calls", &[]);
}

#[test]
fn checks() {
    holds("checks", &[]);
}

#[test]
fn talks() {
    holds("talks", &[]);
}
