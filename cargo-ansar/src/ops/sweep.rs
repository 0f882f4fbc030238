//! Ends what killed commands left, before roles are run.
//!
//! An engine leaves its mark in the home while it runs. A mark that nobody
//! holds is of an engine that was killed together with its guardian, or of a
//! home that was copied while it ran.

use super::Error;
use crate::event::{Events, Kind};
use crate::home::Home;
use crate::home::engine::Mark;
use crate::host::strays;

/// Sweeps the home, and leaves this command's own mark in it, which is gone
/// when it is dropped.
pub fn sweep(home: &Home, events: &Events) -> Result<Mark, Error> {
    clean(home, events)?;
    Ok(home.mark_engine()?)
}

/// Sweeps the home; the processes of the engines that run.
pub fn clean(home: &Home, events: &Events) -> Result<Vec<u32>, Error> {
    let engines = home.marks()?;
    let mut count = 0;
    for gone in engines.unclean {
        if !gone.is_alive() {
            count += strays::sweep(&home.token(gone.pid));
        }
        gone.forget()?;
    }
    if count > 0 {
        events.emit(Kind::Swept { count });
    }
    Ok(engines.live)
}
