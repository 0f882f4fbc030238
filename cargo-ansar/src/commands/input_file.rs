//! Encoding that the user passes in a file or on stdin.

use std::path::{Path, PathBuf};

use crate::deploy::ask_component::Text;
use crate::error::{Error, InputError};
use crate::host::fs;
use crate::workspace::Places;

/// Source of an encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFile {
    /// A file.
    File(PathBuf),
    /// Bytes read from stdin.
    Stdin(Vec<u8>),
}

impl InputFile {
    /// Reads the encoding, and returns it with its name in messages.
    pub(crate) fn text(&self, places: &Places) -> Result<Text, Error> {
        match self {
            Self::File(path) => read(&places.folder.join(path)),
            Self::Stdin(bytes) => Ok(Text {
                name: PathBuf::from("<stdin>"),
                bytes: bytes.clone(),
            }),
        }
    }
}

/// Reads a file that the user named. Call this once per file: it may be a pipe.
pub(crate) fn read(path: &Path) -> Result<Text, Error> {
    Ok(Text {
        name: path.to_owned(),
        bytes: fs::read_argument(path).map_err(InputError::Unreadable)?,
    })
}
