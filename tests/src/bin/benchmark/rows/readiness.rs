//! Many programs that are ready when they listen.

use std::fs;
use std::io::{BufRead, BufReader};

use jiff::Timestamp;
use serde_json::Value;
use tests::executable;

use super::MANY;
use crate::bare;
use crate::compare::{Judged, median};
use crate::world::World;

/// Time between the start of a program and its listening. The last one listens
/// after all are started.
const AFTER_MS: u64 = 500;

/// One run of many programs, until all are ready.
struct Run {
    /// Processor time of the engine until then, in milliseconds.
    processor: f64,
    /// Time between the listening and the readiness of each, in milliseconds.
    latencies: Vec<f64>,
}

/// Runs programs whose probe is `ready`.
fn run(world: &World, ready: &str) -> Run {
    let notes = world.root().join("notes");
    fs::create_dir_all(&notes).expect("the workspace can be written");
    let program = executable("serves").display();
    let roles = format!(
        "tests = \"test-.*\"\n[workspace.metadata.ansar.role.\"test-{{number}}\"]\n\
         program = \"{program}\"\ncount = {MANY}\nready = \"{ready}\"\n\
         args = [\"{{address}}\", \"--after\", \"{AFTER_MS}\", \"--note\", \"{}/{{role}}\"]\n",
        notes.display()
    );
    let home = world.make_home(&format!("listen-{ready}"), &roles);
    let mut command = world.ansar(&home);
    let mut guardian = command
        .args(["run", "--format", "json"])
        .spawn()
        .expect("the tool starts");
    let events = BufReader::new(guardian.stdout.take().expect("stdout is a pipe"));
    let mut ready_at = Vec::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(&line.expect("it is text")).expect("it is JSON");
        if event["event"] == "ready" {
            let at: Timestamp = serde_json::from_value(event["at"].clone()).expect("it is a time");
            ready_at.push((event["role"].as_str().unwrap_or_default().to_owned(), at));
        }
        if ready_at.len() == MANY {
            break;
        }
    }
    assert_eq!(ready_at.len(), MANY, "all are ready");
    let engine = bare::children(guardian.id())[0];
    let processor = processor(engine);
    let latencies = ready_at.into_iter().filter_map(|(role, at)| {
        let listened: i128 = fs::read_to_string(notes.join(role)).ok()?.parse().ok()?;
        Some(milliseconds(at.as_nanosecond() - listened))
    });
    let latencies = latencies.collect();
    bare::signal(guardian.id());
    guardian.wait_with_output().expect("it ends");
    fs::remove_dir_all(notes).expect("the workspace can be written");
    Run {
        processor,
        latencies,
    }
}

/// Returns the processor time of a process, in milliseconds.
fn processor(pid: u32) -> f64 {
    let times = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("it runs");
    let time = times.split(' ').next().unwrap_or_default();
    milliseconds(time.parse().expect("it is a number"))
}

#[expect(clippy::cast_precision_loss, reason = "these times are short")]
fn milliseconds(nanoseconds: i128) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Pairs to take the median of. The processor time of an engine that starts
/// many programs varies much more than that of its probes, so one run of each
/// says nothing.
const PAIRS: usize = 9;
/// Runs to take the median of.
const RUNS: usize = 3;

/// Processor time of the engine for readiness: the difference from programs
/// that are ready once they have started, pair by pair. The budget limits it.
pub(crate) fn processor_time(world: &World) -> Judged {
    let pair = |_| {
        (
            run(world, "listen").processor,
            run(world, "started").processor,
        )
    };
    let pairs: Vec<(f64, f64)> = (0..PAIRS).map(pair).collect();
    Judged {
        ours: median(pairs.iter().map(|(listen, _)| *listen)),
        yardstick: median(pairs.iter().map(|(_, started)| *started)),
        ratio: median(pairs.iter().map(|(listen, started)| listen - started)),
        budget: 100.0,
        unit: "ms",
    }
}

/// Median time between the listening and the readiness of a program.
pub(crate) fn latency(world: &World) -> Judged {
    let latency = median((0..RUNS).map(|_| median(run(world, "listen").latencies.into_iter())));
    Judged {
        ours: latency,
        yardstick: latency,
        ratio: latency,
        budget: 10.0,
        unit: "ms",
    }
}
