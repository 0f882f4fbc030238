//! Deploys while roles run.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::Sandbox;

use super::{contents, fill, home, pids};
use crate::test::{CLIENT_RS, Group, PASSED, WORDS};

/// Scenes of a working day: nothing changed, one file of a model, one
/// executable; unrelated roles run on.
#[test]
fn only_what_is_affected_is_started_again() {
    let group = Group::demo();
    let map = format!("{WORDS}/word-map.json");
    group.test([]).run().success().stdout_is(PASSED);
    group.ansar(["start"]).run().success();
    let first = pids(&group);
    assert_eq!(first.len(), 2, "{first:?}");

    let nothing = group.ansar(["deploy"]).run();
    nothing
        .success()
        .stderr_has("Nothing to deploy")
        .stderr_lacks("Deploying");
    // Started by the user, they stay up.
    let test = group.test([]).run();
    test.success()
        .stdout_is(PASSED)
        .stderr_has("against 2 operational roles");
    assert_eq!(pids(&group), first);

    // A touched source is unchanged.
    group.write(CLIENT_RS, &group.read(CLIENT_RS));
    let touched = group.ansar(["deploy"]).run();
    touched.success().stderr_has("Nothing to deploy");

    let words = group.read(&map);
    group.write(&map, &words.replace("droll", "silly"));
    let before = contents(&group.home().join("model"));
    let refused = group.ansar(["deploy"]).run();
    let process = format!(
        "already running: `server-0` (process {})",
        first["server-0"]
    );
    refused
        .code(104)
        .stderr_has(&process)
        .stderr_has("-f")
        .stderr_lacks("Deploying");
    assert_eq!(contents(&group.home().join("model")), before);
    assert_eq!(pids(&group), first);

    let planned = group.ansar(["deploy", "--dry-run"]).run();
    planned
        .success()
        .stdout_has("model/server-0/word-map.json: changed in the snapshot\n")
        .stdout_has("\n    -")
        .stdout_has("silly")
        .stdout_has("server-0: stopped, and started again (process ");
    assert_eq!(contents(&group.home().join("model")), before);

    let forced = group.ansar(["-f", "deploy"]).run();
    forced
        .success()
        .stderr_has("Deploying model/server-0, 1 role affected")
        .stderr_has("Stopping server-0")
        .stderr_has("Restored server-0");
    let second = pids(&group);
    assert_eq!(second["zombie-0"], first["zombie-0"]);
    assert_ne!(second["server-0"], first["server-0"]);
    let why = group.ansar(["why", "server-0"]).run();
    why.success()
        .stdout_has("server-0 was restarted ")
        .stdout_has("its model: word-map.json");
    group.test([]).run().code(100).stdout_has("\"silly\"");

    // `test` implies that affected roles are restarted.
    group.write(&map, &words);
    let restored = group.test([]).run();
    restored
        .success()
        .stdout_is(PASSED)
        .stderr_has("Restored server-0");
    let third = pids(&group);
    assert_eq!(third["zombie-0"], first["zombie-0"]);
    assert_ne!(third["server-0"], second["server-0"]);

    group.edit(CLIENT_RS, "Connected to", "Joined to");
    let client = group.ansar(["deploy"]).run();
    client
        .success()
        .stderr_has("Deploying client (1 of 3 executables), 1 role affected")
        .stderr_lacks("Stopping");
    assert_eq!(pids(&group), third);
    let why = group.ansar(["why", "test-client"]).run();
    why.success()
        .stdout_has("test-client was not started since")
        .stdout_has("executable `client`: bytes differ")
        .stdout_has("test-fixtures/src/bin/client.rs of package `test-fixtures`")
        .stdout_has("compiled right before: client");
    group.ansar(["-f", "stop"]).run().success();
}

#[test]
fn a_role_that_dies_fails_the_run() {
    let group = Group::demo();
    group.edit(
        "test-fixtures/src/bin/server.rs",
        "let (stream, from) = accepted?;",
        "let (stream, from) = accepted?; if true { panic!(\"at the first word\") }",
    );
    group.test(["--no-run"]).run().success();
    group.ansar(["start"]).run().success();
    let failed = group.test([]).run();
    failed
        .code(100)
        .stdout_has("server-0: component panicked")
        .stdout_has("at the first word");
    group.ansar(["-f", "stop"]).run().success();
}

