//! `cargo ansar watch` under many changes at once, or when watched files
//! disappear: at most two runs, and the verdict of a fresh `test`.

use std::fs;

use tests::{Output, Program, Running, Signal};

use crate::test::{CLIENT_RS, Group, PASSED};

const WATCHING: &str = "    Watching ";
const CHANGED: &str = "     Changed ";

/// An edit that makes one check of the client fail.
const EAGER: &str = "(b\"fervent\", b\"eager\")";
const KEEN: &str = "(b\"fervent\", b\"keen\")";

fn watching(program: Program<'_>) -> Running<'_> {
    let mut watch = program.start();
    watch.wait_for_next(WATCHING);
    watch
}

/// Interrupts it as a user does, and returns its output.
#[track_caller]
fn ended(watch: Running<'_>) -> Output {
    watch.signal(Signal::SIGINT);
    let output = watch.wait();
    output.code(130);
    output
}

/// Returns the number of runs that changes have begun.
fn loops(output: &Output) -> usize {
    output.stderr.matches(CHANGED).count()
}

/// Interrupts it; asserts that it made at most that many runs after the first,
/// and that its last verdict is that of a fresh `test`.
#[track_caller]
fn settled(group: &Group, watch: Running<'_>, most: usize) -> Output {
    let output = ended(watch);
    let count = loops(&output);
    output.check((1..=most).contains(&count), || format!("{count} loops"));
    let fresh = group.test([]).run();
    let lines = |output: &Output| -> Vec<String> {
        let mut lines = output.stdout.lines().map(str::to_owned).collect::<Vec<_>>();
        let last = lines.iter().rposition(|line| line.starts_with("role \""));
        lines.drain(..last.unwrap_or(0));
        lines
    };
    output.check(lines(&output) == lines(&fresh), || {
        format!("a fresh test finds {:?}", lines(&fresh))
    });
    output
}

#[test]
fn ten_thousand_events_are_two_runs_at_most() {
    let group = Group::demo();
    let mut watch = watching(group.ansar(["watch"]));
    let folder = group.path().join("test-fixtures/src/many");
    fs::create_dir(&folder).unwrap();
    for number in 0..2_500 {
        // Created, written, written again, and renamed.
        let path = folder.join(format!("{number}.txt"));
        fs::write(&path, "one").unwrap();
        fs::write(&path, "two").unwrap();
        fs::rename(&path, folder.join(format!("{number}.rs"))).unwrap();
    }
    group.edit(CLIENT_RS, EAGER, KEEN);
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    settled(&group, watch, 2).stderr_has(" more");
}

#[test]
fn a_checkout_of_many_files_is_one_run() {
    let group = Group::demo();
    let git = |arguments: &str| {
        let script = format!(
            "git -c user.name=n -c user.email=e -c commit.gpgsign=false \
             -c core.fsync=none -c gc.auto=0 {arguments}"
        );
        group.shell(&script).run().success();
    };
    group.write(".gitignore", "target\n.ansar-home\n");
    let many = |text: &str| {
        for number in 0..1_000 {
            let path = format!("test-fixtures/src/many/{number}.rs");
            group.write(path, &format!("// {text}\n"));
        }
    };
    many("one");
    git("init -q");
    git("add -A");
    git("commit -qm one");
    git("checkout -qb other");
    many("two");
    group.edit(CLIENT_RS, EAGER, KEEN);
    git("commit -qam two");
    git("checkout -q -");
    let mut watch = watching(group.ansar(["watch"]));
    git("checkout -q other");
    watch.wait_for_next(CHANGED);
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    settled(&group, watch, 1);
}

#[test]
fn a_save_by_rename_is_one_run() {
    let group = Group::demo();
    let mut watch = watching(group.ansar(["watch"]));
    let text = group.read(CLIENT_RS);
    // As vim saves: probe, rename the old file, write the new one, remove the
    // old.
    let folder = group.path().join("test-fixtures/src/bin");
    let (file, old) = (folder.join("client.rs"), folder.join("client.rs~"));
    fs::write(folder.join("4913"), "").unwrap();
    fs::remove_file(folder.join("4913")).unwrap();
    fs::rename(&file, &old).unwrap();
    fs::write(&file, text.replace(EAGER, KEEN)).unwrap();
    fs::remove_file(&old).unwrap();
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    // As other editors save: write a second file, and rename it over the first.
    fs::write(folder.join(".client.rs.swp"), &text).unwrap();
    fs::rename(folder.join(".client.rs.swp"), &file).unwrap();
    watch.wait_for_next("      Passed 3 checks");
    watch.wait_for_next(WATCHING);
    settled(&group, watch, 2).stdout_has(PASSED);
}

#[test]
fn a_save_during_a_build_is_one_run() {
    let group = Group::demo();
    // A build that waits for a signal to go on.
    group.write(
        "test-fixtures/build.rs",
        "fn main() {\n    println!(\"cargo::rerun-if-changed=src/bin/client.rs\");\n    \
         let go = std::path::Path::new(\"../target/go\");\n    \
         std::fs::write(\"../target/building\", \"\").unwrap();\n    \
         while !go.exists() { std::thread::sleep(std::time::Duration::from_millis(5)); }\n}\n",
    );
    group.write("target/go", "");
    let mut watch = watching(group.ansar(["watch"]));
    group.remove("target/go");
    group.remove("target/building");
    group.edit(CLIENT_RS, EAGER, "(b\"fervent\", b\"zealous\")");
    watch.wait_for_next(CHANGED);
    let building =
        tests::eventually(|| group.path().join("target/building").exists().then_some(()));
    assert!(building.is_some(), "it does not build");
    group.edit(CLIENT_RS, "b\"zealous\"", "b\"keen\"");
    watch.wait_for_next(CHANGED);
    group.write("target/go", "");
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    let output = settled(&group, watch, 2);
    output.check(!output.stdout.contains("zealous"), || {
        "an older state was tested".to_owned()
    });
}

#[test]
fn a_recreated_source_folder() {
    let group = Group::demo();
    let mut watch = watching(group.ansar(["watch"]));
    let (folder, saved) = ("test-fixtures/src", "target/saved");
    let copy = |from: &str, to: &str| {
        let script = format!("cp -r {from} {to}");
        group.shell(&script).run().success();
    };
    copy(folder, saved);
    group.remove(folder);
    watch.wait_for_next("       Stale passed: 3 checks");
    watch.wait_for_next(WATCHING);
    copy(saved, folder);
    group.edit(CLIENT_RS, EAGER, KEEN);
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    settled(&group, watch, 1 + 2);
}

#[test]
fn a_renamed_crate_is_two_runs_at_most() {
    let group = Group::demo();
    let mut watch = watching(group.ansar(["watch"]));
    let (from, to) = ("test-fixtures", "fixtures");
    fs::rename(group.path().join(from), group.path().join(to)).unwrap();
    let text = group.read("Cargo.toml");
    let members = text.replace("\"test-fixtures\"]", "\"fixtures\"]");
    let snapshot = members.replace("\"test-fixtures/testing\"", "\"fixtures/testing\"");
    let depended = "test-fixtures = { path = \"test-fixtures\"";
    group.write(
        "Cargo.toml",
        &snapshot.replace(depended, "fixtures = { path = \"fixtures\""),
    );
    group.edit(
        "fixtures/Cargo.toml",
        "name = \"test-fixtures\"",
        "name = \"fixtures\"",
    );
    group.edit("fixtures/src/bin/client.rs", EAGER, KEEN);
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    settled(&group, watch, 2);
}

#[test]
fn a_broken_and_repaired_manifest() {
    let group = Group::demo();
    let mut watch = watching(group.ansar(["watch"]));
    let text = group.read("test-fixtures/Cargo.toml");
    group.write("test-fixtures/Cargo.toml", &format!("{text}\n[[["));
    watch.wait_for_next("       Stale passed: 3 checks");
    watch.wait_for_next(WATCHING);
    group.write("test-fixtures/Cargo.toml", &text);
    watch.wait_for_next("   Unchanged passed: 3 checks");
    watch.wait_for_next(WATCHING);
    settled(&group, watch, 2);
}

#[test]
fn a_broken_outside_dependency_is_watched() {
    let group = Group::demo();
    let outside = "../outside/src/lib.rs";
    group.write(
        "../outside/Cargo.toml",
        "[package]\nname = \"outside\"\nedition = \"2024\"\n[workspace]\n",
    );
    group.write(outside, "pub const WORD: &[u8] = b\"eager\";\n");
    let manifest = group.read("test-fixtures/Cargo.toml");
    let dependencies = "[dependencies]\n";
    let outer = format!("{dependencies}outside = {{ path = \"../../outside\" }}\n");
    group.write(
        "test-fixtures/Cargo.toml",
        &manifest.replace(dependencies, &outer),
    );
    group.edit(CLIENT_RS, EAGER, "(b\"fervent\", outside::WORD)");
    // With its lock file, which the build would otherwise create.
    group.cargo(["generate-lockfile"]).run().success();
    let mut watch = watching(group.ansar(["watch"]));
    group.write(outside, "pub const WORD");
    watch.wait_for_next("       Stale passed: 3 checks");
    watch.wait_for_next(WATCHING);
    group.write(outside, "pub const WORD: &[u8] = b\"keen\";\n");
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    settled(&group, watch, 2);
}

#[test]
fn an_interrupt_during_a_restart_ends_everything() {
    let group = Group::of(&[r#"test-stubborn = { executable = "stubborn" }"#]);
    let mut watch = group.ansar(["watch", "-v"]).start();
    watch.wait_for_next("     Started test-stubborn");
    group.describe(&[r#"test-other = { executable = "prints" }"#]);
    watch.wait_for_next(CHANGED);
    watch.wait_for_next("    Stopping 1 role");
    let output = ended(watch);
    output.check(!output.stderr.contains("test-other"), || {
        "the next loop began".to_owned()
    });
}

/// Runs `cargo ansar watch` under a limit of the kernel; `None` if this machine
/// has no user namespaces.
#[expect(
    clippy::print_stderr,
    reason = "a pass without the test must be visible"
)]
fn limited<'g>(group: &'g Group, limit: &str, number: u32) -> Option<Program<'g>> {
    let file = format!("/proc/sys/user/max_inotify_{limit}");
    let set = format!("echo {number} > {file}");
    let able = group.program("unshare").args(["-Ur", "sh", "-c", &set]);
    let able = able.run();
    if able.stderr.is_empty() {
        let script = format!("{set}; exec cargo-ansar ansar watch");
        let script = format!("exec unshare -Ur sh -c '{script}'");
        Some(group.shell(&script))
    } else {
        eprintln!("skipped: no user namespace here: {}", able.stderr.trim());
        None
    }
}

#[test]
fn polling_when_inotify_is_exhausted() {
    for (limit, number, named) in [
        ("watches", 3, "`sysctl fs.inotify.max_user_watches`"),
        ("instances", 0, "`sysctl fs.inotify.max_user_instances`"),
    ] {
        let group = Group::demo();
        let Some(watch) = limited(&group, limit, number) else {
            return;
        };
        let mut watch = watching(watch);
        group.edit(CLIENT_RS, EAGER, KEEN);
        watch.wait_for_next(CHANGED);
        watch.wait_for_next("      Failed 1 of 3 checks");
        watch.wait_for_next(WATCHING);
        let output = settled(&group, watch, 2);
        output.stderr_has(&format!(
            "warning: inotify limit reached, polling for changes every 500 ms; raise {named}"
        ));
        let told = output.stderr.matches("inotify limit reached").count();
        output.check(told == 1, || format!("it is told {told} times"));
    }
}

#[test]
fn files_written_by_a_run_are_ignored() {
    let group = Group::demo();
    let report = "test-fixtures/report.xml";
    let arguments = [
        "watch",
        "--target-dir",
        "test-fixtures/out",
        "--junit",
        report,
    ];
    // A target folder that cargo did not create has no marker file.
    let out = group.path().join("test-fixtures/out");
    fs::rename(group.path().join("target"), &out).unwrap();
    fs::remove_file(out.join("CACHEDIR.TAG")).unwrap();
    let home = group.path().join("test-fixtures/../test-fixtures/home");
    let mut watch = group.ansar(arguments).env("ANSAR_HOME", home).start();
    watch.wait_for_next(WATCHING);
    group.edit(CLIENT_RS, EAGER, KEEN);
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    group.edit(CLIENT_RS, KEEN, EAGER);
    watch.wait_for_next("      Passed 3 checks");
    watch.wait_for_next(WATCHING);
    let output = ended(watch);
    let count = loops(&output);
    output.check(count == 2, || format!("{count} loops"));
}

#[test]
fn roles_that_failed_run_first() {
    // `test-z` reports nothing, which is a failure.
    let naps = |seconds: &str| {
        format!(r#"test-z = {{ executable = "snooze", settings = {{ seconds = {seconds} }} }}"#)
    };
    let passes = r#"test-a = { executable = "prints" }"#;
    let group = Group::of(&[passes, &naps("0.01")]);
    let mut watch = group.ansar(["watch", "-v", "-j", "1"]).start();
    watch.wait_for_next("     Started test-a");
    watch.wait_for_next("     Started test-z");
    watch.wait_for_next(WATCHING);
    group.describe(&[passes, &naps("0.02")]);
    watch.wait_for_next("     Started test-z");
    watch.wait_for_next("     Started test-a");
    watch.wait_for_next(WATCHING);
    ended(watch);
}

#[test]
fn a_removed_home_is_created_again() {
    let group = Group::demo();
    let mut watch = watching(group.ansar(["watch"]));
    group.remove(".ansar-home");
    group.edit(CLIENT_RS, EAGER, KEEN);
    watch.wait_for_next("      Failed 1 of 3 checks");
    watch.wait_for_next(WATCHING);
    let output = settled(&group, watch, 1);
    output.stderr_has("Created home");
}

#[test]
fn a_killed_engine_of_kept_roles() {
    let group = Group::demo();
    let mut watch = watching(group.ansar(["watch", "-v"]));
    let engines = tests::processes_named(&group.path().display().to_string());
    let engines = engines
        .iter()
        .filter(|(_, command)| command.contains(" --attached"));
    let pids: Vec<String> = engines.map(|(pid, _)| pid.to_string()).collect();
    assert!(!pids.is_empty(), "no process keeps roles up");
    let kill = format!("kill -9 {}", pids.join(" "));
    group.shell(&kill).run().success();
    for (from, to, found) in [
        (EAGER, KEEN, "      Failed 1 of"),
        (KEEN, EAGER, "      Passed 3"),
    ] {
        group.edit(CLIENT_RS, from, to);
        watch.wait_for_next(found);
        watch.wait_for_next(WATCHING);
    }
    let status = group.ansar(["status", "server-0"]).run();
    status.success().stdout_is("server-0\n");
    settled(&group, watch, 2);
}
