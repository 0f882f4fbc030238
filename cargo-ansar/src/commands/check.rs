//! `cargo ansar check`: run `cargo check`, and read the failures of the last
//! run.

use crate::error::Error;
use crate::home::{Home, HomeError};
use crate::host::cargo::{CargoError, Messages};
use crate::host::process::interrupts::Interrupts;
use crate::model::run_report::RunReport;
use crate::workspace::Places;
use crate::workspace::build;

/// Options of `check`.
#[derive(Debug)]
pub struct Options {
    /// Workspace and home.
    pub places: Places,
    /// Options for Cargo.
    pub build: build::Options,
    /// True if all targets are checked.
    pub all_targets: bool,
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
    let description = workspace.description.as_ref();
    let needs_home = options.last || description.is_some_and(|it| !it.build.env.is_empty());
    let home = match needs_home.then(|| Home::open(&places.home(Some(&workspace)))) {
        Some(Ok(home)) => Some(home),
        None | Some(Err(HomeError::NotThere(_))) => None,
        Some(Err(error)) => return Err(error.into()),
    };
    let build = options.build.described(&workspace, home.as_ref())?;
    let messages = options.messages.as_ref();
    let checked = tokio::select! {
        checked = build.check(options.all_targets, &places.folder, messages) => checked,
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
    // Without a home, no tests have run.
    let last = home.map(|home| home.last_report()).transpose()?.flatten();
    Ok(Outcome { failed, last })
}
