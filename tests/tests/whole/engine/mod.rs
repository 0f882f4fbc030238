//! Engines in adverse conditions: limits, namespaces, and misbehaving roles.

mod conduct;
mod limits;
mod namespaces;
mod reaping;
mod requests;
mod signals;
mod silent;
mod unkillable;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, process};

use tests::{Output, Sandbox, children_of, eventually, executable};

/// Script of a role that waits until it is stopped.
const WAITS: &str = "sleep 600; :";

/// Creates a home with one executable per script, and a role `NAME-0` of each.
fn home_of(scripts: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, script) in scripts {
        component(&sandbox, name, script);
    }
    ansar(&sandbox, "create --redirect-bin=bin").success();
    for (name, _) in scripts {
        ansar(&sandbox, &format!("add {name}")).success();
    }
    sandbox
}

/// Writes a component that is a shell script without settings.
fn component(sandbox: &Sandbox, name: &str, script: &str) {
    let text = format!(
        "#!/bin/sh\n# ansar-component: 1\ncase \"$*\" in *--dump-*) \
         printf '{{\"value\":{{}}}}\\n{{\"value\":null}}\\n'; exit;; esac\n\
         acknowledge() {{ printf '{{\"value\":[\"ansar.create.lifecycle.Ack\",{{}},[]]}}\\n'; }}\n\
         {script}\n"
    );
    let path = sandbox.write(Path::new("bin").join(name), &text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is there");
}

/// Creates a home that uses these fixtures from Cargo's target folder, with a
/// role of each.
fn home_with(executables: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let folder = executable("noop").parent().expect("a file is in a folder");
    let in_place = format!("--redirect-bin={}", folder.display());
    sandbox.ansar(["create", &in_place]).run().success();
    for executable in executables {
        ansar(&sandbox, &format!("add {executable}")).success();
    }
    sandbox
}

#[track_caller]
fn ansar(sandbox: &Sandbox, words: &str) -> Output {
    sandbox.ansar(words.split(' ')).run()
}

/// Returns the engine in the background.
#[track_caller]
fn engine(sandbox: &Sandbox) -> u32 {
    let status = ansar(sandbox, "status --format json");
    let line = status.json_lines().into_iter().next();
    let engine = line.and_then(|line| line["engine"].as_u64());
    u32::try_from(engine.expect("it answers")).expect("it is a process")
}

/// Returns the engine below a command in the foreground.
#[track_caller]
fn engine_below(command: u32) -> i32 {
    let engine = eventually(|| children_of(command).first().copied());
    engine.expect("the guardian has an engine")
}

/// Waits until a file exists.
#[track_caller]
fn appears(sandbox: &Sandbox, file: &str) {
    let there = eventually(|| sandbox.path().join(file).exists().then_some(()));
    assert!(there.is_some(), "`{file}` does not appear");
}

/// Returns the state of a process from `/proc`.
fn state(pid: i32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))?;
    state.trim().chars().next()
}

/// Returns a number from `/proc/PID/status`.
fn number(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.split_ascii_whitespace().next());
    value.and_then(|value| value.parse().ok()).expect("it runs")
}

/// Waits until no process of the sandbox runs.
#[track_caller]
fn is_quiet(sandbox: &Sandbox) {
    let quiet = eventually(|| sandbox.processes().is_empty().then_some(()));
    assert!(quiet.is_some(), "left behind: {:?}", sandbox.processes());
}

/// Returns true if the tests run as root.
fn is_root() -> bool {
    number(process::id(), "Uid:") == 0
}
