//! Locks on files: held by an open file, gone with the process that holds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::host::fs::open;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Leaves another note in it.
    pub fn sign(&self, note: &str) -> io::Result<()> {
        sign(&self.file, self.file.metadata()?.len(), note)
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
/// read. Whoever waited for a file that was removed meanwhile locks the one
/// that is there then.
pub fn try_lock(path: &Path, note: &str) -> io::Result<Attempt> {
    loop {
        let file = made(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                // Somebody who only looks shares it with whoever else does.
                if file.try_lock_shared().is_ok() {
                    std::thread::yield_now();
                    continue;
                }
                let mut note = String::new();
                let _ = file.take(1024).read_to_string(&mut note);
                return Ok(Attempt::Busy(note));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        if let Some(length) = length_at(&file, path)? {
            sign(&file, length, note)?;
            return Ok(Attempt::Held(Lock { file }));
        }
    }
}

/// Waits until nobody holds a lock, or for as long as `limit`.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever frees a lock tells nobody, and waiting in line has no limit"
)]
pub fn wait_until_free(path: &Path, limit: Duration) -> io::Result<()> {
    const AGAIN: Duration = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while waited < limit && holder(path)?.is_some() {
        std::thread::sleep(AGAIN);
        waited += AGAIN;
    }
    Ok(())
}

/// The note of whoever holds a lock, and since when it says so; none where
/// nobody holds it.
pub fn holder(path: &Path) -> io::Result<Option<(String, Timestamp)>> {
    let file = match open::regular(path, OpenOptions::new().read(true)) {
        Ok((file, _)) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(fs::TryLockError::WouldBlock) => {
            let since = file.metadata()?.modified()?.try_into();
            let since = since.map_err(io::Error::other)?;
            let mut note = String::new();
            let _ = (&file).take(1024).read_to_string(&mut note);
            Ok(Some((note, since)))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Takes a lock, waiting while somebody else holds it.
pub fn lock(path: &Path, note: &str) -> io::Result<Lock> {
    loop {
        let file = made(path)?;
        file.lock()?;
        if let Some(length) = length_at(&file, path)? {
            sign(&file, length, note)?;
            return Ok(Lock { file });
        }
    }
}

/// Takes the lock that a folder itself is, waiting while somebody else holds
/// it; nothing is written. The error is `NotFound` where it was removed
/// meanwhile.
pub fn lock_folder(path: &Path) -> io::Result<Lock> {
    loop {
        let folder = File::open(path)?;
        folder.lock()?;
        if length_at(&folder, path)?.is_some() {
            return Ok(Lock { file: folder });
        }
    }
}

fn made(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    open::regular(path, &mut options).map(|(file, _)| file)
}

/// The note is advice, written in place: a rename would free the lock. It is
/// emptied only where the last one, `length` bytes, was longer, for that is what
/// costs.
fn sign(file: &File, length: u64, note: &str) -> io::Result<()> {
    if length > note.len() as u64 {
        file.set_len(0)?;
    }
    file.write_all_at(note.as_bytes(), 0)
}

/// How long the file is that was locked; none where it is not the one at `path`
/// any more.
fn length_at(file: &File, path: &Path) -> io::Result<Option<u64>> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => {
            let is_there = held.dev() == there.dev() && held.ino() == there.ino();
            Ok(is_there.then_some(held.len()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_it_held_reads_the_last_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for note in ["", "12345", "67", "67890"] {
            let held = try_lock(&path, note).unwrap();
            assert!(matches!(held, Attempt::Held(_)));
            match try_lock(&path, "another").unwrap() {
                Attempt::Busy(found) => assert_eq!(found, note),
                Attempt::Held(_) => panic!("it is held"),
            }
        }
    }
}
