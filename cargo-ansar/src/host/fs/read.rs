//! Reading a file at offsets while it may grow.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::host::fs::{Action, Error, open};

/// An open file, which stays readable after it is unlinked.
#[derive(Debug)]
pub struct Reading {
    file: File,
    path: PathBuf,
}

impl Reading {
    /// Opens a file of a home; `None` if it does not exist.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        match open::regular(path, OpenOptions::new().read(true)) {
            Ok((file, _)) => Ok(Some(Self {
                file,
                path: path.to_owned(),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Action::Read.on(path)(source)),
        }
    }

    /// Returns its current size in bytes.
    pub fn size(&self) -> Result<u64, Error> {
        let metadata = self.file.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(Action::Examine.on(&self.path))
    }

    /// Reads bytes at `offset`. Returns their number, 0 at the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        self.file
            .read_at(buffer, offset)
            .map_err(Action::Read.on(&self.path))
    }
}
