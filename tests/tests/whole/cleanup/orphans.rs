//! Orphans of an engine and a guardian that were killed at the same instant. A
//! command kills them before it does anything else, however well they hide.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Running, Sandbox, Signal, children_of, eventually, executable, processes_named};

/// Creates a home with the role `deserts-0`, whose orphan has a session of its
/// own and no environment; returns it with the name that identifies the orphan.
fn home() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let folder = executable("noop").parent().expect("a file is in a folder");
    let in_place = format!("--redirect-bin={}", folder.display());
    sandbox.ansar(["create", &in_place]).run().success();
    let mark = sandbox.path().display().to_string() + "/orphan";
    let add = ["add", "deserts", &format!("--mark={mark}")];
    sandbox.ansar(add).run().success();
    for executable in ["noop", "snooze", "stubborn"] {
        sandbox.ansar(["add", executable]).run().success();
    }
    (sandbox, mark)
}

/// Returns the living processes of a session.
fn of_session(session: i32) -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc").expect("there is a /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = match stat.rsplit_once(") ") {
            Some((_, fields)) => fields.split(' ').collect(),
            None => return false,
        };
        fields[0] != "Z" && fields[3] == session.to_string()
    })
    .collect()
}

/// Waits for the orphan of `deserts-0`, and returns its session.
fn orphan(mark: &str) -> i32 {
    let leader = eventually(|| {
        let named = processes_named(mark).into_iter();
        let mut named = named.filter(|(_, line)| line.starts_with("sh -c trap"));
        // It sleeps once it has hidden.
        named
            .next()
            .filter(|(pid, _)| of_session(*pid).len() == 2)
            .map(|(pid, _)| pid)
    });
    leader.expect("the role leaves an orphan")
}

/// Returns the guardian and the engine in the background.
fn engine(sandbox: &Sandbox) -> (Pid, Pid) {
    let both = eventually(|| {
        let all = sandbox.processes();
        let mut own = all.iter().filter(|(_, line)| line.contains(" supervise "));
        let (one, other) = (*own.next()?.0, *own.next()?.0);
        let is_below = |pid: i32, above: i32| children_of(above.unsigned_abs()).contains(&pid);
        if is_below(other, one) {
            Some((one, other))
        } else {
            is_below(one, other).then_some((other, one))
        }
    });
    let (guardian, engine) = both.expect("there is an engine in the background");
    (Pid::from_raw(guardian), Pid::from_raw(engine))
}

/// Kills both at one instant, and waits until they are gone. A suspended
/// guardian cannot act in between.
fn kill_both((guardian, engine): (Pid, Pid)) {
    for (pid, signal) in [
        (guardian, Signal::SIGSTOP),
        (engine, Signal::SIGKILL),
        (guardian, Signal::SIGKILL),
    ] {
        kill(pid, signal).expect("it runs");
    }
    let gone = eventually(|| {
        let is_there = |pid: Pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        (!is_there(guardian) && !is_there(engine)).then_some(())
    });
    assert!(gone.is_some(), "the engine is not gone");
}

/// Starts a process that resembles an orphan but is none: in another session,
/// without an environment, in the same working folder.
fn bystander(sandbox: &Sandbox) -> Running<'_> {
    let hidden = ["-i", "setsid", "-w", "sleep", "600"];
    sandbox.program("env").args(hidden).start()
}

#[test]
fn every_command_ends_orphans_without_an_environment() {
    let (sandbox, mark) = home();
    let bystander = bystander(&sandbox);
    for words in [
        "status",
        "run noop-0",
        "start snooze-0",
        "stop -f",
        "add noop more",
        "update snooze-0 --seconds=2",
        "set timeout snooze-0 --not-set",
        "snapshot out",
        "delete noop-0",
        "delete deserts-0",
    ] {
        sandbox.ansar(["start", "-f", "deserts-0"]).run().success();
        let session = orphan(&mark);
        kill_both(engine(&sandbox));
        let command = sandbox.ansar(words.split(' ')).run();
        command.success();
        let left = of_session(session);
        assert!(left.is_empty(), "`{words}` left {left:?}");
        let said = command.log("an earlier command was killed");
        assert_eq!(said.len(), 1, "{words}: {}", command.stderr);
    }
    sandbox.ansar(["stop", "-f"]).run().success();
    let sleeper = children_of(bystander.pid());
    assert_eq!(sleeper.len(), 1, "the bystander was hit");
    kill(Pid::from_raw(sleeper[0]), Signal::SIGKILL).expect("it runs");
    bystander.wait();
}

#[test]
fn orphans_are_ended_before_their_home_is_removed() {
    let (sandbox, mark) = home();
    sandbox.ansar(["start", "deserts-0"]).run().success();
    let session = orphan(&mark);
    kill_both(engine(&sandbox));
    let destroy = sandbox.ansar(["destroy"]).run();
    destroy
        .success()
        .stderr_has("an earlier command was killed");
    assert!(!sandbox.path().join(".ansar-home").exists());
    assert_eq!(of_session(session), BTreeSet::new());
    sandbox.is_still();
}

#[test]
fn orphans_of_an_engine_killed_during_a_stop() {
    for command in ["destroy", "delete"] {
        let (sandbox, mark) = home();
        let roles = ["start", "deserts-0", "stubborn-0"];
        sandbox.ansar(roles).run().success();
        let session = orphan(&mark);
        let removing = sandbox.ansar([command, "-f"]).start();
        // The role that ignores every signal delays the command.
        let deserts = eventually(|| {
            let all = sandbox.processes();
            let mut lines = all.values();
            let runs = lines.any(|line| line.contains("--role-name=deserts-0"));
            (!runs).then_some(())
        });
        assert!(deserts.is_some(), "the roles are not stopped");
        kill_both(engine(&sandbox));
        removing.wait().success();
        assert_eq!(of_session(session), BTreeSet::new());
        sandbox.is_still();
        let home = sandbox.path().join(".ansar-home");
        assert_eq!(home.exists(), command == "delete");
    }
}
