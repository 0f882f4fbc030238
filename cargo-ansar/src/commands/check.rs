//! `cargo ansar check`: what Cargo says of the workspace, and what the last
//! run said.

use std::ffi::OsString;

use crate::error::Error;
use crate::home::{Home, HomeError};
use crate::host::cargo;
use crate::host::cargo::{CargoError, Messages};
use crate::host::process::interrupts::Interrupts;
use crate::model::run_report::RunReport;
use crate::workspace::Places;

/// What to check.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// Arguments of `cargo check`.
    pub arguments: Vec<OsString>,
    /// Who is told the messages of Cargo, in JSON; text goes to stderr where
    /// nobody is.
    pub messages: Option<Messages>,
    /// Whether with what the last run found.
    pub last: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Whether Cargo found an error.
    pub failed: bool,
    /// What came of the last run, where there was one.
    pub last: Option<RunReport>,
}

/// Has Cargo check the workspace, and reads what the last run found.
pub async fn check(options: &Options, interrupts: &mut Interrupts) -> Result<Outcome, Error> {
    let places = &options.places;
    let workspace = places.needed_workspace()?;
    let checked = tokio::select! {
        checked = cargo::check(&options.arguments, &places.folder, options.messages.as_ref()) => checked,
        interrupt = interrupts.next() => return Err(Error::Interrupted(interrupt)),
    };
    let failed = match checked {
        Ok(()) => false,
        Err(CargoError::Failed { .. }) => true,
        Err(error) => return Err(error.into()),
    };
    if !options.last {
        return Ok(Outcome { failed, last: None });
    }
    let last = match Home::open(&places.home(Some(&workspace))) {
        Ok(home) => home.last_report()?,
        // Nothing was run yet.
        Err(HomeError::NotThere(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Outcome { failed, last })
}
