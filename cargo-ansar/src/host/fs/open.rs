//! Opening files of a home, of a workspace, and those that the user names.
//!
//! A file of a home must be a regular file. A FIFO, device, socket, directory
//! or symlink in its place is refused at once: it is never waited for, followed
//! or read.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use crate::host::fs::{Kind, Stat};

/// Maximum size in bytes of a file that is read as a whole, by default.
pub const LARGEST: u64 = 64 << 20;

/// Opens a regular file without following a symlink, and returns its metadata.
///
/// Never blocks: a FIFO in its place is refused at once, with its type.
pub(in crate::host) fn regular(
    path: &Path,
    options: &mut OpenOptions,
) -> io::Result<(File, Metadata)> {
    checked(path, options.custom_flags(O_NOFOLLOW | O_NONBLOCK))
}

/// Opens a regular file for reading. Symlinks are followed.
pub(crate) fn followed(path: &Path) -> io::Result<(File, Metadata)> {
    checked(path, OpenOptions::new().read(true).custom_flags(O_NONBLOCK))
}

fn checked(path: &Path, options: &OpenOptions) -> io::Result<(File, Metadata)> {
    let file = options.open(path).map_err(|error| match error.kind() {
        // Other kinds of files fail to open with errors that do not name the
        // kind.
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => error,
        _ => match fs::symlink_metadata(path).map(|found| Stat::of(&found).kind) {
            Ok(kind) if kind != Kind::File => irregular(kind),
            _ => error,
        },
    })?;
    let metadata = file.metadata()?;
    match Stat::of(&metadata).kind {
        Kind::File => Ok((file, metadata)),
        kind => Err(irregular(kind)),
    }
}

/// Reads to the end. More than `limit` bytes are an error.
pub(crate) fn read_all(file: &File, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let mebibytes = limit >> 20;
        io::Error::other(format!("larger than {mebibytes} MiB"))
    };
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

fn irregular(kind: Kind) -> io::Error {
    io::Error::other(format!("not a regular file ({kind})"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("none"), at("dangling")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let readers = || OpenOptions::new().read(true).clone();
        let writers = || OpenOptions::new().write(true).create(true).clone();
        for mut options in [readers(), writers()] {
            assert!(regular(&at("file"), &mut options).is_ok());
            for (name, kind) in [
                ("fifo", "FIFO"),
                ("folder", "directory"),
                ("link", "symlink"),
                ("dangling", "symlink"),
                ("socket", "socket"),
            ] {
                let error = regular(&at(name), &mut options).unwrap_err();
                let expected = format!("not a regular file ({kind})");
                assert_eq!(error.to_string(), expected);
            }
        }
        let device = regular(Path::new("/dev/null"), &mut readers()).unwrap_err();
        assert_eq!(device.to_string(), "not a regular file (device)");
        assert!(followed(&at("link")).is_ok());
        assert!(followed(&at("fifo")).is_err());
        assert!(!at("none").exists());
    }

    #[test]
    fn too_large_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        let file = File::create_new(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let (file, metadata) = followed(&path).unwrap();
        let error = read_all(&file, metadata.len(), LARGEST).unwrap_err();
        assert_eq!(error.to_string(), "larger than 64 MiB");
        // Nor is one that grows while it is read.
        let error = read_all(&file, 0, 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "larger than 1 MiB");
    }
}
