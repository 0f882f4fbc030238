//! A program that logs a number of lines each second, for the benchmark.
//!
//! `logs LINES`
//!
//! It never falls behind for ever: what it could not write in time, it writes
//! later.

#![expect(
    clippy::disallowed_methods,
    reason = "it is a program of its own, with a real clock"
)]

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    let lines = std::env::args().nth(1).and_then(|lines| lines.parse().ok());
    let lines: u32 = lines.ok_or(io::ErrorKind::InvalidInput)?;
    let pause = Duration::from_secs(1) / lines;
    let mut next = Instant::now();
    for number in 0_u64.. {
        let line = format!("GET /orders/{number} 200 in 3 ms, {} bytes\n", 7 * number);
        io::stdout().write_all(line.as_bytes())?;
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
