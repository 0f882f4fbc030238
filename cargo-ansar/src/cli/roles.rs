//! `list`, `update` and `delete`: the roles of a home.

use crate::commands;
use clap::Args;

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::cli::search::SearchArgs;
use crate::error::Error;
use crate::report::{human, listing};

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
    /// Show executables, counts and sizes, too
    #[arg(short, long)]
    pub(super) long_listing: bool,
    /// Show processes that roles called, too
    #[arg(long)]
    pub(super) all_roles: bool,
}

/// Arguments of `update`.
#[derive(Debug, Args)]
#[command(
    override_usage = "cargo ansar update [OPTIONS] [SEARCH]... --SETTING=VALUE...",
    after_help = "Any `--name=value` that is not an option is a setting of the component, \
                  and so is everything after `--`. A running role reads it at its next start."
)]
pub struct UpdateArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
    #[arg(skip)]
    pub(super) settings: Vec<(String, String)>,
}

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub(super) search: SearchArgs,
}

impl Session<'_> {
    pub(super) fn list(&self, args: &ListArgs) -> Result<Exit, Error> {
        let options = commands::list::Options {
            search: args.search.search(&self.places)?,
            long: args.long_listing,
            all: args.all_roles,
        };
        let listing = commands::list::list(&self.places, &options)?;
        self.printer
            .show(move |shell| listing::listed(shell, &listing));
        Ok(Exit::Success)
    }

    pub(super) async fn update(&self, args: &UpdateArgs) -> Result<Exit, Error> {
        let options = commands::update::Options {
            search: args.search.search(&self.places)?,
            settings: args.settings.clone(),
        };
        let roles =
            commands::update::update(&self.places, &options, &self.printer.events()).await?;
        self.show_status("Updated", human::roles(&roles));
        Ok(Exit::Success)
    }

    pub(super) async fn delete(&self, args: &DeleteArgs) -> Result<Exit, Error> {
        let deleted = commands::delete::delete(
            &self.places,
            &args.search.search(&self.places)?,
            self.force,
            &mut self.interrupts()?,
            &self.printer.events(),
        )
        .await?;
        self.printer
            .show(move |shell| listing::deleted(shell, &deleted));
        Ok(Exit::Success)
    }
}
