//! Keys that the user presses while a command runs.
//!
//! The engine is in the terminal's background and may not read. The guardian
//! reads key by key without echo, and passes the keys to the engine. It does so
//! only if stdin is the terminal and the command is in its foreground;
//! otherwise the keys belong to another program.
//!
//! The guardian restores the terminal's modes whenever it stops or exits, and
//! the engine does if the guardian was killed. Modes that another program, such
//! as the shell, has changed in the meantime are left alone.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use nix::sys::termios::{tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgid, getpgrp, getppid, tcgetpgrp};

use crate::host::process::pipe::{self, Pipe};

/// Signal that notifies the guardian of keys.
pub(crate) const KEY_SIGNAL: Signal = Signal::SIGIO;
/// Signals that stop a background process that reads from the terminal or sets
/// its modes. While they are blocked, these calls fail instead.
pub(crate) const TTY_STOP_SIGNALS: [Signal; 2] = [Signal::SIGTTIN, Signal::SIGTTOU];

/// Number of bytes read from the terminal at once.
const READ_SIZE: usize = 256;

/// The engine's part, between the fork and [`Keys::listen`].
static ENGINE: Mutex<Option<EnginePart>> = Mutex::new(None);

/// The guardian's side of the terminal; dropping it restores the modes.
#[derive(Debug)]
pub(crate) struct Keyboard {
    terminal: File,
    modes: Option<Modes>,
    /// The end for the engine, until the fork.
    from: Option<OwnedFd>,
    to: File,
}

/// The modes of a terminal before and after they were changed here.
#[derive(Debug, Clone)]
struct Modes {
    before: Termios,
    ours: Termios,
}

#[derive(Debug)]
struct EnginePart {
    keys: OwnedFd,
    modes: Option<Modes>,
    guardian: Pid,
}

impl Keyboard {
    /// Opens the terminal. Returns `None` if stdin is not a terminal or it
    /// cannot be opened. Must be called while [`KEY_SIGNAL`] and
    /// [`TTY_STOP_SIGNALS`] are blocked.
    pub(crate) fn new() -> Option<Self> {
        let made = io::stdin().is_terminal().then(Self::open)?;
        let mut keyboard = made.ok()?;
        keyboard.take();
        Some(keyboard)
    }

    fn open() -> io::Result<Self> {
        // A separate open file, so that its flags do not affect other readers.
        let terminal = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open("/dev/tty")?;
        #[expect(
            unsafe_code,
            reason = "there is no safe way to set the receiver of the signal"
        )]
        // SAFETY: the descriptor is open, and the argument is a process id.
        let told = unsafe { libc::fcntl(terminal.as_raw_fd(), libc::F_SETOWN, libc::getpid()) };
        nix::errno::Errno::result(told)?;
        let flags = OFlag::from_bits_truncate(fcntl(&terminal, FcntlArg::F_GETFL)?);
        fcntl(&terminal, FcntlArg::F_SETFL(flags | OFlag::O_ASYNC))?;
        let (from, to) = pipe::create()?;
        // Keys that the engine does not read are lost.
        rustix::io::ioctl_fionbio(&to, true)?;
        Ok(Self {
            terminal,
            modes: None,
            from: Some(from),
            to: File::from(to),
        })
    }

    /// Keeps the engine's part, in the engine.
    pub(crate) fn become_engine(mut self, guardian: Pid) {
        let part = self.from.take().map(|keys| EnginePart {
            keys,
            // The guardian restores the terminal, not this process.
            modes: self.modes.take(),
            guardian,
        });
        *ENGINE.lock().unwrap_or_else(PoisonError::into_inner) = part;
    }

    /// Drops the engine's part, in the guardian.
    pub(crate) fn become_guardian(mut self) -> Self {
        self.from = None;
        self
    }

    /// Turns off line buffering and echo, if this command is in the foreground.
    pub(crate) fn take(&mut self) {
        let Ok(now) = tcgetattr(&self.terminal) else {
            return;
        };
        let is_ours = self.modes.as_ref().is_some_and(|modes| modes.ours == now);
        if is_ours || !self.is_in_foreground() {
            return;
        }
        let mut ours = now.clone();
        ours.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ECHONL);
        ours.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        ours.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        if tcsetattr(&self.terminal, SetArg::TCSANOW, &ours).is_ok() {
            // Read back, as the terminal may not have accepted every change.
            let ours = tcgetattr(&self.terminal).unwrap_or(ours);
            self.modes = Some(Modes { before: now, ours });
        }
    }

    /// Restores the modes, if this command is in the foreground.
    pub(crate) fn restore(&mut self) {
        if let Some(modes) = self.modes.take() {
            if self.is_in_foreground() {
                modes.restore(&self.terminal);
            }
        }
    }

    /// Passes pressed keys to the engine.
    pub(crate) fn forward(&mut self) {
        if self.modes.is_none() {
            // Brought to the foreground without having been stopped before.
            self.take();
        }
        let mut piece = [0; READ_SIZE];
        // Fails in the background, or if there are no more keys.
        while let Ok(length @ 1..) = self.terminal.read(&mut piece) {
            let _ = self.to.write(&piece[..length]);
        }
    }

    fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&self.terminal) == Ok(getpgrp())
    }
}

