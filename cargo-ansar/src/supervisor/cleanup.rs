//! Kills orphans of killed commands before roles are run.
//!
//! A running engine holds a locked mark in the home. An unlocked mark is stale:
//! its engine was killed together with its guardian, or the home was copied
//! while the engine ran.

use crate::error::{EngineError, Error};
use crate::events::{Events, RunEvent};
use crate::home::Home;
use crate::home::engine_marks::Mark;
use crate::host::process::orphans;

/// Cleans up the home and creates the mark of this engine, which is removed on
/// drop.
pub fn clean_and_mark(home: &Home, events: &Events) -> Result<Mark, Error> {
    clean_all(home, events)?;
    Ok(home.mark_engine()?)
}

/// The outcome of a cleanup.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Process IDs of running engines.
    pub engines: Vec<u32>,
    /// Process IDs of orphans that could not be killed.
    pub remaining: Vec<u32>,
}

/// Kills orphans of killed engines and removes stale marks. A mark whose
/// orphans cannot be killed stays for the next command.
pub fn clean(home: &Home, events: &Events) -> Result<Cleaned, Error> {
    let engines = home.marks()?;
    let mut cleaned = Cleaned {
        engines: engines.live,
        remaining: Vec::new(),
    };
    let mut count = 0;
    for stale in engines.stale {
        if !stale.is_alive() {
            let killed = orphans::kill_marked(&home.token(stale.pid));
            count += killed.ended;
            if !killed.left.is_empty() {
                cleaned.remaining.extend(killed.left);
                continue;
            }
        }
        stale.forget()?;
    }
    if count > 0 {
        events.emit(RunEvent::CleanedUp { count });
    }
    Ok(cleaned)
}

/// Like [`clean`], but returns an error if an orphan remains.
pub fn clean_all(home: &Home, events: &Events) -> Result<(), Error> {
    match clean(home, events)?.remaining {
        remaining if remaining.is_empty() => Ok(()),
        remaining => Err(Error::Engine(EngineError::Orphans(remaining))),
    }
}
