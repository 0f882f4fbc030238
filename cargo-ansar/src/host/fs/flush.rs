//! Syncing many files to disk.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::host::fs::{Action, Error, sync};
use crate::host::process::interrupts::checkpoint;

/// Maximum number of files synced at once. The file system commits concurrent
/// syncs together, so several take hardly longer than one.
const AT_ONCE: usize = 16;

/// Number of files that justifies another thread.
const PER_THREAD: usize = 16;

/// Syncs files, or the names in folders, to disk; skips those that do not
/// exist. A signal interrupts it between two files.
///
/// Each file is synced by itself: syncing the whole file system would wait for
/// writes of other programs, and could not be interrupted.
pub fn sync_each(paths: &[&Path]) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            let synced = checkpoint()
                .map_err(Action::Write.on(path))
                .and_then(|()| sync(path));
            match synced {
                Err(error) if !error.is_not_found() => {
                    // Stop the other threads.
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
        // Fewer threads only make it slower.
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
    fn missing_files_are_skipped() {
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
