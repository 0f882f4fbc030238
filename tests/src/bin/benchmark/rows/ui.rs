//! The terminal interface of many roles that log much: its costs, and those for
//! the roles. And the costs of the progress of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tests::{Screen, eventually, executable};

use super::{MANY, same};
use crate::bare;
use crate::compare::{Judged, interleaved, median};
use crate::world::{World, run};

/// Pattern that matches all roles; they are named like tests.
const ALL: &str = "test-.*";
/// Lines of each role in a second: 10,000 of all.
const LINES: usize = 20;
/// Time of a measurement.
const WINDOW: Duration = Duration::from_secs(10);
/// Keys to take the median of.
const KEYS: usize = 20;
/// Pairs of runs with and without progress.
const PAIRS: usize = 20;
/// Columns and rows of the terminal.
const SIZE: (u16, u16) = (200, 60);

/// Many roles that log much, while the interface shows them or not.
struct Busy<'w> {
    world: &'w World,
    home: PathBuf,
}

impl<'w> Busy<'w> {
    /// Starts the roles.
    fn start(world: &'w World) -> Self {
        let program = executable("logs").display();
        let roles = format!(
            "tests = \"test-.*\"\n[workspace.metadata.ansar.role.\"test-{{number}}\"]\n\
             program = \"{program}\"\ncount = {MANY}\nargs = [\"{LINES}\"]\n\
             storage = 1048576\n"
        );
        let home = world.make_home("busy", &roles);
        run(world.ansar(&home).args(["start", ALL]));
        Self { world, home }
    }

    /// Starts the interface, and waits until it follows the logs.
    fn shown(&self) -> (Screen<'w>, u32) {
        let screen = self.world.screen(&self.home, &["ui"], SIZE);
        screen.wait_for("test-0");
        screen.wait_for("GET /orders/");
        let draws = eventually(|| self.world.draws());
        (screen, draws.expect("the interface runs"))
    }

    /// Returns the number of lines that the roles log in [`WINDOW`].
    fn logged(&self) -> u64 {
        let before = self.stored();
        thread::sleep(WINDOW);
        self.stored() - before
    }

    /// Returns the number of lines that all roles have printed so far, which the
    /// last line of each log has.
    fn stored(&self) -> u64 {
        let mut sum = 0;
        for number in 0..MANY {
            let folder = self.home.join(format!("logs/test-{number}"));
            sum += last_number(&folder).unwrap_or_default();
        }
        sum
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        run(self.world.ansar(&self.home).args(["stop", ALL]));
    }
}

/// Returns the number in the last line of a log.
fn last_number(folder: &Path) -> Option<u64> {
    let segments = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let last = segments.map(|segment| segment.path()).max()?;
    let text = fs::read_to_string(last).ok()?;
    let mut lines = text.lines().rev();
    lines.find_map(|line| {
        let (_, rest) = line.split_once("GET /orders/")?;
        rest.split(' ').next()?.parse().ok()
    })
}

/// Returns the processor time of all threads of a process.
fn processor(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let times = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}

/// Processor time of the interface, as a share of one core.
pub(crate) fn share(world: &World) -> Judged {
    let busy = Busy::start(world);
    let (screen, pid) = busy.shown();
    let (begun, before) = (Instant::now(), processor(pid));
    thread::sleep(WINDOW);
    let (took, used) = (begun.elapsed(), processor(pid).saturating_sub(before));
    quit(screen);
    Judged {
        ours: used.as_secs_f64() * 1e3,
        yardstick: took.as_secs_f64() * 1e3,
        ratio: used.as_secs_f64() / took.as_secs_f64(),
        budget: 0.15,
        unit: "ms",
    }
}

/// Memory of the interface, after it has followed the logs for a while.
#[expect(clippy::cast_precision_loss, reason = "this is not much memory")]
pub(crate) fn memory(world: &World) -> Judged {
    let busy = Busy::start(world);
    let (screen, pid) = busy.shown();
    thread::sleep(WINDOW);
    let megabytes = bare::status(pid, "VmHWM", 10) as f64 / 1024.0;
    quit(screen);
    Judged {
        ours: megabytes,
        yardstick: megabytes,
        ratio: megabytes,
        budget: 60.0,
        unit: "MB",
    }
}

/// Median time from a key to what it shows.
pub(crate) fn key(world: &World) -> Judged {
    let busy = Busy::start(world);
    let (mut screen, _) = busy.shown();
    let times: Vec<f64> = (0..KEYS).map(|_| pressed(&mut screen)).collect();
    quit(screen);
    let time = median(times.into_iter());
    Judged {
        ours: time,
        yardstick: time,
        ratio: time,
        budget: 50.0,
        unit: "ms",
    }
}

/// Returns the time from a key to the list of keys, in milliseconds, and leaves
/// that list.
fn pressed(screen: &mut Screen<'_>) -> f64 {
    let begun = Instant::now();
    screen.types("?");
    while !screen.text().contains(" Keys ") {
        thread::yield_now();
    }
    let time = begun.elapsed();
    screen.types("?");
    screen.wait_until("end of the list", |text| !text.contains(" Keys "));
    time.as_secs_f64() * 1e3
}

/// Lines that the roles log without the interface, compared with those beside
/// it.
#[expect(clippy::cast_precision_loss, reason = "these are not many lines")]
pub(crate) fn roles(world: &World) -> Judged {
    let busy = Busy::start(world);
    let alone = busy.logged() as f64;
    let (screen, _) = busy.shown();
    let beside = busy.logged() as f64;
    quit(screen);
    Judged {
        ours: beside / 1e3,
        yardstick: alone / 1e3,
        ratio: alone / beside,
        budget: 1.02,
        unit: "k",
    }
}

fn quit(mut screen: Screen<'_>) {
    screen.types("q");
    assert_eq!(screen.wait(), 0);
}

/// Processor time of a run of many roles with a bar, compared with that without
/// progress.
pub(crate) fn progress(world: &World) -> Judged {
    let home = world.make_home("progress", &same("noop", MANY));
    let run = |form: &'static str| {
        let (world, home) = (world, &home);
        move || {
            let before = of_children();
            run(world.ansar(home).args(["run", "--progress", form]));
            of_children().saturating_sub(before)
        }
    };
    interleaved(PAIRS, 1.01, run("bar"), run("never"))
}

/// Returns the processor time of all processes that were waited for.
fn of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is known");
    let time = usage.user_time() + usage.system_time();
    Duration::from_micros(time.num_microseconds().unsigned_abs())
}
