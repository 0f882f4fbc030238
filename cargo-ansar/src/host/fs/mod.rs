//! The file system.
//!
//! Files are replaced so that a killed process leaves the old file or the new
//! one, never a mixture. There is one error type, which names the operation and
//! the path. Symlinks below a path that a caller passes in are never followed.
//! The module does not know what the files mean.

pub mod access;
pub mod append;
pub mod argument;
pub mod changes;
pub mod compare;
pub mod copy;
pub mod crash_point;
pub mod fingerprint;
pub mod flush;
pub mod links;
pub mod list;
pub mod lock;
pub mod marker;
pub mod open;
pub mod read;
pub mod remove;
pub mod stage;
pub mod walk;
pub mod watch;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

pub use crate::host::fs::access::{Access, access, replaceable_above};
pub use crate::host::fs::append::Appender;
pub use crate::host::fs::argument::{read_argument, write_argument};
pub use crate::host::fs::compare::equal;
pub use crate::host::fs::fingerprint::{Fingerprint, Hash, Kind, Stamp, Stat, hash, now_ns, stat};
pub use crate::host::fs::flush::sync_each;
pub use crate::host::fs::links::{Followed, follow};
pub use crate::host::fs::list::{Listing, Selection, is_cache, list};
pub use crate::host::fs::marker::{is_script, marker};
pub use crate::host::fs::open::LARGEST;
pub use crate::host::fs::read::Reading;
use crate::host::fs::remove::remove_folder;
pub use crate::host::fs::stage::{
    Staged, TransferMethod, Trash, clear_leftovers, clear_leftovers_below, is_alias, leftovers,
    transfer,
};
pub use crate::host::fs::walk::{Walked, walk, walk_both};

/// The permissions of a folder that only its user may enter.
pub const PRIVATE_FOLDER: u32 = 0o700;

/// A failed operation and its path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An action on a path.
    #[error("failed to {action} `{path}`")]
    Failed {
        /// The action.
        action: Action,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Copying or linking a file.
    #[error("failed to transfer `{from}` to `{to}`")]
    Transfer {
        /// The source file.
        from: PathBuf,
        /// The target.
        to: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file was written while it was read.
    #[error("`{path}` changed while it was read")]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// An action on a path that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reading a file.
    Read,
    /// Writing a file, or syncing it to disk.
    Write,
    /// Reading metadata.
    Examine,
    /// Listing a folder.
    List,
    /// Creating a folder.
    MakeFolder,
    /// Removing a file, a link, a folder or a tree.
    Remove,
    /// Creating or reading a symlink.
    Link,
    /// Changing permissions.
    SetMode,
}

impl Action {
    /// Returns a function that makes the error of this action on a path.
    pub(crate) fn on(self, path: &Path) -> impl Fn(io::Error) -> Error + Copy {
        move |source| Error::Failed {
            action: self,
            path: path.to_owned(),
            source,
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Examine => "examine",
            Self::List => "list",
            Self::MakeFolder => "make the folder",
            Self::Remove => "remove",
            Self::Link => "make or read the link",
            Self::SetMode => "set the mode of",
        })
    }
}

impl Error {
    /// Returns true if the cause is that the path does not exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Failed { source, .. } | Self::Transfer { source, .. } => {
                source.kind() == io::ErrorKind::NotFound
            }
            Self::Changed { .. } => false,
        }
    }
}

/// Reads a whole file of a home: a regular file, not a symlink, of at most
/// [`LARGEST`] bytes.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_up_to(path, LARGEST)
}

/// Reads a whole file of a home, with a limit of its size in bytes.
pub fn read_up_to(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let opened = open::regular(path, OpenOptions::new().read(true));
    whole(path, opened, limit)
}

/// Reads a whole file of a home; `None` if it does not exist.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    if_exists(read(path))
}

/// Reads a whole regular file outside of a home. Symlinks are followed.
pub fn read_followed(path: &Path) -> Result<Vec<u8>, Error> {
    whole(path, open::followed(path), LARGEST)
}

fn whole(
    path: &Path,
    opened: io::Result<(File, fs::Metadata)>,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let read = opened.and_then(|(file, found)| open::read_all(&file, found.len(), limit));
    read.map_err(Action::Read.on(path))
}

/// Turns a "not found" error into `None`.
pub fn if_exists<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns true if there is anything at `path`. Symlinks are followed.
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// Returns true if `path` is a regular file. Symlinks are followed.
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Returns true if `path` is a regular file with an execute bit. Symlinks are
/// followed.
pub fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Moves a file or folder to a path where nothing is. Where that would be on
/// another file system, removes it.
pub fn move_or_remove(from: &Path, to: &Path) -> Result<(), Error> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => remove_tree(from),
        moved => moved.map_err(|source| Error::Transfer {
            from: from.to_owned(),
            to: to.to_owned(),
            source,
        }),
    }
}

