//! Completes the logs of roles whose engine was killed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ansar_contract::line::Level;

use crate::events::Events;
use crate::host::clock;
use crate::host::process::Pipe;
use crate::host::process::fd_store;
use crate::host::process::fd_store::{StoredPipe, UnreadPipe};
use crate::logs::store::{STORAGE, Writer};
use crate::model::name::RoleName;
use crate::supervisor::capture::Capture;

/// Stores the read end of a role's pipe with the guardian.
pub(crate) fn lend(pipe: &Pipe, role: &RoleName, pid: u32, log: &Path) -> Option<StoredPipe> {
    let mut note = format!("{pid} {role} ").into_bytes();
    note.extend_from_slice(log.as_os_str().as_bytes());
    fd_store::store(pipe, &note)
}

/// Writes the remaining content of the stored pipes to the logs. The guardian
/// calls this after the engine has died and all writers have ended.
pub fn finish() {
    for kept in fd_store::unread_pipes() {
        // There is no one to report an error to.
        let _ = store(&kept);
    }
}

fn store(kept: &UnreadPipe) -> Option<()> {
    let (pid, role, folder) = note(&kept.note)?;
    let (now, silent) = (clock::now(), Events::new(|_| {}));
    // The next writer enforces the storage limit.
    let store = Writer::new(folder.clone(), STORAGE);
    let mut capture = Capture::new(role, store, Level::None);
    capture.follow(pid);
    let mut lines = capture.lines(&kept.drain(), now, &silent);
    lines.append(&mut capture.rest(now, &silent));
    if lines.is_empty() {
        return Some(());
    }
    Writer::new(folder, STORAGE).add(&lines, now).ok()
}

fn note(note: &[u8]) -> Option<(u32, RoleName, PathBuf)> {
    let mut words = note.splitn(3, |byte| *byte == b' ');
    let mut word = || words.next();
    let pid = std::str::from_utf8(word()?).ok()?.parse().ok()?;
    let role = std::str::from_utf8(word()?).ok()?.parse().ok()?;
    Some((pid, role, OsStr::from_bytes(word()?).into()))
}
