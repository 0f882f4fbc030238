//! PID namespaces, where groups, sessions and parents may be outside.

use tests::Sandbox;

use super::home_with;

/// Returns true if this machine allows namespaces.
fn has_namespaces(sandbox: &Sandbox) -> bool {
    let script = "unshare --pid --fork --mount-proc echo made 2> /dev/null || :";
    sandbox.shell(script).run().stdout == "made\n"
}

/// Runs a script below `unshare` with these flags.
fn within(sandbox: &Sandbox, flags: &str, script: &str) {
    if !has_namespaces(sandbox) {
        return;
    }
    let output = sandbox.shell(&format!("unshare --pid --fork {flags} {script}"));
    output.run().success();
    sandbox.is_still();
}

const ALL: &str = "sh -ec 'cargo-ansar ansar start zombie-0; cargo-ansar ansar status; \
                   cargo-ansar ansar restart zombie-0; cargo-ansar ansar stop -f; cargo-ansar ansar run noop-0'";

#[test]
fn roles_run_in_a_pid_namespace() {
    let sandbox = home_with(&["zombie", "noop"]);
    within(&sandbox, "--mount-proc", ALL);
}

#[test]
fn roles_run_with_the_outer_proc() {
    let sandbox = home_with(&["zombie", "noop"]);
    within(&sandbox, "", ALL);
}

#[test]
fn roles_run_without_proc() {
    let sandbox = home_with(&["zombie", "noop"]);
    let script = "mount -t tmpfs none /proc; exec cargo-ansar ansar run noop-0";
    within(&sandbox, "--mount", &format!("sh -ec '{script}'"));
}

#[test]
fn a_command_runs_as_pid_1() {
    let sandbox = home_with(&["zombie", "noop"]);
    within(&sandbox, "--mount-proc", "cargo-ansar ansar run noop-0");
    within(&sandbox, "", "cargo-ansar ansar run noop-0");
}