/// Returns the paths below `base` that match a pattern, sorted. An invalid
/// pattern and folders that cannot be read match nothing.
pub fn matching(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let base = glob::Pattern::escape(&base.to_string_lossy());
    let pattern = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("{base}/{pattern}")
    };
    let paths = glob::glob(&pattern).into_iter().flatten();
    paths.filter_map(Result::ok).collect()
}

/// Returns true if `path` is a regular file that begins with `#!`, or like an
/// ELF or Mach-O file. Symlinks are followed.
pub fn is_program(path: &Path) -> bool {
    const BEGINNINGS: [&[u8]; 3] = [b"#!", b"\x7fELF", b"\xcf\xfa\xed\xfe"];
    let mut head = [0; 4];
    let read = is_file(path) && File::open(path).is_ok_and(|mut file| file.read(&mut head).is_ok());
    read && BEGINNINGS
        .iter()
        .any(|beginning| head.starts_with(beginning))
}

/// Returns true if `path` is a folder. Symlinks are followed.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// Returns the names in a folder, in no order; empty if it does not exist.
pub fn names(folder: &Path) -> Result<Vec<OsString>, Error> {
    let failed = Action::List.on(folder);
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.file_name()).map_err(failed))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// Reads a file of a home from an offset to its end, at most [`LARGEST`] bytes.
pub fn read_from(path: &Path, offset: u64) -> Result<Vec<u8>, Error> {
    let read = || {
        let (mut file, _) = open::regular(path, OpenOptions::new().read(true))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(Action::Read.on(path))
}

/// Replaces `path` with `bytes`, with exactly the permissions `mode`.
///
/// After a kill or a power loss at any time, the file has the old content or
/// all of the new. The folder must exist.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    renew(path, bytes, mode)?;
    sync(folder_of(path))
}

/// Replaces `path` with `bytes`, with exactly the permissions `mode`, where the
/// old content is as valid as the new.
///
/// Unlike [`replace`], a power loss may bring the old content back, but never a
/// mixture. The folder must exist.
pub fn renew(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let failed = Action::Write.on(path);
    let staged = Staged::reserve(folder_of(path));
    crash_point::change();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(staged.path())
        .map_err(failed)?;
    crash_point::change();
    file.write_all(bytes).map_err(failed)?;
    crash_point::change();
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(failed)?;
    file.sync_all().map_err(failed)?;
    staged.commit(path)
}

/// Replaces `path` with `bytes`, readable for the user alone. The folder must
/// exist.
///
/// If this command is killed, the file has the old content or all of the new; a
/// power loss may lose both.
pub fn place(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let staged = Staged::reserve(folder_of(path));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(staged.path())
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(Action::Write.on(path))?;
    staged.commit(path)
}

/// Creates a file that holds all of `bytes`, readable for the user alone,
/// replacing one that exists.
///
/// If this command is killed, the whole file exists or nothing does. No staged
/// file is left either, on file systems with unnamed files.
pub fn create_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = folder_of(path);
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    let made = open_unnamed(folder, &options).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        give_name(&file, path)
    });
    match made {
        Ok(()) => sync(folder),
        Err(_) => replace(path, bytes, 0o600),
    }
}

#[cfg(target_os = "linux")]
fn give_name(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use nix::fcntl::{AT_FDCWD, AtFlags};
    use nix::unistd::linkat;

    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let follow = AtFlags::AT_SYMLINK_FOLLOW;
    Ok(linkat(AT_FDCWD, own.as_str(), AT_FDCWD, path, follow)?)
}

#[cfg(not(target_os = "linux"))]
fn give_name(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes a file that only this process uses, readable for the user alone. The
/// folder must exist.
pub fn write_in_place(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = open::regular(
        path,
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600),
    );
    let written = written.and_then(|(mut file, _)| file.write_all(bytes));
    written.map_err(Action::Write.on(path))
}

/// Creates an unnamed file that holds `bytes`, positioned at its start. It is
/// in `folder`, which must exist, and is gone when it is closed.
pub fn unnamed(folder: &Path, bytes: &[u8]) -> Result<Arc<File>, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let mut path = folder.to_owned();
    let opened = open_unnamed(folder, &options).or_else(|_| {
        // The file system has no unnamed files.
        let staged = Staged::reserve(folder);
        staged.path().clone_into(&mut path);
        options.clone().create_new(true).open(staged.path())
    });
    let written = opened.and_then(|mut file| {
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(Arc::new(file))
    });
    written.map_err(Action::Write.on(&path))
}

