//! `ui`: the user interface that lives.

use clap::Args;

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::error::Error;
use crate::report::shell::is_colored;
use crate::ui::terminal;

/// Arguments of `ui`.
#[derive(Debug, Args)]
#[command(after_help = "Press ? for the keys. Roles keep running when it ends.")]
pub struct UiArgs {}

impl Session<'_> {
    pub(super) async fn ui(&self) -> Result<Exit, Error> {
        let options = terminal::Options {
            places: self.places.clone(),
            colors: is_colored(),
        };
        let interrupt = terminal::show(&options).await?;
        Ok(interrupt.map_or(Exit::Success, Exit::Interrupted))
    }
}
