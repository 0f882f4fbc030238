//! Engines that are suspended or do not answer.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use nix::sys::ptrace;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use tests::{Running, Sandbox, Signal, eventually};

use super::{
    WAITS, ansar, appears, component, engine, engine_below, home_of, home_with, is_quiet, state,
};

/// Returns the process of a role.
fn process_of(sandbox: &Sandbox, role: &str) -> Option<i32> {
    let name = format!(" --role-name={role} ");
    let all = sandbox.processes().into_iter();
    let mut all = all.filter(|(_, command)| format!("{command} ").contains(&name));
    all.next().map(|(pid, _)| pid)
}

#[test]
fn stopping_one_role_of_a_suspended_engine() {
    let sandbox = home_with(&["zombie", "hangs"]);
    ansar(&sandbox, "start").success();
    let other = process_of(&sandbox, "hangs-0").expect("it runs");
    let engine = Pid::from_raw(i32::try_from(engine(&sandbox)).expect("it is a process"));
    kill(engine, Signal::SIGSTOP).expect("it runs");
    ansar(&sandbox, "stop zombie-0").success();
    assert_eq!(process_of(&sandbox, "zombie-0"), None);
    assert_eq!(process_of(&sandbox, "hangs-0"), Some(other));
    // Also if the role is restarted.
    kill(engine, Signal::SIGSTOP).expect("it runs");
    ansar(&sandbox, "restart hangs-0").success();
    assert_ne!(process_of(&sandbox, "hangs-0"), Some(other));
    ansar(&sandbox, "stop -f").success();
    sandbox.is_still();
}

#[test]
fn a_suspended_guardian_ends_with_its_engine() {
    for words in ["stop", "destroy -f"] {
        let sandbox = home_with(&["zombie"]);
        ansar(&sandbox, "start").success();
        let engine = engine(&sandbox);
        let status = std::fs::read_to_string(format!("/proc/{engine}/status"));
        let status = status.expect("the engine runs");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        let guardian = parent.and_then(|pid| pid.trim().parse().ok());
        let guardian = Pid::from_raw(guardian.expect("it has a parent"));
        kill(guardian, Signal::SIGSTOP).expect("it runs");
        ansar(&sandbox, words).success();
        sandbox.is_still();
    }
}

#[test]
fn stopping_one_role_of_a_suspended_command() {
    let sandbox = home_with(&["zombie", "hangs"]);
    let run = sandbox.ansar(["run", "-v"]).start();
    run.wait_for("Ready zombie-0");
    run.wait_for("Ready hangs-0");
    run.signal(Signal::SIGTSTP);
    let engine = engine_below(run.pid());
    let stopped = eventually(|| (state(engine) == Some('T')).then_some(()));
    assert!(stopped.is_some(), "{:?}", state(engine));
    ansar(&sandbox, "stop zombie-0").success();
    assert!(process_of(&sandbox, "hangs-0").is_some());
    run.signal(Signal::SIGCONT);
    run.signal(Signal::SIGINT);
    run.wait().code(130);
    sandbox.is_still();
}

#[test]
fn other_roles_of_a_stuck_engine_need_force() {
    let sandbox = home_with(&["zombie", "hangs"]);
    ansar(&sandbox, "start").success();
    let socket = format!(".ansar-home/engine/{}.sock", engine(&sandbox));
    // As many connections as it serves at one time.
    let wait = "{\"version\": 1, \"ask\": \"wait\", \"roles\": [\"hangs-0\"], \
                \"until\": \"stopped\"}\n";
    let talks = (0..128).map(|_| {
        let talk = UnixStream::connect(sandbox.path().join(&socket));
        let mut talk = talk.expect("it listens");
        talk.write_all(wait.as_bytes()).expect("it reads");
        talk
    });
    let talks: Vec<UnixStream> = talks.collect();
    ansar(&sandbox, "stop zombie-0")
        .code(104)
        .stderr_has("does not answer; ending it would also stop `hangs-0`")
        .stderr_has("hint: ")
        .stderr_has("`-f`");
    assert!(process_of(&sandbox, "zombie-0").is_some());
    assert!(process_of(&sandbox, "hangs-0").is_some());
    let forced = ansar(&sandbox, "stop -f zombie-0");
    forced.success().stderr_has("Stopped 2 roles");
    drop(talks);
    is_quiet(&sandbox);
}

/// Starts a command that runs a role; returns it with its engine.
fn running(sandbox: &Sandbox) -> (Running<'_>, Pid) {
    let run = sandbox.ansar(["run"]).start();
    run.wait_for("Running");
    let engine = engine_below(run.pid());
    let role = eventually(|| process_of(sandbox, "waits-0"));
    assert!(role.is_some(), "the role runs");
    (run, Pid::from_raw(engine))
}

