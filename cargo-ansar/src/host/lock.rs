//! Locks on files: held by an open file, gone with the process that holds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use jiff::Timestamp;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Leaves another note in it.
    pub fn sign(&mut self, note: &str) -> io::Result<()> {
        sign(&mut self.file, note)
    }
}

/// The answer to [`try_lock`].
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Held(Lock),
    /// Somebody else holds it, who left this note.
    Busy(String),
}

/// Takes a lock if nobody holds it, and leaves `note` in it for others to
/// read. The file is never removed: whoever waits for it holds it open.
pub fn try_lock(path: &Path, note: &str) -> io::Result<Attempt> {
    loop {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut note = String::new();
                let _ = file.take(1024).read_to_string(&mut note);
                return Ok(Attempt::Busy(note));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        if is_at(&file, path)? {
            sign(&mut file, note)?;
            return Ok(Attempt::Held(Lock { file }));
        }
    }
}

/// The note of whoever holds a lock, and since when it says so; none where
/// nobody holds it.
pub fn holder(path: &Path) -> io::Result<Option<(String, Timestamp)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(fs::TryLockError::WouldBlock) => {
            let since = file.metadata()?.modified()?.try_into();
            let since = since.map_err(io::Error::other)?;
            let mut note = String::new();
            let _ = (&mut file).take(1024).read_to_string(&mut note);
            Ok(Some((note, since)))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Takes a lock, waiting while somebody else holds it.
pub fn lock(path: &Path, note: &str) -> io::Result<Lock> {
    loop {
        let mut file = open(path)?;
        file.lock()?;
        if is_at(&file, path)? {
            sign(&mut file, note)?;
            return Ok(Lock { file });
        }
    }
}

/// Takes the lock that a folder itself is, waiting while somebody else holds
/// it; nothing is written.
pub fn lock_folder(path: &Path) -> io::Result<Lock> {
    let folder = File::open(path)?;
    folder.lock()?;
    Ok(Lock { file: folder })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// The note is advice, written in place: a rename would free the lock.
fn sign(file: &mut File, note: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(note.as_bytes())
}

/// Whether the file that was locked is still the one at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok(held.dev() == there.dev() && held.ino() == there.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
