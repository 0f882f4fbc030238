//! `cargo ansar report`: the last run, again.

use super::Error;
use super::locate::Places;
use crate::home::last::LastRun;

/// The last run of the home.
pub fn last(places: &Places) -> Result<LastRun, Error> {
    let (home, _) = places.open()?;
    let last = home.last_run()?;
    last.ok_or_else(|| Error::NoRun(home.root().to_owned()))
}
