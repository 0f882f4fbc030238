//! Hints whose commands name the same home and workspace as the command line.

use std::path::{Path, PathBuf};

use crate::cli::general::General;
use crate::error::Error;
use crate::home::shell_quoted;

/// Adds flags for the home and the workspace to the commands in hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hints {
    /// Flags that name the home and the manifest, each followed by a space.
    flags: String,
}

/// Beginning of a command in a hint.
const COMMAND: &str = "`cargo ansar ";

impl Hints {
    /// Creates the hints of a command that runs in `folder`. `named` is the
    /// home that was passed as a positional argument.
    pub(super) fn new(general: &General, named: Option<&PathBuf>, folder: &Path) -> Self {
        let home = named.or(general.home_path.as_ref());
        let manifest = general.manifest_path.as_ref();
        let places = [("--home-path", home), ("--manifest-path", manifest)];
        let flags = places.into_iter().filter_map(|(flag, path)| {
            let path = shell_quoted(&folder.join(path?));
            Some(format!("{flag} {path} "))
        });
        Self {
            flags: flags.collect(),
        }
    }

    /// Returns the completed hint of an error, if it has one.
    pub(super) fn of(&self, error: &Error) -> Option<String> {
        error.hint().map(|hint| self.complete(&hint))
    }

    /// Returns the hint with these flags in each of its commands.
    pub(super) fn complete(&self, hint: &str) -> String {
        let mut parts = hint.split(COMMAND);
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // These commands name the home themselves.
            let names_home = part.starts_with("create ") || part.starts_with("destroy ");
            whole.push_str(COMMAND);
            whole.push_str(if names_home { "" } else { &self.flags });
            whole.push_str(part);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_a_hint_names_the_places() {
        let hints = Hints {
            flags: "--home-path 'a b' --manifest-path w/Cargo.toml ".to_owned(),
        };
        for (hint, whole) in [
            ("did you mean `x`?", "did you mean `x`?"),
            (
                "see `cargo ansar list`, or `cargo ansar log x`",
                "see `cargo ansar --home-path 'a b' --manifest-path w/Cargo.toml list`, \
                 or `cargo ansar --home-path 'a b' --manifest-path w/Cargo.toml log x`",
            ),
            ("`cargo ansar create 'a b'`", "`cargo ansar create 'a b'`"),
        ] {
            assert_eq!(hints.complete(hint), whole);
        }
    }
}
