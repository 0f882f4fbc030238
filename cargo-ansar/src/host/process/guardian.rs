//! The guardian: a small parent process that outlives the engine and cleans up
//! after it.
//!
//! The command forks before it does anything else. The parent becomes the
//! guardian: it stays in the terminal's foreground group, forwards signals, and
//! keeps the exit code. The child becomes the engine, in its own process group.
//! If the engine dies, the guardian kills all its descendants; if the guardian
//! dies, the engine is notified and does the same.

mod hang_up;
mod suspended;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid, setpgid};

use crate::host::process::guardian::hang_up::HangUp;
use crate::host::process::guardian::suspended::Forwarder;
use crate::host::process::{daemonize, fd_store, orphans};
use crate::host::terminal::keys;
use crate::host::terminal::keys::Keyboard;

/// The process in which [`split`] returned.
#[derive(Debug)]
pub enum ForkRole {
    /// The engine, which runs the command.
    Engine(Guardian),
    /// The guardian; the engine has exited.
    Guardian(End),
}

/// The exit of an engine, as its guardian saw it.
#[derive(Debug)]
pub struct End {
    /// The exit code.
    pub code: u8,
    /// True if it was killed and could not report why.
    pub is_killed: bool,
    /// Descendants that could not be killed, each with the reason.
    pub left: Vec<(u32, String)>,
}

/// The guardian, as seen from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guardian(Pid);

impl Guardian {
    /// Returns true if the guardian has died.
    pub fn is_gone(self) -> bool {
        getppid() != self.0
    }

    /// Makes the kernel send SIGCONT to this process when the guardian dies, so
    /// that a stopped engine continues. From now on SIGCONT can arrive.
    pub(crate) fn wakes_this_process(self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(Signal::SIGCONT)?;
        if self.is_gone() {
            raise(Signal::SIGCONT)?;
        }
        Ok(())
    }
}

/// Signals that the guardian forwards or handles for the engine.
///
/// SIGINT is included even if it is ignored, as in the background of a script:
/// sent to this process, it is meant for this command.
const HANDLED: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGCHLD,
    fd_store::POKE,
];
/// Also handled, unless ignored at start, as under `nohup`.
const HANDLED_UNLESS_IGNORED: Signal = Signal::SIGHUP;

/// The surroundings in which guardian and engine run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnMode {
    /// Those of this process.
    Foreground,
    /// Those of this process, and the engine receives the keys that the user
    /// presses, as [`Keys`](keys::Keys).
    Interactive,
    /// Those of this process. What remains of a killed engine may end with its
    /// streams, and is asked to end before it is killed: commands that hold
    /// something on other machines.
    Placing,
    /// Below another command of this tool, whose end stops both; the guardian
    /// closes its streams.
    Attached,
    /// Like [`Attached`](Self::Attached), and a suspended engine is continued when the
    /// stream on its stdin ends, so that it can end as well.
    Streaming,
    /// In a new session without a terminal. The guardian closes its streams at
    /// once, the engine when it is ready.
    Detached,
}

/// Time that the commands of a killed engine get to end, and again after they were
/// asked to, if they hold something on other machines.
const GRACE: Duration = Duration::from_secs(2);

/// Forks this process into guardian and engine.
///
/// Must be called while the process has a single thread, and before it opens
/// anything. If the guardian keeps its streams, `tell` prints what it does
/// about a suspended engine. In the guardian, returns only after the engine has
/// exited.
pub fn split(mode: SpawnMode, tell: &dyn Fn(&str)) -> io::Result<ForkRole> {
    match mode {
        SpawnMode::Foreground | SpawnMode::Interactive | SpawnMode::Placing => {}
        SpawnMode::Attached | SpawnMode::Streaming => die_with_parent()?,
        SpawnMode::Detached => daemonize::begin()?,
    }
    orphans::adopt()?;
    // A shell that executed this command may have left it children.
    let before = orphans::children().into_iter();
    let before = before.map(|pid| (pid, orphans::start_time(pid))).collect();
    let mut handled: SigSet = HANDLED.into_iter().collect();
    if !is_ignored(HANDLED_UNLESS_IGNORED) {
        handled.add(HANDLED_UNLESS_IGNORED);
    }
    if mode == SpawnMode::Interactive {
        handled.extend(keys::TTY_STOP_SIGNALS);
        handled.add(keys::KEY_SIGNAL);
    }
    let mask = handled.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let keyboard = (mode == SpawnMode::Interactive)
        .then(Keyboard::new)
        .flatten();
    let guardian = Pid::this();
    let between = fd_store::Between::new();
    #[expect(unsafe_code, reason = "there is no other way to fork")]
    // SAFETY: the caller guarantees that this process has a single thread, so
    // no lock is held by a thread that the child lacks.
    let forked = unsafe { fork() }.map_err(|error| io::Error::other(format!("fork: {error}")))?;
    match forked {
        ForkResult::Child => {
            mask.thread_set_mask()?;
            between.become_engine(guardian.as_raw());
            if let Some(keyboard) = keyboard {
                keyboard.become_engine(guardian);
            }
            become_engine(guardian)?;
            Ok(ForkRole::Engine(Guardian(guardian)))
        }
        ForkResult::Parent { child } => {
            let has_streams = !matches!(
                mode,
                SpawnMode::Attached | SpawnMode::Streaming | SpawnMode::Detached
            );
            let hang_up = (mode == SpawnMode::Streaming).then(HangUp::watch_stdin);
            if !has_streams {
                // The reader of a stream must get its end when the engine
                // exits.
                let _ = daemonize::finish();
            }
            between.become_guardian();
            let keyboard = keyboard.map(Keyboard::become_guardian);
            let forwarder = Forwarder::new(child, has_streams.then_some(tell));
            let spares = mode == SpawnMode::Placing;
            let grace = if spares { GRACE } else { Duration::ZERO };
            let watched = Watched {
                forwarder,
                keyboard,
                hang_up,
            };
            Ok(ForkRole::Guardian(watch(
                child, watched, handled, &before, grace,
            )))
        }
    }
}

