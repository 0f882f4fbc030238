//! The task of one role process, until all of its processes have ended.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ansar_contract::notice::Notice;
use tokio::sync::mpsc;

use crate::events::Events;
use crate::host::clock;
use crate::host::process::fd_store::StoredPipe;
use crate::host::process::pipe::Peeking;
use crate::host::process::signal;
use crate::host::process::{End, Exit, Pipe};
use crate::supervisor::capture::Capture;
use crate::supervisor::judge;
use crate::supervisor::judge::{Finished, LARGEST_RESULT};
use crate::supervisor::orphans::Orphans;

/// Maximum number of reads per pipe after all processes of a role have ended.
const LAST_READS: usize = 64;
/// Time between checks for remaining processes of a role: at first, and later.
pub(crate) const RECHECK: Duration = Duration::from_millis(10);
const RECHECK_LATER: Duration = Duration::from_millis(200);
/// Number of checks at the first interval.
const FIRST_CHECKS: u32 = 1_000;

/// Maximum number of bytes of stdout that are logged if they are no message.
const LOGGED_STDOUT: usize = 64 * 1024;

/// Time without output after which an incomplete line is shown.
const PAUSE: Duration = Duration::from_millis(200);
/// Maximum time before an incomplete line is shown.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An event of a process, sent to the engine.
pub(crate) enum ChildEvent {
    /// The main process has exited; others of its group or orphans remain.
    MainExited(usize),
    /// A notification has arrived at the role's own socket.
    Noticed(usize, Notice),
    /// All processes have ended.
    Ended(usize, io::Result<Finished>),
}

/// Reads the pipes of a process until all processes of the role have ended.
pub(crate) struct ChildTask {
    pub(crate) member: usize,
    /// The pipe into the log.
    pub(crate) log: Pipe,
    /// The pipe of the result, if there is one.
    pub(crate) result: Option<Pipe>,
    pub(crate) end: End,
    pub(crate) capture: Capture,
    pub(crate) events: Events,
    /// Shared by all tasks: it is filled and emptied between two awaits.
    pub(crate) buffer: Rc<RefCell<Vec<u8>>>,
    pub(crate) orphans: Rc<RefCell<Orphans>>,
    pub(crate) child_events: mpsc::UnboundedSender<ChildEvent>,
    pub(crate) peeking: Rc<Peeking>,
    /// Number of bytes of an incomplete line left in the pipe.
    pub(crate) seen: usize,
    /// The beginning of an incomplete line, and the time at which to show it.
    pub(crate) incomplete: Option<(Instant, Instant)>,
    /// Lets the guardian complete the log if this engine is killed.
    pub(crate) _loan: Option<StoredPipe>,
}

impl ChildTask {
    /// Runs until all processes have ended, then sends [`ChildEvent::Ended`].
    pub(crate) async fn run(mut self) {
        let mut stdout = Vec::new();
        let exit = self.read(&mut stdout).await;
        self.capture.finish(clock::now(), &self.events);
        self.log_stdout(&stdout);
        let last = self.capture.into_last();
        let ended = exit.map(|exit| Finished { exit, stdout, last });
        // The engine may have ended.
        let _ = self
            .child_events
            .send(ChildEvent::Ended(self.member, ended));
    }

