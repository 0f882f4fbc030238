//! Roles in the background: start, status, stop, kill.

mod copies;
mod kills;
mod limits;
mod places;
mod restarts;
mod session;
mod sockets;
mod starts;
mod status;
mod stops;

use std::collections::BTreeMap;

use serde_json::Value;
use tests::{Output, Sandbox, eventually, executable};

const ABORTED: &str = "ansar.create.lifecycle.Aborted";

/// Creates a home that uses the fixtures from Cargo's target folder, with one
/// role of each of `executables`.
fn home_with(executables: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let folder = executable("noop").parent().expect("a file is in a folder");
    let in_place = format!("--redirect-bin={}", folder.display());
    sandbox.ansar(["create", &in_place]).run().success();
    for executable in executables {
        sandbox.ansar(["add", executable]).run().success();
    }
    sandbox
}

/// Sets a property of a role.
#[track_caller]
fn set(sandbox: &Sandbox, property: &str, role: &str, value: &str) {
    let set = sandbox.ansar(["set", property, role]);
    let set = set.stdin(&format!("{{\"value\": {value}}}"));
    set.run().success();
}

/// Runs `cargo ansar WORDS`.
#[track_caller]
fn ansar(sandbox: &Sandbox, words: &str) -> Output {
    sandbox.ansar(words.split(' ')).run()
}

/// Returns the running processes of roles from `/proc`, by role.
fn processes(sandbox: &Sandbox) -> BTreeMap<String, i32> {
    let all = sandbox.processes().into_iter();
    all.filter_map(|(pid, command)| {
        let (_, behind) = command.split_once(" --role-name=")?;
        let role = behind.split(' ').next()?;
        Some((role.to_owned(), pid))
    })
    .collect()
}

/// Returns the guardian and the engine in the background.
fn engine(sandbox: &Sandbox) -> Option<(i32, i32)> {
    let all = sandbox.processes();
    let mut own = all
        .iter()
        .filter(|(_, command)| command.contains(" supervise --home-path="));
    let (one, other) = (*own.next()?.0, *own.next()?.0);
    let is_below = |pid: i32, above: i32| tests::children_of(above.unsigned_abs()).contains(&pid);
    if is_below(other, one) {
        Some((one, other))
    } else {
        is_below(one, other).then_some((other, one))
    }
}

/// Returns the output of `status --format json`, by role.
#[track_caller]
fn statuses(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let status = ansar(sandbox, "status --format json");
    let lines = status.success().json_lines().into_iter();
    lines
        .map(|line| (line["role"].as_str().unwrap_or_default().to_owned(), line))
        .collect()
}

/// Waits until `status` shows a role in `state`; returns its line.
#[track_caller]
fn comes_to(sandbox: &Sandbox, role: &str, state: &str) -> Value {
    let mut last = BTreeMap::new();
    let found = eventually(|| {
        last = statuses(sandbox);
        last.get(role)
            .filter(|line| line["state"] == state)
            .cloned()
    });
    match found {
        Some(line) => line,
        None => panic!("`{role}` does not come to be {state}: {last:?}"),
    }
}

/// Waits until no process of the sandbox runs.
#[track_caller]
fn is_quiet(sandbox: &Sandbox) {
    let quiet = eventually(|| sandbox.processes().is_empty().then_some(()));
    assert!(quiet.is_some(), "left behind: {:?}", sandbox.processes());
}

/// Stops everything, and asserts that no process remains.
#[track_caller]
fn down(sandbox: &Sandbox) {
    ansar(sandbox, "stop -f").success();
    sandbox.is_still();
}

/// Returns the pid that an error names for a role.
#[track_caller]
fn named(output: &Output, role: &str) -> i32 {
    let start = format!("`{role}` (process ");
    let pid = output.stderr.split_once(&start);
    let pid = pid.and_then(|(_, rest)| rest.split_once(')')?.0.parse().ok());
    match pid {
        Some(pid) => pid,
        None => panic!("no process of `{role}` in {}", output.stderr),
    }
}
