//! Tells when something may have changed in folders that come and go.
//!
//! The kernel tells where it can. Where it has no room for so many watches, the
//! clock does; where a file system does not tell the kernel of what other
//! machines write, both do. Whoever is told looks at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::Receiver;

use crate::host::fs::changes;

/// Interval of looks where nothing tells of changes.
pub const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Shortest interval of looks.
const SHORTEST: Duration = Duration::from_millis(10);
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
    /// Interval of looks beside what the kernel tells.
    interval: Option<Duration>,
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
    names: Arc<Mutex<Names>>,
}

/// Names that count, by the folder they are in.
type Names = BTreeMap<PathBuf, BTreeSet<OsString>>;

/// What is watched. All paths are without symlinks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watched {
    /// Folders in which every change counts.
    pub folders: BTreeSet<PathBuf>,
    /// Folders in which changes of these names count.
    pub names: BTreeMap<PathBuf, BTreeSet<OsString>>,
}

impl Watched {
    /// Adds a file or folder, whether it is there or not: until it is, its
    /// nearest folder above that is there tells of the way to it.
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

/// A file system that does not tell the kernel of what other machines write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The folder that is on it.
    pub folder: PathBuf,
    /// Its type.
    pub filesystem: &'static str,
}

/// Why the clock tells from now on: what to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub &'static str);

/// What an unprivileged user's watches are limited by.
const WATCHES: Limit = Limit("fs.inotify.max_user_watches");
/// What an unprivileged user's watchers are limited by.
const WATCHERS: Limit = Limit("fs.inotify.max_user_instances");

impl Watcher {
    /// Watches nothing yet. Where `poll` is set, the clock tells at this
    /// interval and the kernel is not asked. The limit is why the kernel will
    /// not tell.
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

    /// Has the clock tell as well where a folder is on a file system that does
    /// not tell the kernel of everything; the first time, returns which one.
    pub fn distrust(&mut self, watched: &Watched) -> Option<Untold> {
        if self.kernel.is_none() || self.interval.is_some() {
            return None;
        }
        let mut folders = watched.folders.iter();
        let untold = folders.find_map(|folder| {
            let filesystem = untold_by(folder)?;
            let folder = folder.clone();
            Some(Untold { folder, filesystem })
        });
        self.interval = untold.as_ref().map(|_| LOOK_AGAIN);
        untold
    }

    /// Watches exactly this from now on, and says whether any of its folders
    /// was not watched before: what happened in it until now was not told. The
    /// limit is why the kernel tells no more.
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
                // The kernel has let go of one that is gone by itself.
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
        let clock = async |interval: Option<Duration>| match interval {
            Some(interval) => tokio::time::sleep(interval).await,
            None => std::future::pending().await,
        };
        match &mut self.kernel {
            Some(kernel) => tokio::select! {
                // The watcher lives as long as this, and so does its end.
                _ = kernel.told.recv() => {}
                () = clock(self.interval) => {}
            },
            None => clock(self.interval.or(Some(LOOK_AGAIN))).await,
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

impl Kernel {
    fn new() -> notify::Result<Self> {
        let names = Arc::new(Mutex::new(Names::new()));
        let known = names.clone();
        let (watcher, told) = changes::kernel(move |event| {
            counts(event, &known.lock().unwrap_or_else(PoisonError::into_inner))
        })?;
        Ok(Self {
            watcher,
            told,
            names,
        })
    }

    /// Counts these names only in their folders, and everything in all others.
    /// Returns true if anything counts in a folder now that did not before.
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

/// Returns true if an event is about more than names that do not count.
fn counts(event: &Event, names: &Names) -> bool {
    let counts = |path: &PathBuf| match path.parent().and_then(|folder| names.get(folder)) {
        Some(known) => {
            names.contains_key(path) || path.file_name().is_some_and(|name| known.contains(name))
        }
        None => true,
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(counts)
}

/// Returns the type of the file system of a folder where that does not tell the
/// kernel of what other machines, or the host of a virtual one, write.
#[cfg(target_os = "linux")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of file systems are of 32 bits, whatever the type of the field"
)]
fn untold_by(folder: &Path) -> Option<&'static str> {
    let statfs = nix::sys::statfs::statfs(folder).ok()?;
    untold(statfs.filesystem_type().0 as u32)
}

#[cfg(not(target_os = "linux"))]
fn untold_by(_: &Path) -> Option<&'static str> {
    None
}

/// Returns the name of a file system by its number in `statfs`, where it does
/// not tell of everything.
///
/// An overlay is not among them: it tells of what is written through it.
#[cfg(target_os = "linux")]
fn untold(number: u32) -> Option<&'static str> {
    Some(match number {
        0x6969 => "nfs",
        0x517B => "smb",
        0xFF53_4D42 => "cifs",
        0xFE53_4D42 => "smb2",
        0x0102_1997 => "9p",
        // virtiofs, sshfs and the shared folders of Docker Desktop, too.
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
        let (mut watcher, _) = Watcher::new(None);
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
    fn only_names_that_count_are_told() {
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
    fn what_is_not_there_is_told_of_by_what_is() {
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
    async fn a_name_that_counts_is_told_where_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (mut watcher, _) = Watcher::new(None);
        let mut names = Watched::default();
        names.add(&root.join("one"));
        assert_eq!(watcher.follow(&names), (true, None));
        assert_eq!(watcher.follow(&names), (false, None));
        fs::write(root.join("one"), "").unwrap();
        assert!(is_told(&mut watcher).await);
        // One more name: what happened to it until now was not told.
        names.add(&root.join("two"));
        assert_eq!(watcher.follow(&names), (true, None));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_clock_tells_where_it_is_asked_to() {
        let (mut watcher, limit) = Watcher::new(Some(Duration::ZERO));
        assert_eq!(limit, None);
        assert!(is_told(&mut watcher).await);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_of_other_machines_do_not_tell_of_everything() {
        assert_eq!(untold(0x6969), Some("nfs"));
        assert_eq!(untold(0x6573_5546), Some("fuse"));
        for number in [0xEF53, 0x9123_683E, 0x794C_7630, 0x0102_1994, 0x5846_5342] {
            assert_eq!(untold(number), None, "{number:x}");
        }
    }
}
