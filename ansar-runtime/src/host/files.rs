//! Files: read whole, replaced whole.

use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{fs, process};

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is there and cannot be read.
    #[error("failed to read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be replaced.
    #[error("failed to write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be removed.
    #[error("failed to remove `{path}`")]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold what was asked for.
    #[error("{path}:{reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, column, field and what was expected there.
        reason: String,
    },
}

/// The text of a file; `None` where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if is_absent(&source) => Ok(None),
        Err(source) => Err(FileError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whether an error says that there is no such file; one whose name is too
/// long for any file is not there either.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotFound};

    matches!(error.kind(), NotFound | InvalidFilename)
}

/// Whether a file is there.
pub(crate) fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Makes a folder, and those above it, for the user alone. One that cannot be
/// made is met by whoever uses it.
pub(crate) fn make_private(path: &Path) {
    let _ = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
}

/// Removes a folder and everything in it; one that is not there is removed
/// already.
pub(crate) fn remove_tree(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(source) if !is_absent(&source) => Err(FileError::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Replaces a file: it holds the old text or the new one, whatever happens.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), FileError> {
    let replace = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", process::id()));
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&beside, path))
            .inspect_err(|_| {
                let _ = fs::remove_file(&beside);
            })
    };
    replace().map_err(|source| FileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Removes a file; one that is not there is removed already.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