/// Returns true if this process ignores a signal, according to the kernel;
/// false if `/proc` is unavailable.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0) >> (signal as i32 - 1) & 1 == 1
}

/// Makes the kernel send SIGTERM to this process when its parent dies.
fn die_with_parent() -> io::Result<()> {
    let parent = getppid();
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    if getppid() != parent {
        return Err(io::Error::other("the parent is gone already"));
    }
    Ok(())
}

fn become_engine(guardian: Pid) -> io::Result<()> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    // In the background of a terminal with `tostop`, a write would stop it.
    // Blocked rather than ignored: children get the default disposition.
    SigSet::from(Signal::SIGTTOU).thread_block()?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    orphans::adopt()?;
    if getppid() != guardian {
        return Err(io::Error::other("the guardian is gone already"));
    }
    Ok(())
}

/// The sources of what the engine is told.
struct Watched<'t> {
    forwarder: Forwarder<'t>,
    keyboard: Option<Keyboard>,
    hang_up: Option<HangUp>,
}

/// Forwards signals until the engine has exited, then kills its orphans.
fn watch(
    engine: Pid,
    mut watched: Watched<'_>,
    handled: SigSet,
    before: &BTreeMap<u32, Option<u64>>,
    grace: Duration,
) -> End {
    let keyboard = &mut watched.keyboard;
    let forwarder = &mut watched.forwarder;
    let (code, is_killed) = loop {
        match handled.wait() {
            Ok(Signal::SIGCHLD) => {
                orphans::reap(|pid| pid == engine.as_raw().unsigned_abs());
                let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
                match waitpid(engine, Some(flags)) {
                    Ok(WaitStatus::Exited(_, code)) => {
                        break (u8::try_from(code).unwrap_or(1), false);
                    }
                    Ok(WaitStatus::Signaled(_, signal, _)) => break (killed_by(signal), true),
                    Ok(WaitStatus::Stopped(..)) if forwarder.has_suspended() => {
                        if let Some(keyboard) = keyboard {
                            keyboard.restore();
                        }
                        // The shell sees this stop and reports it.
                        let _ = raise(Signal::SIGSTOP);
                        // Needed in the first process of a PID namespace, which
                        // cannot stop.
                        let _ = kill(engine, Signal::SIGCONT);
                    }
                    _ => {
                        // It may have stopped before it received a signal.
                        forwarder.look();
                    }
                }
            }
            Ok(fd_store::POKE) => {
                if is_gone_after_poke(forwarder, watched.hang_up.as_ref()) {
                    break (killed_by(Signal::SIGKILL), true);
                }
            }
            Ok(keys::KEY_SIGNAL) => {
                if let Some(keyboard) = keyboard {
                    keyboard.forward();
                }
            }
            // The first two are only blocked, and need no handling.
            Ok(Signal::SIGTTIN | Signal::SIGTTOU) | Err(_) => {}
            Ok(signal) => {
                if let (Signal::SIGCONT, Some(keyboard)) = (signal, &mut *keyboard) {
                    keyboard.take();
                }
                forwarder.forward(signal);
            }
        }
    };
    watched.keyboard = None;
    let session = orphans::own_session();
    let is_spared = |orphan: &orphans::Orphan| {
        before.get(&orphan.pid) == Some(&orphan.started) || orphans::is_daemon(orphan, session)
    };
    if is_killed {
        orphans::ask_to_end(is_spared, grace);
    }
    End {
        code,
        is_killed,
        left: orphans::end_all(is_spared).left,
    }
}

/// Does what is due after [`POKE`](fd_store::POKE). Returns true if the engine has
/// exited without a notice.
fn is_gone_after_poke(forwarder: &mut Forwarder<'_>, hang_up: Option<&HangUp>) -> bool {
    fd_store::take();
    if hang_up.is_some_and(HangUp::is_new) {
        forwarder.hang_up();
    }
    forwarder.look()
}

/// Returns the exit code that a shell reports for a signal.
fn killed_by(signal: Signal) -> u8 {
    128 + u8::try_from(signal as i32).unwrap_or(0)
}
