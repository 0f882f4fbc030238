//! The hashes of files, kept in the home so that no large file is read twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::home::{Home, REMOTE, read_json, write_json};
use crate::host::fs;
use crate::host::fs::{Hash, Stamp};

/// File with the hashes.
const FILE: &str = "hashes.json";

/// Size from which the hash of a file is kept, in bytes.
const LARGE: u64 = 64 << 10;

/// The hashes of files.
pub(super) struct Hashes {
    path: PathBuf,
    known: BTreeMap<PathBuf, Known>,
    /// Those of this run, which replace the others.
    used: BTreeMap<PathBuf, Known>,
}

/// The hash of a file, as long as the file is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    hash: Hash,
}

impl Hashes {
    /// Reads the hashes of a home.
    pub(super) fn read(home: &Home) -> Self {
        let path = home.root().join(REMOTE).join(FILE);
        Self {
            // A file that cannot be read is replaced.
            known: read_json(&path).ok().flatten().unwrap_or_default(),
            path,
            used: BTreeMap::new(),
        }
    }

    /// Returns the hash, the size and the permission bits of a file.
    pub(super) fn of(&mut self, path: &Path) -> Result<(Hash, u64, u32), Error> {
        let known = self.used.get(path).or_else(|| self.known.get(path));
        if let Some(known) = known.cloned() {
            let stat = fs::stat(path)?;
            if known.stamp.vouches_for(&stat) {
                let hash = known.hash;
                self.used.insert(path.to_owned(), known);
                return Ok((hash, stat.fingerprint.size, stat.mode & 0o777));
            }
        }
        let now = fs::now_ns();
        let (hash, stat) = fs::hash(path)?;
        if stat.fingerprint.size >= LARGE {
            let stamp = Stamp::linked(&stat, now);
            self.used.insert(path.to_owned(), Known { stamp, hash });
        }
        Ok((hash, stat.fingerprint.size, stat.mode & 0o777))
    }

    /// Keeps the hashes of this run for the next one.
    pub(super) fn keep(&self) -> Result<(), Error> {
        if self.used == self.known {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::make_private_folders(folder)?;
        }
        Ok(write_json(&self.path, &self.used)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_hash() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        let home = Home::create(&root, None, &BTreeMap::new(), "id".to_owned()).unwrap();
        let file = folder.path().join("file");
        let size = usize::try_from(LARGE).unwrap();
        let mut seen = Vec::new();
        for (byte, age) in [(b'a', 100), (b'b', 50), (b'b', 50)] {
            std::fs::write(&file, vec![byte; size]).unwrap();
            let open = std::fs::File::options().write(true).open(&file).unwrap();
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(age);
            open.set_modified(at).unwrap();
            let mut hashes = Hashes::read(&home);
            seen.push(hashes.of(&file).unwrap().0);
            hashes.keep().unwrap();
            assert_eq!(Hashes::read(&home).known, hashes.used);
        }
        assert_eq!(seen[1], Hash::of(&vec![b'b'; size]));
        assert_eq!(seen[1], seen[2]);
        assert_ne!(seen[0], seen[1]);
    }
}