#[test]
fn a_refused_setting_stops_no_role() {
    let sandbox = home(&["server", "zombie"]);
    sandbox.ansar(["start", "zombie-0"]).run().success();
    let first = pids(&sandbox);
    sandbox.write("testing/model-by-role/zombie-0/file", "new");
    let settings = "testing/settings-by-role/server-0.json";
    sandbox.write(settings, "{\"value\": {\"port\": \"no\"}}");
    let refused = sandbox
        .ansar(["-f", "deploy", "--storage-path=testing"])
        .run();
    refused.code(103).stderr_has("role `server-0`");
    assert_eq!(pids(&sandbox), first);
    assert!(
        !sandbox
            .path()
            .join(".ansar-home/model/zombie-0/file")
            .exists()
    );
    sandbox.ansar(["-f", "stop"]).run().success();
}

#[test]
fn the_next_deploy_restarts_stopped_roles() {
    let sandbox = home(&["zombie"]);
    sandbox.ansar(["start"]).run().success();
    sandbox.write("testing/model-by-role/zombie-0/file", "new");
    let deploy = ["-f", "deploy", "--storage-path=testing"];
    // The note of the roles to stop takes the first changes; some changes
    // later, the role was stopped and is not restarted yet.
    let is_down = (8..40).any(|nth: usize| {
        let killed = sandbox.ansar(deploy);
        let killed = killed.env("__ANSAR_TEST_KILL_AT", nth.to_string()).run();
        killed.code(137);
        pids(&sandbox).is_empty()
    });
    assert!(is_down, "no kill came in between");
    let next = sandbox.ansar(deploy).run();
    next.success().stderr_has("Restored zombie-0");
    assert_eq!(pids(&sandbox).len(), 1);
    assert!(
        Path::new(&sandbox.path())
            .join(".ansar-home/model/zombie-0/file")
            .exists()
    );
    sandbox.ansar(["-f", "stop"]).run().success();
}

/// Returns the arguments of a running role.
fn arguments(sandbox: &Sandbox, role: &str) -> String {
    let name = format!("--role-name={role}");
    let mut lines = sandbox.processes().into_values();
    let line = lines.find(|line| line.contains(&name));
    line.expect("it runs").trim_end().to_owned()
}

#[test]
fn a_restarted_role_keeps_its_options() {
    let sandbox = home(&["snooze", "zombie"]);
    sandbox.ansar(["start", "zombie-0"]).run().success();
    let start = ["start", "snooze-0", "--ready-timeout=90s", "--"];
    let start = sandbox.ansar(start).arg("--seconds=601");
    start.run().success();
    for content in ["new", "newer"] {
        for role in ["snooze-0", "zombie-0"] {
            sandbox.write(format!("testing/model-by-role/{role}/file"), content);
        }
        let first = pids(&sandbox);
        let deploy = ["-f", "deploy", "--storage-path=testing"];
        let deploy = sandbox.ansar(deploy).run();
        deploy.success().stderr_has("Restored snooze-0, zombie-0");
        let second = pids(&sandbox);
        assert!(second.iter().all(|(role, pid)| first[role] != *pid));
        assert!(arguments(&sandbox, "snooze-0").ends_with(" --seconds=601"));
        assert!(arguments(&sandbox, "zombie-0").ends_with("--role-name=zombie-0"));
        assert!(!sandbox.path().join(OPTIONS).exists());
    }
    sandbox.ansar(["-f", "stop"]).run().success();
}

/// The options of roles that a deploy has stopped.
const OPTIONS: &str = ".ansar-home/restore-options.json";

