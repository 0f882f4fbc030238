//! One process of a test executable, with everything that it starts.

use std::io;
use std::time::{Duration, Instant};

use crate::host::clock;
use crate::host::process::signal;
use crate::host::process::signal::Signal;
use crate::host::process::{Exit, Pipe, Process, Program, StderrMode};

/// Longest line, in bytes; a longer one is cut in two.
const LONGEST: usize = 64 << 10;
/// Number of bytes read at once.
const READ_SIZE: usize = 16 << 10;
/// Maximum number of reads after the exit. The pipe may be held open, and filled,
/// by a process that left the group.
const LAST_READS: usize = 64;

/// Time in which most processes of one test end.
pub(super) const UNREAD: Duration = Duration::from_millis(5);

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// The exit; `None` if it was killed at its time limit.
    pub(super) exit: Option<Exit>,
    /// The duration.
    pub(super) elapsed: Duration,
}

/// The time limits of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Limits {
    /// Time after which it is killed.
    pub(super) most: Option<Duration>,
    /// True if output begins the time anew.
    pub(super) output_counts: bool,
    /// Time at the beginning in which the output is not read. Most tests end
    /// earlier, and their output is then read at once, not in pieces.
    pub(super) unread: Duration,
}

/// Runs a program to its end, and passes each line of its output, stdout and
/// stderr joined, to `line`. Then, everything that is left of its process group
/// is killed. Dropping the future kills the group, too.
///
/// `slow` is passed the time, now and then, and returns the time at which it wants
/// to be called again at the latest.
pub(super) async fn run(
    program: &Program,
    limits: Limits,
    mut line: impl FnMut(&[u8]),
    mut slow: impl FnMut(Instant) -> Option<Instant>,
) -> io::Result<Ended> {
    let begun = clock::instant();
    let mut process = Process::start(program, StderrMode::Joined).await?;
    let mut lines = Lines::default();
    let mut since = begun;
    let mut buffer = vec![0; READ_SIZE];
    let mut exit = None;
    if !limits.unread.is_zero() {
        let ended = tokio::time::timeout(limits.unread, process.end.wait()).await;
        exit = ended.ok().transpose()?;
    }
    let exit = loop {
        if exit.is_some() {
            break exit;
        }
        let deadline = limits.most.map(|most| since + most);
        let wake = deadline.into_iter().chain(slow(clock::instant())).min();
        let timer = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ready = process.stdout.wait(), if !lines.is_over => {
                ready?;
                let read = process.stdout.read(&mut buffer)?;
                lines.take(read, &buffer, &mut line);
                if limits.output_counts {
                    since = clock::instant();
                }
            }
            exit = process.end.wait() => break Some(exit?),
            () = timer => {
                if deadline.is_some_and(|at| at <= clock::instant()) {
                    break None;
                }
            }
        }
    };
    // A group that is gone needs no signal.
    let _ = signal::send_to_group(process.pid(), Signal::Kill);
    if exit.is_none() {
        process.end.wait().await?;
    }
    lines.drain(&process.stdout, &mut buffer, &mut line)?;
    Ok(Ended {
        exit,
        elapsed: clock::instant() - begun,
    })
}

/// Splits an output into lines.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
    /// True if all writers have closed the pipe.
    is_over: bool,
}

impl Lines {
    fn take(&mut self, read: Option<usize>, buffer: &[u8], line: &mut impl FnMut(&[u8])) {
        let Some(length) = read else {
            return;
        };
        self.is_over = length == 0;
        for piece in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n");
            self.partial.extend_from_slice(text.unwrap_or(piece));
            if text.is_some() || self.partial.len() > LONGEST {
                line(&self.partial);
                self.partial.clear();
            }
        }
    }

    /// Takes the rest of the output.
    fn drain(
        &mut self,
        pipe: &Pipe,
        buffer: &mut [u8],
        line: &mut impl FnMut(&[u8]),
    ) -> io::Result<()> {
        for _ in 0..LAST_READS {
            if self.is_over {
                break;
            }
            match pipe.read_now(buffer)? {
                None => break,
                read => self.take(read, buffer, line),
            }
        }
        if !self.partial.is_empty() {
            line(&self.partial);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_from_pieces() {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for piece in ["one\ntw", "o\n", "", "three"] {
            let mut add = |line: &[u8]| all.push(String::from_utf8(line.to_vec()).unwrap());
            lines.take(Some(piece.len()), piece.as_bytes(), &mut add);
        }
        assert_eq!(all, ["one", "two"]);
        assert_eq!(lines.partial, b"three");
    }
}
