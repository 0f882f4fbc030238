//! Kills roles, the engine in the background, its guardian, and client commands
//! at random moments.
//!
//! Running processes are read from `/proc`, never from the program's output.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Sandbox, Signal, eventually};

use super::{ansar, down, engine, home_with, is_quiet, named, processes, statuses};

/// Environment variable with the number of kills.
const ROUNDS: &str = "ANSAR_KILL_ROUNDS";
/// Environment variable with the seed of the random moments.
const SEED: &str = "ANSAR_KILL_SEED";
/// Number of kills unless [`ROUNDS`] is set.
const USUAL_ROUNDS: u64 = 20;

const ROLES: [&str; 3] = ["server-0", "snooze-0", "zombie-0"];

#[expect(
    clippy::disallowed_methods,
    reason = "what there is to vary is a number"
)]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The process to kill.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Role(&'static str),
    Engine,
    Guardian,
    Both,
    Command,
}

/// Commands that are interrupted.
const COMMANDS: [&str; 5] = [
    "start -f",
    "stop -f",
    "restart -f",
    "status -l",
    "start -f zombie-0",
];

#[test]
#[expect(clippy::print_stderr, reason = "the seed repeats the run")]
fn random_kills_leave_nothing_and_status_stays_right() {
    let rounds = variable(ROUNDS).unwrap_or(USUAL_ROUNDS);
    let seed = variable(SEED).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{SEED}={seed} {ROUNDS}={rounds}");
    let mut random = fastrand::Rng::with_seed(seed);
    let sandbox = home_with(&["zombie"]);
    let host = format!("--host={}", tests::loopback());
    sandbox.ansar(["add", "server", &host]).run().success();
    ansar(&sandbox, "add snooze --seconds=600").success();
    for round in 0..rounds {
        let victim = match random.u8(..5) {
            0 => Victim::Role(ROLES[random.usize(..ROLES.len())]),
            1 => Victim::Engine,
            2 => Victim::Guardian,
            3 => Victim::Both,
            _ => Victim::Command,
        };
        let command = COMMANDS[random.usize(..COMMANDS.len())];
        let after = Duration::from_micros(random.u64(..120_000));
        let is_up = random.u8(..4) > 0;
        eprintln!("round {round}: {victim:?} {after:?} into `{command}`, up: {is_up}");
        strike(&sandbox, victim, command, after, is_up);
        if round % 5 == 4 {
            is_replaced(&sandbox);
        }
    }
    ansar(&sandbox, "start -f").success();
    down(&sandbox);
}

fn strike(sandbox: &Sandbox, victim: Victim, command: &str, after: Duration, is_up: bool) {
    if is_up {
        ansar(sandbox, "start -f").success();
        assert_eq!(processes(sandbox).len(), ROLES.len());
    }
    let running = sandbox.ansar(command.split(' ')).start();
    pause(after);
    let one = |pid: i32| {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    };
    match (victim, engine(sandbox)) {
        (Victim::Role(role), _) => {
            processes(sandbox)
                .get(role)
                .copied()
                .into_iter()
                .for_each(one);
        }
        (Victim::Engine, Some((_, engine))) => one(engine),
        (Victim::Guardian, Some((guardian, _))) => one(guardian),
        (Victim::Both, Some((guardian, engine))) => {
            // A suspended guardian cannot act in between.
            let _ = kill(Pid::from_raw(guardian), Signal::SIGSTOP);
            one(engine);
            one(guardian);
        }
        (Victim::Command, _) => running.signal(Signal::SIGKILL),
        (_, None) => {}
    }
    is_told_truly(sandbox);
    let output = running.wait();
    output.check(!output.stderr.contains("panicked"), || {
        "expected no panic".to_owned()
    });
    is_told_truly(sandbox);
    for role in ROLES {
        for words in ["history ROLE", "log ROLE --last=MONTH"] {
            let words = words.replace("ROLE", role);
            let output = ansar(sandbox, &words);
            output
                .success()
                .stderr_lacks("error")
                .stderr_lacks("warning");
        }
    }
}

/// Asserts that `status` agrees with `/proc`: it lists every role that runs all
/// the time, and any other that it lists runs before, after, or soon.
fn is_told_truly(sandbox: &Sandbox) {
    let mut last = String::new();
    let told = eventually(|| {
        let before = processes(sandbox);
        let told = statuses(sandbox);
        let after = processes(sandbox);
        last = format!("{before:?}\n{told:?}\n{after:?}");
        let pids: BTreeMap<&str, i64> = told
            .iter()
            .filter_map(|(role, status)| Some((role.as_str(), status["pid"].as_i64()?)))
            .collect();
        for (role, pid) in &before {
            let is_there = after.get(role) == Some(pid);
            let is_told = pids.get(role.as_str()) == Some(&i64::from(*pid));
            assert!(
                is_told || !is_there,
                "`{role}` runs, and status is wrong\n{last}"
            );
        }
        let runs = |role: &str, pid: i64| {
            let mut all = [&before, &after].into_iter();
            all.any(|one| one.get(role).is_some_and(|it| i64::from(*it) == pid))
        };
        pids.iter()
            .all(|(role, pid)| runs(role, *pid))
            .then_some(())
    });
    assert!(told.is_some(), "status tells of what is not there\n{last}");
}

/// Asserts that everything can be started again and stopped.
fn is_replaced(sandbox: &Sandbox) {
    ansar(sandbox, "start -f").success();
    let up = processes(sandbox);
    assert_eq!(up.len(), ROLES.len(), "{up:?}");
    let refused = ansar(sandbox, "start");
    refused.code(104);
    for (role, pid) in &up {
        assert_eq!(named(&refused, role), *pid);
    }
    ansar(sandbox, "stop").success();
    assert_eq!(processes(sandbox), BTreeMap::new());
    is_quiet(sandbox);
    ansar(sandbox, "status").success().stdout_is("");
    ansar(sandbox, "start").success().stderr_lacks("warning");
    ansar(sandbox, "stop").success();
}

/// Waits for a random time; no event marks the moment.
fn pause(time: Duration) {
    let (_never, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(time);
}

#[test]
fn a_reused_pid_is_not_signalled() {
    let sandbox = home_with(&["zombie"]);
    let bystander = sandbox.program("sleep").arg("600").start();
    let pid = bystander.pid();
    sandbox.write(
        format!(".ansar-home/engine/{pid}.engine"),
        r#"{"started": 1}"#,
    );
    sandbox.write(format!(".ansar-home/engine/{pid}.sock"), "");
    sandbox.write(".ansar-home/lock/zombie-0", &pid.to_string());
    ansar(&sandbox, "status").success().stdout_is("");
    ansar(&sandbox, "stop").code(105);
    ansar(&sandbox, "start").success();
    assert_ne!(
        processes(&sandbox)["zombie-0"],
        i32::try_from(pid).expect("it is a process")
    );
    let left = std::fs::read_dir(sandbox.path().join(".ansar-home/engine"));
    let left = left.into_iter().flatten().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    let stale = format!("{pid}.");
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().starts_with(&stale)),
        "{left:?}"
    );
    ansar(&sandbox, "stop").success();
    assert!(bystander.outlives_its_signals());
    bystander.signal(Signal::SIGKILL);
    bystander.wait();
}
