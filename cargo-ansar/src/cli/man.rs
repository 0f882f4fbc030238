//! `man`: write a manual page for each command.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use crate::cli::exit::Exit;
use crate::cli::{Session, command};
use crate::error::Error;
use crate::host::fs;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages, created if missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// File name and content of a page.
type Page = (String, Vec<u8>);

/// Renders a page for the tool and one for each command, named like those of
/// Cargo's own commands.
fn pages() -> std::io::Result<Vec<Page>> {
    let mut whole = command();
    whole.build();
    let named = |command: &clap::Command, name: &str| {
        let name = name.to_owned();
        command.clone().name(name.clone()).display_name(name)
    };
    let mut commands = vec![named(&whole, "cargo-ansar").bin_name("cargo ansar")];
    let own = |command: &&clap::Command| command.get_name() != "help" && !command.is_hide_set();
    for command in whole.get_subcommands().filter(own) {
        let name = format!("cargo-ansar-{}", command.get_name());
        let typed = format!("cargo ansar {}", command.get_name());
        commands.push(named(command, &name).bin_name(typed));
    }
    let page = |command: clap::Command| {
        let name = format!("{}.1", command.get_name());
        let mut text = Vec::new();
        Man::new(command).render(&mut text)?;
        Ok((name, text))
    };
    commands.into_iter().map(page).collect()
}

impl Session<'_> {
    pub(super) fn man(&self, args: &ManArgs) -> Result<Exit, Error> {
        let pages = pages().map_err(|source| Error::System {
            what: "write a manual page",
            source,
        })?;
        let folder = self.places.folder.join(&args.dir);
        fs::make_public_folders(&folder)?;
        for (name, text) in &pages {
            fs::write_argument(&folder.join(name), text)?;
        }
        let text = format!("{} manual pages to `{}`", pages.len(), folder.display());
        self.show_status("Wrote", text);
        Ok(Exit::Success)
    }
}
