//! Handling an engine that is suspended when a signal is forwarded to it.
//!
//! A debugger or tracer may have stopped it for a moment, so it gets time to
//! continue before the guardian continues it. If it cannot be continued, it is
//! killed.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::clock;
use crate::host::process::fd_store::POKE;
use crate::host::process::procfs::{self, Stat};

/// Time that a suspended engine gets to continue without help.
const CONTINUE_GRACE: Duration = Duration::from_secs(2);
/// Time that an engine gets to run after it was continued.
const RUN_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval of polling an engine that was killed.
const KILL_POLL: Duration = Duration::from_secs(1);

/// Forwards signals to an engine, and continues it if it is suspended.
pub(super) struct Forwarder<'t> {
    engine: Pid,
    /// Prints a line. If the guardian has no streams, it is `None` and a
    /// suspended engine is continued at once.
    tell: Option<&'t dyn Fn(&str)>,
    /// True if a signal that ends the command was forwarded.
    is_to_end: bool,
    /// True if SIGTSTP was forwarded and the engine has not stopped yet.
    is_to_suspend: bool,
    step: Step,
}

/// The state of an engine that was sent signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Running, as far as is known.
    Runs,
    /// Suspended, and may continue without help until this time.
    Waits(Instant),
    /// Continued, and expected to run by this time.
    Continued(Instant),
    /// Killed.
    Killed,
}

impl<'t> Forwarder<'t> {
    pub(super) fn new(engine: Pid, tell: Option<&'t dyn Fn(&str)>) -> Self {
        Self {
            engine,
            tell,
            is_to_end: false,
            is_to_suspend: false,
            step: Step::Runs,
        }
    }

    /// Forwards a signal. A running engine receives it at once.
    pub(super) fn forward(&mut self, signal: Signal) {
        // After a request to suspend, the engine stops itself: no debugger has
        // stopped it.
        if self.tell.is_none() || self.is_to_suspend || signal == Signal::SIGCONT {
            self.send(Signal::SIGCONT);
        }
        self.send(signal);
        match signal {
            Signal::SIGTSTP => self.is_to_suspend = true,
            Signal::SIGCONT => {}
            _ => self.is_to_end = true,
        }
        self.look();
    }

    /// Continues an engine whose stream has ended, and which is to end with it.
    pub(super) fn hang_up(&mut self) {
        self.is_to_end = true;
        self.send(Signal::SIGCONT);
    }

    /// Returns true if the engine stopped because it was asked to, and resets
    /// the request.
    pub(super) fn has_suspended(&mut self) -> bool {
        if self.is_to_suspend {
            self.step = Step::Runs;
        }
        std::mem::take(&mut self.is_to_suspend)
    }

    /// Checks an engine that was sent signals, and takes the next step once it
    /// is due. Returns true if the engine has exited and its tracer keeps the
    /// guardian from being notified.
    pub(super) fn look(&mut self) -> bool {
        if !self.is_to_end && !self.is_to_suspend {
            return false;
        }
        let now = clock::instant();
        match self.step {
            Step::Runs => match self.is_suspended() {
                Some(true) => self.step = Step::Waits(wake_at(now + CONTINUE_GRACE)),
                Some(false) => {}
                // Without `/proc` the state is unknown.
                None => self.send(Signal::SIGCONT),
            },
            Step::Waits(until) if now >= until => {
                self.step = Step::Runs;
                if self.is_suspended() == Some(true) {
                    self.proceed();
                    self.step = Step::Continued(wake_at(clock::instant() + RUN_TIMEOUT));
                }
            }
            Step::Continued(until) if now >= until => {
                self.step = Step::Runs;
                if self.is_to_end && self.is_suspended() == Some(true) {
                    self.end();
                    self.step = Step::Killed;
                    wake_at(clock::instant() + KILL_POLL);
                }
            }
            Step::Waits(_) | Step::Continued(_) => {}
            Step::Killed => {
                wake_at(now + KILL_POLL);
                return Stat::of(self.pid()).is_none_or(|stat| stat.has_ended());
            }
        }
        false
    }

    /// Continues the engine.
    fn proceed(&self) {
        self.say(&format!(
            "the engine (process {}) is suspended; continuing it",
            self.engine
        ));
        self.send(Signal::SIGCONT);
        if self.is_to_suspend {
            // Continuing discards a pending stop signal.
            self.send(Signal::SIGTSTP);
        }
    }

    /// Kills an engine that cannot be continued.
    fn end(&self) {
        let tracer = procfs::tracer(self.pid());
        let why = tracer.map(|tracer| format!(": it is traced by process {tracer}"));
        self.say(&format!(
            "the engine (process {}) cannot be continued{}; killing it",
            self.engine,
            why.unwrap_or_default()
        ));
        self.send(Signal::SIGKILL);
    }

    /// Returns true if the engine is stopped by a signal or a tracer; `None` if
    /// that is unknown.
    fn is_suspended(&self) -> Option<bool> {
        let stat = Stat::of(self.pid())?;
        Some(matches!(stat.state(), Some('T' | 't')))
    }

    fn say(&self, line: &str) {
        if let Some(tell) = self.tell {
            tell(line);
        }
    }

    /// Sends a signal to the engine, which is a child that is not reaped yet.
    fn send(&self, signal: Signal) {
        let _ = kill(self.engine, signal);
    }

    fn pid(&self) -> u32 {
        self.engine.as_raw().unsigned_abs()
    }
}

/// Sends [`POKE`] to this process at a point in time, and returns that time.
#[expect(clippy::disallowed_methods, reason = "no event happens at this time")]
fn wake_at(time: Instant) -> Instant {
    // The guardian waits for signals only. If no thread can be created, it
    // looks at the next signal.
    let _ = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(time.saturating_duration_since(clock::instant()));
        let _ = kill(Pid::this(), POKE);
    });
    time
}
