//! Copying a folder by a process of its own, so that it can be stopped, and does
//! not delay this one.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::host::fs::copy::copy;
use crate::host::fs::remove_tree;
use crate::host::process::Program;

/// First argument of this program that asks it to copy the contents of a folder
/// into one that exists.
const INTO: &str = "copy-into";
/// First argument of this program that asks it to create a copy of a folder,
/// which appears whole.
const AS: &str = "copy-as";

/// The place of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// Into this folder, which exists and is empty.
    Into(&'a Path),
    /// As this folder, which need not exist, and appears whole and synced. If it
    /// exists, nothing is done.
    As(&'a Path),
}

/// Returns a program that copies a folder, with the environment and the working
/// directory of `like`.
pub fn program(from: &Path, target: Target<'_>, like: &Program) -> io::Result<Program> {
    let (word, to) = match target {
        Target::Into(to) => (INTO, to),
        Target::As(to) => (AS, to),
    };
    Ok(Program {
        path: crate::host::environment::own_executable()?,
        arguments: vec![word.into(), from.into(), to.into()],
        ..like.clone()
    })
}

/// If the arguments of this process ask for it, copies a folder.
pub fn run_if_asked(mut arguments: impl Iterator<Item = OsString>) -> Option<io::Result<()>> {
    let word = arguments.nth(1)?;
    let is_into = word == INTO;
    if !is_into && word != AS {
        return None;
    }
    let (from, to) = (
        PathBuf::from(arguments.next()?),
        PathBuf::from(arguments.next()?),
    );
    let copied = if is_into {
        copy_contents(&from, &to)
    } else {
        copy_whole(&from, &to)
    };
    let failed = |error: io::Error| {
        let (from, to) = (from.display(), to.display());
        io::Error::new(
            error.kind(),
            format!("failed to copy `{from}` to `{to}`: {error}"),
        )
    };
    Some(copied.map_err(failed))
}

fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    remove_tree(&partial).map_err(io::Error::other)?;
    fs::create_dir_all(&partial)?;
    copy_contents(from, &partial)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(fs::File::open(&partial)?)?;
    fs::rename(&partial, to)
}

/// Copies everything in a folder, with permissions and without following
/// symlinks.
fn copy_contents(from: &Path, to: &Path) -> io::Result<()> {
    let mut folders = Vec::new();
    for entry in WalkDir::new(from) {
        let entry = entry.map_err(io::Error::from)?;
        let path = entry.path();
        let copied = to.join(path.strip_prefix(from).map_err(io::Error::other)?);
        let kind = entry.file_type();
        if kind.is_dir() {
            if entry.depth() > 0 {
                fs::create_dir(&copied)?;
            }
            folders.push((copied, fs::metadata(path)?.permissions().mode() & 0o777));
        } else if kind.is_symlink() {
            symlink(fs::read_link(path)?, &copied)?;
        } else if kind.is_file() {
            copy(path, &copied)?;
        } else {
            let text = format!("`{}` is neither a file nor a folder", path.display());
            return Err(io::Error::other(text));
        }
    }
    // Last, since nothing can be created in a folder that is read-only.
    for (folder, mode) in folders {
        fs::set_permissions(folder, Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_has_the_same_contents() {
        let scratch = tempfile::tempdir().unwrap();
        let place = |name: &str| scratch.path().join(name);
        fs::create_dir_all(place("from/read-only")).unwrap();
        fs::write(place("from/read-only/file"), "text").unwrap();
        fs::set_permissions(place("from/read-only/file"), Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(place("from/read-only"), Permissions::from_mode(0o500)).unwrap();
        symlink("read-only/file", place("from/link")).unwrap();
        fs::create_dir(place("into")).unwrap();
        for (word, to) in [(INTO, "into"), (AS, "whole"), (AS, "whole")] {
            let arguments = [
                "x".into(),
                word.into(),
                place("from").into(),
                place(to).into(),
            ];
            run_if_asked(arguments.into_iter()).unwrap().unwrap();
            assert_eq!(fs::read(place(to).join("link")).unwrap(), b"text");
            let mode = |name: &str| {
                let metadata = fs::metadata(place(to).join(name)).unwrap();
                metadata.permissions().mode() & 0o777
            };
            assert_eq!((mode("read-only"), mode("link")), (0o500, 0o640));
        }
        assert!(!place("whole.partial").exists());
        assert!(run_if_asked(["x".into(), "test".into()].into_iter()).is_none());
    }
}
