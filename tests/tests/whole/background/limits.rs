//! Few file descriptors, and many roles.

use tests::{Output, Sandbox};

use super::{ansar, down, home_with, is_quiet, processes, statuses};

/// `cargo ansar WORDS` under a limit of file descriptors.
fn limited(sandbox: &Sandbox, words: &str) -> Output {
    sandbox
        .shell(&format!("ulimit -n 256; exec cargo-ansar ansar {words}"))
        .run()
}

#[test]
fn too_few_descriptors_are_one_error() {
    let sandbox = home_with(&[]);
    ansar(&sandbox, "add noop --count=500").success();
    let output = limited(&sandbox, "start");
    output.code(96).stderr_has("descriptors");
    assert_eq!(output.log("error").len(), 1, "{}", output.stderr);
    output.stderr_has("hint: allow more with `ulimit -n ");
    is_quiet(&sandbox);
    let history = std::fs::read_dir(sandbox.path().join(".ansar-home/history"));
    assert_eq!(
        history.into_iter().flatten().count(),
        0,
        "a role was started"
    );
}

#[test]
fn later_roles_need_spare_descriptors() {
    let sandbox = home_with(&[]);
    ansar(&sandbox, "add zombie first-{number} --count=30").success();
    ansar(&sandbox, "add zombie then-{number} --count=30").success();
    limited(&sandbox, "start first-.*").success();
    let first = processes(&sandbox);
    let refused = limited(&sandbox, "start then-.*");
    refused
        .code(96)
        .stderr_has("hint: allow more with `ulimit -n ");
    assert_eq!(processes(&sandbox), first);
    assert_eq!(statuses(&sandbox).len(), 30);
    down(&sandbox);
}
