//! Ends what killed commands left, before roles are run.
//!
//! An engine leaves its mark in the home while it runs. A mark that nobody
//! holds is of an engine that was killed together with its guardian, or of a
//! home that was copied while it ran.

use crate::error::Error;
use crate::events::{Events, Kind};
use crate::home::Home;
use crate::home::engine_marks::Mark;
use crate::host::process::orphans;

/// Sweeps the home, and leaves this command's own mark in it, which is gone
/// when it is dropped.
pub fn clean_and_mark(home: &Home, events: &Events) -> Result<Mark, Error> {
    clean_all(home, events)?;
    Ok(home.mark_engine()?)
}

/// The outcome of a cleanup.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// The processes of the engines that run.
    pub engines: Vec<u32>,
    /// Orphans of engines that were killed, which could not be ended.
    pub left: Vec<u32>,
}

/// Sweeps the home. A mark whose orphans cannot be ended stays for the next
/// command.
pub fn clean(home: &Home, events: &Events) -> Result<Cleaned, Error> {
    let engines = home.marks()?;
    let mut cleaned = Cleaned {
        engines: engines.live,
        left: Vec::new(),
    };
    let mut count = 0;
    for gone in engines.unclean {
        if !gone.is_alive() {
            let killed = orphans::kill_marked(&home.token(gone.pid));
            count += killed.ended;
            if !killed.left.is_empty() {
                cleaned.left.extend(killed.left);
                continue;
            }
        }
        gone.forget()?;
    }
    if count > 0 {
        events.emit(Kind::CleanedUp { count });
    }
    Ok(cleaned)
}

/// Sweeps the home; an error where something is left.
pub fn clean_all(home: &Home, events: &Events) -> Result<(), Error> {
    match clean(home, events)?.left {
        left if left.is_empty() => Ok(()),
        left => Err(Error::Orphans(left)),
    }
}
