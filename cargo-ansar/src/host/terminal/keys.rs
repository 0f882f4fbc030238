//! Keys that a person presses at the terminal while a command runs in it.
//!
//! The engine is in the terminal's background and may not read. The guardian may:
//! it takes the keys as they are pressed, one by one and unseen, and hands them
//! to the engine. Only where stdin is the terminal, and only while this command
//! is in its foreground: otherwise the keys are somebody else's.
//!
//! The terminal is put back as it was whenever the guardian stops or ends, and
//! by the engine where the guardian was killed; but only where it still is as it
//! was made here, for a shell that has it back already knows better.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use nix::sys::termios::{tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgid, getpgrp, getppid, tcgetpgrp};

use crate::host::process::pipe::Pipe;

/// The signal that tells the guardian of keys.
pub(crate) const PRESSED: Signal = Signal::SIGIO;
/// What a process in the background is stopped by that reads from the terminal,
/// or sets its modes. Blocked, they are errors instead.
pub(crate) const FOR_THE_FOREGROUND: [Signal; 2] = [Signal::SIGTTIN, Signal::SIGTTOU];

/// How many bytes are taken from the terminal at once.
const PIECE: usize = 256;

/// What the engine has of it, between the fork and [`Keys::listen`].
static ENGINE: Mutex<Option<Below>> = Mutex::new(None);

/// The terminal, as the guardian has it. Dropped, it is put back.
#[derive(Debug)]
pub(crate) struct Keyboard {
    terminal: File,
    modes: Option<Modes>,
    /// The end that the engine reads, until the two part.
    from: Option<PipeReader>,
    to: PipeWriter,
}

/// How a terminal was, and what was made of it.
#[derive(Debug, Clone)]
struct Modes {
    before: Termios,
    ours: Termios,
}

#[derive(Debug)]
struct Below {
    keys: PipeReader,
    modes: Option<Modes>,
    guardian: Pid,
}

impl Keyboard {
    /// The keyboard of a person who sits at this command; none where there is
    /// nobody, or it cannot be had. To be called while [`PRESSED`] and
    /// [`FOR_THE_FOREGROUND`] are blocked.
    pub(crate) fn new() -> Option<Self> {
        let made = io::stdin().is_terminal().then(Self::open)?;
        let mut keyboard = made.ok()?;
        keyboard.take();
        Some(keyboard)
    }

    fn open() -> io::Result<Self> {
        // Opened anew: how others read the terminal is not to be changed.
        let terminal = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open("/dev/tty")?;
        #[expect(unsafe_code, reason = "there is no safe way to say who is told")]
        // SAFETY: the descriptor is open, and the argument is a process.
        let told = unsafe { libc::fcntl(terminal.as_raw_fd(), libc::F_SETOWN, libc::getpid()) };
        nix::errno::Errno::result(told)?;
        let flags = OFlag::from_bits_truncate(fcntl(&terminal, FcntlArg::F_GETFL)?);
        fcntl(&terminal, FcntlArg::F_SETFL(flags | OFlag::O_ASYNC))?;
        let (from, to) = io::pipe()?;
        // An engine that reads no keys loses them.
        rustix::io::ioctl_fionbio(&to, true)?;
        Ok(Self {
            terminal,
            modes: None,
            from: Some(from),
            to,
        })
    }

    /// Keeps in the engine what it needs of this.
    pub(crate) fn become_engine(mut self, guardian: Pid) {
        let below = self.from.take().map(|keys| Below {
            keys,
            // It is not this process that puts the terminal back.
            modes: self.modes.take(),
            guardian,
        });
        *ENGINE.lock().unwrap_or_else(PoisonError::into_inner) = below;
    }

    /// Leaves to the engine what is its own.
    pub(crate) fn become_guardian(mut self) -> Self {
        self.from = None;
        self
    }