#[cfg(target_os = "linux")]
fn open_unnamed(folder: &Path, options: &OpenOptions) -> io::Result<File> {
    let unnamed = nix::libc::O_TMPFILE;
    options.clone().custom_flags(unnamed).open(folder)
}

#[cfg(not(target_os = "linux"))]
fn open_unnamed(_: &Path, _: &OpenOptions) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Syncs a file's bytes, or a folder's names, to disk.
pub fn sync(path: &Path) -> Result<(), Error> {
    crash_point::change();
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(Action::Write.on(path))
}

/// Syncs several files to disk, in parallel if there are many, as each waits
/// for the disk.
pub fn sync_all(paths: &[PathBuf]) -> Result<(), Error> {
    const AT_ONCE: usize = 8;
    if paths.len() <= AT_ONCE {
        return paths.iter().try_for_each(|path| sync(path));
    }
    let sync_part = |part: &[PathBuf]| part.iter().try_for_each(|path| sync(path));
    std::thread::scope(|scope| {
        let parts = paths.chunks(paths.len().div_ceil(AT_ONCE));
        let syncing: Vec<_> = parts
            .map(|part| {
                let thread = std::thread::Builder::new();
                // If no thread can be created, sync here.
                thread
                    .spawn_scoped(scope, || sync_part(part))
                    .map_err(|_| part)
            })
            .collect();
        syncing.into_iter().try_for_each(|syncing| match syncing {
            Ok(syncing) => syncing.join().unwrap_or(Ok(())),
            Err(part) => sync_part(part),
        })
    })
}

/// Makes `path` readable and writable for the user alone.
pub fn make_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// Creates a folder and its parents, each new one private to the user.
///
/// A folder that exists keeps its permissions.
pub fn make_private_folders(path: &Path) -> Result<(), Error> {
    make_folders(path, PRIVATE_FOLDER)
}

/// Creates a folder and its parents, each new one readable for everyone as far
/// as the umask allows.
pub fn make_public_folders(path: &Path) -> Result<(), Error> {
    make_folders(path, 0o777)
}

fn make_folders(path: &Path, mode: u32) -> Result<(), Error> {
    // Checking is cheap, while creating an existing folder writes to its
    // parent.
    if path.is_dir() {
        return Ok(());
    }
    crash_point::change();
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(Action::MakeFolder.on(path))
}

/// Creates one folder with exactly the permissions `mode`, regardless of the
/// umask.
///
/// The path must not exist. The folder appears with these permissions or not at
/// all.
pub fn make_folder(path: &Path, mode: u32) -> Result<(), Error> {
    let failed = Action::MakeFolder.on(path);
    let staged = Staged::reserve(folder_of(path));
    crash_point::change();
    DirBuilder::new()
        .mode(PRIVATE_FOLDER)
        .create(staged.path())
        .map_err(failed)?;
    crash_point::change();
    fs::set_permissions(staged.path(), fs::Permissions::from_mode(mode)).map_err(failed)?;
    staged.commit(path)
}

/// Places a symlink to `target` at `path`, replacing a file or link.
pub fn place_link(path: &Path, target: &Path) -> Result<(), Error> {
    let staged = Staged::reserve(folder_of(path));
    crash_point::change();
    std::os::unix::fs::symlink(target, staged.path()).map_err(Action::Link.on(path))?;
    staged.commit(path)
}

/// Returns the target of a symlink, unresolved.
pub fn read_link(path: &Path) -> Result<PathBuf, Error> {
    fs::read_link(path).map_err(Action::Link.on(path))
}

/// Sets the permissions of a file or folder. A symlink is an error.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    let set = if stat(path)?.kind == Kind::Link {
        Err(io::Error::other("it is a symlink"))
    } else {
        crash_point::change();
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    set.map_err(Action::SetMode.on(path))
}

/// Removes a file, link or other non-folder. It is no error if `path` does not
/// exist.
pub fn remove_file(path: &Path) -> Result<(), Error> {
    crash_point::change();
    removed(path, fs::remove_file(path))
}

/// Removes an empty folder. It is no error if `path` does not exist.
///
/// Returns false, and removes nothing, if the folder is not empty.
pub fn remove_empty_folder(path: &Path) -> Result<bool, Error> {
    crash_point::change();
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        result => removed(path, result).map(|()| true),
    }
}

/// Removes `path` and everything below it, without following symlinks. It is no
/// error if `path` does not exist. A signal that stops this command interrupts
/// it.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    match stat(path) {
        Ok(stat) if stat.kind == Kind::Folder => {}
        Ok(_) => return remove_file(path),
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    }
    crash_point::change();
    match remove_folder(path) {
        // The contents of a read-only folder cannot be removed, even by its
        // owner, so make it writable.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_folders(path)?;
            removed(path, remove_folder(path))
        }
        result => removed(path, result),
    }
}

