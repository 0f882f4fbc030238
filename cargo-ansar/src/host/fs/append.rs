//! Appending to a file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::host::fs::{Action, Error, open};

/// A file, readable for the user alone, to which only this value appends.
#[derive(Debug)]
pub struct Appender {
    file: File,
    path: PathBuf,
    size: u64,
    /// Device and inode.
    file_id: (u64, u64),
}

impl Appender {
    /// Opens a file, creating it if it does not exist.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600);
        match open::regular(path, &mut options) {
            Ok((file, found)) => Ok(Self {
                file,
                path: path.to_owned(),
                size: found.len(),
                file_id: file_id(&found),
            }),
            Err(source) => Err(Action::Write.on(path)(source)),
        }
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns true if the path still names this file; false if the file or a
    /// folder above it was removed or renamed.
    pub fn is_in_place(&self) -> bool {
        let there = std::fs::metadata(&self.path);
        there.is_ok_and(|metadata| file_id(&metadata) == self.file_id)
    }

    /// Returns true if the file is empty or ends with a line feed.
    pub fn is_whole(&self) -> Result<bool, Error> {
        let mut last = [b'\n'];
        if let Some(at) = self.size.checked_sub(1) {
            let read = self.file.read_exact_at(&mut last, at);
            read.map_err(Action::Read.on(&self.path))?;
        }
        Ok(last == [b'\n'])
    }

    /// Appends bytes. After an error the file is unchanged.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self.file.write_all_at(bytes, self.size) {
            Ok(()) => {
                self.size += bytes.len() as u64;
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Moves `bytes`, which must be at the front of `pipe`, from the pipe to the
    /// end of the file. If the process is killed in the middle, no byte is lost,
    /// and none is duplicated where the file system supports splice.
    ///
    /// The error contains the number of bytes taken from the pipe; the whole
    /// lines among them are in the file.
    #[cfg(target_os = "linux")]
    pub fn take(&mut self, pipe: impl AsFd, bytes: &[u8]) -> Result<(), (usize, Error)> {
        use rustix::io::Errno;
        use rustix::pipe::{SpliceFlags, splice};

        let mut moved = 0;
        while moved < bytes.len() {
            let mut end = self.size + moved as u64;
            let left = bytes.len() - moved;
            let flags = SpliceFlags::empty();
            match splice(&pipe, None, &self.file, Some(&mut end), left, flags) {
                Ok(0) => break,
                Ok(length) => moved += length,
                Err(Errno::INTR) => {}
                // The file system does not support splice.
                Err(Errno::INVAL | Errno::NOSYS) if moved == 0 => {
                    return self.copy(pipe, bytes);
                }
                Err(error) => {
                    let lines = memchr::memrchr(b'\n', &bytes[..moved]).map_or(0, |end| end + 1);
                    self.size += lines as u64;
                    return Err((moved, self.failed(error.into())));
                }
            }
        }
        self.size += moved as u64;
        Ok(())
    }

    /// Appends `bytes`, as this platform has no splice.
    #[cfg(not(target_os = "linux"))]
    pub fn take(&mut self, pipe: impl AsFd, bytes: &[u8]) -> Result<(), (usize, Error)> {
        let _ = pipe;
        self.append(bytes).map_err(|error| (0, error))
    }

    /// Appends the bytes, then consumes them from the pipe.
    #[cfg(target_os = "linux")]
    fn copy(&mut self, pipe: impl AsFd, bytes: &[u8]) -> Result<(), (usize, Error)> {
        self.append(bytes).map_err(|error| (0, error))?;
        let mut away = vec![0; bytes.len()];
        let mut moved = 0;
        while moved < away.len() {
            match nix::unistd::read(&pipe, &mut away[moved..]) {
                Ok(0) | Err(_) => break,
                Ok(length) => moved += length,
            }
        }
        Ok(())
    }

    /// Truncates what was written in part, which works even on a full disk.
    fn failed(&self, source: io::Error) -> Error {
        let _ = self.file.set_len(self.size);
        Action::Write.on(&self.path)(source)
    }
}

fn file_id(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
