//! Signals that this command sends, and what signals mean.

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal as NixSignal, killpg};
use nix::unistd::Pid;

use crate::host::terminal;

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
    pub(crate) fn number(self) -> NixSignal {
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

/// Asks a process to stop, and wakes it so that it hears it.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    nix::sys::signal::kill(pid, NixSignal::SIGTERM)?;
    Ok(nix::sys::signal::kill(pid, NixSignal::SIGCONT)?)
}

/// Wakes a process that may have stopped.
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

/// Has a write beyond the limit of a file's size fail, and not end this
/// process. What this process starts has the default again, as a handler does
/// not outlive `exec`.
pub fn outlive_file_size_limit() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};

    extern "C" fn nothing(_: nix::libc::c_int) {}
    let action = SigAction::new(
        SigHandler::Handler(nothing),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    #[expect(unsafe_code, reason = "dispositions are set no other way")]
    // SAFETY: the handler does nothing, which is safe at any time.
    let _ = unsafe { sigaction(NixSignal::SIGXFSZ, &action) };
}

/// Wakes a group that may have stopped.
pub fn wake_group(leader: u32) {
    let _ = deliver(leader, NixSignal::SIGCONT);
}

/// Whether a child has stopped since this was last asked.
pub fn has_stopped(pid: u32) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

    let Ok(pid) = i32::try_from(pid) else {
        return false;
    };
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG;
    let status = waitid(Id::Pid(Pid::from_raw(pid)), flags);
    matches!(status, Ok(WaitStatus::Stopped(..)))
}

/// Asks the guardian above this process to have everything suspended.
pub fn ask_to_suspend() {
    let _ = nix::sys::signal::kill(nix::unistd::getppid(), NixSignal::SIGTSTP);
}

/// Does something while a write to the terminal from its background is no
/// reason to stop: what is started then takes that over.
pub fn writing_from_the_background<T>(start: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigHandler, signal};

    #[expect(unsafe_code, reason = "dispositions are set no other way")]
    // SAFETY: neither disposition is a handler, so no code of ours runs in one.
    let set = |disposition| unsafe { signal(NixSignal::SIGTTOU, disposition) };
    let before = set(SigHandler::SigIgn);
    let started = start();
    let _ = before.map(set);
    started
}

/// Stops every process of these groups, and this one, until this one is
/// continued; then they are, too.
pub fn suspend(groups: &BTreeSet<u32>) {
    for group in groups {
        let _ = deliver(*group, NixSignal::SIGSTOP);
    }
    terminal::pause();
    let _ = nix::sys::signal::raise(NixSignal::SIGSTOP);
    terminal::go_on();
    for group in groups {
        let _ = deliver(*group, NixSignal::SIGCONT);
    }
}

/// Whether a group still has a process.
pub fn group_is_alive(leader: u32) -> bool {
    // A group of another user's processes is not ours, whatever its number.
    deliver(leader, None).unwrap_or(false)
}

fn deliver(leader: u32, signal: impl Into<Option<NixSignal>>) -> io::Result<bool> {
    let leader = i32::try_from(leader).map_err(io::Error::other)?;
    // Zero is the own group, as the kernel has it.
    if leader == 0 {
        return Ok(false);
    }
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
