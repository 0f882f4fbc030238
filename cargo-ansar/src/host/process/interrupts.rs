//! Signals that ask this command to stop or to suspend.
//!
//! They are received in two ways. Asynchronous code awaits
//! [`Interrupts::next`]. Blocking work, such as copying or hashing, calls
//! [`checkpoint`] at least every 100 ms, which reads a flag that the signal
//! handler sets, so that the runtime need not run. Each signal is delivered
//! once: it stays pending until `next` has returned it or
//! [`Interrupts::acknowledge`] is called.

use std::error::Error as StdError;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use nix::sys::signal::Signal;
use signal_hook::flag;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::host::process;
use crate::host::process::guardian::Guardian;
use crate::host::process::signal::suspend;

/// Control-z.
const SUSPEND: i32 = Signal::SIGTSTP as i32;

/// The reason this command is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Control-c.
    Interrupt,
    /// SIGQUIT, control-backslash.
    Quit,
    /// SIGTERM.
    Terminate,
    /// The terminal was closed.
    HangUp,
    /// The guardian died; everything must stop at once.
    Orphaned,
    /// The command restarts with a newer state.
    Superseded,
}

/// The signals this command handles and their meanings, most urgent first.
const HANDLED: [(Signal, Interrupt); 4] = [
    (Signal::SIGTERM, Interrupt::Terminate),
    (Signal::SIGHUP, Interrupt::HangUp),
    (Signal::SIGINT, Interrupt::Interrupt),
    (Signal::SIGQUIT, Interrupt::Quit),
];

/// Pending signals; process-wide, as signals are.
static PENDING: OnceLock<Pending> = OnceLock::new();

#[derive(Debug)]
struct Pending {
    guardian: Option<Guardian>,
    /// In the order of [`HANDLED`].
    flags: [Arc<AtomicBool>; HANDLED.len()],
    suspend: Arc<AtomicBool>,
}

impl Pending {
    /// Returns the flags, registering the signal handlers on the first call.
    ///
    /// Handlers of a signal run in order of registration, so the flag is set
    /// before the stream of the same signal is woken.
    fn listen(guardian: Option<Guardian>) -> io::Result<&'static Self> {
        if let Some(pending) = PENDING.get() {
            return Ok(pending);
        }
        let pending = Self {
            guardian,
            flags: Default::default(),
            suspend: Arc::default(),
        };
        for ((signal, _), is_pending) in HANDLED.iter().zip(&pending.flags) {
            flag::register(*signal as i32, Arc::clone(is_pending))?;
        }
        flag::register(SUSPEND, Arc::clone(&pending.suspend))?;
        Ok(PENDING.get_or_init(|| pending))
    }

    fn first(&self) -> Option<Interrupt> {
        let mut flags = HANDLED.iter().zip(&self.flags);
        let pending = flags.find(|(_, is_pending)| is_pending.load(Ordering::Relaxed));
        pending
            .map(|((_, interrupt), _)| *interrupt)
            .or_else(|| self.is_orphaned().then_some(Interrupt::Orphaned))
            .map(|interrupt| self.seen(interrupt))
    }

    /// Returns true if the guardian has died.
    fn is_orphaned(&self) -> bool {
        self.guardian.is_some_and(Guardian::is_gone)
    }

    /// Returns `interrupt`, or [`Interrupt::Orphaned`] if the guardian has
    /// died, as nothing may take its time then.
    fn seen(&self, interrupt: Interrupt) -> Interrupt {
        if self.is_orphaned() {
            Interrupt::Orphaned
        } else {
            interrupt
        }
    }

    /// Clears an interrupt; returns true if it was pending.
    fn take(&self, interrupt: Interrupt) -> bool {
        let flags = HANDLED.iter().zip(&self.flags);
        let same = flags.filter(|((_, other), _)| *other == interrupt);
        same.fold(false, |was, (_, is_pending)| {
            is_pending.swap(false, Ordering::Relaxed) || was
        })
    }

    /// Returns a pending interrupt, which is no longer pending then.
    fn take_any(&self) -> Option<Interrupt> {
        let mut interrupts = HANDLED.iter().map(|(_, interrupt)| *interrupt);
        let taken = interrupts.find(|interrupt| self.take(*interrupt));
        taken.map(|interrupt| self.seen(interrupt))
    }

    /// Suspends this command if that was requested.
    fn grant(&self) {
        if self.suspend.swap(false, Ordering::Relaxed) {
            suspend(&process::started());
        }
    }
}

/// An operation that a signal ended; found as the source of an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted(pub Interrupt);

impl Interrupted {
    /// Returns the interrupt among the sources of an error.
    pub fn cause_of(error: &(dyn StdError + 'static)) -> Option<Interrupt> {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            if let Some(interrupted) = inner.and_then(|inner| inner.downcast_ref::<Self>()) {
                return Some(interrupted.0);
            }
            next = error.source();
        }
        None
    }
}