    /// Has the terminal give keys one by one and show none of them, where this
    /// command is in its foreground.
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
            // As the terminal has it, which may not have taken everything.
            let ours = tcgetattr(&self.terminal).unwrap_or(ours);
            self.modes = Some(Modes { before: now, ours });
        }
    }

    /// Puts the terminal back as it was.
    pub(crate) fn put_back(&mut self) {
        if let Some(modes) = self.modes.take()
            && self.is_in_foreground()
        {
            modes.put_back(&self.terminal);
        }
    }

    /// Hands to the engine what was pressed.
    pub(crate) fn hand_over(&mut self) {
        if self.modes.is_none() {
            // Brought to the foreground without having been stopped before.
            self.take();
        }
        let mut piece = [0; PIECE];
        // In the background, and where nothing is left, it is an error.
        while let Ok(length @ 1..) = self.terminal.read(&mut piece) {
            let _ = self.to.write(&piece[..length]);
        }
    }

    fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&self.terminal) == Ok(getpgrp())
    }
}

impl Drop for Keyboard {
    /// In the background, too: a script that has ended may have taken the
    /// foreground with it.
    fn drop(&mut self) {
        if let Some(modes) = self.modes.take() {
            modes.put_back(&self.terminal);
        }
    }
}

impl Modes {
    /// What somebody else has made of the terminal meanwhile stays.
    fn put_back(&self, terminal: &File) {
        if tcgetattr(terminal).is_ok_and(|now| now == self.ours) {
            // A terminal that is gone needs no modes.
            let _ = tcsetattr(terminal, SetArg::TCSANOW, &self.before);
        }
    }
}

/// Keys that are pressed, as the engine hears of them.
///
/// Dropped where the guardian was killed, it puts the terminal back.
#[derive(Debug)]
pub struct Keys {
    heard: Option<Heard>,
    waiting: VecDeque<u8>,
}

#[derive(Debug)]
struct Heard {
    pipe: Pipe,
    modes: Option<Modes>,
    guardian: Pid,
}

impl Keys {
    /// Hears keys from now on, where a person can press some; inside of the
    /// runtime only.
    pub fn listen() -> io::Result<Self> {
        let below = ENGINE.lock().unwrap_or_else(PoisonError::into_inner).take();
        let heard = below.map(|below| {
            Ok::<_, io::Error>(Heard {
                pipe: Pipe::new(OwnedFd::from(below.keys))?,
                modes: below.modes,
                guardian: below.guardian,
            })
        });
        Ok(Self {
            heard: heard.transpose()?,
            waiting: VecDeque::new(),
        })
    }

    /// Whether a key that is pressed now is heard.
    pub fn are_heard(&self) -> bool {
        self.heard.as_ref().is_some_and(|heard| {
            let foreground = tcgetpgrp(io::stdin()).ok();
            foreground.is_some() && foreground == getpgid(Some(heard.guardian)).ok()
        })
    }

    /// Waits for the next key that is a character; where none can be pressed,
    /// for ever. May be dropped in the middle.
    pub async fn next(&mut self) -> char {
        loop {
            if let Some(key) = self.waiting.pop_front() {
                return char::from(key);
            }
            let Some(heard) = &self.heard else {
                return std::future::pending().await;
            };
            let mut piece = [0; PIECE];
            let read = match heard.pipe.wait().await {
                Ok(()) => heard.pipe.read(&mut piece),
                Err(error) => Err(error),
            };
            match read {
                Ok(Some(length @ 1..)) => self.waiting.extend(characters(&piece[..length])),
                Ok(None) => {}
                // Whoever pressed them is gone.
                Ok(Some(0)) | Err(_) => return std::future::pending().await,
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(Heard {
            modes: Some(modes),
            guardian,
            ..
        }) = &self.heard
            && getppid() != *guardian
            && let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty")
        {
            modes.put_back(&terminal);
        }
    }
}

/// The characters among what a terminal sends; an arrow is none.
fn characters(bytes: &[u8]) -> Vec<u8> {
    const ESCAPE: u8 = 0x1b;
    let mut characters = Vec::new();
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            characters.extend(Some(byte).filter(u8::is_ascii));
        } else if let Some(b'[' | b'O') = bytes.next() {
            // It ends with the first letter, or with what is like one.
            let _ = bytes.find(|byte| (0x40..=0x7e).contains(byte));
        }
    }
    characters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_character_is_a_key() {
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
