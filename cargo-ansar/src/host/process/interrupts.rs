//! Signals that this command is sent.
//!
//! They are heard in two ways. Whoever waits awaits [`Interrupts::next`]. Work
//! that does not wait, such as copying or hashing, calls [`checkpoint`] at least
//! every 100 ms; it reads a flag that the signal handler sets, so that the
//! runtime need not turn. A signal counts once: it is pending until `next` has
//! returned it, or until [`Interrupts::acknowledge`].

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

/// What ends this command from outside.
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
    /// The guardian is gone: everything is to end at once.
    Orphaned,
    /// This very command begins anew, on a newer state.
    Superseded,
}

/// The signals that this command listens to, with what they mean, most urgent
/// first.
const HEARD: [(Signal, Interrupt); 4] = [
    (Signal::SIGTERM, Interrupt::Terminate),
    (Signal::SIGHUP, Interrupt::HangUp),
    (Signal::SIGINT, Interrupt::Interrupt),
    (Signal::SIGQUIT, Interrupt::Quit),
];

/// The signals that are pending. There is one for the whole process, as
/// signals belong to the process.
static PENDING: OnceLock<Pending> = OnceLock::new();

#[derive(Debug)]
struct Pending {
    guardian: Option<Guardian>,
    /// In the order of [`HEARD`].
    heard: [Arc<AtomicBool>; HEARD.len()],
    suspend: Arc<AtomicBool>,
}

impl Pending {
    /// The flags, which are set by signals from now on.
    ///
    /// Handlers of one signal run in the order in which they were registered:
    /// a flag is set before the stream of the same signal is woken.
    fn listen(guardian: Option<Guardian>) -> io::Result<&'static Self> {
        if let Some(pending) = PENDING.get() {
            return Ok(pending);
        }
        let pending = Self {
            guardian,
            heard: Default::default(),
            suspend: Arc::default(),
        };
        for ((signal, _), is_pending) in HEARD.iter().zip(&pending.heard) {
            flag::register(*signal as i32, Arc::clone(is_pending))?;
        }
        flag::register(SUSPEND, Arc::clone(&pending.suspend))?;
        Ok(PENDING.get_or_init(|| pending))
    }

    fn first(&self) -> Option<Interrupt> {
        let mut heard = HEARD.iter().zip(&self.heard);
        let pending = heard.find(|(_, is_pending)| is_pending.load(Ordering::Relaxed));
        pending
            .map(|((_, interrupt), _)| *interrupt)
            .or_else(|| self.is_orphaned().then_some(Interrupt::Orphaned))
            .map(|interrupt| self.seen(interrupt))
    }

    /// Returns true if the guardian has died.
    fn is_orphaned(&self) -> bool {
        self.guardian.is_some_and(Guardian::is_gone)
    }

    /// What an interrupt means: nothing is to take its time once the guardian
    /// is gone.
    fn seen(&self, interrupt: Interrupt) -> Interrupt {
        if self.is_orphaned() {
            Interrupt::Orphaned
        } else {
            interrupt
        }
    }

    /// Returns true if an interrupt was pending, which it no longer is.
    fn take(&self, interrupt: Interrupt) -> bool {
        let heard = HEARD.iter().zip(&self.heard);
        let same = heard.filter(|((_, other), _)| *other == interrupt);
        same.fold(false, |was, (_, is_pending)| {
            is_pending.swap(false, Ordering::Relaxed) || was
        })
    }

    /// Grants a request to suspend, where one is pending.
    fn grant(&self) {
        if self.suspend.swap(false, Ordering::Relaxed) {
            suspend(&process::started());
        }
    }
}

/// Work that was ended by a signal; the cause of an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted(pub Interrupt);

impl Interrupted {
    /// The interrupt that caused an error, directly or not.
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

/// Returns an error whose cause is [`Interrupted`] if this command was told to
/// end and has not heard it yet; grants a request to suspend.
///
/// Costs a few loads. Called by work that takes long, per file and per
/// megabyte. Before anything listens, it is always `Ok`: signals then end the
/// process by themselves.
pub fn checkpoint() -> io::Result<()> {
    let Some(pending) = PENDING.get() else {
        return Ok(());
    };
    pending.grant();
    match pending.first() {
        None => Ok(()),
        Some(interrupt) => Err(io::Error::other(Interrupted(interrupt))),
    }
}

/// Interrupts what is being done, from within.
#[derive(Debug, Clone)]
pub struct Superseder(Sender<Interrupt>);

impl Superseder {
    /// Interrupts it once, however often this is called before it is heard.
    pub fn supersede(&self) {
        // One that waits already is enough.
        let _ = self.0.try_send(Interrupt::Superseded);
    }

    /// Does what control-c does.
    pub fn interrupt(&self) {
        let _ = self.0.try_send(Interrupt::Interrupt);
    }
}

/// The signals that ask this command to end, one after the other.
///
/// While this exists they do nothing by themselves, and processes started in
/// the meantime have their default dispositions, also where this command was
/// started with some of them ignored. A request to suspend is granted: every
/// group that was started here stops, then this process, until both go on.
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
    /// Listens from now on; inside of the runtime only.
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

    /// What interrupts from within.
    pub fn superseder(&self) -> Superseder {
        Superseder(self.supersede.clone())
    }

    /// Forgets an interrupt from within that nobody has heard.
    pub fn forget(&mut self) {
        while self.superseded.try_recv().is_ok() {}
    }

    /// Has pending signals count as heard, since what they end has ended: what
    /// follows, such as restoring roles, is ended by the next signal.
    pub fn acknowledge(&self) {
        for is_pending in &self.pending.heard {
            is_pending.store(false, Ordering::Relaxed);
        }
    }

    /// Waits for the next one. May be dropped in the middle.
    pub async fn next(&mut self) -> Interrupt {
        loop {
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
            // One that a checkpoint has told already is not told twice.
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