#[test]
fn options_survive_a_killed_deploy() {
    let sandbox = home(&["snooze"]);
    let start = ["start", "--ready-timeout=90s", "--", "--seconds=601"];
    sandbox.ansar(start).run().success();
    let deploy = ["-f", "deploy", "--storage-path=testing"];
    // A deploy that finds the note of the previous one makes fewer changes.
    let is_down = (12..40).any(|nth: usize| {
        let content = format!("version {nth}");
        sandbox.write("testing/model-by-role/snooze-0/file", &content);
        let killed = sandbox.ansar(deploy);
        killed.env("__ANSAR_TEST_KILL_AT", nth.to_string()).run();
        pids(&sandbox).is_empty()
    });
    assert!(is_down, "no kill came in between");
    let options: Value = serde_json::from_str(&sandbox.read(OPTIONS)).expect("it is JSON");
    let expected = json!({"snooze-0": {"settings": [["seconds", "601"]], "ready_limit": 90.0}});
    assert_eq!(options, expected);
    let next = sandbox.ansar(deploy).run();
    next.success().stderr_has("Restored snooze-0");
    assert!(arguments(&sandbox, "snooze-0").ends_with(" --seconds=601"));
    assert!(!sandbox.path().join(OPTIONS).exists());
    sandbox.ansar(["-f", "stop"]).run().success();
}

#[test]
fn a_replaced_executable_restarts_its_roles() {
    let sandbox = home(&["zombie", "snooze"]);
    sandbox.ansar(["add", "zombie", "zombie-1"]).run().success();
    sandbox.ansar(["start", "zombie-.*"]).run().success();
    let first = pids(&sandbox);
    // The same bytes with a longer tail: an ELF file remains the same program.
    let path = sandbox.path().join("dist/zombie");
    let mut bytes = fs::read(&path).expect("it is there");
    bytes.push(0);
    fs::write(&path, bytes).expect("its owner writes in place");
    let refused = sandbox.ansar(["deploy", "dist"]).run();
    refused.code(104).stderr_has("`zombie-1` (process ");
    let forced = sandbox.ansar(["-f", "deploy", "dist"]).run();
    forced
        .success()
        .stderr_has("Deploying zombie (1 of 2 executables), 2 roles affected")
        .stderr_has("Restored zombie-0, zombie-1");
    let second = pids(&sandbox);
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|(role, pid)| first[role] != *pid));
    fill(&sandbox, &["snooze"]);
    let same = sandbox.ansar(["deploy", "dist"]).run();
    same.success().stderr_has("Nothing to deploy");
    sandbox.ansar(["-f", "stop"]).run().success();
}

#[test]
fn an_interrupted_deploy_restarts_stopped_roles() {
    let sandbox = home(&["stubborn", "zombie"]);
    sandbox.ansar(["start"]).run().success();
    let first = pids(&sandbox);
    for role in ["stubborn-0", "zombie-0"] {
        sandbox.write(format!("testing/model-by-role/{role}/file"), "new");
    }
    let deploy = ["-f", "deploy", "--storage-path=testing"];
    let deploy = sandbox.ansar(deploy).start();
    // One of them takes its whole grace period.
    deploy.wait_for("Stopping stubborn-0, zombie-0");
    deploy.signal(Signal::SIGINT);
    let ended = deploy.wait();
    ended.code(130).stderr_has("Restored stubborn-0, zombie-0");
    let second = pids(&sandbox);
    assert_eq!(second.len(), 2, "{second:?}");
    assert!(second.iter().all(|(role, pid)| first[role] != *pid));
    let model = sandbox.path().join(".ansar-home/model");
    assert!(!model.join("zombie-0/file").exists());
    sandbox.ansar(["stop"]).run().success();
}

#[test]
fn changes_are_forgotten_with_a_deleted_role() {
    let group = Group::demo();
    group.test([]).run().success();
    group.edit(CLIENT_RS, "Connected to", "Joined to");
    group.ansar(["deploy"]).run().success();
    let why = || group.ansar(["why", "test-client"]).run();
    why().success().stdout_has("bytes differ");

    group.ansar(["delete", "test-client"]).run().success();
    let again = group.ansar(["deploy"]).run();
    again.success().stderr_lacks("bytes differ");
    let why = why();
    assert!(!why.success().stdout.contains("bytes differ"));
}
