//! Signals that this command is sent.

use std::io;

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::guardian::Guardian;
use super::process;
use super::signal::suspend;

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
    guardian: Option<Guardian>,
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
        Ok(Self {
            guardian,
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

    /// Waits for the next one. May be dropped in the middle.
    pub async fn next(&mut self) -> Interrupt {
        loop {
            let interrupt = tokio::select! {
                _ = self.interrupt.recv() => Interrupt::Interrupt,
                _ = self.quit.recv() => Interrupt::Quit,
                _ = self.terminate.recv() => Interrupt::Terminate,
                _ = self.hang_up.recv() => Interrupt::HangUp,
                Some(interrupt) = self.superseded.recv() => interrupt,
                _ = self.suspend.recv() => {
                    suspend(&process::started());
                    continue;
                }
                _ = self.proceed.recv() => match self.guardian {
                    Some(guardian) if guardian.is_gone() => Interrupt::Orphaned,
                    _ => continue,
                },
            };
            // The kernel tells of the guardian's end by the signal that means
            // stop; it is not to take its time then.
            return match self.guardian {
                Some(guardian) if guardian.is_gone() => Interrupt::Orphaned,
                _ => interrupt,
            };
        }
    }
}