/// Returns the path with all symlinks resolved.
pub fn resolve(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(Action::Examine.on(path))
}

/// Returns the path without `..`: the existing part is resolved, the rest kept.
/// A path without `..` is returned unchanged.
pub fn without_parents(path: &Path) -> PathBuf {
    let is_up = |part: &Component<'_>| *part == Component::ParentDir;
    if !path.components().any(|part| is_up(&part)) {
        return path.to_owned();
    }
    let mut there = path.ancestors();
    let there = there.find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    let Some((folder, mut plain)) = there else {
        return path.to_owned();
    };
    let rest = path.strip_prefix(folder).unwrap_or(path);
    for part in rest.components() {
        if is_up(&part) {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// Returns true if `path` is `folder` or is inside it, or would be if it were
/// created, whichever way it is spelled. Returns false if the folder does not
/// exist.
pub fn is_within(path: &Path, folder: &Path) -> Result<bool, Error> {
    let place = |path: &Path| {
        let stat = resolve(path).and_then(|path| stat(&path));
        match stat {
            Ok(stat) => Ok(Some((stat.fingerprint.device, stat.fingerprint.inode))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    };
    let Some(folder) = place(folder)? else {
        return Ok(false);
    };
    // A path that does not exist yet is judged by its nearest existing folder.
    let there = path.ancestors().find_map(|path| resolve(path).ok());
    for one in there.iter().flat_map(|path| path.ancestors()) {
        if place(one)? == Some(folder) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn removed(path: &Path, result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Action::Remove.on(path)),
    }
}

/// Makes every folder of a tree accessible to the user, before it is removed.
fn open_folders(root: &Path) -> Result<(), Error> {
    set_mode(root, PRIVATE_FOLDER)?;
    let listed = fs::read_dir(root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = listed.map_err(Action::List.on(root))?;
    for entry in entries {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_sets_bytes_and_mode_and_leaves_no_alias() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o640).unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(stat(&path).unwrap().mode, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn create_whole_makes_a_private_file_and_leaves_no_alias() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        create_whole(&path, b"one").unwrap();
        assert_eq!(read(&path).unwrap(), b"one");
        assert_eq!(stat(&path).unwrap().mode, 0o600);
        create_whole(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn replace_that_fails_leaves_no_alias() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(replace(&path, b"one", 0o600).is_err());
        assert!(leftovers(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn read_error_names_the_missing_file() {
        let error = read(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.to_string(), "failed to read `/nowhere/at/all`");
        assert!(error.is_not_found());
        assert!(
            read_if_exists(Path::new("/nowhere/at/all"))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn private_folders_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        make_private_folders(&path).unwrap();
        make_private_folders(&path).unwrap();
        assert_eq!(stat(&path).unwrap().mode, 0o700);
        assert_eq!(stat(&folder.path().join("a")).unwrap().mode, 0o700);
    }

    #[test]
    fn remove_tree_does_not_follow_links() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, other) = (folder.path().join("tree"), folder.path().join("other"));
        make_private_folders(&tree.join("deep")).unwrap();
        make_private_folders(&other).unwrap();
        replace(&other.join("precious"), b"1", 0o600).unwrap();
        place_link(&tree.join("deep/link"), &other).unwrap();
        set_mode(&tree.join("deep"), 0o500).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(other.join("precious").exists());

        place_link(&tree, &other).unwrap();
        remove_tree(&tree).unwrap();
        assert!(other.join("precious").exists());
    }

    #[test]
    fn set_mode_refuses_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        replace(&file, b"", 0o600).unwrap();
        place_link(&link, &file).unwrap();
        assert!(set_mode(&link, 0o777).is_err());
        assert_eq!(stat(&file).unwrap().mode, 0o600);
    }

    #[test]
    fn parents_are_resolved_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        make_private_folders(&folder.join("a/b")).unwrap();
        place_link(&folder.join("link"), &folder.join("a/b")).unwrap();
        for (path, plain) in [
            ("link", "link"),
            ("a/../link/x", "a/b/x"),
            ("link/../new", "a/new"),
            ("gone/../new/x", "new/x"),
            ("a/../gone/../a", "a"),
        ] {
            assert_eq!(without_parents(&folder.join(path)), folder.join(plain));
        }
    }

    #[test]
    fn remove_empty_folder_leaves_a_full_one() {
        let folder = tempfile::tempdir().unwrap();
        make_private_folders(&folder.path().join("full/inside")).unwrap();
        assert!(!remove_empty_folder(&folder.path().join("full")).unwrap());
        assert!(remove_empty_folder(&folder.path().join("full/inside")).unwrap());
        assert!(remove_empty_folder(&folder.path().join("full")).unwrap());
    }
}
