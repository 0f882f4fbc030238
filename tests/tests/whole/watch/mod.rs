//! `cargo ansar watch`: test runs at every save.

mod keys;
mod notifications;
pub(crate) mod probe;
mod sources;
mod storms;
mod writes;

use std::fs;

use tests::{Running, Signal, eventually};

use crate::test::{CLIENT_RS, Group, PASSED, SERVER_RS, WORDS};

const WATCHING: &str = "    Watching ";

fn watching(group: &Group) -> Running<'_> {
    let mut watch = group.ansar(["watch"]).start();
    watch.wait_for_next(WATCHING);
    watch
}

/// Interrupts it as a user does, and returns its output.
fn ended(watch: Running<'_>) -> tests::Output {
    watch.signal(Signal::SIGINT);
    let output = watch.wait();
    output.code(130);
    output
}

#[test]
fn every_save_has_its_verdict() {
    let group = Group::demo();
    let mut watch = watching(&group);
    group.edit(
        CLIENT_RS,
        "(b\"fervent\", b\"eager\")",
        "(b\"fervent\", b\"keen\")",
    );
    watch.wait_for_next(&format!("     Changed {CLIENT_RS}"));
    watch.wait_for_next("   Deploying client (1 of 3 executables), 1 role affected");
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    group.edit(
        CLIENT_RS,
        "(b\"fervent\", b\"keen\")",
        "(b\"fervent\", b\"eager\")",
    );
    watch.wait_for_next("      Passed 3 checks");
    watch.wait_for_next(WATCHING);
    let output = ended(watch);
    let client = group.path().join(CLIENT_RS);
    output.stdout_is(&format!(
        "{PASSED}role \"test-client\" (pass/fail): 2/1\n\
         {}:40 - expected b\"keen\" for b\"fervent\", got b\"eager\"\n{PASSED}",
        client.display()
    ));
}

/// Returns the pid of a running role from `status`.
pub(super) fn process(group: &Group, role: &str) -> String {
    let status = group.ansar(["status", "-l", role]).run();
    let line = status.success().stdout.clone();
    let pid = line.split(['<', '>']).nth(1);
    pid.expect("the role runs").to_owned()
}

#[test]
fn a_save_restarts_only_affected_roles() {
    let group = Group::demo();
    let mut watch = watching(&group);
    let before = ["server-0", "zombie-0"].map(|role| process(&group, role));
    group.edit(SERVER_RS, "Accepted on", "Accepted, on");
    watch.wait_for_next("    Restored server-0");
    watch.wait_for_next("      Passed 3 checks");
    watch.wait_for_next(WATCHING);
    let after = ["server-0", "zombie-0"].map(|role| process(&group, role));
    assert_ne!(before[0], after[0], "the server is a new one");
    assert_eq!(before[1], after[1], "the zombie is left alone");
    ended(watch);
}

#[test]
fn a_save_without_effect_runs_nothing() {
    let group = Group::demo();
    let mut watch = watching(&group);
    let text = group.read(CLIENT_RS);
    group.write(CLIENT_RS, &text);
    watch.wait_for_next(&format!("   Unchanged {CLIENT_RS}, saved without changes"));
    group.write(CLIENT_RS, &format!("{text}// The end.\n"));
    watch.wait_for_next(&format!("     Changed {CLIENT_RS}"));
    watch.wait_for_next("   Unchanged passed: 3 checks");
    watch.wait_for_next(WATCHING);
    ended(watch).stdout_is(PASSED);
}

#[test]
fn a_failed_build_makes_the_verdict_stale() {
    let group = Group::demo();
    let mut watch = watching(&group);
    let text = group.read(CLIENT_RS);
    group.write(CLIENT_RS, &format!("{text}garbage"));
    watch.wait_for_next("error: the build failed");
    watch.wait_for_next("       Stale passed: 3 checks");
    watch.wait_for_next(WATCHING);
    group.write(CLIENT_RS, &text);
    watch.wait_for_next("   Unchanged passed: 3 checks");
    watch.wait_for_next(WATCHING);
    ended(watch).stdout_is(PASSED);
}

