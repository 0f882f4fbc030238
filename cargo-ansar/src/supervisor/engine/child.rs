//! The task of one process, from its start until everything of it has ended.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::events::Events;
use crate::host::clock;
use crate::host::process::fd_store::Loan;
use crate::host::process::pipe::Peeking;
use crate::host::process::signal;
use crate::host::process::{Exit, Pipe, Process};
use crate::supervisor::capture::Capture;
use crate::supervisor::judge::LARGEST_RESULT;
use crate::supervisor::orphans::Orphans;

/// How many of these are read after everything of a role has ended.
const LAST_READS: usize = 64;
/// Time between two looks whether processes that a role left behind are gone:
/// at first, and at most.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_LATER: Duration = Duration::from_millis(200);
/// Looks after which there is more time between them, for what is left then may
/// stay for long.
const FIRST_LOOKS: u32 = 1_000;

/// For how long nothing is written before a line without an end is shown.
const PAUSE: Duration = Duration::from_millis(200);
/// For how long the end of a line is waited for at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the task of a process tells the engine.
pub(crate) enum ChildEvent {
    /// The process has ended, and left others of its group behind.
    MainExited(usize),
    /// Everything of it has ended.
    Ended(usize, io::Result<(Exit, Vec<u8>)>),
}

/// The task of one process: reads its pipes until everything of it has ended.
pub(crate) struct ChildTask {
    pub(crate) member: usize,
    pub(crate) process: Process,
    pub(crate) capture: Capture,
    pub(crate) events: Events,
    /// One for all: it is filled and emptied between two waits.
    pub(crate) buffer: Rc<RefCell<Vec<u8>>>,
    pub(crate) orphans: Rc<RefCell<Orphans>>,
    pub(crate) tell: mpsc::UnboundedSender<ChildEvent>,
    pub(crate) peeking: Rc<Peeking>,
    /// How much of a line without an end was left in the pipe.
    pub(crate) seen: usize,
    /// Since when there is a line without an end, and when it is to be shown.
    pub(crate) unended: Option<(Instant, Instant)>,
    /// Lets the guardian finish the log, should this engine be killed.
    pub(crate) _loan: Option<Loan>,
}

impl ChildTask {
    /// Lives until everything of the process has ended, and tells so.
    pub(crate) async fn live(mut self) {
        let mut result = Vec::new();
        let ended = self.read(&mut result).await;
        self.capture.finish(clock::now(), &self.events);
        // An engine that is gone needs no news.
        let ended = ended.map(|exit| (exit, result));
        let _ = self.tell.send(ChildEvent::Ended(self.member, ended));
    }

    async fn read(&mut self, result: &mut Vec<u8>) -> io::Result<Exit> {
        let (mut log, mut out) = (true, true);
        let (mut exit, mut looks) = (None, 0_u32);
        let Some(stderr) = self.process.stderr.take() else {
            return Err(io::Error::other("no pipe to read the log from"));
        };
        loop {
            let alive = exit.is_none();
            let pause = self.unended;
            let pause = async {
                match pause {
                    Some((_, until)) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                more = stderr.wait(), if log => {
                    more?;
                    log = self.pull_log(&stderr, false)? != Some(0);
                }
                more = self.process.stdout.wait(), if out => {
                    more?;
                    out = self.pull_result(Pipe::read, result)? != Some(0);
                }
                ended = self.process.end.wait(), if alive => exit = Some(ended?),
                () = pause, if log => self.show_unended(&stderr)?,
                () = tokio::time::sleep(look_again(looks)), if !alive => {}
            }
            let Some(exit) = exit else {
                continue;
            };
            looks = looks.saturating_add(1);
            let since = clock::instant();
            if alive {
                // Whoever ends in the same moment is looked at together.
                tokio::task::yield_now().await;
            }
            // First who was adopted: looking reaps those of the group that have
            // ended, which count as alive until then.
            let left = self.orphans.borrow_mut().any_of(self.member, since)
                || signal::group_is_alive(self.process.pid());
            if left && alive {
                let _ = self.tell.send(ChildEvent::MainExited(self.member));
            }
            if !left {
                // Nobody of the role writes any more: what is in the pipes is
                // all there is, whoever else may hold them open.
                for _ in 0..LAST_READS {
                    if self.pull_log(&stderr, true)?.unwrap_or(0) == 0 {
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

    /// How many bytes there were; none where the pipe is empty but open.
    fn pull_log(&mut self, stderr: &Pipe, is_last: bool) -> io::Result<Option<usize>> {
        let mut buffer = self.buffer.borrow_mut();
        let length = self.peeking.peek(stderr, &mut buffer)?;
        let bytes = &buffer[..length.unwrap_or(0)];
        // Woken again by nothing new: there is nobody left to end the line.
        let all = is_last || (bytes.len() == self.seen && !bytes.is_empty());
        let now = clock::now();
        let taken = self
            .capture
            .take_from(stderr, bytes, all, now, &self.events)?;
        self.seen = bytes.len() - taken;
        if length.is_none() || self.seen > 0 {
            stderr.wait_for_more();
        }
        self.unended = if self.seen > 0 || self.capture.is_partial() {
            let now = clock::instant();
            let since = match self.unended {
                Some((since, _)) if taken == 0 => since,
                _ => now,
            };
            Some((since, (now + PAUSE).min(since + LONGEST_PAUSE)))
        } else {
            None
        };
        Ok(length)
    }

    /// Takes a line whose end does not come, to show it.
    fn show_unended(&mut self, stderr: &Pipe) -> io::Result<()> {
        self.pull_log(stderr, true)?;
        self.capture.pause(clock::now(), &self.events);
        self.unended = None;
        Ok(())
    }

    fn pull_result(&mut self, read: Read, result: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let mut buffer = self.buffer.borrow_mut();
        let length = read(&self.process.stdout, &mut buffer)?;
        // One byte more tells that it is too large.
        let room = (LARGEST_RESULT + 1).saturating_sub(result.len());
        result.extend_from_slice(&buffer[..length.unwrap_or(0).min(room)]);
        Ok(length)
    }
}

fn look_again(looks: u32) -> Duration {
    if looks < FIRST_LOOKS {
        LOOK_AGAIN
    } else {
        LOOK_AGAIN_LATER
    }
}

type Read = fn(&Pipe, &mut [u8]) -> io::Result<Option<usize>>;
