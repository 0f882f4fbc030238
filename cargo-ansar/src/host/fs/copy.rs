//! Copying the bytes and permissions of a file.
//!
//! Holes stay holes, and data that is to be synced is written to disk during
//! the copy. Does not know aliases and renames.

use std::cell::Cell;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use crate::host::fs::open;
use crate::host::process::interrupts::checkpoint;

/// Number of bytes copied before they are synced.
const PIECE: u64 = 8 << 20;

/// Maximum size of a file that is copied with one read and one write.
const SMALL: u64 = 1 << 16;

/// Number of bytes copied between checks for a signal.
const COPIED_AT_ONCE: u64 = 1 << 20;

/// Copies `from` with its permissions to `to`, which must not exist. Shares
/// blocks if the file system supports it. A file that grows in the meantime is
/// copied up to its initial size. A signal interrupts it and leaves a partial
/// copy.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = open(from, to)?;
    bytes(&source, &target, |_| {})
}

/// Like [`copy`], for a file that is synced afterwards: the disk writes during
/// the copy, and while `then` runs, which starts when all bytes are copied.
/// `progress` is called with numbers of bytes that were copied; holes count too.
pub(crate) fn copy_durably<T>(
    from: &Path,
    to: &Path,
    progress: &dyn Fn(u64),
    then: impl FnOnce() -> T,
) -> io::Result<T> {
    let (source, target) = open(from, to)?;
    if source.metadata()?.len() <= PIECE {
        bytes(&source, &target, progress)?;
        return Ok(then());
    }
    // Limits unsynced bytes to a few pieces, because the final sync cannot be
    // interrupted.
    let (sender, pieces) = sync_channel(1);
    thread::scope(|scope| {
        let disk = &target;
        // An error of a sync is reported only once, so the final sync would not
        // return it.
        let sync = move || -> io::Result<()> {
            while is_one_more(&pieces) {
                disk.sync_data()?;
            }
            Ok(())
        };
        // Without a thread, the copy only takes longer.
        let syncing = thread::Builder::new().spawn_scoped(scope, sync);
        let unsynced = Cell::new(0);
        let copied = bytes(&source, &target, |copied| {
            progress(copied);
            unsynced.set(unsynced.get() + copied);
            if unsynced.get() >= PIECE {
                unsynced.set(0);
                let _ = sender.send(());
            }
        });
        drop(sender);
        let done = copied.map(|()| then());
        match syncing.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(synced)) => done.and_then(|done| synced.map(|()| done)),
            Ok(Err(_)) => Err(io::Error::other("the syncing thread panicked")),
            Err(_) => done,
        }
    })
}

/// Waits for a piece and takes all that are pending; returns false at the end.
fn is_one_more(pieces: &Receiver<()>) -> bool {
    let is_one = pieces.recv().is_ok();
    while pieces.try_recv().is_ok() {}
    is_one
}

fn open(from: &Path, to: &Path) -> io::Result<(File, File)> {
    let (source, metadata) = open::regular(from, OpenOptions::new().read(true))?;
    let target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    // Only the nine bits, so that a copy has no setuid or setgid bit.
    target.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))?;
    Ok((source, target))
}

/// Copies all bytes. Calls `progress` with numbers of copied bytes, whose sum is
/// the size of the file.
fn bytes(source: &File, target: &File, progress: impl Fn(u64)) -> io::Result<()> {
    let metadata = source.metadata()?;
    let size = metadata.len();
    if size <= SMALL {
        let mut bytes = Vec::new();
        source.take(size).read_to_end(&mut bytes)?;
        (&*target).write_all(&bytes)?;
        progress(size);
        return Ok(());
    }
    // `st_blocks` is in units of 512 bytes.
    let has_holes = metadata.blocks().saturating_mul(512) < size;
    let mut at = 0;
    while at < size {
        let Some((start, end)) = data(source, at, size, has_holes)? else {
            break;
        };
        progress(start - at);
        at = start;
        while at < end {
            checkpoint()?;
            let length = COPIED_AT_ONCE.min(end - at);
            for mut file in [source, target] {
                file.seek(SeekFrom::Start(at))?;
            }
            io::copy(&mut source.take(length), &mut &*target)?;
            at += length;
            progress(length);
        }
    }
    progress(size - at);
    if has_holes {
        target.set_len(size)?;
    }
    Ok(())
}