    async fn read(&mut self, result: &mut Vec<u8>) -> io::Result<Exit> {
        let (mut log, mut out) = (true, self.result.is_some());
        let (mut exit, mut checks) = (None, 0_u32);
        loop {
            let alive = exit.is_none();
            let pause = self.incomplete;
            let pause = async {
                match pause {
                    Some((_, until)) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                more = self.log.wait(), if log => {
                    more?;
                    log = self.pull_log(false)? != Some(0);
                }
                more = readable(self.result.as_ref()), if out => {
                    more?;
                    out = self.pull_result(Pipe::read, result)? != Some(0);
                }
                ended = self.end.wait(), if alive => exit = Some(ended?),
                () = pause, if log => self.show_incomplete()?,
                () = tokio::time::sleep(recheck(checks)), if !alive => {}
            }
            let Some(exit) = exit else {
                continue;
            };
            checks = checks.saturating_add(1);
            let since = clock::instant();
            if alive {
                // Processes that exit at the same time share one scan.
                tokio::task::yield_now().await;
            }
            // Scan for orphans first: this reaps adopted processes of the group
            // that have exited, which count as alive until then.
            let remains = self.orphans.borrow_mut().has_any(self.member, since)
                || signal::group_is_alive(self.end.pid());
            if remains && alive {
                let _ = self.child_events.send(ChildEvent::MainExited(self.member));
            }
            if !remains {
                // No process of the role writes any more: the pipes hold all
                // remaining output, even if other processes keep them open.
                for _ in 0..LAST_READS {
                    if self.pull_log(true)?.unwrap_or(0) == 0 {
                        break;
                    }
                }
                for _ in 0..LAST_READS {
                    if self.pull_result(Pipe::read_now, result)?.unwrap_or(0) == 0 {
                        break;
                    }
                }
                return Ok(exit);
            }
        }
    }

    /// Reads the log pipe. Returns the number of bytes, or `None` if the pipe
    /// is empty but open.
    fn pull_log(&mut self, is_last: bool) -> io::Result<Option<usize>> {
        let mut buffer = self.buffer.borrow_mut();
        let length = self.peeking.peek(&self.log, &mut buffer)?;
        let bytes = &buffer[..length.unwrap_or(0)];
        // Woken without new bytes: all writers have closed the pipe.
        let all = is_last || (bytes.len() == self.seen && !bytes.is_empty());
        let now = clock::now();
        let taken = self
            .capture
            .take_from(&self.log, bytes, all, now, &self.events)?;
        self.seen = bytes.len() - taken;
        if length.is_none() || self.seen > 0 {
            self.log.wait_for_more();
        }
        self.incomplete = if self.seen > 0 || self.capture.is_partial() {
            let now = clock::instant();
            let since = match self.incomplete {
                Some((since, _)) if taken == 0 => since,
                _ => now,
            };
            Some((since, (now + PAUSE).min(since + LONGEST_PAUSE)))
        } else {
            None
        };
        Ok(length)
    }

    /// Consumes an incomplete line to show it.
    fn show_incomplete(&mut self) -> io::Result<()> {
        self.pull_log(true)?;
        self.capture.pause(clock::now(), &self.events);
        self.incomplete = None;
        Ok(())
    }

    /// Writes the output on stdout to the log if it is no message, so that it
    /// is not lost.
    fn log_stdout(&mut self, stdout: &[u8]) {
        if stdout.is_empty() || judge::message(stdout).is_ok() {
            return;
        }
        let (now, logged) = (clock::now(), &stdout[..stdout.len().min(LOGGED_STDOUT)]);
        self.capture.take(logged, now, &self.events);
        self.capture.finish(now, &self.events);
        if logged.len() < stdout.len() {
            let more = stdout.len() - logged.len();
            let note = format!("({more} more bytes on stdout)");
            self.capture.take(note.as_bytes(), now, &self.events);
            self.capture.finish(now, &self.events);
        }
    }

    fn pull_result(&mut self, read: Read, result: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some(pipe) = &self.result else {
            return Ok(Some(0));
        };
        let mut buffer = self.buffer.borrow_mut();
        let length = read(pipe, &mut buffer)?;
        // Keep one byte more, to detect a result that is too large.
        let room = (LARGEST_RESULT + 1).saturating_sub(result.len());
        result.extend_from_slice(&buffer[..length.unwrap_or(0).min(room)]);
        Ok(length)
    }
}

/// Waits until a pipe is readable; forever without one.
async fn readable(pipe: Option<&Pipe>) -> io::Result<()> {
    match pipe {
        Some(pipe) => pipe.wait().await,
        None => std::future::pending().await,
    }
}

fn recheck(checks: u32) -> Duration {
    if checks < FIRST_CHECKS {
        RECHECK
    } else {
        RECHECK_LATER
    }
}

type Read = fn(&Pipe, &mut [u8]) -> io::Result<Option<usize>>;
