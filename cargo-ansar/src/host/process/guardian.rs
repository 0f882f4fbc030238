//! The guardian: a tiny process that stands above the engine, outlives it, and
//! leaves nothing behind.
//!
//! The command forks before it does anything else. The parent becomes the
//! guardian: it stays in the terminal's foreground group, hands signals on, and
//! keeps the exit code. The child becomes the engine, in a group of its own. If
//! the engine dies, the guardian kills everything below; if the guardian dies,
//! the engine hears of it, and does the same.

mod suspended;

use std::collections::BTreeMap;
use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid, setpgid};

use crate::host::process::guardian::suspended::Forwarder;
use crate::host::process::{daemonize, fd_store, orphans};
use crate::host::terminal::keys;
use crate::host::terminal::keys::Keyboard;

/// Which of the two processes this is.
#[derive(Debug)]
pub enum ForkRole {
    /// The engine, which goes on with the command.
    Engine(Guardian),
    /// The guardian; the engine has ended.
    Guardian(End),
}

/// The end of an engine, as its guardian saw it.
#[derive(Debug)]
pub struct End {
    /// Its exit code.
    pub code: u8,
    /// Returns true if it was killed, and could not say why it ended.
    pub is_killed: bool,
    /// The processes below it that could not be killed, and the reason.
    pub left: Vec<(u32, String)>,
}

/// The guardian, as the engine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guardian(Pid);

impl Guardian {
    /// Whether it is gone.
    pub fn is_gone(self) -> bool {
        getppid() != self.0
    }

    /// Has the kernel wake this process when the guardian is gone, also where
    /// it is stopped then; it hears SIGCONT from now on.
    pub(crate) fn wakes_this_process(self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(Signal::SIGCONT)?;
        if self.is_gone() {
            raise(Signal::SIGCONT)?;
        }
        Ok(())
    }
}

/// The signals that the guardian hears; all of them are the engine's.
///
/// SIGINT among them also where it is ignored, as in a script's background:
/// whoever sends it there means this command.
const HEARD: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGCHLD,
    fd_store::POKE,
];
/// What it hears as well, unless it was told to ignore it, as `nohup` does.
const HEARD_UNLESS_IGNORED: Signal = Signal::SIGHUP;

/// Where the two of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnMode {
    /// Where this process is.
    Foreground,
    /// Where this process is, and what a person types there is the engine's,
    /// who hears of it by [`Keys`](keys::Keys).
    Interactive,
    /// Below another command of ours, whose end is theirs; the guardian has no
    /// streams.
    Attached,
    /// In a session of their own, without a terminal. The engine keeps the
    /// streams until it lets go of them; the guardian does so at once.
    Detached,
}

/// Splits this process in two. To be called while it has one thread, and
/// before it opened anything. A guardian with streams has `tell` print what it
/// does about an engine that is suspended.
pub fn split(mode: SpawnMode, tell: &dyn Fn(&str)) -> io::Result<ForkRole> {
    match mode {
        SpawnMode::Foreground | SpawnMode::Interactive => {}
        SpawnMode::Attached => die_with_parent()?,
        SpawnMode::Detached => daemonize::begin()?,
    }
    orphans::adopt()?;
    // A shell that became this command may have left it children.
    let before = orphans::children().into_iter();
    let before = before.map(|pid| (pid, orphans::start_time(pid))).collect();
    let mut heard: SigSet = HEARD.into_iter().collect();
    if !is_ignored(HEARD_UNLESS_IGNORED) {
        heard.add(HEARD_UNLESS_IGNORED);
    }
    if mode == SpawnMode::Interactive {
        heard.extend(keys::FOR_THE_FOREGROUND);
        heard.add(keys::PRESSED);
    }
    let mask = heard.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let keyboard = (mode == SpawnMode::Interactive)
        .then(Keyboard::new)
        .flatten();
    let guardian = Pid::this();
    let between = fd_store::Between::new();
    #[expect(unsafe_code, reason = "there is no other way to fork")]
    // SAFETY: this process has one thread, as the caller promises: no lock is
    // held by a thread that the child does not have.
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
            let has_streams = !matches!(mode, SpawnMode::Attached | SpawnMode::Detached);
            if !has_streams {
                // It has nothing to say, and whoever reads must hear the end.
                let _ = daemonize::finish();
            }
            between.become_guardian();
            let keyboard = keyboard.map(Keyboard::become_guardian);
            let forwarder = Forwarder::new(child, has_streams.then_some(tell));
            Ok(ForkRole::Guardian(watch(
                child, forwarder, heard, &before, keyboard,
            )))
        }
    }
}

/// Whether this process was started to ignore a signal, by the kernel's own
/// account; where there is none, it was not.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0) >> (signal as i32 - 1) & 1 == 1
}

/// Has the kernel tell this process to stop when its parent is gone.
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
    // Blocked, not ignored: what it starts has the default again.
    SigSet::from(Signal::SIGTTOU).thread_block()?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    orphans::adopt()?;
    if getppid() != guardian {
        return Err(io::Error::other("the guardian is gone already"));
    }
    Ok(())
}

/// Hands signals on until the engine has ended, then ends what it left.
fn watch(
    engine: Pid,
    mut forwarder: Forwarder<'_>,
    heard: SigSet,
    before: &BTreeMap<u32, Option<u64>>,
    mut keyboard: Option<Keyboard>,
) -> End {
    let (code, is_killed) = loop {
        match heard.wait() {
            Ok(Signal::SIGCHLD) => {
                orphans::reap(|pid| pid == engine.as_raw().unsigned_abs());
                let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
                match waitpid(engine, Some(flags)) {
                    Ok(WaitStatus::Exited(_, code)) => {
                        break (u8::try_from(code).unwrap_or(1), false);
                    }
                    Ok(WaitStatus::Signaled(_, signal, _)) => break (killed_by(signal), true),
                    Ok(WaitStatus::Stopped(..)) if forwarder.has_suspended() => {
                        if let Some(keyboard) = &mut keyboard {
                            keyboard.put_back();
                        }
                        // The shell sees this stop, and says so.
                        let _ = raise(Signal::SIGSTOP);
                        // The first process of a PID namespace cannot stop.
                        let _ = kill(engine, Signal::SIGCONT);
                    }
                    _ => {
                        // It may have stopped before it heard a signal.
                        forwarder.look();
                    }
                }
            }
            Ok(fd_store::POKE) => {
                fd_store::take();
                if forwarder.look() {
                    break (killed_by(Signal::SIGKILL), true);
                }
            }
            Ok(keys::PRESSED) => {
                if let Some(keyboard) = &mut keyboard {
                    keyboard.hand_over();
                }
            }
            // The first two are blocked, and not for anybody to hear.
            Ok(Signal::SIGTTIN | Signal::SIGTTOU) | Err(_) => {}
            Ok(signal) => {
                if let (Signal::SIGCONT, Some(keyboard)) = (signal, &mut keyboard) {
                    keyboard.take();
                }
                forwarder.forward(signal);
            }
        }
    };
    drop(keyboard);
    let session = orphans::own_session();
    let is_spared = |orphan: &orphans::Orphan| {
        before.get(&orphan.pid) == Some(&orphan.started) || orphans::is_daemon(orphan, session)
    };
    End {
        code,
        is_killed,
        left: orphans::end_all(is_spared).left,
    }
}

/// The exit code of a command that died of a signal, as a shell has it.
fn killed_by(signal: Signal) -> u8 {
    128 + u8::try_from(signal as i32).unwrap_or(0)
}
