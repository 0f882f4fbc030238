//! The files that an agent was sent, by the hash of their bytes.
//!
//! All runs of a user on a node share the store, so a file is sent once. Its
//! folder is private to the user. A file appears under its name only when all of
//! it has arrived and its hash is right.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::fs;
use crate::host::fs::{Error as FilesError, Hash};
use crate::remote::messages::File;

/// Largest size of a file that is accepted, in bytes.
pub const LARGEST: u64 = 1 << 30;
/// Size of all files above which the oldest are removed.
const FULL: u64 = 2 << 30;
/// Permission bits of the stored files: some are executables, which are linked.
const MODE: u32 = 0o700;

/// An error about files that were sent.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file is larger than any that is accepted.
    #[error("a file of {0} bytes is too large")]
    TooLarge(u64),
    /// The bytes are not those that the manifest announced.
    #[error("file `{0}` has arrived with other bytes")]
    WrongHash(Hash),
    /// A piece belongs to no file that was asked for.
    #[error("file `{0}` was not asked for")]
    NotAsked(Hash),
    /// The store cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// The store of a node.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

/// The transfer of the missing files of a manifest.
#[derive(Debug)]
pub struct Transfer {
    /// The files that are still to arrive, last first.
    missing: Vec<(Hash, u64)>,
    /// The bytes of the next one that have arrived.
    bytes: Vec<u8>,
}

impl Store {
    /// Opens the store in `folder`, which is created if it is missing. Other
    /// agents may be writing to it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::make_private_folders(folder)?;
        fs::set_mode(folder, fs::PRIVATE_FOLDER)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Returns the path of a stored file.
    pub fn path(&self, hash: Hash) -> PathBuf {
        self.folder.join(hash.to_string())
    }

    /// Begins the transfer of those files that are not stored yet.
    ///
    /// # Errors
    ///
    /// Returns an error if one of them is too large.
    pub fn expect(&self, files: &[File]) -> Result<Transfer, StoreError> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for file in files {
            if file.size > LARGEST {
                return Err(StoreError::TooLarge(file.size));
            }
            let is_new = seen.insert(file.hash.to_string());
            if is_new && !fs::is_file(&self.path(file.hash)) {
                missing.push((file.hash, file.size));
            }
        }
        missing.reverse();
        Ok(Transfer {
            missing,
            bytes: Vec::new(),
        })
    }

    /// Removes the oldest files while all together are larger than 2 GiB, except
    /// those in `used`.
    pub fn prune(&self, used: &[File]) -> Result<(), StoreError> {
        self.prune_to(FULL, used)
    }

    fn prune_to(&self, full: u64, used: &[File]) -> Result<(), StoreError> {
        let used: BTreeSet<String> = used.iter().map(|file| file.hash.to_string()).collect();
        let mut files = Vec::new();
        for name in fs::names(&self.folder)? {
            let path = self.folder.join(&name);
            // Another agent may have removed it.
            if let Ok(stat) = fs::stat(&path) {
                let is_used = used.contains(name.to_string_lossy().as_ref());
                let fingerprint = stat.fingerprint;
                files.push((is_used, fingerprint.mtime_ns, fingerprint.size, path));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, _, size, _)| size).sum();
        for (is_used, _, size, path) in files {
            if is_used || total <= full {
                break;
            }
            match fs::remove_file(&path) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => total -= size,
            }
        }
        Ok(())
    }
}

impl Transfer {
    /// Returns the files that are to arrive, in the order in which they must.
    pub fn missing(&self) -> Vec<Hash> {
        self.missing.iter().rev().map(|(hash, _)| *hash).collect()
    }

    /// Returns true if all files have arrived.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Takes the next piece of a file, and stores the file if it is the last
    /// one.
    ///
    /// # Errors
    ///
    /// Returns an error if the piece is not of the next file, or if the file has
    /// other bytes than announced. Nothing is stored then.
    pub fn take(&mut self, store: &Store, hash: Hash, piece: &[u8]) -> Result<(), StoreError> {
        let Some(&(next, size)) = self.missing.last() else {
            return Err(StoreError::NotAsked(hash));
        };
        if next != hash {
            return Err(StoreError::NotAsked(hash));
        }
        self.bytes.extend_from_slice(piece);
        let arrived = self.bytes.len() as u64;
        if arrived > size {
            return Err(StoreError::WrongHash(hash));
        }
        if arrived < size {
            return Ok(());
        }
        if Hash::of(&self.bytes) != hash {
            return Err(StoreError::WrongHash(hash));
        }
        fs::renew(&store.path(hash), &self.bytes, MODE)?;
        self.bytes.clear();
        self.missing.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(path: &str, content: &[u8]) -> File {
        File {
            path: crate::sync::path::RelPath::parse(path).unwrap(),
            hash: Hash::of(content),
            size: content.len() as u64,
            mode: 0o600,
        }
    }

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_asked_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let files = [
            file("a", b"one"),
            file("b", b"other"),
            file("c", b"one"),
            file("d", b""),
        ];
        let mut transfer = store.expect(&files).unwrap();
        let (one, other, empty) = (Hash::of(b"one"), Hash::of(b"other"), Hash::of(b""));
        assert_eq!(transfer.missing(), [one, other, empty]);
        for (hash, piece) in [(one, "one"), (other, "ot"), (other, "her"), (empty, "")] {
            transfer.take(&store, hash, piece.as_bytes()).unwrap();
        }
        assert!(transfer.is_complete());
        assert_eq!(std::fs::read(store.path(other)).unwrap(), b"other");
        assert!(store.expect(&files).unwrap().is_complete());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("store")), 0o700);
        assert_eq!(mode(&store.path(one)), 0o700);
    }

    #[test]
    fn other_bytes_are_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let right = Hash::of(b"right");
        for wrong in [&b"wrong"[..], b"right and more"] {
            let mut transfer = store.expect(&[file("a", b"right")]).unwrap();
            let refused = transfer.take(&store, right, wrong).unwrap_err();
            assert!(matches!(refused, StoreError::WrongHash(_)), "{refused}");
        }
        let mut transfer = store.expect(&[file("a", b"right")]).unwrap();
        let refused = transfer.take(&store, Hash::of(b"x"), b"x").unwrap_err();
        assert!(matches!(refused, StoreError::NotAsked(_)), "{refused}");
        assert!(!transfer.is_complete());
        assert_eq!(names(folder.path()), 0);
        let mut large = file("a", b"");
        large.size = LARGEST + 1;
        assert!(matches!(
            store.expect(&[large]),
            Err(StoreError::TooLarge(_))
        ));
    }

    #[test]
    fn a_full_store_loses_its_oldest_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let contents = [&b"0000"[..], b"1111", b"2222", b"3333"];
        let files: Vec<File> = contents.iter().map(|content| file("a", content)).collect();
        let mut transfer = store.expect(&files).unwrap();
        for (age, (file, content)) in files.iter().zip(contents).enumerate() {
            transfer.take(&store, file.hash, content).unwrap();
            let stored = std::fs::File::options()
                .write(true)
                .open(store.path(file.hash));
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            stored.unwrap().set_modified(at).unwrap();
        }
        store.prune_to(9, &files[..1]).unwrap();
        let kept = files.iter().map(|file| store.path(file.hash).exists());
        assert_eq!(kept.collect::<Vec<_>>(), [true, false, false, true]);
    }
}
