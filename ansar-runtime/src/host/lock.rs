//! The lock of a role: held by an open file, released when the process exits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

/// Takes a lock and writes the id of this process into it. The error of the inner
/// result is the text that the holder wrote.
pub(crate) fn take(path: &Path) -> io::Result<Result<Lock, String>> {
    loop {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path)?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => {
                // A command that only reads the state shares the lock for a moment.
                let file = match Flock::lock(file, FlockArg::LockSharedNonblock) {
                    Ok(_) => {
                        std::thread::yield_now();
                        continue;
                    }
                    Err((file, _)) => file,
                };
                let mut note = String::new();
                let _ = file.take(1024).read_to_string(&mut note);
                return Ok(Err(note));
            }
            Err((_, error)) => return Err(error.into()),
        };
        // The file may have been removed between opening and locking it.
        let held = file.metadata()?;
        let is_there = fs::metadata(path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
        if is_there {
            file.set_len(0)?;
            file.write_all(std::process::id().to_string().as_bytes())?;
            return Ok(Ok(Lock { _file: file }));
        }
    }
}
