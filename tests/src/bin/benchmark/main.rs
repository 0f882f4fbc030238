//! The benchmark: measures every row against its baseline and its budget.
//!
//! `cargo run --release -p tests --bin benchmark [ROW…]` prints one line per
//! row and exits with 1 if one misses its budget. A budget limits the ratio of
//! two measurements that take turns on one machine, never a time: a busy
//! machine disturbs both.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures real processes with a real clock, and prints what it found"
)]

mod bare;
mod compare;
mod rows;
mod tree;
mod world;

use std::process::{Command, ExitCode};

use compare::Judged;
use world::World;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|name| rows::find(name).is_none()) {
        let known: Vec<_> = rows::ROWS.iter().map(|row| row.name).collect();
        println!("no row `{unknown}`, expected one of {}", known.join(", "));
        return ExitCode::from(2);
    }
    let world = World::new();
    facts(&world);
    println!(
        "{:<14} {:>10} {:>10} {:>7} {:>8}",
        "row", "ours", "yardstick", "ratio", "budget"
    );
    let mut missed = false;
    for row in rows::ROWS {
        if !asked.is_empty() && !asked.iter().any(|name| name == row.name) {
            continue;
        }
        match (row.measure)(&world) {
            Some(judged) => {
                missed |= !judged.is_met();
                print(row.name, &judged);
            }
            None => println!("{:<14} skipped: its yardstick is not installed", row.name),
        }
    }
    ExitCode::from(u8::from(missed))
}

fn print(name: &str, judged: &Judged) {
    let Judged {
        ours,
        yardstick,
        ratio,
        budget,
        unit,
    } = judged;
    let verdict = if judged.is_met() { "ok" } else { "MISSED" };
    println!(
        "{name:<14} {ours:>7.1} {unit} {yardstick:>7.1} {unit} {ratio:>7.3} {budget:>8.2} {verdict}"
    );
}

/// Prints the conditions that the figures depend on.
fn facts(world: &World) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let said = |command: &mut Command| {
        let output = command.output().map(|output| output.stdout);
        let text = String::from_utf8_lossy(&output.unwrap_or_default()).into_owned();
        text.trim().to_owned()
    };
    println!(
        "{cores} cores, load {}, kernel {}, {}\n{}, {}\n",
        world::load(),
        said(Command::new("uname").arg("-r")),
        said(Command::new("date").arg("-Iseconds")),
        said(world.ansar(&world.home("none")).arg("--version")),
        said(Command::new(world.cargo()).arg("--version")),
    );
}
