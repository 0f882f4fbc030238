//! `settings` and `input`: print or replace the settings or the input of a
//! role.

use crate::commands;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::commands::input_file::InputFile;
use crate::commands::settings::Part;
use crate::error::Error;
use crate::report::listing;

/// Arguments of `settings` and `input`.
#[derive(Debug, Args)]
pub struct EncodingArgs {
    /// Name of the role
    pub(super) role: String,
    /// Replace it with the content of FILE; without FILE, or with `-`, with the
    /// content of stdin
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    set_file: Option<PathBuf>,
}

impl EncodingArgs {
    /// Returns true if the settings or the input will be replaced.
    pub(super) fn replaces(&self) -> bool {
        self.set_file.is_some()
    }
}

impl Session<'_> {
    pub(super) async fn encoding(&self, part: Part, args: &EncodingArgs) -> Result<Exit, Error> {
        let role = args.role.parse()?;
        let Some(file) = &args.set_file else {
            let value = commands::settings::show(&self.places, part, &role)?;
            self.printer
                .show(move |shell| listing::encoding(shell, &value));
            return Ok(Exit::Success);
        };
        let input = input_file(file)?;
        let events = self.printer.events();
        commands::settings::replace(&self.places, part, &role, &input, &events).await?;
        let what = match part {
            Part::Settings => "settings",
            Part::Input => "input",
        };
        self.show_status("Set", format!("{what} of role `{role}`"));
        Ok(Exit::Success)
    }
}

/// Reads stdin if the path is `-`; otherwise refers to the file.
pub(super) fn input_file(path: &Path) -> Result<InputFile, Error> {
    if path.as_os_str() == "-" {
        Ok(InputFile::Stdin(stdin()?))
    } else {
        Ok(InputFile::File(path.to_owned()))
    }
}

/// Reads stdin to its end.
pub(super) fn stdin() -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut text);
    read.map(|_| text).map_err(|source| Error::System {
        what: "read stdin",
        source,
    })
}
