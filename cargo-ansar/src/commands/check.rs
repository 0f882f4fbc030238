//! `cargo ansar check`: run `cargo check`, and read the failures of the last
//! run.

use crate::commands::build::open_if_exists;
use crate::deploy::needs::locked_with_needs;
use crate::error::Error;
use crate::events::Events;
use crate::host::cargo::{CargoError, Messages};
use crate::host::process::interrupts::Interrupts;
use crate::model::run_report::RunReport;
use crate::testing::killed_run::last_report;
use crate::workspace::Places;
use crate::workspace::build;

/// Options of `check`.
#[derive(Debug)]
pub struct Options {
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
pub async fn check(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let workspace = places.needed_workspace()?;
    let description = workspace.description.as_ref();
    let needs_home = options.last || description.is_some_and(|it| !it.build.env.is_empty());
    let home = if needs_home || workspace.needs_roles() {
        open_if_exists(places, &workspace, events)?
    } else {
        None
    };
    let cargo = async |interrupts: &mut Interrupts| {
        let build = options.build.described(&workspace, home.as_ref())?;
        let messages = options.messages.as_ref();
        tokio::select! {
            checked = build.check(options.all_targets, &places.folder, messages) => match checked {
                Ok(()) => Ok(false),
                Err(CargoError::Failed { .. }) => Ok(true),
                Err(error) => Err(error.into()),
            },
            interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
        }
    };
    let failed = match &home {
        Some(home) => locked_with_needs(home, &workspace, interrupts, events, cargo).await?,
        None => cargo(interrupts).await?,
    };
    if !options.last {
        return Ok(Outcome { failed, last: None });
    }
    // Without a home, no tests have run.
    let last = home.as_ref().map(last_report).transpose()?.flatten();
    Ok(Outcome { failed, last })
}
