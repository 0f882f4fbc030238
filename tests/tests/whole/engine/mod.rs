//! The process that runs roles, where the system or a role makes it hard.

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

/// A role that waits until it is asked to stop.
const WAITS: &str = "sleep 600; :";

/// A home with an executable per script, and a role of each: `NAME-0`.
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

/// Writes a component that is a shell script, without settings.
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

/// A home with these fixtures where cargo builds them, and a role of each.
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

/// The engine in the background.
#[track_caller]
fn engine(sandbox: &Sandbox) -> u32 {
    let status = ansar(sandbox, "status --format json");
    let line = status.json_lines().into_iter().next();
    let engine = line.and_then(|line| line["engine"].as_u64());
    u32::try_from(engine.expect("it answers")).expect("it is a process")
}

/// The engine below a command in the foreground.
#[track_caller]
fn engine_below(command: u32) -> i32 {
    let engine = eventually(|| children_of(command).first().copied());
    engine.expect("the guardian has an engine")
}

/// Waits until a file is there.
#[track_caller]
fn appears(sandbox: &Sandbox, file: &str) {
    let there = eventually(|| sandbox.path().join(file).exists().then_some(()));
    assert!(there.is_some(), "`{file}` does not appear");
}

/// The state of a process, as the kernel has it.
fn state(pid: i32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))?;
    state.trim().chars().next()
}

/// A number in `/proc/PID/status`.
fn number(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.split_ascii_whitespace().next());
    value.and_then(|value| value.parse().ok()).expect("it runs")
}

/// Waits until nothing of the sandbox runs.
#[track_caller]
fn is_quiet(sandbox: &Sandbox) {
    let quiet = eventually(|| sandbox.processes().is_empty().then_some(()));
    assert!(quiet.is_some(), "left behind: {:?}", sandbox.processes());
}

/// Returns true if the tests may become any user.
fn is_root() -> bool {
    number(process::id(), "Uid:") == 0
}
