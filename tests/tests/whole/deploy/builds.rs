//! Builds restart the roles whose executables they change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tests::Sandbox;

use super::{contents, pids};
use crate::test::{CLIENT_RS, Group, WORDS};

/// A library of the demonstration's server and client.
const MESSAGES_RS: &str = "test-fixtures/src/messages.rs";

/// Returns the process of each running role, and its age in seconds.
fn lives(sandbox: &Sandbox) -> BTreeMap<String, (u64, f64)> {
    let status = sandbox.ansar(["status", "-l", "--format=json"]).run();
    let lines = status.success().json_lines().into_iter();
    let life = |line: serde_json::Value| {
        let role = line["role"].as_str()?.to_owned();
        Some((role, (line["pid"].as_u64()?, line["uptime"].as_f64()?)))
    };
    lines.filter_map(life).collect()
}

/// Returns every source below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let all = contents(folder).into_keys();
    all.filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .collect()
}

#[test]
fn a_changed_word_map_restarts_the_server() {
    let group = Group::demo();
    group.test(["--no-run"]).run().success();
    group.ansar(["start"]).run().success();
    let before = lives(&group);
    let map = format!("{WORDS}/word-map.json");
    group.write(&map, &group.read(&map).replace("droll", "silly"));
    let deployed = group.ansar(["-f", "deploy"]).run();
    deployed
        .success()
        .stderr_has("Deploying model/server-0, 1 role affected")
        .stderr_has("Restored server-0");
    let after = lives(&group);
    assert_eq!(after.len(), 2, "{after:?}");
    let (pid, uptime) = before["zombie-0"];
    assert_eq!(after["zombie-0"].0, pid);
    assert!(after["zombie-0"].1 > uptime, "{before:?} {after:?}");
    assert_ne!(after["server-0"].0, before["server-0"].0);
    assert!(after["server-0"].1 < after["zombie-0"].1, "{after:?}");
    group.ansar(["-f", "stop"]).run().success();
}

#[test]
fn touched_and_changed_sources() {
    let group = Group::demo();
    group.test(["--no-run"]).run().success();
    group.ansar(["start"]).run().success();
    let first = pids(&group);
    assert_eq!(first.len(), 2, "{first:?}");
    let members = ["ansar-runtime/src", "test-fixtures/src"];
    for source in members
        .iter()
        .flat_map(|it| sources(&group.path().join(it)))
    {
        let text = fs::read(&source).expect("it is there");
        fs::write(&source, text).expect("it is ours");
    }
    let touched = group.ansar(["deploy"]).run();
    touched
        .success()
        .stderr_has("Compiling ansar-runtime")
        .stderr_has("Nothing to deploy");
    assert_eq!(pids(&group), first);

    // A comment: exactly those roles are restarted whose bytes differ, which
    // depends on the compiler.
    let bin = group.home().join("bin");
    let before = contents(&bin);
    let messages = group.read(MESSAGES_RS);
    group.write(MESSAGES_RS, &format!("{messages}\n// Nothing more.\n"));
    let commented = group.ansar(["-f", "deploy"]).run();
    commented.success().stderr_has("Compiling test-fixtures");
    let (after, second) = (contents(&bin), pids(&group));
    for (role, executable) in [("server-0", "server"), ("zombie-0", "zombie")] {
        let path = bin.join(executable);
        let differs = before[&path] != after[&path];
        assert_eq!(first[role] != second[role], differs, "{role}");
    }
    let unchanged = group.ansar(["deploy"]).run();
    unchanged.success().stderr_has("Nothing to deploy");
    group.ansar(["-f", "stop"]).run().success();
}

#[test]
fn why_explains_a_changed_library() {
    let group = Group::demo();
    group.test(["--no-run"]).run().success();
    group.ansar(["start"]).run().success();
    let first = pids(&group);
    let source = "ansar-runtime/src/component/run.rs";
    group.edit(
        source,
        "failed to keep stdout",
        "failed to keep the way out",
    );
    let deployed = group.ansar(["-f", "deploy"]).run();
    deployed
        .success()
        .stderr_has("(3 of 3 executables), 3 roles affected")
        .stderr_has("Restored server-0, zombie-0");
    let second = pids(&group);
    assert!(second.iter().all(|(role, pid)| first[role] != *pid));
    for (role, executable) in [("server-0", "server"), ("zombie-0", "zombie")] {
        let why = group.ansar(["why", role]).run();
        why.success()
            .stdout_has(&format!("{role} was restarted "))
            .stdout_has(&format!("executable `{executable}`: bytes differ"))
            .stdout_has(&format!("{source} of package `ansar-runtime`"));
        assert!(!why.stdout.contains(CLIENT_RS), "{}", why.stdout);
        let compiled = why.stdout.lines().find(|line| line.contains("compiled"));
        let compiled = compiled.expect("what was compiled is named");
        for unit in ["ansar_runtime", "test_fixtures", executable] {
            assert!(compiled.contains(unit), "{unit}: {compiled}");
        }
    }
    group.ansar(["-f", "stop"]).run().success();
}
