//! Signals: those that this command is sent, and those that it sends.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal as NixSignal, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

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

/// Sends a signal to every process of a group, and wakes the stopped ones so
/// that they hear it. Whether there was any.
pub fn send_to_group(leader: u32, signal: Signal) -> io::Result<bool> {
    let signal = match signal {
        Signal::Interrupt => NixSignal::SIGINT,
        Signal::Terminate => NixSignal::SIGTERM,
        Signal::Kill => NixSignal::SIGKILL,
    };
    Ok(deliver(leader, signal)? && deliver(leader, NixSignal::SIGCONT).is_ok())
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
}

/// The signals that ask this command to end, one after the other.
///
/// While this exists they do nothing by themselves, and processes started in
/// the meantime have their default dispositions, also where this command was
/// started with some of them ignored.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Stream,
    terminate: Stream,
    hang_up: Stream,
    quit: Stream,
}

impl Interrupts {
    /// Listens from now on; inside of the runtime only.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupt::Interrupt,
            _ = self.quit.recv() => Interrupt::Interrupt,
            _ = self.terminate.recv() => Interrupt::Terminate,
            _ = self.hang_up.recv() => Interrupt::HangUp,
        }
    }
}
