//! `cargo ansar report`: show the last run.

use crate::error::Error;
use crate::home::last_run::LastRun;
use crate::testing::killed_run;
use crate::workspace::Places;

/// Returns the last run of the home.
pub fn last(places: &Places) -> Result<LastRun, Error> {
    let (home, _) = places.open()?;
    let last = killed_run::last_run(&home)?;
    last.ok_or_else(|| Error::NoRun(home.root().to_owned()))
}
