//! File locks, which end with the process that holds them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::host::fs::open;
use crate::host::process::interrupts::checkpoint;

/// An acquired lock; dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Replaces the note in the lock file.
    pub fn sign(&self, note: &str) -> io::Result<()> {
        sign(&self.file, self.file.metadata()?.len(), note)
    }
}

/// The outcome of [`try_lock`].
#[derive(Debug)]
pub enum Attempt {
    /// Acquired.
    Held(Lock),
    /// Locked by another process, which left this note.
    Busy(String),
}

/// Acquires a lock if it is free, and writes `note` into the file for others to
/// read. If the file was removed in the meantime, locks the new one.
pub fn try_lock(path: &Path, note: &str) -> io::Result<Attempt> {
    for round in 0..ROUNDS {
        check(round)?;
        let file = open_or_create(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                // A process that only checks holds a shared lock for a moment.
                if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
                    std::thread::yield_now();
                    continue;
                }
                let mut note = String::new();
                let _ = file.take(1024).read_to_string(&mut note);
                return Ok(Attempt::Busy(note));
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(length) = length_at(&file, path)? {
            sign(&file, length, note)?;
            return Ok(Attempt::Held(Lock { file }));
        }
    }
    Err(replaced_again_and_again())
}

/// Waits up to `limit` until a lock is free.
#[expect(
    clippy::disallowed_methods,
    reason = "releasing a lock notifies no process, and a blocking lock has no time limit"
)]
pub fn wait_until_free(path: &Path, limit: Duration) -> io::Result<()> {
    const INTERVAL: Duration = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while waited < limit && holder(path)?.is_some() {
        std::thread::sleep(INTERVAL);
        waited += INTERVAL;
    }
    Ok(())
}

/// Returns the note of the process that holds a lock, and the time it was
/// written; `None` if the lock is free.
pub fn holder(path: &Path) -> io::Result<Option<(String, Timestamp)>> {
    let file = match open::regular(path, OpenOptions::new().read(true)) {
        Ok((file, _)) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => {
            let since = file.metadata()?.modified()?.try_into();
            let since = since.map_err(io::Error::other)?;
            let mut note = String::new();
            let _ = (&file).take(1024).read_to_string(&mut note);
            Ok(Some((note, since)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Acquires a lock, waiting while another process holds it.
pub fn lock(path: &Path, note: &str) -> io::Result<Lock> {
    for round in 0..ROUNDS {
        check(round)?;
        let file = open_or_create(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        if let Some(length) = length_at(&file, path)? {
            sign(&file, length, note)?;
            return Ok(Lock { file });
        }
    }
    Err(replaced_again_and_again())
}

/// Acquires a lock on a folder, waiting while another process holds it. Writes
/// nothing. Follows symlinks: the lock is the same by every path of the folder.
/// The error is `NotFound` if the folder was removed in the meantime.
pub fn lock_folder(path: &Path) -> io::Result<Lock> {
    for round in 0..ROUNDS {
        check(round)?;
        let folder = File::open(path)?;
        flock(&folder, FlockOperation::LockExclusive)?;
        let held = folder.metadata()?;
        let there = fs::metadata(path)?;
        if (held.dev(), held.ino()) == (there.dev(), there.ino()) {
            return Ok(Lock { file: folder });
        }
    }
    Err(replaced_again_and_again())
}

/// Returns an error if this command is to end; not in the first round.
fn check(round: usize) -> io::Result<()> {
    match round {
        0 => Ok(()),
        _ => checkpoint(),
    }
}

/// Limit of attempts to lock a file that is removed meanwhile, or whose lock other
/// commands share for a moment.
const ROUNDS: usize = 100_000;

fn replaced_again_and_again() -> io::Error {
    io::Error::other("it is replaced again and again")
}

fn open_or_create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    open::regular(path, &mut options).map(|(file, _)| file)
}

/// Writes the note in place, as a rename would lose the lock. Truncates only if
/// the old content, of `length` bytes, is longer, because truncating is slow.
fn sign(file: &File, length: u64, note: &str) -> io::Result<()> {
    if length > note.len() as u64 {
        file.set_len(0)?;
    }
    file.write_all_at(note.as_bytes(), 0)
}

/// Returns the length of the locked file; `None` if it is no longer the file at
/// `path`.
fn length_at(file: &File, path: &Path) -> io::Result<Option<u64>> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(current) => {
            let is_there = held.dev() == current.dev() && held.ino() == current.ino();
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
    fn folder_is_one_lock_by_every_path() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let held = lock_folder(&link).unwrap();
        let opened = File::open(&real).unwrap();
        let busy = flock(&opened, FlockOperation::NonBlockingLockExclusive).unwrap_err();
        assert_eq!(busy, Errno::WOULDBLOCK);
        drop(held);
        fs::remove_dir(&real).unwrap();
        let error = lock_folder(&link).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn busy_lock_returns_the_last_note() {
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
