//! `config`: the options in force.

use crate::cli::Session;
use crate::cli::args::ConfigArgs;
use crate::cli::exit::Exit;
use crate::commands::config;
use crate::error::Error;
use crate::report::query;
use crate::report::shell::Color;

impl Session<'_> {
    pub(super) fn config(&self, args: &ConfigArgs) -> Result<Exit, Error> {
        let (color, from) = self.general.color_from();
        let color = match color {
            Color::Auto => "auto",
            Color::Always => "always",
            Color::Never => "never",
        };
        let options = config::Options {
            home_from: self.general.home_from(),
            color: (color, from),
            build: args.build.options(self.general),
            role: args.role.clone(),
        };
        let outcome = config::config(&self.places, &options)?;
        self.printer
            .show(move |shell| query::config(shell, &outcome));
        Ok(Exit::Success)
    }
}
