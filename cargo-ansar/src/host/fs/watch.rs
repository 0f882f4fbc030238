//! Watching folders that may appear and disappear.
//!
//! The kernel reports changes if it can. If it has no room for so many watches,
//! polling replaces it; on file systems that do not report writes of other
//! machines, polling is added. A notification names no path, so its receiver
//! looks at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::Receiver;

use crate::host::fs::changes;

/// Interval of polling.
pub const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Minimum interval of polling.
const SHORTEST: Duration = Duration::from_millis(10);
/// Time without events after which a change is complete.
const QUIET: Duration = Duration::from_millis(15);
/// Maximum wait for a change to be complete.
const PATIENCE: Duration = Duration::from_millis(45);
/// Time without events after which a large change is complete.
const CALM: Duration = Duration::from_millis(100);
/// Maximum wait for a large change to be complete.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// A watcher of folders, not of what is below them. Dropping it stops watching.
#[derive(Debug)]
pub struct Watcher {
    kernel: Option<Kernel>,
    /// Interval of polling in addition to the kernel.
    interval: Option<Duration>,
    /// The watched folders with device and inode: a folder that was removed and
    /// created again is a different one.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    /// True if a change was reported that `next` has not returned.
    is_told: bool,
}

/// The kernel's watcher.
#[derive(Debug)]
struct Kernel {
    watcher: RecommendedWatcher,
    events: Receiver<()>,
    names: Arc<Mutex<Names>>,
}

/// Names whose changes count, by folder.
type Names = BTreeMap<PathBuf, BTreeSet<OsString>>;

/// The folders and files to watch. All paths are without symlinks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watched {
    /// Folders in which every change counts.
    pub folders: BTreeSet<PathBuf>,
    /// Folders in which only changes of these names count.
    pub names: BTreeMap<PathBuf, BTreeSet<OsString>>,
}

impl Watched {
    /// Adds a file or folder. If it does not exist, watches for the next
    /// component of its path in the nearest existing folder.
    pub fn add(&mut self, path: &Path) {
        let mut path = path;
        while let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            if folder.is_dir() {
                let names = self.names.entry(folder.to_owned()).or_default();
                names.insert(name.to_owned());
                return;
            }
            path = folder;
        }
    }
}

/// A file system that does not report writes of other machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreportedFilesystem {
    /// A folder on it.
    pub folder: PathBuf,
    /// Its type.
    pub filesystem: &'static str,
}

/// The kernel setting to raise for the kernel to report changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub &'static str);

/// The limit on watches of a user.
const WATCHES: Limit = Limit("fs.inotify.max_user_watches");
/// The limit on watchers of a user.
const WATCHERS: Limit = Limit("fs.inotify.max_user_instances");

impl Watcher {
    /// Creates a watcher without folders. With `poll`, it polls at this
    /// interval and does not use the kernel. Returns the limit that prevents
    /// using the kernel.
    pub fn new(poll: Option<Duration>) -> (Self, Option<Limit>) {
        let kernel = match poll {
            Some(_) => None,
            None => Kernel::new().ok(),
        };
        let limit = (kernel.is_none() && poll.is_none()).then_some(WATCHERS);
        let watcher = Self {
            kernel,
            interval: poll.map(|interval| interval.max(SHORTEST)),
            watched: BTreeMap::new(),
            is_told: false,
        };
        (watcher, limit)
    }

    /// Adds polling if a folder is on a file system that does not report every
    /// change; returns that file system the first time.
    pub fn poll_unreported(&mut self, watched: &Watched) -> Option<UnreportedFilesystem> {
        if self.kernel.is_none() || self.interval.is_some() {
            return None;
        }
        let mut folders = watched.folders.iter();
        let unreported = folders.find_map(|folder| {
            let filesystem = unreported_type(folder)?;
            let folder = folder.clone();
            Some(UnreportedFilesystem { folder, filesystem })
        });
        self.interval = unreported.as_ref().map(|_| LOOK_AGAIN);
        unreported
    }

