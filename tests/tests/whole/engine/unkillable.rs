//! Roles that survive a kill because they belong to another user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Program, Sandbox, Signal, eventually, executable, processes_named};

use super::{component, is_quiet, is_root};

/// Id of a user that exists for this test only.
const USER: &str = "64321";
const USER_ID: u32 = 64_321;

/// Creates a sandbox in which [`USER`] has a home with the roles `other-0`,
/// which becomes root's, and `waits-0`; `None` if the tests do not run as root.
fn sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if !is_root() || !Path::new("/usr/bin/setpriv").exists() {
        return None;
    }
    let scratch = sandbox.path();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode(scratch.parent().expect("it has one"), 0o755);
    // A home is not used if others can write to its folder.
    std::os::unix::fs::chown(&scratch, Some(USER_ID), Some(USER_ID)).expect("it is ours");
    // A setuid shell of root's.
    let copy = sandbox.program("cp").args(["/bin/bash", "root"]);
    copy.run().success();
    mode(&scratch.join("root"), 0o4755);
    // In another process: a file open for writing cannot be executed.
    let copy = sandbox.program("cp").arg(executable("cargo-ansar"));
    copy.arg(scratch.join("tool")).run().success();
    let root = scratch.join("root").display().to_string();
    let become_root = format!(
        "exec {root} -p -c 'exec setpriv --reuid=0 --regid=0 --clear-groups tail -f {root}'"
    );
    component(&sandbox, "other", &become_root);
    component(&sandbox, "waits", super::WAITS);
    for words in ["create --redirect-bin=bin", "add other", "add waits"] {
        as_user(&sandbox, words).run().success();
    }
    Some(sandbox)
}

/// `cargo ansar WORDS` by [`USER`].
fn as_user<'s>(sandbox: &'s Sandbox, words: &str) -> Program<'s> {
    let user = sandbox.program("setpriv");
    let user = user.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    let user = user.arg(sandbox.path().join("tool")).arg("ansar");
    user.args(words.split(' ')).env("HOME", sandbox.path())
}

/// Returns the process that became root's.
#[track_caller]
fn other(sandbox: &Sandbox) -> Pid {
    let line = format!("tail -f {}", sandbox.path().join("root").display());
    // The shell that starts it has the same words on its command line.
    let found = eventually(|| {
        let mut named = processes_named(&line).into_iter();
        let found = named.find(|(_, command)| command.starts_with(&line))?;
        Some(found.0)
    });
    Pid::from_raw(found.expect("it became another user's"))
}

#[test]
fn stop_names_a_role_of_another_user() {
    let Some(sandbox) = sandbox() else { return };
    as_user(&sandbox, "start --no-wait").run().success();
    let other = other(&sandbox);
    let why = format!("process {other}: it belongs to user 0: operation not permitted");
    for words in ["stop other-0", "restart other-0", "delete -f other-0"] {
        as_user(&sandbox, words)
            .run()
            .code(104)
            .stderr_has("cannot kill role `other-0`: process ")
            .stderr_has(&why);
    }
    let status = as_user(&sandbox, "status -l").run();
    status
        .success()
        .stdout_has("stopping")
        .stdout_has(&format!("cannot be killed, {why}"))
        .stdout_has("waits-0");
    as_user(&sandbox, "start other-0").run().code(104);
    // The other role is stopped; the engine goes on watching this one.
    as_user(&sandbox, "stop waits-0").run().success();
    let status = as_user(&sandbox, "status").run();
    status.success().stdout_is("other-0\n");
    kill(other, Signal::SIGKILL).expect("it runs");
    is_quiet(&sandbox);
    let history = as_user(&sandbox, "history other-0").run();
    history.success().stderr_lacks("lost");
}

#[test]
fn a_command_ends_despite_an_unkillable_role() {
    let Some(sandbox) = sandbox() else { return };
    let run = as_user(&sandbox, "run").start();
    let other = other(&sandbox);
    run.signal(Signal::SIGINT);
    run.wait_for("Stopping");
    run.signal(Signal::SIGINT);
    let run = run.wait();
    run.code(130)
        .stderr_has("role `other-0` cannot be killed: process ")
        .stderr_has("operation not permitted");
    // It may have ended already, since its output is no longer read.
    let _ = kill(other, Signal::SIGKILL);
    is_quiet(&sandbox);
}
