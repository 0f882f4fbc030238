//! `cargo ansar check`: run `cargo check`, and read the failures of the last
//! run.

use std::ffi::OsString;

use crate::error::Error;
use crate::home::{Home, HomeError};
use crate::host::cargo;
use crate::host::cargo::{CargoError, Messages};
use crate::host::process::interrupts::Interrupts;
use crate::model::run_report::RunReport;
use crate::workspace::Places;

/// Options of `check`.
#[derive(Debug)]
pub struct Options {
    /// Workspace and home.
    pub places: Places,
    /// Arguments of `cargo check`.
    pub arguments: Vec<OsString>,
    /// Handler of Cargo's JSON messages; without it, Cargo prints text to
    /// stderr.
    pub messages: Option<Messages>,
    /// True if the last run is read, too.
    pub last: bool,
}

/// The outcome of `check`.
#[derive(Debug)]
pub struct Outcome {
    /// True if Cargo found an error.
    pub failed: bool,
    /// Report of the last run, if one was requested and exists.
    pub last: Option<RunReport>,
}

/// Runs `cargo check`, and reads the report of the last run if requested.
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
        // Without a home, no tests have run.
        Err(HomeError::NotThere(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Outcome { failed, last })
}
