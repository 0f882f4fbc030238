//! The commands, run as a user would type them.

mod add;
mod analyzer;
mod build_options;
mod calls;
mod config;
mod create;
mod delete;
mod destroy;
mod doctor;
mod encoding;
mod foreign;
mod fresh;
mod help;
mod home;
mod init;
mod irregular;
mod killed;
mod list;
mod main_role;
mod property;
mod query;
mod recognition;
mod refusals;
mod retry;
mod run;
mod shells;
mod untrusted;
mod update;
mod with;

use serde_json::Value;
use tests::{Output, Program, Sandbox, executable};

/// Rust source of the marker of a component without the library.
pub(crate) const PLAIN_MARKER: &str = r#"#[used]
#[unsafe(link_section = ".note.ansar")]
static MARKER: [u32; 6] = [
    6,
    4,
    1,
    u32::from_ne_bytes(*b"ansa"),
    u32::from_ne_bytes(*b"r\0\0\0"),
    1,
];
"#;

const ACK: &str = "ansar.create.lifecycle.Ack";
const ABORTED: &str = "ansar.create.lifecycle.Aborted";
const FAULTED: &str = "ansar.create.lifecycle.Faulted";
const MAYBE: &str = "ansar.create.lifecycle.Maybe";
const REPORT: &str = "ansar.create.test.TestReport";
const RUN: &str = "ansar.command.ansar_command.Run";

/// Creates a sandbox outside of any workspace, with a home that uses the
/// fixtures from Cargo's target folder.
fn with_home() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create", &in_place()]).run().success();
    sandbox
}

/// Returns the flag that makes a home use the fixtures from Cargo's target
/// folder.
fn in_place() -> String {
    let folder = executable("noop").parent().expect("a file is in a folder");
    format!("--redirect-bin={}", folder.display())
}

/// Adds a role of each of `executables`, with the default name.
fn with_roles(executables: &[&str]) -> Sandbox {
    let sandbox = with_home();
    for executable in executables {
        sandbox.ansar(["add", executable]).run().success();
    }
    sandbox
}

/// Returns the names that `list` prints.
#[track_caller]
fn listed(sandbox: &Sandbox) -> Vec<String> {
    let output = sandbox.ansar(["list"]).run();
    let names = output.success().stdout.lines();
    names.map(str::to_owned).collect()
}

/// Returns the results in the `Run` message: role, type and body, as printed.
#[track_caller]
fn completed(output: &Output) -> Vec<(String, String, Value)> {
    let run = output.returned(RUN);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let results = run["completed"].as_array().cloned().unwrap_or_default();
    let results = results.iter();
    results
        .map(|pair| (text(&pair[0]), text(&pair[1][0]), pair[1][1].clone()))
        .collect()
}

/// Returns the results in the `Run` message: role and type.
#[track_caller]
fn ends(output: &Output) -> Vec<(String, String)> {
    let completed = completed(output).into_iter();
    completed.map(|(role, name, _)| (role, name)).collect()
}

/// Converts to the type that [`ends`] returns.
fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = all.iter();
    all.map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
        .collect()
}

/// Returns the first `cargo ansar …` of the hint as arguments.
#[track_caller]
fn hinted<'s>(sandbox: &'s Sandbox, output: &Output) -> Program<'s> {
    let hint = output.log("hint: ").concat();
    let command = hint
        .split_once("`cargo ansar ")
        .and_then(|(_, rest)| rest.split_once('`'));
    match command {
        Some((words, _)) => sandbox.ansar(words.split(' ')),
        None => panic!("no command in {hint:?} of {}", output.stderr),
    }
}

/// Checks that the error names `role` alone, and the process that runs it.
#[track_caller]
fn names_who_runs(sandbox: &Sandbox, output: &Output, role: &str) {
    let start = format!("error: already running: `{role}` (process ");
    let pid = output
        .log(&start)
        .first()
        .and_then(|line| line.strip_prefix(&start)?.strip_suffix(')')?.parse().ok());
    let command = pid.and_then(|pid: i32| sandbox.processes().remove(&pid));
    output.check(
        command.is_some_and(|command| command.contains(&format!("--role-name={role}"))),
        || format!("expected the process that runs `{role}`"),
    );
}

/// Returns all paths below the working folder, sorted.
fn tree(sandbox: &Sandbox, folder: &str) -> Vec<String> {
    let find = sandbox.program("find").args([folder, "-mindepth", "1"]);
    let mut paths: Vec<String> = find
        .run()
        .success()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths
}
