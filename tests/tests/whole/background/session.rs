//! The session of the guide, in order.

use super::{ABORTED, ansar, comes_to, down, engine, home_with, named, processes};

#[test]
fn the_session_of_the_guide() {
    let sandbox = home_with(&["noop", "zombie"]);
    sandbox
        .ansar(["add", "snooze", "--seconds=600"])
        .run()
        .success();
    let start = ansar(&sandbox, "start");
    start.success().stdout_is("").stderr_has("Started ");
    ansar(&sandbox, "status --wait stopped noop-0").success();
    let status = ansar(&sandbox, "status");
    status.success().stdout_is("snooze-0\nzombie-0\n");
    let first = processes(&sandbox);
    assert_eq!(first.len(), 2, "{first:?}");

    let refused = ansar(&sandbox, "start");
    refused.code(104).stdout_is("");
    assert_eq!(named(&refused, "zombie-0"), first["zombie-0"]);
    assert_eq!(processes(&sandbox), first, "nothing has changed");

    let refused = ansar(&sandbox, "stop");
    refused
        .code(105)
        .stderr_has("error: role `noop-0` is not running\n");
    assert_eq!(processes(&sandbox), first, "nothing has changed");

    ansar(&sandbox, "stop snooze-0 zombie-0")
        .success()
        .stderr_has("Stopped 2 roles");
    sandbox.is_still();
    ansar(&sandbox, "status").success().stdout_is("");

    ansar(&sandbox, "restart zombie-0")
        .code(105)
        .stderr_has("error: role `zombie-0` is not running\n");
    ansar(&sandbox, "start zombie-0").success();
    let second = processes(&sandbox);
    ansar(&sandbox, "restart zombie-0").success();
    let third = processes(&sandbox);
    assert_ne!(second["zombie-0"], third["zombie-0"]);
    assert_eq!(third.len(), 1);
    comes_to(&sandbox, "zombie-0", "ready");

    for words in ["log zombie-0", "log zombie-0 --last=MONTH"] {
        let log = ansar(&sandbox, words);
        let starts = log.success().stdout.matches("Do nothing until interrupted");
        assert_eq!(starts.count(), 3, "{}", log.stdout);
    }
    let history = ansar(&sandbox, "history zombie-0");
    let lines: Vec<_> = history.success().stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].ends_with("(Aborted)") && lines[1].ends_with("(Aborted)"));
    assert!(lines[2].ends_with("running"), "{lines:?}");
    ansar(&sandbox, "returned zombie-0 --start=0")
        .success()
        .returned(ABORTED);
    down(&sandbox);
    ansar(&sandbox, "returned zombie-0")
        .success()
        .returned(ABORTED);
    assert_eq!(engine(&sandbox), None);
}