/// Returns an error with [`Interrupted`] as its source if a signal to stop is
/// pending; suspends the command if that was requested.
///
/// Costs a few loads. Long work calls it for each file and each megabyte.
/// Always `Ok` before [`Interrupts::listen`]: until then, signals have their
/// default actions.
pub fn checkpoint() -> io::Result<()> {
    let Some(pending) = PENDING.get() else {
        return Ok(());
    };
    pending.grant();
    if IS_CLEANING_UP.load(Ordering::Relaxed) {
        return Ok(());
    }
    match pending.first() {
        None => Ok(()),
        Some(interrupt) => Err(io::Error::other(Interrupted(interrupt))),
    }
}

/// True once this process only cleans up.
static IS_CLEANING_UP: AtomicBool = AtomicBool::new(false);

/// Makes [`checkpoint`] return `Ok` from now on: this process is about to exit, and
/// what it removes must be removed although it was asked to stop.
pub fn only_clean_up_from_now_on() {
    IS_CLEANING_UP.store(true, Ordering::Relaxed);
}

/// Interrupts the running operation from within this process.
#[derive(Debug, Clone)]
pub struct Superseder(Sender<Interrupt>);

impl Superseder {
    /// Sends [`Interrupt::Superseded`]; several calls count as one until it is
    /// received.
    pub fn supersede(&self) {
        // One pending interrupt is enough.
        let _ = self.0.try_send(Interrupt::Superseded);
    }

    /// Acts like control-c.
    pub fn interrupt(&self) {
        let _ = self.0.try_send(Interrupt::Interrupt);
    }
}

/// A stream of the signals that ask this command to stop.
///
/// While it exists, these signals have no default action here, and child
/// processes get default dispositions even if this command was started with
/// some signals ignored. A request to suspend stops every group that was
/// started here and then this process, until it is continued.
#[derive(Debug)]
pub struct Interrupts {
    pending: &'static Pending,
    interrupt: Stream,
    terminate: Stream,
    hang_up: Stream,
    quit: Stream,
    suspend: Stream,
    proceed: Stream,
    supersede: Sender<Interrupt>,
    superseded: Receiver<Interrupt>,
}

impl Interrupts {
    /// Starts listening. Must be called within the runtime.
    pub fn listen(guardian: Option<Guardian>) -> io::Result<Self> {
        let (supersede, superseded) = channel(1);
        let proceed = signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
        if let Some(guardian) = guardian {
            guardian.wakes_this_process()?;
        }
        let pending = Pending::listen(guardian)?;
        Ok(Self {
            pending,
            proceed,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            suspend: signal(SignalKind::from_raw(SUSPEND))?,
            supersede,
            superseded,
        })
    }

    /// Returns a handle that interrupts this command from within.
    pub fn superseder(&self) -> Superseder {
        Superseder(self.supersede.clone())
    }

    /// Discards an interrupt from within that was not received yet.
    pub fn forget(&mut self) {
        while self.superseded.try_recv().is_ok() {}
    }

    /// Marks pending signals as handled, because what they interrupted has
    /// stopped. What follows, such as restoring roles, can be interrupted by
    /// the next signal.
    pub fn acknowledge(&self) {
        for is_pending in &self.pending.flags {
            is_pending.store(false, Ordering::Relaxed);
        }
    }

    /// Waits for the next interrupt. Cancel safe.
    pub async fn next(&mut self) -> Interrupt {
        loop {
            // It may have come before this value listened.
            if let Some(interrupt) = self.pending.take_any() {
                return interrupt;
            }
            let interrupt = tokio::select! {
                _ = self.interrupt.recv() => Interrupt::Interrupt,
                _ = self.quit.recv() => Interrupt::Quit,
                _ = self.terminate.recv() => Interrupt::Terminate,
                _ = self.hang_up.recv() => Interrupt::HangUp,
                Some(interrupt) = self.superseded.recv() => return self.pending.seen(interrupt),
                _ = self.suspend.recv() => {
                    self.pending.grant();
                    continue;
                }
                _ = self.proceed.recv() => {
                    if self.pending.is_orphaned() {
                        return Interrupt::Orphaned;
                    }
                    continue;
                }
            };
            // Skip a signal that a checkpoint reported and `acknowledge`
            // cleared.
            if self.pending.take(interrupt) {
                return self.pending.seen(interrupt);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupt_is_found_below_other_errors() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed")]
        struct Outer(#[source] io::Error);
        let interrupted = || io::Error::other(Interrupted(Interrupt::Terminate));
        let found = |error: &(dyn StdError + 'static)| Interrupted::cause_of(error);
        assert_eq!(found(&interrupted()), Some(Interrupt::Terminate));
        assert_eq!(found(&Outer(interrupted())), Some(Interrupt::Terminate));
        let other = Outer(io::Error::other(Outer(io::Error::last_os_error())));
        assert_eq!(found(&other), None);
    }
}