#[test]
fn a_save_during_a_run_restarts_it() {
    let nap = |seconds: &str| {
        format!(r#"test-nap = {{ executable = "snooze", settings = {{ seconds = {seconds} }} }}"#)
    };
    let group = Group::of(&[&nap("600.0")]);
    let mut watch = group.ansar(["watch", "-v"]).start();
    watch.wait_for_next("     Started test-nap");
    group.describe(&[&nap("0.01")]);
    watch.wait_for_next("     Changed Cargo.toml");
    watch.wait_for_next("      Failed 1 role without a report");
    watch.wait_for_next(WATCHING);
    ended(watch).stdout_has("role \"test-nap\" (pass/fail): 0/0");
}

#[test]
fn another_terminal_uses_the_running_roles() {
    let group = Group::demo();
    let watch = watching(&group);
    let before = process(&group, "server-0");
    let test = group.ansar(["test"]).run();
    test.success().stdout_is(PASSED);
    assert_eq!(process(&group, "server-0"), before, "it is left alone");

    // Files that `watch` does not watch.
    let words = group.read(format!("{WORDS}/word-map.json"));
    group.write("other/model-by-role/server-0/more.json", &words);
    let deploy = ["deploy", "--storage-path", "other"];
    let refused = group.ansar(deploy).run();
    refused
        .code(104)
        .stderr_has(&format!("`server-0` (process {before})"));
    group.ansar(deploy).arg("-f").run().success();
    let after = process(&group, "server-0");
    assert_ne!(after, before, "it is started again where it was");

    let mut other = group.ansar(["watch"]).start();
    other.wait_for_next("      Passed 3 checks");
    other.wait_for_next(WATCHING);
    let after = process(&group, "server-0");
    ended(watch);
    // A role kept up there is kept up here from the next run on.
    group.edit(CLIENT_RS, "b\"droll\"", "b\"merry\"");
    other.wait_for_next("      Failed 1 of 3 checks");
    other.wait_for_next(WATCHING);
    assert_ne!(process(&group, "server-0"), after);
    ended(other);
}

#[test]
fn materials_are_watched_too() {
    let group = Group::demo();
    let mut watch = watching(&group);
    let words = format!("{WORDS}/word-map.json");
    group.edit(&words, "droll", "merry");
    watch.wait_for_next(&format!("     Changed {words}"));
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    ended(watch);
}

#[test]
fn ignored_materials_are_watched_too() {
    let group = Group::demo();
    group.write(".gitignore", "*.json\ntarget\n");
    let mut watch = watching(&group);
    let words = format!("{WORDS}/word-map.json");
    group.edit(&words, "droll", "merry");
    watch.wait_for_next(&format!("     Changed {words}"));
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    ended(watch);
}

#[test]
fn a_recreated_folder_is_watched_again() {
    let group = Group::demo();
    let mut watch = watching(&group);
    let folder = group.path().join("test-fixtures/src");
    let away = group.path().join("away");
    fs::rename(&folder, &away).unwrap();
    watch.wait_for_next("       Stale ");
    fs::rename(&away, &folder).unwrap();
    watch.wait_for_next("   Unchanged passed: 3 checks");
    group.edit(
        CLIENT_RS,
        "(b\"fervent\", b\"eager\")",
        "(b\"fervent\", b\"keen\")",
    );
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    ended(watch);
}

#[test]
fn a_broken_manifest_is_watched() {
    let group = Group::demo();
    let mut watch = watching(&group);
    let text = group.read("Cargo.toml");
    group.write("Cargo.toml", &format!("{text}\n[[["));
    watch.wait_for_next("error: ");
    watch.wait_for_next(WATCHING);
    group.write("Cargo.toml", &text);
    watch.wait_for_next("   Unchanged passed: 3 checks");
    watch.wait_for_next(WATCHING);
    ended(watch).stdout_is(PASSED);
}

#[test]
fn without_a_workspace_there_is_nothing_to_watch() {
    let sandbox = tests::Sandbox::new();
    let output = sandbox.ansar(["watch"]).run();
    output.code(96).stderr_has("no `Cargo.toml` in");
}

#[test]
fn a_kill_leaves_nothing() {
    let group = Group::demo();
    let watch = watching(&group);
    watch.signal(Signal::SIGKILL);
    watch.wait().killed_by(Signal::SIGKILL);
    let quiet = eventually(|| group.processes().is_empty().then_some(()));
    assert!(quiet.is_some(), "left behind: {:?}", group.processes());
}
