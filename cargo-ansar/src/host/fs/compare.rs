//! Comparing the bytes of two files, up to the first difference.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::host::fs::fingerprint::open_regular;
use crate::host::fs::{Action, Error, Stat};
use crate::host::process::interrupts::checkpoint;

/// Compares two regular files, and returns true if their bytes are equal, with
/// the metadata of each.
///
/// Compares the ends first, where programs mostly differ. A file that is
/// written in the meantime is [`Error::Changed`].
pub fn equal(one: &Path, other: &Path) -> Result<(bool, Stat, Stat), Error> {
    let (one, other) = (Compared::open(one)?, Compared::open(other)?);
    let size = one.before.fingerprint.size;
    let are_equal = size == other.before.fingerprint.size && {
        let end = (size.saturating_sub(END as u64), END);
        let all = (0..size).step_by(PIECE).map(|start| (start, PIECE));
        let mut pieces = [Vec::new(), Vec::new()];
        let mut are_equal = true;
        for (start, most) in [end].into_iter().chain(all) {
            let [a, b] = &mut pieces;
            checkpoint().map_err(|source| one.failed(source))?;
            one.piece(start, most, a)?;
            other.piece(start, most, b)?;
            are_equal = a == b;
            if !are_equal {
                break;
            }
        }
        are_equal
    };
    Ok((are_equal, one.unchanged()?, other.unchanged()?))
}

/// Number of bytes compared at a time.
const PIECE: usize = 1 << 16;
/// Number of bytes at the end that are compared first.
const END: usize = 1 << 12;

/// A file that is compared.
struct Compared<'a> {
    path: &'a Path,
    file: File,
    before: Stat,
}

impl<'a> Compared<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let (file, before) = open_regular(path)?;
        Ok(Self { path, file, before })
    }

    /// Reads `most` bytes from `start` on, fewer only at the end of the file.
    fn piece(&self, start: u64, most: usize, piece: &mut Vec<u8>) -> Result<(), Error> {
        piece.resize(most, 0);
        let mut length = 0;
        while length < most {
            let at = start.saturating_add(length as u64);
            match self.file.read_at(&mut piece[length..], at) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        piece.truncate(length);
        Ok(())
    }

    fn unchanged(self) -> Result<Stat, Error> {
        match self.file.metadata() {
            Err(source) => Err(self.failed(source)),
            Ok(now) if Stat::of(&now).fingerprint == self.before.fingerprint => Ok(self.before),
            Ok(_) => Err(Error::Changed {
                path: self.path.to_owned(),
            }),
        }
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Action::Read.on(self.path)(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fs::{replace, stat};

    fn file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, bytes, 0o600).unwrap();
        (folder, path)
    }

    #[test]
    fn equal_finds_a_difference_at_any_position() {
        let bytes: Vec<u8> = (0_u32..200_000).map(|n| n.to_le_bytes()[1]).collect();
        let (_one, one) = file(&bytes);
        let is_equal = |bytes: &[u8]| {
            let (_folder, other) = file(bytes);
            let (are_equal, first, second) = equal(&one, &other).unwrap();
            assert_eq!(
                (first, second),
                (stat(&one).unwrap(), stat(&other).unwrap())
            );
            are_equal
        };
        assert!(is_equal(&bytes));
        assert!(!is_equal(&bytes[..bytes.len() - 1]));
        for at in [0, PIECE - 1, PIECE, 100_000, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!is_equal(&other), "{at}");
        }
        let (_empty, empty) = file(b"");
        assert!(equal(&empty, &empty).unwrap().0);
        assert!(equal(&one, Path::new("/dev/zero")).is_err());
    }
}
