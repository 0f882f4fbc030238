//! A workspace of one package without code, whose roles are shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::{Output, Sandbox, eventually};

/// Creates a workspace of one package without code, with these tables of roles
/// and these shell scripts.
pub(super) fn workspace(roles: &str, scripts: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    let package = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
                   [workspace]\n\n";
    sandbox.write("src/lib.rs", "");
    sandbox.write("Cargo.toml", &format!("{package}{roles}"));
    for (name, text) in scripts {
        script(&sandbox, name, text);
    }
    sandbox
}

/// Writes a shell script, or replaces it.
pub(super) fn script(sandbox: &Sandbox, name: &str, text: &str) {
    let path = sandbox.write(name, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[track_caller]
pub(super) fn ansar(sandbox: &Sandbox, words: &str) -> Output {
    sandbox.ansar(words.split(' ')).run()
}

/// Returns the texts of a role's log, without heads, and without what a shell
/// says about a signal that ended its child.
#[track_caller]
pub(super) fn log(sandbox: &Sandbox, role: &str) -> Vec<String> {
    let log = ansar(sandbox, &format!("log {role}"));
    let lines = log.stdout.lines();
    let texts = lines.filter_map(|line| line.split_once(" ^ ").map(|(_, text)| text));
    let own = texts.filter(|text| !["Terminated", "Quit", ""].contains(text));
    own.map(str::to_owned).collect()
}

/// Returns the line of the manifest that begins a role's table.
#[track_caller]
pub(super) fn line_of(sandbox: &Sandbox, role: &str) -> usize {
    let table = format!("[workspace.metadata.ansar.role.{role}]");
    let manifest = sandbox.read("Cargo.toml");
    let found = manifest.lines().position(|line| line == table);
    found.expect("the role is described") + 1
}

/// Waits until no process of the sandbox runs.
#[track_caller]
pub(super) fn is_quiet(sandbox: &Sandbox) {
    let quiet = eventually(|| sandbox.processes().is_empty().then_some(()));
    assert!(quiet.is_some(), "left behind: {:?}", sandbox.processes());
}
