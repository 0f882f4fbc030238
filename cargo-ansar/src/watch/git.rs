//! Detecting a Git command that is changing files: a checkout writes them one
//! by one, and its intermediate states are not to be tested.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::fs;

/// Longest time a Git command may take. An older lock is stale.
const LONGEST: Duration = Duration::from_secs(60);

/// Returns true if Git is changing files of the repository that contains
/// `folder`.
pub fn is_under_way(folder: &Path) -> bool {
    let lock = folder.ancestors().find_map(repository);
    let lock = lock.map(|repository| repository.join("index.lock"));
    let written = lock.and_then(|lock| lock.metadata().ok()?.modified().ok());
    // A time in the future counts as new.
    written.is_some_and(|written| written.elapsed().map_or(true, |age| age < LONGEST))
}

/// Returns the Git directory of a working tree.
fn repository(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    // A linked working tree names its Git directory in a file.
    let text = String::from_utf8(fs::read_followed(&git).ok()?).ok()?;
    let path = text.strip_prefix("gitdir:")?;
    Some(folder.join(path.trim()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_recent_lock_means_git_is_running() {
        let root = tempfile::tempdir().unwrap();
        let (work, other) = (root.path().join("main"), root.path().join("other"));
        let folder = work.join("src");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(&other).unwrap();
        assert!(!is_under_way(&folder));
        let git = work.join(".git");
        fs::create_dir_all(git.join("worktrees/other")).unwrap();
        fs::write(other.join(".git"), "gitdir: ../main/.git/worktrees/other\n").unwrap();
        assert!(!is_under_way(&folder) && !is_under_way(&other));
        fs::write(git.join("index.lock"), "").unwrap();
        assert!(is_under_way(&folder) && !is_under_way(&other));
        fs::write(git.join("worktrees/other/index.lock"), "").unwrap();
        assert!(is_under_way(&other));
        let lock = fs::File::options().write(true).open(git.join("index.lock"));
        lock.unwrap().set_modified(UNIX_EPOCH).unwrap();
        assert!(!is_under_way(&folder));
    }
}
