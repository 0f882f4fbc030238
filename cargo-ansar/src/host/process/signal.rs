//! Sending signals, and their meanings.

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal as NixSignal, killpg};
use nix::unistd::Pid;

use crate::host::terminal;
use crate::model::stop::StopSignal;

/// A signal that this command sends to roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A request to stop.
    Stop(StopSignal),
    /// SIGKILL.
    Kill,
}

impl Signal {
    /// SIGTERM.
    pub const TERMINATE: Self = Self::Stop(StopSignal::TERMINATE);

    pub(crate) fn number(self) -> NixSignal {
        match self {
            Self::Stop(signal) => number(signal),
            Self::Kill => NixSignal::SIGKILL,
        }
    }
}

fn number(signal: StopSignal) -> NixSignal {
    // Every name is one of nix.
    signal.name().parse().unwrap_or(NixSignal::SIGINT)
}

/// Returns true if the signal `number`, of which a process died, is `signal`.
pub fn is_same(number: i32, signal: StopSignal) -> bool {
    self::number(signal) as i32 == number
}

/// Sends a signal to every process of a group, and continues stopped ones so
/// that they receive it. Returns false if the group is empty.
pub fn send_to_group(leader: u32, signal: Signal) -> io::Result<bool> {
    Ok(deliver(leader, signal.number())? && deliver(leader, NixSignal::SIGCONT).is_ok())
}

/// Sends SIGTERM to a process, and continues it so that it receives it.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    nix::sys::signal::kill(pid, NixSignal::SIGTERM)?;
    Ok(nix::sys::signal::kill(pid, NixSignal::SIGCONT)?)
}

/// Continues a process that may be stopped.
pub fn wake(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), NixSignal::SIGCONT);
    }
}

/// Kills a process.
pub fn kill(pid: u32) -> io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    Ok(nix::sys::signal::kill(pid, NixSignal::SIGKILL)?)
}

/// Makes a write beyond the file size limit fail instead of killing this
/// process. Child processes get the default action, since a handler does not
/// survive `exec`.
pub fn outlive_file_size_limit() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};

    extern "C" fn nothing(_: nix::libc::c_int) {}
    let action = SigAction::new(
        SigHandler::Handler(nothing),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    #[expect(unsafe_code, reason = "there is no safe way to set a disposition")]
    // SAFETY: an empty handler is safe at any time.
    let _ = unsafe { sigaction(NixSignal::SIGXFSZ, &action) };
}

/// Continues a group that may be stopped.
pub fn wake_group(leader: u32) {
    let _ = deliver(leader, NixSignal::SIGCONT);
}

/// Returns true if a child has stopped since the last call.
pub fn has_stopped(pid: u32) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    let status = pid.and_then(|pid| waitid(WaitId::Pid(pid), options).ok()?);
    status.is_some_and(|status| status.stopped())
}

/// Asks the guardian to suspend everything.
pub fn ask_to_suspend() {
    let _ = nix::sys::signal::kill(nix::unistd::getppid(), NixSignal::SIGTSTP);
}

/// Runs `start` with SIGTTOU ignored, which the processes it starts inherit: a
/// write to the terminal from the background does not stop them.
pub fn ignoring_sigttou<T>(start: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigHandler, signal};

    #[expect(unsafe_code, reason = "there is no safe way to set a disposition")]
    // SAFETY: neither disposition is a handler, so no code runs in one.
    let set = |disposition| unsafe { signal(NixSignal::SIGTTOU, disposition) };
    let before = set(SigHandler::SigIgn);
    let started = start();
    let _ = before.map(set);
    started
}

/// Stops these groups and then this process; continues the groups when this
/// process is continued.
pub fn suspend(groups: &BTreeSet<u32>) {
    for group in groups {
        let _ = deliver(*group, NixSignal::SIGSTOP);
    }
    terminal::pause();
    let _ = nix::sys::signal::raise(NixSignal::SIGSTOP);
    terminal::resume();
    for group in groups {
        let _ = deliver(*group, NixSignal::SIGCONT);
    }
}

/// Returns true if a group has a process of this user.
pub fn group_is_alive(leader: u32) -> bool {
    // If only another user has a group with this id, the id was reused.
    deliver(leader, None).unwrap_or(false)
}

fn deliver(leader: u32, signal: impl Into<Option<NixSignal>>) -> io::Result<bool> {
    let leader = i32::try_from(leader).map_err(io::Error::other)?;
    // The kernel takes zero as the caller's group.
    if leader == 0 {
        return Ok(false);
    }
    match killpg(Pid::from_raw(leader), signal) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns true if a component treats this signal as a request to stop. A
/// process that dies of it was not yet ready to handle it.
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

/// Returns the name of a signal, such as `SIGSEGV`.
pub fn name(number: i32) -> String {
    NixSignal::try_from(number).map_or_else(
        |_| format!("signal {number}"),
        |signal| signal.as_str().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stop_signal_has_a_number() {
        for signal in StopSignal::all() {
            assert_eq!(number(signal).as_str(), signal.name());
        }
    }
}
