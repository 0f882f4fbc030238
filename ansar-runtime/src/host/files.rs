//! Files, read and replaced as a whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs, process};

use ansar_contract::marker;
use nix::libc::{ENAMETOOLONG, O_NOFOLLOW, O_NONBLOCK};

/// An operation on a file that failed.
#[derive(Debug)]
pub enum FileError {
    /// The file exists and cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file cannot be replaced.
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file cannot be removed.
    Remove {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file does not hold a value of the expected type.
    Content {
        /// The file.
        path: PathBuf,
        /// Line, column, field and what was expected there.
        reason: String,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, path) = match self {
            Self::Read { path, .. } => ("read", path),
            Self::Write { path, .. } => ("write", path),
            Self::Remove { path, .. } => ("remove", path),
            Self::Content { path, reason } => return write!(f, "{}:{reason}", path.display()),
        };
        write!(f, "failed to {operation} `{}`", path.display())
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Remove { source, .. } => Some(source),
            Self::Content { .. } => None,
        }
    }
}

/// The largest file that is read, in bytes, if there is a limit.
const LARGEST: u64 = 64 << 20;

/// The origin of a file, which decides what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file of a home: a regular file, no symlink, of limited size.
    Home,
    /// A file of the user or the application: a regular file, or a symlink to one.
    Own,
    /// A file that is named on the command line, also a pipe, of limited size. Waits
    /// for the writer of a pipe.
    Given,
}

/// Reads the text of a file; returns `None` if it does not exist.
pub(crate) fn read(path: &Path, source: Source) -> Result<Option<String>, FileError> {
    match text(path, source) {
        Ok(text) => Ok(Some(text)),
        Err(source) if is_absent(&source) => Ok(None),
        Err(source) => Err(FileError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Opens a file if it is acceptable as `source`, and returns its metadata.
fn regular(path: &Path, source: Source) -> io::Result<(File, fs::Metadata)> {
    let flags = match source {
        Source::Home => O_NOFOLLOW | O_NONBLOCK,
        Source::Own => O_NONBLOCK,
        Source::Given => 0,
    };
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let kind = |found: &fs::Metadata| {
        let kind = found.file_type();
        match () {
            () if kind.is_file() => None,
            () if kind.is_dir() => Some("directory"),
            () if kind.is_symlink() => Some("symlink"),
            () if kind.is_fifo() => Some("FIFO"),
            () if kind.is_socket() => Some("socket"),
            () => Some("device"),
        }
    };
    let irregular = |kind| io::Error::other(format!("not a regular file ({kind})"));
    let file = opened.map_err(|error| {
        let found = fs::symlink_metadata(path).ok();
        let kind = found.as_ref().and_then(kind);
        match kind {
            Some(kind) if source == Source::Home => irregular(kind),
            _ => error,
        }
    })?;
    let metadata = file.metadata()?;
    match kind(&metadata) {
        Some(kind) if source != Source::Given => Err(irregular(kind)),
        _ => Ok((file, metadata)),
    }
}

fn text(path: &Path, source: Source) -> io::Result<String> {
    let (file, _) = regular(path, source)?;
    let limit = if source == Source::Own {
        u64::MAX
    } else {
        LARGEST
    };
    let mut text = String::new();
    file.take(limit.saturating_add(1))
        .read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        let mebibytes = limit >> 20;
        return Err(io::Error::other(format!("larger than {mebibytes} MiB")));
    }
    Ok(text)
}

/// Returns true if the error means that the file does not exist. A file whose name
/// is too long does not exist either.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENAMETOOLONG)
}

/// Checks that a few more files can be opened, which every component needs.
pub(crate) fn check_room() -> io::Result<()> {
    const FEWEST: usize = 16;
    let opened = (0..FEWEST).map(|_| fs::File::open("/dev/null"));
    opened.collect::<io::Result<Vec<_>>>().map(drop)
}

/// Resolves the symlinks of a path; returns `None` if it does not exist.
pub(crate) fn resolve(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// Returns true if the file exists.
pub(crate) fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Reads the marker of an executable, without running it.
pub(crate) fn marker(path: &Path) -> Result<marker::Kind, FileError> {
    let find = || {
        let (file, metadata) = regular(path, Source::Own)?;
        marker::find(&mut |offset, length| {
            let left = metadata.len().saturating_sub(offset);
            let mut bytes = vec![0; length.min(usize::try_from(left).unwrap_or(length))];
            let read = if bytes.is_empty() {
                0
            } else {
                file.read_at(&mut bytes, offset)?
            };
            bytes.truncate(read);
            Ok(bytes)
        })
    };
    find().map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Creates a folder and its parents with access for the user alone. An error is
/// ignored: the first use of the folder reports it.
pub(crate) fn make_private(path: &Path) {
    let _ = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
}

/// Removes a folder with its contents, if it exists.
pub(crate) fn remove_tree(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(source) if !is_absent(&source) => Err(FileError::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Replaces a file atomically: after a crash it holds the old or the new text.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), FileError> {
    let replace = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", process::id()));
        // A file of this name is stale: its process had the same id.
        let _ = fs::remove_file(&beside);
        let mut file = File::create_new(&beside)?;
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

/// Writes a file that the user named. Symlinks are followed, a regular file is
/// replaced atomically, and a pipe or a device is written to.
pub(crate) fn write_named(path: &Path, text: &str) -> Result<(), FileError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            let target = path.canonicalize();
            replace(target.as_deref().unwrap_or(path), text)
        }
        Ok(_) => {
            let opened = OpenOptions::new().append(true).open(path);
            let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|source| FileError::Write {
                path: path.to_owned(),
                source,
            })
        }
        Err(_) => replace(path, text),
    }
}

/// Removes a file, if it exists.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
