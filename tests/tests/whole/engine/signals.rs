//! Signals from the system about excessive writes.

use super::{ansar, component, home_of};

#[test]
fn log_lines_beyond_the_file_size_limit() {
    let sandbox = home_of(&[]);
    // The engine ignores these signals, but the role's process does not.
    component(
        &sandbox,
        "floods",
        "i=0; while [ $i -lt 100 ]; do head -c 4000 /dev/zero | tr '\\0' x >&2; echo >&2\n\
         i=$((i+1)); done; (head -c 900000 /dev/zero > large); [ $? = 153 ] && acknowledge",
    );
    ansar(&sandbox, "add floods").success();
    let run = sandbox.shell("ulimit -f 200; exec cargo-ansar ansar run");
    let run = run.run();
    run.success()
        .stderr_has("log lines of role `floods-0` are lost: ")
        .stderr_has("File too large")
        .stderr_has("of role `floods-0` lost in all");
    sandbox.is_still();
}

#[test]
fn a_result_beyond_the_file_size_limit() {
    let sandbox = home_of(&[("ends", "acknowledge")]);
    let run = sandbox.shell("ulimit -f 0; exec cargo-ansar ansar list > names");
    run.run().code(110).stderr_has("File too large");
}
