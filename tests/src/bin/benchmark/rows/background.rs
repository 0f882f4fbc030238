//! Many roles in the background: starting, listing and stopping them.

use std::fs;
use std::path::Path;
use std::process::Child;

use serde_json::Value;

use super::{MANY, MANY_PAIRS, PAIRS, same};
use crate::bare;
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

/// Pattern that matches all roles; they are named like tests.
const ALL: &str = "test-.*";

fn start(world: &World, home: &Path) {
    run(world.ansar(home).args(["start", ALL]));
}

fn stop(world: &World, home: &Path) {
    run(world.ansar(home).args(["stop", ALL]));
}

/// Starts the same roles bare, and waits until all listen for signals.
fn bare_start(world: &World, home: &Path) -> Vec<Child> {
    let children = bare::start_all(world, home, "zombie", MANY);
    let pids: Vec<u32> = children.iter().map(Child::id).collect();
    bare::wait_until_settled(&pids, "SigCgt");
    children
}

fn bare_stop(children: Vec<Child>) {
    bare::interrupt(&children);
    bare::finish(children);
}

/// Time until all roles are ready.
pub(crate) fn started(world: &World) -> Judged {
    let home = world.make_home("zombies", &same("zombie", MANY));
    let ours = || {
        let time = timed(|| start(world, &home));
        stop(world, &home);
        time
    };
    let bare = || {
        let mut children = Vec::new();
        let time = timed(|| children = bare_start(world, &home));
        bare_stop(children);
        time
    };
    interleaved(PAIRS, 1.5, ours, bare)
}

/// Time until all roles and their engine are gone.
pub(crate) fn stopped(world: &World) -> Judged {
    let home = world.make_home("zombies", &same("zombie", MANY));
    let ours = || {
        start(world, &home);
        timed(|| stop(world, &home))
    };
    let bare = || {
        let children = bare_start(world, &home);
        timed(|| bare_stop(children))
    };
    interleaved(PAIRS, 1.5, ours, bare)
}

/// A list of roles while all of them run, compared with a command that does
/// nothing. A list of so many is longer than other quiet output, so its budget
/// is larger.
pub(crate) fn listed(world: &World) -> Judged {
    let home = world.make_home("zombies", &same("zombie", MANY));
    start(world, &home);
    let ours = || timed(|| run(world.ansar(&home).arg("status")));
    let cargo = || timed(|| run(world.program(world.cargo()).arg("--version")));
    let judged = interleaved(MANY_PAIRS, 2.0, ours, cargo);
    stop(world, &home);
    judged
}

/// Sums `measure` over guardian and engine while all roles run.
fn of_both(world: &World, measure: impl Fn(u32) -> u64) -> u64 {
    let home = world.make_home("zombies", &same("zombie", MANY));
    start(world, &home);
    let status = world
        .ansar(&home)
        .args(["status", "--format", "json"])
        .output();
    let status = status.expect("the tool starts").stdout;
    let line = status.split(|byte| *byte == b'\n').next();
    let line: Value = serde_json::from_slice(line.unwrap_or_default()).expect("a role runs");
    let engine = u32::try_from(line["engine"].as_u64().unwrap_or(0)).expect("it is a process");
    let guardian = u32::try_from(bare::status(engine, "PPid", 10)).expect("it is a process");
    let found = measure(engine) + measure(guardian);
    stop(world, &home);
    found
}

/// Peak memory of guardian and engine.
#[expect(clippy::cast_precision_loss, reason = "a machine has less memory")]
pub(crate) fn memory(world: &World) -> Judged {
    let most = of_both(world, |pid| bare::status(pid, "VmHWM", 10)) as f64 / 1024.0;
    Judged {
        ours: most,
        yardstick: most,
        ratio: most,
        budget: 30.0,
        unit: "MB",
    }
}

/// File descriptors of guardian and engine, compared with the number of roles.
#[expect(clippy::cast_precision_loss, reason = "there are less descriptors")]
pub(crate) fn descriptors(world: &World) -> Judged {
    let count = of_both(world, |pid| {
        let all = fs::read_dir(format!("/proc/{pid}/fd"));
        all.map_or(0, |all| all.count() as u64)
    });
    Judged {
        ours: count as f64,
        yardstick: MANY as f64,
        ratio: count as f64 / MANY as f64,
        budget: 6.2,
        unit: "fd",
    }
}
