//! The note of a test run that is under way.
//!
//! The note of a killed run stays behind, so that later commands can tell what
//! has run. A run that ends removes its note.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::last_run::FOLDER;
use crate::home::{Home, HomeError};
use crate::host::fs;
use crate::host::fs::lock;
use crate::host::fs::lock::{Attempt, Lock};
use crate::model::name::{ExecutableName, RoleName};

/// File with the note, in the folder of the last run.
const FILE: &str = "current.json";

/// A test run that is under way, or that was killed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurrentRun {
    /// Time before the start of its first role.
    pub at: Timestamp,
    /// The roles that run.
    pub roles: Vec<CurrentRole>,
    /// Executables that were built.
    pub artifacts: Vec<PathBuf>,
}

/// A role of such a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurrentRole {
    /// The role.
    pub role: RoleName,
    /// The executable.
    pub executable: ExecutableName,
    /// True if the role is expected to report checks.
    pub is_test: bool,
    /// True if the role runs a test target.
    pub is_target: bool,
    /// File and line that describe the role.
    pub described: (PathBuf, u32),
}

/// The note of this process; the file is removed on drop.
#[derive(Debug)]
pub struct Note {
    path: PathBuf,
    _lock: Lock,
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Home {
    /// Writes the note of a run that begins. Returns `None` if another run has
    /// not removed its note yet.
    pub fn note_run(&self, run: &CurrentRun) -> Result<Option<Note>, HomeError> {
        let path = self.current_run_file();
        if let Some(folder) = path.parent() {
            fs::make_private_folders(folder)?;
        }
        // Plain data always encodes.
        let text = serde_json::to_string(run).unwrap_or_default();
        match lock::try_lock(&path, &text) {
            Ok(Attempt::Held(lock)) => Ok(Some(Note { path, _lock: lock })),
            Ok(Attempt::Busy(_)) => Ok(None),
            Err(source) => Err(HomeError::Lock { path, source }),
        }
    }

    /// Returns the last run, if it was killed. A note that was written in part
    /// is none.
    pub fn killed_run(&self) -> Result<Option<CurrentRun>, HomeError> {
        let path = self.current_run_file();
        let Some(bytes) = fs::read_if_exists(&path)? else {
            return Ok(None);
        };
        let holder = lock::holder(&path).map_err(|source| HomeError::Lock {
            path: path.clone(),
            source,
        })?;
        // The run may have ended since the file was read.
        if holder.is_some() || !fs::is_file(&path) {
            return Ok(None);
        }
        let Ok(run) = serde_json::from_slice::<CurrentRun>(&bytes) else {
            return Ok(None);
        };
        // It may have been killed after its report was stored.
        let stored = self.last_run_time().ok().flatten();
        Ok(Some(run).filter(|run| stored.is_none_or(|stored| stored < run.at)))
    }

    fn current_run_file(&self) -> PathBuf {
        self.root.join(FOLDER).join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn only_a_killed_run_leaves_its_note() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        let home = Home::create(&root, None, &BTreeMap::new(), "id".to_owned()).unwrap();
        let run = CurrentRun {
            at: Timestamp::UNIX_EPOCH,
            roles: vec![CurrentRole {
                role: "test-a".parse().unwrap(),
                executable: "a--test".parse().unwrap(),
                is_test: true,
                is_target: true,
                described: ("/ws/Cargo.toml".into(), 3),
            }],
            artifacts: vec!["/ws/target/debug/a".into()],
        };
        assert_eq!(home.killed_run().unwrap(), None);
        let note = home.note_run(&run).unwrap();
        assert!(note.is_some());
        assert_eq!(home.killed_run().unwrap(), None, "it runs");
        assert!(home.note_run(&run).unwrap().is_none(), "it runs");
        let path = home.current_run_file();
        let text = std::fs::read(&path).unwrap();
        drop(note);
        assert!(!path.exists());
        std::fs::write(&path, &text).unwrap();
        assert_eq!(home.killed_run().unwrap(), Some(run));
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert_eq!(home.killed_run().unwrap(), None);
    }
}
