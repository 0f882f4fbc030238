//! Signals: those that this command is sent, and those that it sends.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal as NixSignal, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::guardian::Guardian;
use super::process;

/// A signal that this command sends to roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Please stop.
    Interrupt,
    /// Stop.
    Terminate,
    /// Be gone.
    Kill,
}

impl Signal {
    pub(super) fn number(self) -> NixSignal {
        match self {
            Self::Interrupt => NixSignal::SIGINT,
            Self::Terminate => NixSignal::SIGTERM,
            Self::Kill => NixSignal::SIGKILL,
        }
    }
}

/// Sends a signal to every process of a group, and wakes the stopped ones so
/// that they hear it. Whether there was any.
pub fn send_to_group(leader: u32, signal: Signal) -> io::Result<bool> {
    Ok(deliver(leader, signal.number())? && deliver(leader, NixSignal::SIGCONT).is_ok())
}

/// Asks a process to stop.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    Ok(nix::sys::signal::kill(
        Pid::from_raw(pid),
        NixSignal::SIGTERM,
    )?)
}

/// Whether a group still has a process.
pub fn group_is_alive(leader: u32) -> bool {
    // A group of another user's processes is not ours, whatever its number.
    deliver(leader, None).unwrap_or(false)
}

fn deliver(leader: u32, signal: impl Into<Option<NixSignal>>) -> io::Result<bool> {
    let leader = i32::try_from(leader).map_err(io::Error::other)?;
    match killpg(Pid::from_raw(leader), signal) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a component takes this signal as a request to stop; one that dies
/// of it had not come up yet.
pub fn means_stop(number: i32) -> bool {
    [
        NixSignal::SIGINT,
        NixSignal::SIGTERM,
        NixSignal::SIGHUP,
        NixSignal::SIGQUIT,
    ]
    .iter()
    .any(|stop| *stop as i32 == number)
}

/// A signal's name, `SIGSEGV`.
pub fn name(number: i32) -> String {
    NixSignal::try_from(number).map_or_else(
        |_| format!("signal {number}"),
        |signal| signal.as_str().to_owned(),
    )
}

/// What ends this command from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Control-c.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The terminal was closed.
    HangUp,
    /// The guardian is gone: everything is to end at once.
    Orphaned,
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
}

impl Interrupts {
    /// Listens from now on; inside of the runtime only.
    pub fn listen(guardian: Option<Guardian>) -> io::Result<Self> {
        Ok(Self {
            guardian,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            suspend: signal(SignalKind::from_raw(NixSignal::SIGTSTP as i32))?,
        })
    }

    /// Waits for the next one. May be dropped in the middle.
    pub async fn next(&mut self) -> Interrupt {
        loop {
            let interrupt = tokio::select! {
                _ = self.interrupt.recv() => Interrupt::Interrupt,
                _ = self.quit.recv() => Interrupt::Interrupt,
                _ = self.terminate.recv() => Interrupt::Terminate,
                _ = self.hang_up.recv() => Interrupt::HangUp,
                _ = self.suspend.recv() => {
                    suspend();
                    continue;
                }
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

/// Stops everything that was started here, and this process, until it is
/// continued.
fn suspend() {
    let groups = process::started();
    for group in &groups {
        let _ = deliver(*group, NixSignal::SIGSTOP);
    }
    let _ = nix::sys::signal::raise(NixSignal::SIGSTOP);
    for group in &groups {
        let _ = deliver(*group, NixSignal::SIGCONT);
    }
}
