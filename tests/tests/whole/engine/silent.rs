//! Engines that are stopped or do not answer.

use std::io::Write;
use std::os::unix::net::UnixStream;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Sandbox, Signal, eventually};

use super::{
    WAITS, ansar, appears, component, engine, engine_below, home_of, home_with, is_quiet, state,
};

/// The processes of roles, by role.
fn process_of(sandbox: &Sandbox, role: &str) -> Option<i32> {
    let name = format!(" --role-name={role} ");
    let all = sandbox.processes().into_iter();
    let mut all = all.filter(|(_, command)| format!("{command} ").contains(&name));
    all.next().map(|(pid, _)| pid)
}

#[test]
fn one_role_of_a_stopped_engine_is_stopped_and_the_others_run_on() {
    let sandbox = home_with(&["zombie", "hangs"]);
    ansar(&sandbox, "start").success();
    let other = process_of(&sandbox, "hangs-0").expect("it runs");
    let engine = Pid::from_raw(engine(&sandbox).cast_signed());
    kill(engine, Signal::SIGSTOP).expect("it runs");
    ansar(&sandbox, "stop zombie-0").success();
    assert_eq!(process_of(&sandbox, "zombie-0"), None);
    assert_eq!(process_of(&sandbox, "hangs-0"), Some(other));
    // Also where it is to come up again.
    kill(engine, Signal::SIGSTOP).expect("it runs");
    ansar(&sandbox, "restart hangs-0").success();
    assert_ne!(process_of(&sandbox, "hangs-0"), Some(other));
    ansar(&sandbox, "stop -f").success();
    sandbox.is_still();
}

#[test]
fn one_role_of_a_suspended_command_is_stopped() {
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
fn what_else_a_stuck_engine_runs_is_named_and_stopped_by_force_only() {
    let sandbox = home_with(&["zombie", "hangs"]);
    ansar(&sandbox, "start").success();
    let socket = format!(".ansar-home/engine/{}.sock", engine(&sandbox));
    // As many as it talks to at one time.
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

#[test]
fn signals_reach_a_stopped_engine() {
    let sandbox = home_of(&[("waits", WAITS)]);
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        let run = sandbox.ansar(["run"]).start();
        run.wait_for("Running");
        let engine = engine_below(run.pid());
        let role = eventually(|| process_of(&sandbox, "waits-0"));
        assert!(role.is_some(), "the role runs");
        kill(Pid::from_raw(engine), Signal::SIGSTOP).expect("it runs");
        run.signal(signal);
        run.wait().code(code);
        sandbox.is_still();
    }
}

/// What is stopped below a subreaper of its session hears of no end by the
/// kernel, as it is no orphaned group.
#[test]
fn a_stopped_command_that_is_killed_leaves_nothing_below_a_subreaper() {
    for stop in ["kill -TSTP $p", "kill -STOP $(cat engine)"] {
        let sandbox = home_of(&[("waits", WAITS)]);
        let state = "until grep -q 'State:.T' /proc/$(cat engine)/status; do sleep 0.05; done";
        component(
            &sandbox,
            "outer",
            &format!(
                "$ANSAR ansar --home-path=.ansar-home run waits-0 & p=$!\n\
                 until pgrep -f -- '--role-name=waits-0' > /dev/null; do sleep 0.05; done\n\
                 pgrep -P $p > engine; {stop}; {state}\n\
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
