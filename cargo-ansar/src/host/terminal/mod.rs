//! Lending the terminal's foreground to a program, and taking it back. [`screen`]
//! is for a program on the whole screen.
//!
//! The guardian's process group has the foreground. A process has one
//! controlling terminal, so there is one record of the loan.

pub mod editor;
pub mod keys;
#[cfg(feature = "ui")]
pub mod screen;

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Pid, getpgid, getppid, tcgetpgrp, tcsetpgrp};

/// Returns the number of columns and lines of a terminal; `None` if it is not a
/// terminal, or has no size.
pub fn size(terminal: impl AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Returns true if this command is in the foreground of a terminal.
/// `has_guardian` is true in an engine, whose guardian has the foreground.
pub fn is_in_foreground(terminal: impl AsFd, has_guardian: bool) -> bool {
    let ours = if has_guardian {
        getpgid(Some(getppid()))
    } else {
        getpgid(None)
    };
    // Another terminal than the one of this session has no job control.
    tcgetpgrp(terminal).map_or(true, |front| ours == Ok(front))
}

/// A terminal whose foreground is lent.
struct Terminal {
    device: File,
    /// The group that had the foreground.
    ours: Pid,
    /// The group that has the foreground now.
    borrower: Pid,
}

static LENT: Mutex<Option<Terminal>> = Mutex::new(None);

/// Gives the foreground to a group, if this command has it.
pub fn lend(group: u32) {
    let (Ok(borrower), Ok(ours)) = (i32::try_from(group), getpgid(Some(getppid()))) else {
        return;
    };
    // The guardian is outside of this PID namespace, so the foreground could
    // not be given back.
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

/// Takes the foreground back, ending the loan.
pub fn take_back() {
    let mut lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(terminal) = lent.take() {
        terminal.pass(terminal.borrower, terminal.ours);
    }
}

/// Takes the foreground back while everything is suspended.
pub fn pause() {
    let lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(terminal) = lent.as_ref() {
        terminal.pass(terminal.borrower, terminal.ours);
    }
}

/// Gives the foreground to the same group again, if this command was continued
/// in the foreground.
pub fn resume() {
    let lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(terminal) = lent.as_ref() {
        terminal.pass(terminal.ours, terminal.borrower);
    }
}

impl Terminal {
    /// Passes the foreground from one group to another; does nothing if a third
    /// group has it.
    fn pass(&self, from: Pid, to: Pid) {
        if tcgetpgrp(&self.device) == Ok(from) {
            // The terminal may be gone.
            let _ = tcsetpgrp(&self.device, to);
        }
    }
}
