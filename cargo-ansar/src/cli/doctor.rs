//! `doctor`: the state of the system, the home and the workspace.

use clap::Args;

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::commands;
use crate::error::Error;
use crate::model::finding::State;
use crate::report::query;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Changes nothing. Fails if there is an error; a warning is no failure.")]
pub struct DoctorArgs {}

impl Session<'_> {
    pub(super) async fn doctor(&self, _: &DoctorArgs) -> Result<Exit, Error> {
        let findings = commands::doctor::doctor(&self.places).await;
        let has_error = findings.iter().any(|it| it.state == State::Error);
        self.printer
            .show(move |shell| query::findings(shell, &findings));
        Ok(if has_error {
            Exit::Setup
        } else {
            Exit::Success
        })
    }
}
