//! Copying the bytes and permissions of one file.
//!
//! What is a hole stays one, and what goes to the disk anyway goes there while
//! the rest is still being copied. Knows nothing of aliases and renames.

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

/// How much is copied before the disk is told to begin with it.
const PIECE: u64 = 8 << 20;

/// Up to how many bytes a file is read and written at once.
const SMALL: u64 = 1 << 16;

/// How much is copied before a signal is looked for; a divisor of [`PIECE`].
const COPIED_AT_ONCE: u64 = 1 << 20;

/// Copies `from` to `to`, where nothing is, with its permissions. Blocks are
/// shared where the file system can. A file that grows meanwhile is copied as
/// far as it was. A signal ends it, and leaves a part.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = open(from, to)?;
    bytes(&source, &target, || {})
}

/// The same, for what is synced afterwards: the disk works meanwhile, and so
/// does `then`, once everything is copied.
pub(crate) fn copy_for_good<T>(from: &Path, to: &Path, then: impl FnOnce() -> T) -> io::Result<T> {
    let (source, target) = open(from, to)?;
    if source.metadata()?.len() <= PIECE {
        bytes(&source, &target, || {})?;
        return Ok(then());
    }
    // The disk is never more than a piece behind: a sync cannot be interrupted,
    // and is to end soon.
    let (sender, pieces) = sync_channel(1);
    thread::scope(|scope| {
        let disk = &target;
        // What went wrong is told once, and whoever syncs it in the end would
        // not hear of it.
        let sync = move || -> io::Result<()> {
            while is_one_more(&pieces) {
                disk.sync_data()?;
            }
            Ok(())
        };
        // Without another thread it takes longer, and that is all.
        let syncing = thread::Builder::new().spawn_scoped(scope, sync);
        let copied = bytes(&source, &target, || {
            let _ = sender.send(());
        });
        drop(sender);
        let done = copied.map(|()| then());
        match syncing.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(synced)) => done.and_then(|done| synced.map(|()| done)),
            Ok(Err(_)) => Err(io::Error::other("it could not be synced")),
            Err(_) => done,
        }
    })
}

/// Waits for a piece, and takes all that are there.
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
    // The nine bits: a copy does not run as somebody else.
    target.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))?;
    Ok((source, target))
}

fn bytes(source: &File, target: &File, after_piece: impl Fn()) -> io::Result<()> {
    let metadata = source.metadata()?;
    let size = metadata.len();
    if size <= SMALL {
        let mut bytes = Vec::new();
        source.take(size).read_to_end(&mut bytes)?;
        return (&*target).write_all(&bytes);
    }
    // A block is counted as 512 bytes, whatever it is.
    let has_holes = metadata.blocks().saturating_mul(512) < size;
    let (mut at, mut copied) = (0, 0);
    while at < size {
        let Some((start, end)) = data(source, at, size, has_holes)? else {
            break;
        };
        at = start;
        while at < end {
            checkpoint()?;
            let length = COPIED_AT_ONCE.min(end - at);
            for mut file in [source, target] {
                file.seek(SeekFrom::Start(at))?;
            }
            io::copy(&mut source.take(length), &mut &*target)?;
            at += length;
            copied += length;
            if copied >= PIECE {
                copied = 0;
                after_piece();
            }
        }
    }
    if has_holes {
        target.set_len(size)?;
    }
    Ok(())
}

/// Where the next bytes are that are no hole; none where there is only one.
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
        // A file system that does not know where holes are.
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
                ("for-good", |from, to| copy_for_good(from, to, || {})),
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
        let read = copy_for_good(&from, &to, || fs::read(&to).unwrap());
        assert!(read.unwrap() == bytes, "all is there before it is synced");
        assert!(fs::read(&to).unwrap() == bytes);
        assert!(copy(&from, &to).is_err(), "nothing is overwritten");
        assert!(copy(folder.path(), &folder.path().join("new")).is_err());
    }
}
