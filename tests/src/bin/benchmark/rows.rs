//! The rows, and the measurement of each.

mod background;
mod compile;
mod deploy;
mod fresh;
mod log;
mod orders;
mod readiness;
mod save;
mod targets;
mod throughput;
mod ui;

use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::bare::{self, Ready};
use crate::compare::{Judged, interleaved, judge, timed};
use crate::tree::tree;
use crate::world::{World, run};

/// One row of the benchmark.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Runs the measurement; `None` if the baseline's program is not installed.
    pub(crate) measure: fn(&World) -> Option<Judged>,
}

/// Every row, in the order of measurement.
pub(crate) const ROWS: &[Row] = &[
    row("loop-1", |world| Some(unchanged_loop(world, 1))),
    row("loop-40", |world| Some(unchanged_loop(world, 40))),
    row("loop-500", |world| Some(unchanged_loop(world, MANY))),
    row("save", |world| Some(save::row(world))),
    row("roles-500", |world| Some(roles(world))),
    row("tests-500", one_check_tests),
    row("isolated-500", |world| {
        targets::row(world, "test-isolated", 0.5)
    }),
    row("shared-500", |world| {
        targets::row(world, "test-shared", 0.05)
    }),
    row("shards-1000", |world| Some(shards(world))),
    row("fresh", fresh::row),
    row("save-orders", orders::row),
    row("tree", |world| Some(tree(world))),
    row("quiet", |world| Some(quiet(world, &["list"]))),
    row("quiet-get", |world| {
        Some(quiet(world, &["get", "retry", "test-7"]))
    }),
    row("quiet-settings", |world| {
        Some(quiet(world, &["settings", "test-7"]))
    }),
    row("quiet-status", |world| Some(quiet(world, &["status"]))),
    row("memory", |world| Some(memory(world))),
    row("ladder", |world| Some(ladder(world))),
    row("stubborn", |world| Some(stubborn(world))),
    row("start-500", |world| Some(background::started(world))),
    row("status-500", |world| Some(background::listed(world))),
    row("stop-500", |world| Some(background::stopped(world))),
    row("start-memory", |world| Some(background::memory(world))),
    row("start-files", |world| Some(background::descriptors(world))),
    row("listen-cpu", |world| Some(readiness::processor_time(world))),
    row("listen-latency", |world| Some(readiness::latency(world))),
    row("log", |world| Some(log::row(world))),
    row("ui-cpu", |world| Some(ui::share(world))),
    row("ui-memory", |world| Some(ui::memory(world))),
    row("ui-key", |world| Some(ui::key(world))),
    row("ui-roles", |world| Some(ui::roles(world))),
    row("progress", |world| Some(ui::progress(world))),
    row("throughput", |world| Some(throughput::row(world))),
    row("deploy-1000", |world| Some(deploy::unchanged(world, 1_000))),
    row("deploy-100000", |world| {
        Some(deploy::unchanged(world, 100_000))
    }),
    row("compile", |world| Some(compile::row(world))),
    row("deploy-exe", |world| Some(deploy::executable(world))),
    row("deploy-model", |world| Some(deploy::model(world))),
];

const fn row(name: &'static str, measure: fn(&World) -> Option<Judged>) -> Row {
    Row { name, measure }
}

/// Finds a row by its name.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// Number of roles in the rows with many roles.
const MANY: usize = 500;
/// Pairs of measurements per row.
const PAIRS: usize = 10;
/// Pairs of measurements for short work.
const MANY_PAIRS: usize = 40;

/// Returns a manifest group of `count` equal roles, all of them tests.
fn same(executable: &str, count: usize) -> String {
    format!(
        "tests = \"test-.*\"\n[workspace.metadata.ansar.role.\"test-{{number}}\"]\n\
         executable = \"{executable}\"\ncount = {count}\n"
    )
}

/// A whole test run in which nothing has changed.
fn unchanged_loop(world: &World, clients: usize) -> Judged {
    let settings = "settings = { host = \"HOST\", port = 65432 }";
    let roles = format!(
        "snapshot = \"test-fixtures/testing\"\n{}{settings}\n\
         [workspace.metadata.ansar.role.server-0]\nexecutable = \"server\"\n{settings}\n\
         [workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n",
        same("client", clients)
    );
    let home = world.make_home(&format!("loop-{clients}"), &roles);
    let ours = || timed(|| run(&mut world.ansar_test(&home)));
    let bare = || {
        timed(|| {
            run(&mut world.cargo_build(&["client", "server", "zombie"]));
            let ready = Ready::listen(world);
            let operational: Vec<Child> = ["server-0", "zombie-0"]
                .into_iter()
                .map(|role| bare::serve(world, &home, role, ready.path()))
                .collect();
            ready.wait();
            bare::finish(bare::start_all(world, &home, "client", clients));
            bare::interrupt(&operational);
            bare::finish(operational);
        })
    };
    interleaved(
        if clients < 100 { MANY_PAIRS } else { PAIRS },
        1.10,
        ours,
        bare,
    )
}

/// Roles that do nothing.
fn roles(world: &World) -> Judged {
    let home = world.make_home("roles", &same("noop", MANY));
    let ours = || timed(|| run(world.ansar(&home).arg("run")));
    let bare = || timed(|| bare::finish(bare::start_all(world, &home, "noop", MANY)));
    interleaved(PAIRS, 1.5, ours, bare)
}