    /// Replaces the watched folders. Returns true if one of them was not
    /// watched before, so that earlier changes in it may have been missed; and
    /// the limit that ended the use of the kernel.
    pub fn follow(&mut self, watched: &Watched) -> (bool, Option<Limit>) {
        let Some(kernel) = &mut self.kernel else {
            return (false, None);
        };
        let mut names = watched.names.clone();
        names.retain(|folder, _| !watched.folders.contains(folder));
        let there: BTreeMap<PathBuf, (u64, u64)> = watched
            .folders
            .iter()
            .chain(names.keys())
            .filter_map(|folder| Some((folder.clone(), file_id(folder)?)))
            .collect();
        let widened = kernel.narrow(names);
        self.watched.retain(|folder, known| {
            let stays = there.get(folder) == Some(known);
            if !stays {
                // The kernel removes the watch of a deleted folder itself.
                let _ = kernel.watcher.unwatch(folder);
            }
            stays
        });
        let mut new = widened;
        for (folder, file_id) in there {
            if self.watched.contains_key(&folder) {
                continue;
            }
            match kernel.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    new = true;
                    self.watched.insert(folder, file_id);
                }
                Err(error) if is_exhaustion(&error.kind) => {
                    self.kernel = None;
                    self.watched.clear();
                    return (false, Some(WATCHES));
                }
                // It is gone again, which the caller will notice.
                Err(_) => {}
            }
        }
        (new, None)
    }

    /// Makes [`next`](Self::next) return at the next call.
    pub fn tell(&mut self) {
        self.is_told = true;
    }

    /// Waits for a change, and until it is complete. Cancel safe: a change is
    /// reported again.
    pub async fn next(&mut self) {
        self.change().await;
        self.silence(QUIET, PATIENCE).await;
        self.is_told = false;
    }

    /// Waits until a large change is complete. Cancel safe, like
    /// [`next`](Self::next).
    pub async fn wait_until_calm(&mut self) {
        self.is_told = true;
        self.silence(CALM, LONG_PATIENCE).await;
        self.is_told = false;
    }

    async fn change(&mut self) {
        if self.is_told {
            return;
        }
        let clock = async |interval: Option<Duration>| match interval {
            Some(interval) => tokio::time::sleep(interval).await,
            None => std::future::pending().await,
        };
        match &mut self.kernel {
            Some(kernel) => tokio::select! {
                // The sender lives in the watcher, so the channel is open.
                _ = kernel.events.recv() => {}
                () = clock(self.interval) => {}
            },
            None => clock(self.interval.or(Some(LOOK_AGAIN))).await,
        }
        self.is_told = true;
    }

    /// Waits until there was no event for `quiet`, at most for `patience`.
    async fn silence(&mut self, quiet: Duration, patience: Duration) {
        let Some(kernel) = &mut self.kernel else {
            return tokio::time::sleep(quiet).await;
        };
        let silence = async {
            while tokio::time::timeout(quiet, kernel.events.recv())
                .await
                .is_ok()
            {}
        };
        let _ = tokio::time::timeout(patience, silence).await;
    }
}

impl Kernel {
    fn new() -> notify::Result<Self> {
        let names = Arc::new(Mutex::new(Names::new()));
        let known = names.clone();
        let (watcher, events) = changes::kernel(move |event| {
            counts(event, &known.lock().unwrap_or_else(PoisonError::into_inner))
        })?;
        Ok(Self {
            watcher,
            events,
            names,
        })
    }

    /// Sets the folders in which only some names count. Returns true if a name
    /// counts now that did not before.
    fn narrow(&self, names: Names) -> bool {
        let mut known = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let widened = known.iter().any(|(folder, before)| {
            let now = names.get(folder);
            now.is_none_or(|now| !now.is_subset(before))
        });
        *known = names;
        widened
    }
}

/// Returns true if an event is about a path that counts.
fn counts(event: &Event, names: &Names) -> bool {
    let counts = |path: &PathBuf| match path.parent().and_then(|folder| names.get(folder)) {
        Some(known) => {
            names.contains_key(path) || path.file_name().is_some_and(|name| known.contains(name))
        }
        None => true,
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(counts)
}

/// Returns the type of a folder's file system if it does not report writes of
/// other machines, or of the host of a virtual machine.
#[cfg(target_os = "linux")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of file systems have 32 bits on every platform"
)]
fn unreported_type(folder: &Path) -> Option<&'static str> {
    let statfs = nix::sys::statfs::statfs(folder).ok()?;
    unreported(statfs.filesystem_type().0 as u32)
}

#[cfg(not(target_os = "linux"))]
fn unreported_type(_: &Path) -> Option<&'static str> {
    None
}

