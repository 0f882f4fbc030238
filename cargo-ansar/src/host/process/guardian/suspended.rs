//! An engine that is suspended when a signal is forwarded to it.
//!
//! A debugger or a tracer may hold it for a moment, so it gets some time to go
//! on by itself before it is continued. One that cannot be continued is killed.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::clock;
use crate::host::process::fd_store::POKE;
use crate::host::process::procfs::{self, Stat};

/// Time that a suspended engine gets to go on by itself.
const GOES_ON_IN: Duration = Duration::from_secs(2);
/// Time that an engine gets to run once it was continued.
const CONTINUES_IN: Duration = Duration::from_secs(5);
/// Time between two looks at an engine that was killed.
const DIES_IN: Duration = Duration::from_secs(1);

/// Forwards signals to an engine, and continues one that is suspended.
pub(super) struct Forwarder<'t> {
    engine: Pid,
    /// Prints a line; none where the guardian has no streams. An engine of such
    /// a guardian is continued at once.
    tell: Option<&'t dyn Fn(&str)>,
    /// A signal that ends the command was forwarded.
    is_to_end: bool,
    /// A request to suspend was forwarded, and has not been granted.
    is_to_suspend: bool,
    step: Step,
}

/// Steps towards an engine that hears its signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It runs, as far as is known.
    Runs,
    /// It is suspended, and may go on by itself until then.
    Waits(Instant),
    /// It was continued, and is to run by then.
    Continued(Instant),
    /// It was killed.
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

    /// Forwards a signal. A running engine hears it at once.
    pub(super) fn forward(&mut self, signal: Signal) {
        // It stops itself where it suspends what it runs: nothing else holds it.
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

    /// Returns true if the engine has stopped because it was asked to. It then
    /// hears the next request as a new one.
    pub(super) fn has_suspended(&mut self) -> bool {
        if self.is_to_suspend {
            self.step = Step::Runs;
        }
        std::mem::take(&mut self.is_to_suspend)
    }

    /// Looks at an engine that was sent signals, and takes the next step once
    /// it is due. Returns true if the engine has ended without its guardian
    /// being told: its tracer has not taken note of that yet.
    pub(super) fn look(&mut self) -> bool {
        if !self.is_to_end && !self.is_to_suspend {
            return false;
        }
        let now = clock::instant();
        match self.step {
            Step::Runs => match self.is_suspended() {
                Some(true) => self.step = Step::Waits(wake_at(now + GOES_ON_IN)),
                Some(false) => {}
                // Only the kernel can tell, and does not here.
                None => self.send(Signal::SIGCONT),
            },
            Step::Waits(until) if now >= until => {
                self.step = Step::Runs;
                if self.is_suspended() == Some(true) {
                    self.proceed();
                    self.step = Step::Continued(wake_at(clock::instant() + CONTINUES_IN));
                }
            }
            Step::Continued(until) if now >= until => {
                self.step = Step::Runs;
                if self.is_to_end && self.is_suspended() == Some(true) {
                    self.end();
                    self.step = Step::Killed;
                    wake_at(clock::instant() + DIES_IN);
                }
            }
            Step::Waits(_) | Step::Continued(_) => {}
            Step::Killed => {
                wake_at(now + DIES_IN);
                return Stat::of(self.pid()).is_none_or(|stat| stat.has_ended());
            }
        }
        false
    }

    /// Continues the engine, which was not continued by anything else.
    fn proceed(&self) {
        self.say(&format!(
            "the engine (process {}) is suspended; continuing it",
            self.engine
        ));
        self.send(Signal::SIGCONT);
        if self.is_to_suspend {
            // A request that waited was discarded with that.
            self.send(Signal::SIGTSTP);
        }
    }

    /// Kills the engine, which could not be continued.
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

    /// Returns true if the engine is suspended, by a signal or by a tracer; none
    /// where that is not known.
    fn is_suspended(&self) -> Option<bool> {
        let stat = Stat::of(self.pid())?;
        Some(matches!(stat.state(), Some('T' | 't')))
    }

    fn say(&self, line: &str) {
        if let Some(tell) = self.tell {
            tell(line);
        }
    }

    /// Sends a signal. The engine is a child that was not reaped yet.
    fn send(&self, signal: Signal) {
        let _ = kill(self.engine, signal);
    }

    fn pid(&self) -> u32 {
        self.engine.as_raw().unsigned_abs()
    }
}

/// Has this process poked at a point in time, and returns it.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing else happens at this time"
)]
fn wake_at(time: Instant) -> Instant {
    // The guardian waits for signals only. Where there can be no thread, the
    // next signal has it look.
    let _ = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(time.saturating_duration_since(clock::instant()));
        let _ = kill(Pid::this(), POKE);
    });
    time
}
