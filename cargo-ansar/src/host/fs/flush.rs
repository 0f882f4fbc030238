//! Bringing many files to disk.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::host::fs::{Error, sync};
use crate::host::process::interrupts::checkpoint;

/// How many are synced at once. A file system commits together what waits for it
/// at one time, which is why several take hardly longer than one.
const AT_ONCE: usize = 16;

/// From how many files on another thread is worth its start.
const PER_THREAD: usize = 16;

/// Brings files, or the names in folders, to disk; what is gone is passed over.
/// A signal ends it between two of them.
///
/// Each is synced by itself: a sync of the whole file system would wait for what
/// other programs write, and could not be interrupted meanwhile.
pub fn sync_each(paths: &[&Path]) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            let synced = checkpoint()
                .map_err(|source| Error::Write {
                    path: (*path).to_owned(),
                    source,
                })
                .and_then(|()| sync(path));
            match synced {
                Err(error) if !error.is_not_found() => {
                    // The others need not go on.
                    next.store(paths.len(), Ordering::Relaxed);
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    };
    let others = (paths.len() / PER_THREAD).min(AT_ONCE - 1);
    thread::scope(|scope| {
        // Without other threads it takes longer, and that is all.
        let others: Vec<_> = (0..others)
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut synced = work();
        for other in others {
            match other.join() {
                Ok(done) => synced = synced.and(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        synced
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_synced_and_what_is_gone_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..100)
            .map(|n| folder.path().join(n.to_string()))
            .collect();
        for path in paths.iter().step_by(2) {
            std::fs::write(path, "x").unwrap();
        }
        let paths: Vec<&Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
        sync_each(&paths).unwrap();
        sync_each(&[]).unwrap();
        let below_a_file = paths[0].join("x");
        assert!(sync_each(&[&below_a_file]).is_err());
    }
}