impl Drop for Keyboard {
    /// Restores the modes even in the background: a script that exited may have
    /// taken the foreground with it.
    fn drop(&mut self) {
        if let Some(modes) = self.modes.take() {
            modes.restore(&self.terminal);
        }
    }
}

impl Modes {
    /// Restores the modes, unless another program has changed them.
    fn restore(&self, terminal: &File) {
        if tcgetattr(terminal).is_ok_and(|now| now == self.ours) {
            // The terminal may be gone.
            let _ = tcsetattr(terminal, SetArg::TCSANOW, &self.before);
        }
    }
}

/// The engine's side: a stream of pressed keys.
///
/// Dropping it restores the terminal if the guardian was killed.
#[derive(Debug)]
pub struct Keys {
    input: Option<Input>,
    waiting: VecDeque<u8>,
}

#[derive(Debug)]
struct Input {
    pipe: Pipe,
    modes: Option<Modes>,
    guardian: Pid,
}

impl Keys {
    /// Starts receiving keys, if the guardian reads some. Must be called within
    /// the runtime.
    pub fn listen() -> io::Result<Self> {
        let part = ENGINE.lock().unwrap_or_else(PoisonError::into_inner).take();
        let input = part.map(|part| {
            Ok::<_, io::Error>(Input {
                pipe: Pipe::new(part.keys)?,
                modes: part.modes,
                guardian: part.guardian,
            })
        });
        Ok(Self {
            input: input.transpose()?,
            waiting: VecDeque::new(),
        })
    }

    /// Receives the keys that another command of this tool writes to stdin. Must
    /// be called within the runtime.
    pub fn from_stdin() -> io::Result<Self> {
        let keys = io::stdin().as_fd().try_clone_to_owned()?;
        let input = Input {
            pipe: Pipe::new(keys)?,
            modes: None,
            guardian: getppid(),
        };
        Ok(Self {
            input: Some(input),
            waiting: VecDeque::new(),
        })
    }

    /// Returns true if keys that are pressed at the terminal arrive here.
    pub fn are_received(&self) -> bool {
        self.input.as_ref().is_some_and(|input| {
            let foreground = tcgetpgrp(io::stdin()).ok();
            foreground.is_some() && foreground == getpgid(Some(input.guardian)).ok()
        })
    }

    /// Waits for the next key that is a character; forever if no keys can
    /// arrive. Cancel safe.
    pub async fn next(&mut self) -> char {
        loop {
            if let Some(key) = self.waiting.pop_front() {
                return char::from(key);
            }
            let Some(input) = &self.input else {
                return std::future::pending().await;
            };
            let mut piece = [0; READ_SIZE];
            let read = match input.pipe.wait().await {
                Ok(()) => input.pipe.read(&mut piece),
                Err(error) => Err(error),
            };
            match read {
                Ok(Some(length @ 1..)) => self.waiting.extend(characters(&piece[..length])),
                Ok(None) => {}
                // The guardian, or the other command, is gone.
                Ok(Some(0)) | Err(_) => return std::future::pending().await,
            }
        }
    }
}

/// Types keys for a command that is started with the other end as stdin, and
/// listens with [`Keys::from_stdin`].
#[derive(Debug)]
pub struct Typist(File);

impl Typist {
    /// Returns the stdin for the command, and what types there.
    pub fn new() -> io::Result<(File, Self)> {
        let (from, to) = pipe::create()?;
        // Keys that the command does not read are lost.
        rustix::io::ioctl_fionbio(&to, true)?;
        Ok((File::from(from), Self(File::from(to))))
    }

    /// Types a key. It is lost if the command has ended.
    pub fn press(&mut self, key: char) {
        let _ = write!(self.0, "{key}");
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let Some(Input {
            modes: Some(modes),
            guardian,
            ..
        }) = &self.input
        else {
            return;
        };
        if getppid() == *guardian {
            return;
        }
        if let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") {
            modes.restore(&terminal);
        }
    }
}

/// Returns the ASCII characters among terminal input, without escape sequences
/// such as arrows.
fn characters(bytes: &[u8]) -> Vec<u8> {
    const ESCAPE: u8 = 0x1b;
    let mut characters = Vec::new();
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            characters.extend(Some(byte).filter(u8::is_ascii));
        } else if let Some(b'[' | b'O') = bytes.next() {
            // A sequence ends at the first byte in this range.
            let _ = bytes.find(|byte| (0x40..=0x7e).contains(byte));
        }
    }
    characters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_are_keys() {
        for (sent, keys) in [
            (&b"a"[..], &b"a"[..]),
            (b"fa\n", b"fa\n"),
            (b"\x1b[A", b""),
            (b"\x1b[1;5Cq", b"q"),
            (b"\x1bOPr", b"r"),
            (b"\x1bq", b""),
            (b"\x1b", b""),
            (b"\x1b[", b""),
            ("äq".as_bytes(), b"q"),
        ] {
            assert_eq!(characters(sent), keys, "{sent:?}");
        }
    }
}
