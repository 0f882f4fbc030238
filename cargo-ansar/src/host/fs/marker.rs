//! Reading the marker of an executable from its file, without running it.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use ansar_contract::marker::{Kind, find};

use crate::host::fs::{Action, Error, Fingerprint, Stat, open};

/// Markers by the fingerprint of their file, so that an executable that is
/// started again is not read again.
static FOUND: LazyLock<Mutex<HashMap<Fingerprint, Kind>>> = LazyLock::new(Mutex::default);

/// Returns the marker of an executable.
///
/// Reads at most a few kilobytes, once for each fingerprint. Symlinks are
/// followed. Fails if the file is not regular or cannot be read.
pub fn marker(path: &Path) -> Result<Kind, Error> {
    let look = || {
        let metadata = path.metadata()?;
        let fingerprint = Stat::of(&metadata).fingerprint;
        let known = |found: &HashMap<_, _>| found.get(&fingerprint).copied();
        if let Some(kind) = known(&FOUND.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(kind);
        }
        let kind = read(path)?;
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(fingerprint, kind);
        Ok(kind)
    };
    look().map_err(Action::Read.on(path))
}

/// Returns true if an executable is a script. Symlinks are followed. A file that
/// cannot be read is none.
pub fn is_script(path: &Path) -> bool {
    let begins = || {
        let (file, _) = open::followed(path)?;
        let mut bytes = [0; 2];
        file.read_exact_at(&mut bytes, 0)?;
        io::Result::Ok(bytes == *b"#!")
    };
    begins().unwrap_or(false)
}

fn read(path: &Path) -> io::Result<Kind> {
    let (file, metadata) = open::followed(path)?;
    find(&mut |offset, length| {
        let left = metadata.len().saturating_sub(offset);
        let mut bytes = vec![0; length.min(usize::try_from(left).unwrap_or(length))];
        let read = match bytes.as_slice() {
            [] => 0,
            _ => file.read_at(&mut bytes, offset)?,
        };
        bytes.truncate(read);
        Ok(bytes)
    })
}
