//! Tells when something may have changed in folders that come and go.
//!
//! The kernel tells where it can; where it has no room for so many watches, the
//! clock does. Whoever is told looks at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::Receiver;

use super::changes;

/// How often to look where nobody tells.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long nothing may happen until a change counts as complete.
const QUIET: Duration = Duration::from_millis(15);
/// How long to wait for that at most.
const PATIENCE: Duration = Duration::from_millis(45);
/// How long nothing may happen until many changes count as complete.
const CALM: Duration = Duration::from_millis(100);
/// How long to wait for that at most.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// Folders, not what is below them, that are watched until this is dropped.
#[derive(Debug)]
pub struct Watcher {
    kernel: Option<Kernel>,
    /// The folders, and which ones these were: one that was removed and made
    /// again is another.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    /// Whether something was told of which nobody has heard.
    is_told: bool,
}

/// Whom the kernel tells.
#[derive(Debug)]
struct Kernel {
    watcher: RecommendedWatcher,
    told: Receiver<()>,
}

/// Why the clock tells from now on: what to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub &'static str);

/// What an unprivileged user's watches are limited by.
const WATCHES: Limit = Limit("fs.inotify.max_user_watches");
/// What an unprivileged user's watchers are limited by.
const WATCHERS: Limit = Limit("fs.inotify.max_user_instances");

impl Watcher {
    /// Watches nothing yet. The limit is why the kernel will not tell.
    pub fn new() -> (Self, Option<Limit>) {
        let kernel = changes::kernel().ok();
        let kernel = kernel.map(|(watcher, told)| Kernel { watcher, told });
        let limit = kernel.is_none().then_some(WATCHERS);
        let watcher = Self {
            kernel,
            watched: BTreeMap::new(),
            is_told: false,
        };
        (watcher, limit)
    }

    /// Watches exactly these folders from now on, and says whether any of them
    /// was not watched before: what happened in it until now was not told. The
    /// limit is why the kernel tells no more.
    pub fn follow(&mut self, folders: &BTreeSet<PathBuf>) -> (bool, Option<Limit>) {
        let Some(kernel) = &mut self.kernel else {
            return (false, None);
        };
        let there: BTreeMap<&PathBuf, (u64, u64)> = folders
            .iter()
            .filter_map(|folder| Some((folder, identity(folder)?)))
            .collect();
        self.watched.retain(|folder, known| {
            let stays = there.get(folder) == Some(known);
            if !stays {
                // The kernel has let go of one that is gone by itself.
                let _ = kernel.watcher.unwatch(folder);
            }
            stays
        });
        let mut new = false;
        for (folder, identity) in there {
            if self.watched.contains_key(folder) {
                continue;
            }
            match kernel.watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    new = true;
                    self.watched.insert(folder.clone(), identity);
                }
                Err(error) if is_exhaustion(&error.kind) => {
                    self.kernel = None;
                    self.watched.clear();
                    return (false, Some(WATCHES));
                }
                // It is gone again; whoever looks will find out.
                Err(_) => {}
            }
        }
        (new, None)
    }

    /// Has whoever waits told that something may have changed.
    pub fn tell(&mut self) {
        self.is_told = true;
    }

    /// Waits until something may have changed, and until it is complete. May be
    /// dropped in the middle: what was told is told again.
    pub async fn next(&mut self) {
        self.change().await;
        self.silence(QUIET, PATIENCE).await;
        self.is_told = false;
    }

    /// Waits until whoever changes a great deal is done with it. May be dropped
    /// in the middle, as [`next`](Self::next).
    pub async fn calm(&mut self) {
        self.is_told = true;
        self.silence(CALM, LONG_PATIENCE).await;
        self.is_told = false;
    }

    async fn change(&mut self) {
        if self.is_told {
            return;
        }
        match &mut self.kernel {
            // The watcher lives as long as this, and so does its end.
            Some(kernel) => drop(kernel.told.recv().await),
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
        self.is_told = true;
    }

    /// Waits until nothing has happened for so long, or for `patience`.
    async fn silence(&mut self, quiet: Duration, patience: Duration) {
        let Some(kernel) = &mut self.kernel else {
            return tokio::time::sleep(quiet).await;
        };
        let silence = async {
            while tokio::time::timeout(quiet, kernel.told.recv())
                .await
                .is_ok()
            {}
        };
        let _ = tokio::time::timeout(patience, silence).await;
    }
}

fn is_exhaustion(kind: &ErrorKind) -> bool {
    let no_space = nix::errno::Errno::ENOSPC as i32;
    match kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => error.raw_os_error() == Some(no_space),
        _ => false,
    }
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    let metadata = folder.metadata().ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folders(paths: &[&Path]) -> BTreeSet<PathBuf> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    /// Whether a change is told; the deadline is for a watcher that is broken.
    async fn is_told(watcher: &mut Watcher) -> bool {
        let deadline = Duration::from_secs(10);
        tokio::time::timeout(deadline, watcher.next()).await.is_ok()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_folder_that_is_made_again_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("src");
        fs::create_dir(&folder).unwrap();
        let (mut watcher, _) = Watcher::new();
        let both = folders(&[root.path(), &folder]);
        assert_eq!(watcher.follow(&both), (true, None));
        assert_eq!(watcher.follow(&both), (false, None));
        fs::write(folder.join("a"), "").unwrap();
        assert!(is_told(&mut watcher).await);

        // Moved away first, so that the new one cannot have its number.
        fs::rename(&folder, root.path().join("old")).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(is_told(&mut watcher).await);
        assert_eq!(watcher.follow(&both), (true, None));
        fs::write(folder.join("a"), "").unwrap();
        assert!(is_told(&mut watcher).await);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn whoever_leaves_before_a_change_is_complete_is_told_of_it_again() {
        let root = tempfile::tempdir().unwrap();
        let (mut watcher, _) = Watcher::new();
        watcher.follow(&folders(&[root.path()]));
        fs::write(root.path().join("a"), "").unwrap();
        watcher.change().await;
        {
            let mut next = std::pin::pin!(watcher.next());
            let once = std::future::poll_fn(|cx| {
                assert!(next.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            });
            once.await;
        }
        assert!(is_told(&mut watcher).await);
    }
}