#[test]
fn signals_reach_a_suspended_engine() {
    let all = [
        (Signal::SIGINT, 130),
        (Signal::SIGQUIT, 131),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ];
    let homes: Vec<_> = all.iter().map(|_| home_of(&[("waits", WAITS)])).collect();
    let stopped = homes.iter().zip(all).map(|(sandbox, (signal, code))| {
        let (run, engine) = running(sandbox);
        kill(engine, Signal::SIGSTOP).expect("it runs");
        run.signal(signal);
        (sandbox, run, engine, code)
    });
    for (sandbox, run, engine, code) in stopped.collect::<Vec<_>>() {
        let line = format!("warning: the engine (process {engine}) is suspended; continuing it");
        run.wait().code(code).stderr_has(&line);
        sandbox.is_still();
    }
}

#[test]
fn a_suspended_engine_may_continue_by_itself() {
    let sandbox = home_of(&[("waits", WAITS)]);
    let (run, engine) = running(&sandbox);
    kill(engine, Signal::SIGSTOP).expect("it runs");
    run.signal(Signal::SIGINT);
    kill(engine, Signal::SIGCONT).expect("it is stopped");
    run.wait().code(130).stderr_lacks("is suspended");
    sandbox.is_still();
}

#[test]
fn an_engine_is_suspended_with_its_command() {
    let sandbox = home_of(&[("waits", WAITS)]);
    let (run, engine) = running(&sandbox);
    kill(engine, Signal::SIGSTOP).expect("it runs");
    run.signal(Signal::SIGTSTP);
    let command = i32::try_from(run.pid()).expect("it is a process");
    let suspended = eventually(|| (state(command) == Some('T')).then_some(()));
    assert!(suspended.is_some(), "{:?}", state(command));
    run.signal(Signal::SIGCONT);
    run.signal(Signal::SIGINT);
    run.wait().code(130);
    sandbox.is_still();
}

#[test]
fn an_engine_that_cannot_be_continued_is_killed() {
    let sandbox = home_of(&[("waits", WAITS)]);
    let (run, engine) = running(&sandbox);
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    // Tracing is bound to one thread.
    let tracer = thread::spawn(move || {
        let is_held = ptrace::attach(engine).is_ok() && waitpid(engine, None).is_ok();
        tell.send(is_held).expect("it is waited for");
        let _ = released.recv();
        is_held.then(|| waitpid(engine, None))
    });
    if !told.recv().expect("it tells") {
        // Tracing is not permitted here.
        run.signal(Signal::SIGINT);
        run.wait().code(130);
        return;
    }
    run.signal(Signal::SIGTERM);
    let killing = format!("(process {engine}) cannot be continued: it is traced by process ");
    run.wait_for(&killing);
    // The process is reaped after the tracer has seen its exit.
    let output = run.wait();
    output
        .code(137)
        .stderr_has("cannot be killed: it is traced by process ");
    drop(release);
    let killed = WaitStatus::Signaled(engine, Signal::SIGKILL, false);
    assert_eq!(tracer.join().expect("it ends"), Some(Ok(killed)));
    is_quiet(&sandbox);
}

/// The kernel sends no SIGHUP to a suspended process below a subreaper of its
/// session: its group is not orphaned.
#[test]
fn a_killed_suspended_command_below_a_subreaper() {
    for stop in ["kill -TSTP $p", "kill -STOP $(cat engine)"] {
        let sandbox = home_of(&[("waits", WAITS)]);
        let state = "until grep -q 'State:.T' /proc/$(cat engine)/status; do sleep 0.05; done";
        component(
            &sandbox,
            "outer",
            &format!(
                "$ANSAR ansar --home-path=.ansar-home run waits-0 & p=$!\n\
                 until e=$(pgrep -P $p) && pgrep -P $e > /dev/null; do sleep 0.05; done\n\
                 echo $e > engine; {stop}; {state}\n\
                 kill -KILL $p; touch killed; exec sleep 600"
            ),
        );
        let outer = ["create", "--redirect-bin=bin", "outer"];
        sandbox.ansar(outer).run().success();
        let at = |words: &str| sandbox.ansar(["--home-path=outer"]).args(words.split(' '));
        at("add outer").run().success();
        let ansar = tests::executable("cargo-ansar");
        let run = at("run").env("ANSAR", ansar).start();
        appears(&sandbox, "killed");
        let gone = eventually(|| process_of(&sandbox, "waits-0").is_none().then_some(()));
        assert!(gone.is_some(), "{stop}: {:?}", sandbox.processes());
        run.signal(Signal::SIGINT);
        run.wait().code(130);
        is_quiet(&sandbox);
    }
}
