//! Files that the user names on the command line. They may be anything that a
//! shell can redirect to: a FIFO, a device, a symlink.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::host::fs::{Action, Error, LARGEST, follow, replace, whole};

/// The mode of a new file.
const MODE: u32 = 0o644;

/// Reads a whole file that the user names on the command line. It may be a
/// pipe, which is read until its writer closes it.
pub fn read_argument(path: &Path) -> Result<Vec<u8>, Error> {
    let opened = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        Ok((file, metadata))
    });
    whole(path, opened, LARGEST)
}

/// Writes a file that the user names, by an absolute path.
///
/// A regular file is replaced as a whole and keeps its mode. Symlinks are
/// followed, and stay. Everything else, such as a FIFO, a device or
/// `/dev/stdout`, is written to. The folder must exist.
pub fn write_argument(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = Action::Write.on(path);
    match destination(path).map_err(failed)? {
        Destination::File(path, mode) => replace(&path, bytes, mode),
        Destination::Open(mut file) => file.write_all(bytes).map_err(failed),
    }
}

enum Destination {
    /// A regular file, or a place for one, and its mode.
    File(PathBuf, u32),
    /// Something to write to.
    Open(File),
}

fn destination(path: &Path) -> io::Result<Destination> {
    // The kernel says so where the links lead in a circle.
    let Some(followed) = follow(path) else {
        return fs::metadata(path).map(|_| Destination::File(path.to_owned(), MODE));
    };
    let descriptor = followed.links.iter().find(|(folder, _)| {
        folder.starts_with("/proc") && folder.file_name().is_some_and(|name| name == "fd")
    });
    // A file behind a descriptor is not replaced: others may write to it by the same
    // descriptor.
    if descriptor.is_some() {
        let opened = OpenOptions::new().append(true).open(path)?;
        return Ok(Destination::Open(opened));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let mode = found.permissions().mode() & 0o777;
            Ok(Destination::File(followed.path, mode))
        }
        Ok(_) => {
            let opened = OpenOptions::new().write(true).open(path)?;
            Ok(Destination::Open(opened))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Destination::File(followed.path, MODE))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn symlinks_stay_and_their_targets_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "before").unwrap();
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("file", at("link")).unwrap();
        symlink("new", at("dangling")).unwrap();
        symlink("circle", at("circle")).unwrap();
        for (link, target, mode) in [("link", "file", 0o600), ("dangling", "new", MODE)] {
            write_argument(&at(link), b"after").unwrap();
            assert!(at(link).is_symlink());
            assert!(!at(target).is_symlink());
            assert_eq!(fs::read(at(target)).unwrap(), b"after");
            let found = fs::metadata(at(target)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
        }
        assert!(write_argument(&at("circle"), b"after").is_err());
        assert!(write_argument(folder.path(), b"after").is_err());
    }

    #[test]
    fn fifo_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let reader = fifo.clone();
        let reader = std::thread::spawn(move || fs::read(reader).unwrap());
        write_argument(&fifo, b"text").unwrap();
        assert_eq!(reader.join().unwrap(), b"text");
        assert!(!fs::metadata(&fifo).unwrap().is_file());
    }

    #[test]
    fn file_of_a_descriptor_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "before ").unwrap();
        let mut file = File::open(&path).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        write_argument(Path::new(&format!("/proc/self/fd/{number}")), b"after").unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before after");
    }
}