/// Returns the name of a file system that does not report every change, by its
/// number in `statfs`.
///
/// An overlay is not among them: it reports what is written through it.
#[cfg(target_os = "linux")]
fn unreported(number: u32) -> Option<&'static str> {
    Some(match number {
        0x6969 => "nfs",
        0x517B => "smb",
        0xFF53_4D42 => "cifs",
        0xFE53_4D42 => "smb2",
        0x0102_1997 => "9p",
        // Also virtiofs, sshfs and the shared folders of Docker Desktop.
        0x6573_5546 => "fuse",
        0x786F_4256 => "vboxsf",
        0xBACB_ACBC => "vmhgfs",
        0x6B41_4653 | 0x5346_414F => "afs",
        0x00C3_6400 => "ceph",
        0x7375_7245 => "coda",
        0x0BD0_0BD0 => "lustre",
        0x4750_4653 => "gpfs",
        _ => return None,
    })
}

fn is_exhaustion(kind: &ErrorKind) -> bool {
    let no_space = nix::errno::Errno::ENOSPC as i32;
    match kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => error.raw_os_error() == Some(no_space),
        _ => false,
    }
}

fn file_id(folder: &Path) -> Option<(u64, u64)> {
    let metadata = folder.metadata().ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folders(paths: &[&Path]) -> Watched {
        Watched {
            folders: paths.iter().map(|path| (*path).to_owned()).collect(),
            ..Watched::default()
        }
    }

    /// Returns true if a change is reported. The deadline is for a broken
    /// watcher.
    async fn is_told(watcher: &mut Watcher) -> bool {
        let deadline = Duration::from_secs(10);
        tokio::time::timeout(deadline, watcher.next()).await.is_ok()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn recreated_folder_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("src");
        fs::create_dir(&folder).unwrap();
        let (mut watcher, _) = Watcher::new(None);
        let both = folders(&[root.path(), &folder]);
        assert_eq!(watcher.follow(&both), (true, None));
        assert_eq!(watcher.follow(&both), (false, None));
        fs::write(folder.join("a"), "").unwrap();
        assert!(is_told(&mut watcher).await);

        // Moved first, so that the new folder cannot have the same inode.
        fs::rename(&folder, root.path().join("old")).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(is_told(&mut watcher).await);
        assert_eq!(watcher.follow(&both), (true, None));
        fs::write(folder.join("a"), "").unwrap();
        assert!(is_told(&mut watcher).await);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn cancelled_wait_reports_the_change_again() {
        let root = tempfile::tempdir().unwrap();
        let (mut watcher, _) = Watcher::new(None);
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

    #[test]
    fn only_counting_names_are_reported() {
        let event = |paths: &[&str]| {
            let event = Event::new(notify::EventKind::Any);
            paths
                .iter()
                .fold(event, |event, path| event.add_path(path.into()))
        };
        let names = |names: &[&str]| names.iter().map(OsString::from).collect();
        let narrow = Names::from([("/a".into(), names(&["x"])), ("/a/b".into(), names(&["y"]))]);
        assert!(counts(&event(&["/a/x"]), &narrow));
        assert!(!counts(&event(&["/a/z"]), &narrow));
        assert!(counts(&event(&["/a/z", "/a/x"]), &narrow), "a rename");
        assert!(counts(&event(&["/a/b"]), &narrow), "a folder is gone");
        assert!(counts(&event(&["/c/z"]), &narrow));
        assert!(counts(&event(&[]), &narrow));
    }

    #[test]
    fn missing_path_is_watched_in_its_nearest_folder() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("a")).unwrap();
        let mut watched = Watched::default();
        watched.add(&root.join("a/one"));
        watched.add(&root.join("a/b/c/two"));
        let expected = ["b", "one"].map(OsString::from).into();
        assert_eq!(watched.names, BTreeMap::from([(root.join("a"), expected)]));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn named_file_is_reported() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (mut watcher, _) = Watcher::new(None);
        let mut names = Watched::default();
        names.add(&root.join("one"));
        assert_eq!(watcher.follow(&names), (true, None));
        assert_eq!(watcher.follow(&names), (false, None));
        fs::write(root.join("one"), "").unwrap();
        assert!(is_told(&mut watcher).await);
        // With one more name, earlier changes may have been missed.
        names.add(&root.join("two"));
        assert_eq!(watcher.follow(&names), (true, None));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn polling_reports_changes() {
        let (mut watcher, limit) = Watcher::new(Some(Duration::ZERO));
        assert_eq!(limit, None);
        assert!(is_told(&mut watcher).await);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_recognised() {
        assert_eq!(unreported(0x6969), Some("nfs"));
        assert_eq!(unreported(0x6573_5546), Some("fuse"));
        for number in [0xEF53, 0x9123_683E, 0x794C_7630, 0x0102_1994, 0x5846_5342] {
            assert_eq!(unreported(number), None, "{number:x}");
        }
    }
}
