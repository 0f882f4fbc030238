//! An encoding that the user gives: in a file, or on stdin.

use std::path::{Path, PathBuf};

use super::Error;
use super::locate::Places;
use super::settle::Text;
use crate::host::files;

/// An encoding, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// It stands in a file.
    File(PathBuf),
    /// It was read from stdin.
    Stdin(Vec<u8>),
}

impl Given {
    /// Reads it, once, with its name in messages.
    pub(super) fn text(&self, places: &Places) -> Result<Text, Error> {
        match self {
            Self::File(path) => read(&places.folder.join(path)),
            Self::Stdin(bytes) => Ok(Text {
                name: PathBuf::from("<stdin>"),
                bytes: bytes.clone(),
            }),
        }
    }
}

/// Reads a file that the user named, once: it may be a pipe.
pub(super) fn read(path: &Path) -> Result<Text, Error> {
    Ok(Text {
        name: path.to_owned(),
        bytes: files::read_given(path).map_err(Error::Unreadable)?,
    })
}
