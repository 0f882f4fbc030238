//! The foreground of the terminal: lent to a command that needs it, and taken
//! back.
//!
//! The process group of the guardian has the foreground. A process has one
//! controlling terminal, so the loan is recorded in one place.

pub mod editor;
pub mod keys;

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Pid, getpgid, getppid, tcgetpgrp, tcsetpgrp};

/// A terminal whose foreground is ours to lend.
struct Terminal {
    device: File,
    /// The group that had the foreground.
    ours: Pid,
    /// The group that it is lent to.
    borrower: Pid,
}

static LENT: Mutex<Option<Terminal>> = Mutex::new(None);

/// Lends the foreground to a group, where this command has it.
pub fn lend(group: u32) {
    let (Ok(borrower), Ok(ours)) = (i32::try_from(group), getpgid(Some(getppid()))) else {
        return;
    };
    // A group outside of this PID namespace could not be given it back.
    if ours.as_raw() <= 0 {
        return;
    }
    let Ok(device) = File::options().read(true).write(true).open("/dev/tty") else {
        return;
    };
    let terminal = Terminal {
        device,
        ours,
        borrower: Pid::from_raw(borrower),
    };
    terminal.pass(ours, terminal.borrower);
    *LENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(terminal);
}

/// Takes the foreground back for good.
pub fn take_back() {
    let mut lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(terminal) = lent.take() {
        terminal.pass(terminal.borrower, terminal.ours);
    }
}

/// Takes the foreground back for as long as everything is suspended.
pub fn pause() {
    let lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(terminal) = lent.as_ref() {
        terminal.pass(terminal.borrower, terminal.ours);
    }
}

/// Lends the foreground again to the same group, where this command was
/// continued in it.
pub fn go_on() {
    let lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(terminal) = lent.as_ref() {
        terminal.pass(terminal.ours, terminal.borrower);
    }
}

impl Terminal {
    /// Passes the foreground on; to whoever has it otherwise, it stays.
    fn pass(&self, from: Pid, to: Pid) {
        if tcgetpgrp(&self.device) == Ok(from) {
            // A terminal that is gone needs nobody in its foreground.
            let _ = tcsetpgrp(&self.device, to);
        }
    }
}