/// Test roles with one check each, compared with a runner of ordinary tests.
fn one_check_tests(world: &World) -> Option<Judged> {
    has_nextest()?;
    let home = world.make_home("tests", &same("prints", MANY));
    let rival = world.root().join("rival");
    fs::create_dir_all(rival.join("src")).expect("the workspace can be written");
    let manifest = "[package]\nname = \"rival\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(rival.join("Cargo.toml"), manifest).expect("the crate is written");
    let tests = (0..MANY).map(|number| format!("#[test]\nfn test_{number}() {{}}\n"));
    fs::write(rival.join("src/lib.rs"), tests.collect::<String>()).expect("the crate is written");
    let ours = || timed(|| run(&mut world.ansar_test(&home)));
    let nextest = || {
        let mut command = world.program("cargo-nextest");
        command.args(["nextest", "run"]).current_dir(&rival);
        timed(|| run(&mut command))
    };
    Some(interleaved(PAIRS, 0.5, ours, nextest))
}

/// Test roles that are divided over three agents, compared with one.
///
/// Their files are in memory: each run makes and removes thousands, and a file system
/// such as ext4, which skips the inodes of files that were removed a moment ago, then
/// takes several times as long as the run.
fn shards(world: &World) -> Judged {
    let home = world.make_home("shards", &same("prints", 1_000));
    let memory = tempfile::tempdir_in("/dev/shm").ok();
    let scratch = memory.as_ref().map(|folder| folder.path().join("agents"));
    let scratch = scratch.unwrap_or_else(|| world.root().join("agents"));
    let divided = |shards| {
        let mut test = world.ansar_test(&home);
        test.args(["--on", "local", "--shards", shards]);
        timed(|| run(test.env("ANSAR_SCRATCH", &scratch)))
    };
    interleaved(PAIRS, 2.0, || divided("3"), || divided("1"))
}

/// Returns `None` if the runner of ordinary tests is not installed.
fn has_nextest() -> Option<()> {
    let installed = Command::new("cargo-nextest")
        .args(["nextest", "--version"])
        .output();
    installed
        .ok()
        .filter(|output| output.status.success())
        .map(drop)
}

/// A command that neither builds nor waits.
fn quiet(world: &World, words: &[&str]) -> Judged {
    let home = world.make_home("quiet", &same("noop", 40));
    let ours = || timed(|| run(world.ansar(&home).args(words)));
    let cargo = || timed(|| run(world.program(world.cargo()).arg("--version")));
    interleaved(MANY_PAIRS, 1.5, ours, cargo)
}

/// Starts a command and waits for all its roles; returns the process and the
/// pids of engine and roles.
fn up(command: &mut Command, roles: usize, mask: &str) -> (Child, u32, Vec<u32>) {
    // Its output is not read while it runs, and is smaller than a pipe.
    let guardian = command.spawn().expect("the tool starts");
    let (engine, started) = all_started(guardian.id(), roles);
    bare::wait_until_settled(&started, mask);
    (guardian, engine, started)
}

/// Waits until the engine below a guardian runs so many roles.
fn all_started(guardian: u32, roles: usize) -> (u32, Vec<u32>) {
    loop {
        if let [engine] = *bare::children(guardian) {
            let started = bare::children(engine);
            if started.len() == roles {
                return (engine, started);
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Memory of the engine and its guardian while roles wait.
fn memory(world: &World) -> Judged {
    let home = world.make_home("zombies", &same("zombie", MANY));
    let (guardian, engine, _) = up(world.ansar(&home).arg("run"), MANY, "SigCgt");
    let both = [engine, guardian.id()];
    #[expect(clippy::cast_precision_loss, reason = "a machine has less memory")]
    let megabytes = |name| {
        let kilobytes = both.map(|pid| bare::status(pid, name, 10));
        kilobytes.iter().sum::<u64>() as f64 / 1024.0
    };
    let (now, most) = (megabytes("VmRSS"), megabytes("VmHWM"));
    bare::signal(guardian.id());
    guardian.wait_with_output().expect("it ends");
    Judged {
        ours: most,
        yardstick: now,
        ratio: most,
        budget: 30.0,
        unit: "MB",
    }
}

/// Stopping roles that stop when asked.
fn ladder(world: &World) -> Judged {
    let home = world.make_home("zombies", &same("zombie", MANY));
    let ours = || {
        let (guardian, ..) = up(world.ansar(&home).arg("run"), MANY, "SigCgt");
        timed(|| {
            bare::signal(guardian.id());
            guardian.wait_with_output().expect("it ends");
        })
    };
    let bare = || {
        let children = bare::start_all(world, &home, "zombie", MANY);
        let pids: Vec<u32> = children.iter().map(Child::id).collect();
        bare::wait_until_settled(&pids, "SigCgt");
        timed(|| {
            bare::interrupt(&children);
            bare::finish(children);
        })
    };
    interleaved(PAIRS, 1.5, ours, bare)
}

/// Stopping a role that ignores the request, compared with its grace period.
fn stubborn(world: &World) -> Judged {
    const GRACE: Duration = Duration::from_secs(5);
    let home = world.make_home("stubborn", &same("stubborn", 1));
    let ours: Vec<Duration> = (0..3)
        .map(|_| {
            let (guardian, ..) = up(world.ansar(&home).arg("run"), 1, "SigIgn");
            let begun = Instant::now();
            bare::signal(guardian.id());
            guardian.wait_with_output().expect("it ends");
            begun.elapsed()
        })
        .collect();
    judge(&ours, &[GRACE; 3], 1.02)
}
