//! Listing everything below a folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;

use walkdir::{DirEntry, WalkDir};

use crate::host::fs::{Action, Error, Stat, is_alias};
use crate::host::process::interrupts::checkpoint;

/// An entry below a folder.
#[derive(Debug, Clone)]
pub struct Walked {
    /// The path relative to the folder.
    pub path: PathBuf,
    /// The metadata.
    pub stat: Stat,
    /// True if the name is an alias; the contents of such a folder are not
    /// listed.
    pub alias: bool,
}

/// Lists everything below `root`: a folder before its contents, names in byte
/// order.
///
/// Returns `None` if `root` does not exist. It may be a symlink; symlinks below
/// it are not followed. What vanishes in the meantime is skipped. A signal
/// interrupts it.
pub fn walk(root: &Path) -> Result<Option<Vec<Walked>>, Error> {
    match root.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return Err(Action::List.on(root)(std::io::Error::from(
                std::io::ErrorKind::NotADirectory,
            )));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Action::List.on(root)(source));
        }
    }
    let mut found = Vec::new();
    let mut walk = WalkDir::new(root)
        .min_depth(1)
        .sort_by(|one, other| name(one).cmp(name(other)))
        .into_iter();
    while let Some(step) = walk.next() {
        checkpoint().map_err(Action::List.on(root))?;
        let step = step.and_then(|entry| Ok((entry.metadata()?, entry)));
        let (metadata, entry) = match step {
            Ok(step) => step,
            Err(error) if vanished(&error) => continue,
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                return Err(Action::List.on(&path)(error.into()));
            }
        };
        let alias = is_alias(entry.file_name());
        if alias && metadata.is_dir() {
            walk.skip_current_dir();
        }
        found.push(Walked {
            path: below(root, entry.path()),
            stat: Stat::of(&metadata),
            alias,
        });
    }
    Ok(Some(found))
}

/// Walks two folders in parallel.
#[expect(clippy::type_complexity, reason = "it is [`walk`] twice")]
pub fn walk_both(
    one: &Path,
    other: &Path,
) -> (
    Result<Option<Vec<Walked>>, Error>,
    Result<Option<Vec<Walked>>, Error>,
) {
    thread::scope(|scope| {
        let beside = thread::Builder::new().spawn_scoped(scope, || walk(one));
        let other = walk(other);
        let one = match beside.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(found)) => found,
            // If no thread can be created, walk here.
            _ => walk(one),
        };
        (one, other)
    })
}

/// Returns the last component of a walked path.
fn name(entry: &DirEntry) -> &[u8] {
    let path = entry.path().as_os_str().as_bytes();
    let begin = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    &path[begin..]
}

/// Returns a walked path relative to the root.
fn below(root: &Path, path: &Path) -> PathBuf {
    let rest = path.as_os_str().as_bytes();
    let rest = rest.strip_prefix(root.as_os_str().as_bytes());
    // The root may end with a slash.
    let rest = rest.map(|rest| rest.strip_prefix(b"/").unwrap_or(rest));
    rest.map_or_else(
        || path.to_owned(),
        |rest| PathBuf::from(OsStr::from_bytes(rest)),
    )
}

fn vanished(error: &walkdir::Error) -> bool {
    // A root that vanishes is an error, not an empty folder.
    error.depth() > 0
        && error
            .io_error()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fs;

    #[test]
    fn walk_is_sorted_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::make_private_folders(&at("b/deep")).unwrap();
        fs::replace(&at("b/deep/file"), b"x", 0o600).unwrap();
        fs::replace(&at("b.txt"), b"x", 0o600).unwrap();
        fs::place_link(&at("a"), &at("b")).unwrap();
        let found = walk(folder.path()).unwrap().unwrap();
        let paths: Vec<_> = found.iter().map(|one| one.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["a", "b", "b/deep", "b/deep/file", "b.txt"]);
    }

    #[test]
    fn walking_both_equals_walking_each() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::make_private_folders(&at("a/deep")).unwrap();
        fs::replace(&at("a/deep/file"), b"x", 0o600).unwrap();
        let (one, other) = walk_both(&at("a"), &at("gone"));
        assert_eq!(one.unwrap().unwrap().len(), 2);
        assert!(other.unwrap().is_none());
    }

    #[test]
    fn missing_root_is_none_and_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        assert!(walk(&path).unwrap().is_none());
        fs::replace(&path, b"x", 0o600).unwrap();
        assert!(walk(&path).is_err());
    }
}
