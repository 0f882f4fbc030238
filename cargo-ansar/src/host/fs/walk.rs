//! Listing everything below a folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;

use walkdir::{DirEntry, WalkDir};

use crate::host::fs::{Error, Stat, is_alias};
use crate::host::process::interrupts::checkpoint;

/// One thing below a folder.
#[derive(Debug, Clone)]
pub struct Walked {
    /// Where, relative to the folder.
    pub path: PathBuf,
    /// What it looks like.
    pub stat: Stat,
    /// Whether its name is an alias's; what is in such a folder is not listed.
    pub alias: bool,
}

/// Everything below `root`: a folder before what is in it, names bytewise.
///
/// `None` where there is no `root`. It may itself be a symlink; none below it
/// is followed. What vanishes meanwhile is left out. A signal ends it.
pub fn walk(root: &Path) -> Result<Option<Vec<Walked>>, Error> {
    match root.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return Err(Error::List {
                path: root.to_owned(),
                source: std::io::Error::from(std::io::ErrorKind::NotADirectory),
            });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::List {
                path: root.to_owned(),
                source,
            });
        }
    }
    let mut found = Vec::new();
    let mut walk = WalkDir::new(root)
        .min_depth(1)
        .sort_by(|one, other| name(one).cmp(name(other)))
        .into_iter();
    while let Some(step) = walk.next() {
        checkpoint().map_err(|source| Error::List {
            path: root.to_owned(),
            source,
        })?;
        let step = step.and_then(|entry| Ok((entry.metadata()?, entry)));
        let (metadata, entry) = match step {
            Ok(step) => step,
            Err(error) if vanished(&error) => continue,
            Err(error) => {
                return Err(Error::List {
                    path: error.path().unwrap_or(root).to_owned(),
                    source: error.into(),
                });
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

/// Walks two folders at once.
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
            // Where there cannot be another thread, there is this one.
            _ => walk(one),
        };
        (one, other)
    })
}

/// The last part of a path that was walked to, which has one.
fn name(entry: &DirEntry) -> &[u8] {
    let path = entry.path().as_os_str().as_bytes();
    let begin = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    &path[begin..]
}

/// Where a path that was walked to is, seen from the root.
fn below(root: &Path, path: &Path) -> PathBuf {
    let rest = path.as_os_str().as_bytes();
    let rest = rest.strip_prefix(root.as_os_str().as_bytes());
    // The root itself may end with a slash.
    let rest = rest.map(|rest| rest.strip_prefix(b"/").unwrap_or(rest));
    rest.map_or_else(
        || path.to_owned(),
        |rest| PathBuf::from(OsStr::from_bytes(rest)),
    )
}

fn vanished(error: &walkdir::Error) -> bool {
    // A root that goes away meanwhile is not an empty one.
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
    fn both_are_walked_as_each_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::make_private_folders(&at("a/deep")).unwrap();
        fs::replace(&at("a/deep/file"), b"x", 0o600).unwrap();
        let (one, other) = walk_both(&at("a"), &at("gone"));
        assert_eq!(one.unwrap().unwrap().len(), 2);
        assert!(other.unwrap().is_none());
    }

    #[test]
    fn walk_tells_a_missing_root_from_one_that_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        assert!(walk(&path).unwrap().is_none());
        fs::replace(&path, b"x", 0o600).unwrap();
        assert!(walk(&path).is_err());
    }
}
