//! An encoding that the user gives: in a file, or on stdin.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::Error;
use super::locate::Places;
use crate::host::files;

/// An encoding, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// It stands in a file.
    File(PathBuf),
    /// It was read from stdin.
    Stdin(Vec<u8>),
}

/// What stdin is called where a file would be named.
pub(super) const STDIN: &str = "<stdin>";

impl Given {
    /// Where it stands, as it is named in messages.
    pub(super) fn path(&self, places: &Places) -> PathBuf {
        match self {
            Self::File(path) => places.folder.join(path),
            Self::Stdin(_) => Path::new(STDIN).to_owned(),
        }
    }

    /// The text.
    pub(super) fn bytes(&self, places: &Places) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::File(path) => {
                let bytes =
                    files::read_given(&places.folder.join(path)).map_err(Error::Unreadable)?;
                Ok(Cow::Owned(bytes))
            }
            Self::Stdin(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }
}
