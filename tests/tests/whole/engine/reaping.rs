//! Reaping of orphans, and memory that does not grow.

use tests::{Sandbox, children_of, eventually};

use super::{
    WAITS, ansar, appears, component, engine, engine_below, home_of, is_quiet, number, state,
};
use tests::Signal;

/// Script that leaves fifty orphans that exit at once, some in sessions of
/// their own.
const ORPHANS: &str = "i=0; while [ $i -lt 50 ]; do (sh -c 'exit 0' &); (setsid true &); \
                       i=$((i+1)); done; touch done";

/// Waits until one child of a process is left, the one that lives.
#[track_caller]
fn has_one_child(process: u32) {
    let mut children = Vec::new();
    let one = eventually(|| {
        children = children_of(process);
        (children.len() == 1 && state(children[0]) != Some('Z')).then_some(())
    });
    assert!(one.is_some(), "{} children", children.len());
}

#[test]
fn exited_orphans_are_reaped_in_the_background() {
    let sandbox = home_of(&[("leaves", &format!("{ORPHANS}; {WAITS}"))]);
    ansar(&sandbox, "start --no-wait").success();
    appears(&sandbox, "done");
    has_one_child(engine(&sandbox));
    ansar(&sandbox, "stop").success();
    sandbox.is_still();
}

#[test]
fn exited_orphans_are_reaped_in_the_foreground() {
    let sandbox = home_of(&[("leaves", &format!("{ORPHANS}; {WAITS}"))]);
    let run = sandbox.ansar(["run"]).start();
    appears(&sandbox, "done");
    has_one_child(engine_below(run.pid()).unsigned_abs());
    run.signal(Signal::SIGTERM);
    run.wait().code(143);
    sandbox.is_still();
}

#[test]
fn reaping_orphans_keeps_exit_codes_of_roles() {
    let sandbox = home_of(&[]);
    component(&sandbox, "leaves", &format!("{ORPHANS}; exit 3"));
    ansar(&sandbox, "add leaves --count=12").success();
    let run = ansar(&sandbox, "run");
    run.code(1);
    let completed = run.json()["value"][1]["completed"].clone();
    let completed = completed.as_array().expect("it is a list");
    assert_eq!(completed.len(), 12);
    for role in completed {
        let condition = role[1][1]["condition"].as_str().unwrap_or_default();
        assert!(condition.starts_with("exited with code 3"), "{role}");
    }
    sandbox.is_still();
}

#[test]
fn the_guardian_reaps_inherited_orphans() {
    let sandbox = home_of(&[("waits", WAITS)]);
    let script = "(sh -c 'until [ -e go ]; do sleep 0.05; done' & sleep 0.1); \
                  sh -c 'until [ -e go ]; do sleep 0.05; done' & exec cargo-ansar ansar run";
    let run = sandbox.shell(script).start();
    run.wait_for("Running");
    let both = eventually(|| (children_of(run.pid()).len() == 2).then_some(()));
    assert!(both.is_some(), "{:?}", children_of(run.pid()));
    sandbox.write("go", "");
    has_one_child(run.pid());
    run.signal(Signal::SIGTERM);
    run.wait().code(143);
    is_quiet(&sandbox);
}

/// Returns the number of restarts of roles.
fn restarts(sandbox: &Sandbox) -> u64 {
    let status = ansar(sandbox, "status --format json");
    let lines = status.json_lines().into_iter();
    lines.filter_map(|line| line["restarts"].as_u64()).sum()
}

#[test]
fn memory_does_not_grow_with_restarts() {
    let sandbox = home_of(&[]);
    component(&sandbox, "crashes", "exit 3");
    ansar(&sandbox, "add crashes --count=8").success();
    let again = r#"{"value": {"first_steps": [0.01], "regular_steps": 0.01}}"#;
    for (property, value) in [("restart", r#"{"value": "always"}"#), ("retry", again)] {
        let set = sandbox.ansar(["set", property, "crashes-.*"]).stdin(value);
        set.run().success();
    }
    ansar(&sandbox, "start --no-wait").success();
    let after = |count: u64| eventually(|| Some(restarts(&sandbox)).filter(|it| *it >= count));
    let first = after(400).expect("they are started again");
    let engine = engine(&sandbox);
    let before = number(engine, "VmRSS:");
    let last = after(first + 1_000).expect("they are started again");
    let grown = number(engine, "VmRSS:").saturating_sub(before);
    let each = grown * 1024 / (last - first);
    assert!(each < 700, "{each} bytes per restart");
    ansar(&sandbox, "stop -f").success();
    sandbox.is_still();
}
