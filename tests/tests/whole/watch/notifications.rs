//! Notifications of `watch` about a changed verdict, and its record of loops.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tests::{Running, Signal, executable};

use crate::test::{CLIENT_RS, Group};

/// Breaks the test, and mends it; each loop is watched to its end.
fn breaks_and_mends(group: &Group, mut wait: impl FnMut(&str)) {
    wait("    Watching ");
    group.edit(CLIENT_RS, "b\"eager\"", "b\"keen\"");
    wait("      Failed 1 of 3 checks");
    wait("    Watching ");
    group.edit(CLIENT_RS, "b\"keen\"", "b\"eager\"");
    wait("      Passed 3 checks");
    wait("    Watching ");
}

#[test]
fn a_changed_verdict_is_told() {
    let group = Group::demo();
    let show = group.write("bin/notify-send", "#!/bin/sh\necho \"$@\" >>notified\n");
    fs::set_permissions(&show, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let folder = show.parent().expect("it is in a folder").display();
    group.write(".gitignore", "notified\n");
    let script = "PATH=$FOLDER:$PATH DISPLAY=:0 $ANSAR watch --notify";
    let ansar = format!("{} ansar", executable("cargo-ansar").display());
    let mut terminal: Running<'_> = group
        .terminal(&format!("bash -c '{script}'"))
        .env("ANSAR", ansar)
        .env("FOLDER", folder.to_string())
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .open_stdin()
        .start();
    breaks_and_mends(&group, |text| {
        terminal.wait_for_next_on_stdout(text);
    });
    terminal.write("q");
    terminal.close_stdin();
    let output = terminal.wait();
    let told: Vec<_> = output.stdout.split("\x1b]9;").skip(1).collect();
    assert_eq!(told.len(), 2, "{}", output.stdout);
    assert!(told[0].starts_with("cargo ansar: Failed 1 of 3 checks"));
    assert!(told[1].starts_with("cargo ansar: Passed 3 checks"));
    assert!(told.iter().all(|it| it.contains("\x1b\\\x07")));
    let notified = tests::eventually(|| {
        let notified = fs::read_to_string(group.path().join("notified")).ok()?;
        (notified.lines().count() == 2).then_some(notified)
    });
    let notified = notified.expect("the desktop is told");
    assert!(notified.contains("-- Failed 1 of 3 checks"), "{notified}");
}

#[test]
fn the_last_loops_are_kept_with_their_times() {
    let group = Group::demo();
    let mut watch = group.ansar(["watch"]).start();
    breaks_and_mends(&group, |text| {
        watch.wait_for_next(text);
    });
    watch.signal(Signal::SIGINT);
    watch.wait().code(130);
    let kept = group.read(".ansar-home/last/loops.jsonl");
    let loops: Vec<Value> = kept
        .lines()
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .collect();
    let verdicts: Vec<_> = loops.iter().map(|it| it["verdict"].as_str()).collect();
    assert_eq!(verdicts, [Some("passed"), Some("failed"), Some("passed")]);
    assert_eq!(loops[1]["failed"], 1);
    assert!(loops.iter().all(|it| it["build"].as_f64() > Some(0.0)));

    // A torn line is no obstacle.
    group.write(".ansar-home/last/loops.jsonl", &kept[..kept.len() - 9]);
    group
        .ansar(["report", "--html", "run.html"])
        .run()
        .success();
    let page = group.read("run.html");
    assert_eq!(page.matches("<li title=").count(), 2);
    assert!(page.contains("1 failed, "), "{page}");
}
