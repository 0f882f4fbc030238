//! Daemons that a build leaves to serve the next one are not orphans of a role.

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Signal, eventually, processes_named};

use super::workspace;

/// A wrapper of the compiler that starts a daemon once.
const WRAPPER: &str = r#"#!/bin/sh
if ! [ -e "$0.started" ]; then
    : > "$0.started"
    setsid sh -c 'sleep 600; :' "$0.daemon" </dev/null >/dev/null 2>&1 &
fi
exec "$@"
"#;

#[test]
fn only_daemons_of_the_build_outlive_the_command() {
    let workspace = workspace("");
    let wrapper = workspace.write("wrapper", WRAPPER);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&wrapper, mode).expect("it can be run");
    workspace.edit(
        "test-fixtures/src/bin/noop.rs",
        "Log this and exit",
        "Log that and exit",
    );
    let test = workspace.ansar(["test"]);
    // With a wrapper for members only, compiled dependencies stay fresh.
    let test = test.env("RUSTC_WORKSPACE_WRAPPER", &wrapper).run();
    test.success().stderr_has("Passed 3 checks");

    let daemon = processes_named(&format!("{}.daemon", wrapper.display()));
    assert_eq!(daemon.len(), 1, "{daemon:?}");
    // The daemon and its `sleep`: no process of `strays-0` or `deserts-0`.
    let left = workspace.processes();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(
        processes_named(&workspace.path().display().to_string()).len(),
        1
    );
    for pid in left.keys() {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).expect("it runs");
    }
    let gone = eventually(|| workspace.processes().is_empty().then_some(()));
    assert_eq!(gone, Some(()));
}
