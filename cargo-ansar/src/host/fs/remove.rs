//! Removing trees of files.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use crate::host::process::interrupts::checkpoint;

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Removes a folder and everything below it. Symlinks are removed and never
/// followed, even if another process replaces a folder with one.
///
/// Fails with [`Interrupted`](crate::host::process::interrupts::Interrupted) if
/// this command is asked to stop; the next call can remove the rest.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    let folder = openat(rustix::fs::CWD, path, FOLDER, Mode::empty())?;
    remove_entries(&File::from(folder))?;
    fs::remove_dir(path)
}

fn remove_entries(folder: &File) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        checkpoint()?;
        match unlinkat(folder.as_fd(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            // For a folder, Linux returns ISDIR and POSIX specifies PERM.
            Err(error @ (Errno::ISDIR | Errno::PERM)) => {
                match openat(folder.as_fd(), name, FOLDER, Mode::empty()) {
                    Ok(inner) => remove_entries(&File::from(inner))?,
                    Err(Errno::NOENT) => continue,
                    Err(Errno::NOTDIR) => return Err(error.into()),
                    Err(other) => return Err(other.into()),
                }
                match unlinkat(folder.as_fd(), name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn trees_are_removed_and_links_are_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let (tree, kept) = (scratch.path().join("tree"), scratch.path().join("kept"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir(&kept).unwrap();
        for number in 0..300 {
            fs::write(tree.join(format!("a/b/{number}")), "").unwrap();
        }
        fs::write(kept.join("file"), "").unwrap();
        symlink(&kept, tree.join("a/link")).unwrap();
        symlink("nowhere", tree.join("dangling")).unwrap();
        remove_folder(&tree).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("file").exists());
        symlink(&kept, &tree).unwrap();
        assert!(remove_folder(&tree).is_err());
        assert!(kept.join("file").exists());
        let missing = remove_folder(&scratch.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