/// Returns the next range of data at or after `from`; `None` if only a hole
/// follows.
fn data(file: &File, from: u64, size: u64, has_holes: bool) -> io::Result<Option<(u64, u64)>> {
    if !has_holes {
        return Ok(Some((from, size)));
    }
    let find = |from: u64, what| {
        let from = from.try_into().map_err(io::Error::other)?;
        match lseek(file, from, what) {
            Ok(at) => Ok(Some(u64::try_from(at).unwrap_or(size))),
            Err(Errno::ENXIO) => Ok(None),
            Err(error) => Err(io::Error::from(error)),
        }
    };
    match find(from, Whence::SeekData) {
        Ok(Some(start)) if start < size => {
            let end = find(start, Whence::SeekHole)?.unwrap_or(size);
            Ok(Some((start, end.min(size))))
        }
        Ok(_) => Ok(None),
        // The file system does not report holes.
        Err(_) => Ok(Some((from, size))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn holes_stay_holes_and_bytes_stay_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let size = 3 * PIECE + 5;
        let cases: [&[(u64, &[u8])]; 4] = [
            &[],
            &[(0, b"first")],
            &[(PIECE - 2, b"between"), (size - 4, b"last")],
            &[(2 * PIECE, b"middle")],
        ];
        for (number, case) in cases.into_iter().enumerate() {
            let from = at(&format!("from-{number}"));
            let file = File::create(&from).unwrap();
            file.set_len(size).unwrap();
            for (offset, bytes) in case {
                file.write_all_at(bytes, *offset).unwrap();
            }
            for (name, copied) in [
                ("copy", copy as fn(&Path, &Path) -> _),
                ("for-good", |from, to| {
                    copy_durably(from, to, &|_| {}, || {})
                }),
            ] {
                let to = at(&format!("{name}-{number}"));
                copied(&from, &to).unwrap();
                assert!(fs::read(&to).unwrap() == fs::read(&from).unwrap());
                let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
                assert!(blocks(&to) <= blocks(&from), "{name} of {case:?}");
            }
        }
    }

    #[test]
    fn large_files_are_copied_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let size = usize::try_from(2 * PIECE + 77).unwrap();
        let bytes: Vec<u8> = (0..size).map(|n| n.to_le_bytes()[1] ^ 7).collect();
        fs::write(&from, &bytes).unwrap();
        let read = copy_durably(&from, &to, &|_| {}, || fs::read(&to).unwrap());
        assert!(read.unwrap() == bytes, "all is there before it is synced");
        assert!(fs::read(&to).unwrap() == bytes);
        assert!(copy(&from, &to).is_err(), "nothing is overwritten");
        assert!(copy(folder.path(), &folder.path().join("new")).is_err());
    }

    #[test]
    fn progress_adds_up_to_the_size() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (size, written) in [
            (0, 0),
            (5, 5),
            (SMALL + 1, SMALL + 1),
            (3 * PIECE + 5, 3 * PIECE + 5),
            (3 * PIECE + 5, 7),
            (2 * PIECE, 0),
        ] {
            let from = at(&format!("from-{size}-{written}"));
            let file = File::create(&from).unwrap();
            io::copy(&mut io::repeat(7).take(written), &mut &file).unwrap();
            file.set_len(size).unwrap();
            let told = Cell::new((0, 0));
            let progress = |bytes| {
                let (sum, times) = told.get();
                told.set((sum + bytes, times + 1));
            };
            let to = at(&format!("to-{size}-{written}"));
            copy_durably(&from, &to, &progress, || {}).unwrap();
            let (sum, times) = told.get();
            assert_eq!(sum, size);
            assert!(times >= written / COPIED_AT_ONCE, "{times} times");
        }
    }
}
