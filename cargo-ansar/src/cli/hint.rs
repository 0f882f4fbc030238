//! Hints as they can be typed: with the places that the command was given.

use std::path::{Path, PathBuf};

use crate::cli::general::General;
use crate::error::Error;
use crate::home::word;

/// Completes the commands that hints tell to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hints {
    /// The flags that name these places, each with a space behind it.
    flags: String,
}

/// How a command begins in a hint.
const COMMAND: &str = "`cargo ansar ";

impl Hints {
    /// Returns the hints of a command that was given in `folder`, about the home
    /// that was named as a word, if one was.
    pub(super) fn new(general: &General, named: Option<&PathBuf>, folder: &Path) -> Self {
        let home = named.or(general.home_path.as_ref());
        let manifest = general.manifest_path.as_ref();
        let places = [("--home-path", home), ("--manifest-path", manifest)];
        let flags = places.into_iter().filter_map(|(flag, path)| {
            let path = word(&folder.join(path?));
            Some(format!("{flag} {path} "))
        });
        Self {
            flags: flags.collect(),
        }
    }

    /// Returns what to do about an error, if there is something.
    pub(super) fn of(&self, error: &Error) -> Option<String> {
        error.hint().map(|hint| self.complete(&hint))
    }

    /// Returns the hint with these places in each of its commands.
    pub(super) fn complete(&self, hint: &str) -> String {
        let mut parts = hint.split(COMMAND);
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // These name the home that they are about.
            let names_it = part.starts_with("create ") || part.starts_with("destroy ");
            whole.push_str(COMMAND);
            whole.push_str(if names_it { "" } else { &self.flags });
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
