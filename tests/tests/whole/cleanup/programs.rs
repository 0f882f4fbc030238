//! Kills the engine, the guardian or both at a random moment of the setup, the
//! start or the stop of a program: no process runs on, nothing stays locked or
//! half set up, and the next test run passes.
//!
//! As in `kills`, the work is done in a subreaper process, so that every orphan
//! is counted, however well hidden.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Output, Signal, Workspace, children_of, eventually};

use super::kills::{INNER, ROUNDS, SEED, living, now, pause, run_inner, variable};

/// Number of rounds unless [`ROUNDS`] is set.
const USUAL_ROUNDS: u64 = 4;

const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "./db"
args = ["{model}", "{port}"]
setup = [["./init", "{model}"], ["./fill", "{model}"]]
ready = { log = "^accepting" }
stop = { signal = "SIGTERM", grace = "10s" }

[workspace.metadata.ansar.role.db-1]
program = "./db"
args = ["{model}", "{port}"]
setup = [["./init", "{model}"], ["./fill", "{model}"]]
ready = { log = "^accepting" }
stop = { signal = "SIGTERM", grace = "10s" }

[workspace.metadata.ansar.role.migrate-0]
program = "./migrate"
ready = "done"
after = ["db-0"]

[workspace.metadata.ansar.role.test-own]
program = "./smoke"
before = [["./smoke"]]
after-all = [["./smoke"]]
fresh = ["db-0", "migrate-0"]

[workspace.metadata.ansar.role.test-smoke]
program = "./smoke"
"#;

/// The scripts of [`ROLES`]. Commands of the setup refuse a model that an
/// earlier setup has touched, and the program one that is incomplete.
const SCRIPTS: [(&str, &str); 5] = [
    (
        "init",
        "test -e \"$1/half\" && exit 9; touch \"$1/half\"; sleep 0.1; touch \"$1/whole\"",
    ),
    (
        "fill",
        "setsid sleep 600 & test -e \"$1/full\" && exit 9; sleep 0.1; touch \"$1/full\"",
    ),
    (
        "db",
        "test -e \"$1/full\" || exit 9; (sleep 600 &); setsid sleep 600 &\n\
         trap 'sleep 0.1; exit 0' TERM; sleep 0.05; echo accepting\n\
         while :; do sleep 0.02; done",
    ),
    ("migrate", "sleep 0.05"),
    ("smoke", "sleep 0.05"),
];

/// The processes to kill.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Guardian,
    Engine,
    Both,
}

#[test]
fn random_kills_around_programs() {
    let rounds = variable(ROUNDS).unwrap_or(USUAL_ROUNDS);
    if variable(INNER).is_some() {
        let seed = variable(SEED).expect("the outer process gives a seed");
        return kill_again_and_again(seed, rounds);
    }
    let (_, module) = module_path!().split_once("::").unwrap_or_default();
    run_inner(&format!("{module}::random_kills_around_programs"), rounds);
}

#[expect(clippy::print_stderr, reason = "a failure is explained by its rounds")]
fn kill_again_and_again(seed: u64, rounds: u64) {
    set_child_subreaper(true).expect("Linux has subreapers");
    let mut random = fastrand::Rng::with_seed(seed);
    let workspace = Workspace::new();
    workspace.manifest(&format!("[workspace.metadata.ansar]\n{ROLES}"));
    for (name, text) in SCRIPTS {
        let path = workspace.write(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    workspace.cargo_build().run().success();
    for round in 0..rounds {
        let victim = [Victim::Guardian, Victim::Engine, Victim::Both][random.usize(..3)];
        let after = Duration::from_micros(random.u64(..900_000));
        let is_background = random.bool();
        let is_new = random.bool();
        eprintln!("round {round}: {victim:?} {after:?}, {is_background}, {is_new}");
        if is_new {
            ansar(&workspace, "destroy -f");
        }
        if is_background {
            strike_background(&workspace, victim, after);
        } else {
            let test = workspace.ansar(["test"]).start();
            pause(now() + after);
            hit(victim, test.pid());
            test.signal(Signal::SIGKILL);
            test.wait();
        }
        is_whole(&workspace);
    }
}

/// Starts the roles in the background, and kills their engine then or while it
/// stops them.
fn strike_background(workspace: &Workspace, victim: Victim, after: Duration) {
    let begun = now();
    let start = workspace.ansar(["start"]).start();
    let command = match after.checked_sub(Duration::from_millis(600)) {
        Some(into_stop) => {
            start.wait();
            let stop = workspace.ansar(["stop"]).start();
            pause(now() + into_stop);
            stop
        }
        None => {
            pause(begun + after);
            start
        }
    };
    if let Some(guardian) = background(workspace) {
        hit(victim, guardian);
    }
    command.signal(Signal::SIGKILL);
    command.wait();
}

/// Kills a guardian, the engine below it, or both at one instant.
fn hit(victim: Victim, guardian: u32) {
    let engine = children_of(guardian).into_iter().next();
    let guardian = Pid::from_raw(i32::try_from(guardian).expect("it is a process"));
    let send = |pid: Option<Pid>, signal| {
        if let Some(pid) = pid {
            let _ = kill(pid, signal);
        }
    };
    let engine = engine.map(Pid::from_raw);
    match victim {
        Victim::Guardian => send(Some(guardian), Signal::SIGKILL),
        Victim::Engine => send(engine, Signal::SIGKILL),
        Victim::Both => {
            // A suspended guardian cannot act in between.
            send(Some(guardian), Signal::SIGSTOP);
            send(engine, Signal::SIGKILL);
            send(Some(guardian), Signal::SIGKILL);
        }
    }
}

/// Returns the guardian of the engine in the background.
fn background(workspace: &Workspace) -> Option<u32> {
    let all = workspace.processes();
    let own = all.iter().filter(|(_, line)| line.contains(" supervise "));
    let own: Vec<i32> = own.map(|(pid, _)| *pid).collect();
    own.iter().map(|pid| pid.unsigned_abs()).find(|&guardian| {
        let below = children_of(guardian);
        below.iter().any(|pid| own.contains(pid))
    })
}

#[track_caller]
fn ansar(workspace: &Workspace, words: &str) -> Output {
    let output = workspace.ansar(words.split(' ')).run();
    output.check(!output.stderr.contains("panicked"), || {
        "expected no panic".to_owned()
    });
    output
}

/// Asserts that the next run passes, and that nothing is left.
#[track_caller]
fn is_whole(workspace: &Workspace) {
    // It runs in the background if its engine was not hit.
    ansar(workspace, "stop -f");
    ansar(workspace, "test")
        .success()
        .stdout_is("role \"test-own\" (pass/fail): 1/0\nrole \"test-smoke\" (pass/fail): 1/0\n");
    let mut left = BTreeMap::new();
    let gone = eventually(|| {
        left = living(workspace, None);
        left.is_empty().then_some(())
    });
    assert!(gone.is_some(), "{left:#?}");
    let home = workspace.path().join(".ansar-home");
    let engines = fs::read_dir(home.join("engine")).expect("the home is there");
    let engines: Vec<_> = engines.flatten().map(|entry| entry.file_name()).collect();
    assert!(engines.is_empty(), "{engines:?}");
    let models = fs::read_dir(home.join("model")).expect("the home is there");
    let models = models.flatten().map(|entry| entry.file_name());
    let instances = models.filter(|name| name.to_string_lossy().starts_with("fresh-"));
    assert_eq!(instances.count(), 0, "an instance is left");
    for file in ["half", "whole", "full"] {
        let file = home.join("model/db-0").join(file);
        assert!(file.exists(), "{}", file.display());
    }
}
