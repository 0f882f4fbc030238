//! What the last deploys changed of each role, and why: beside what was
//! deployed, for those who ask. And which roles a deploy has stopped that are
//! still to be started again.
//!
//! Nothing is decided by the first of these: a home without it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Home, HomeError, place_json, read_json, write_json};
use crate::delta::executable::Difference;
use crate::host::files;
use crate::model::name::{ExecutableName, RoleName};

/// The file in a home's root that holds the changes.
const CHANGES: &str = "why.json";
/// The file in a home's root that names the roles that are to be restored.
const STOPPED: &str = "restore.json";

/// The last change of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Whether it ran, and was started again for it.
    pub restarted: bool,
    /// What changed.
    pub causes: Vec<Cause>,
}

/// What changed of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// It was not there before.
    Added,
    /// What it runs.
    Executable {
        /// Its name.
        executable: ExecutableName,
        /// How it differs from what was there.
        why: Difference,
        /// The sources that are newer than what was there, where the build left
        /// an account of them.
        sources: Option<Vec<Source>>,
        /// The crates that were compiled right before.
        compiled: BTreeSet<String>,
    },
    /// It runs another executable than before.
    Runs {
        /// The one before.
        before: ExecutableName,
    },
    /// The additions to its environment.
    Environment,
    /// The resources of its executable.
    Resource {
        /// Which files.
        paths: Vec<String>,
    },
    /// Its model.
    Model {
        /// Which files.
        paths: Vec<String>,
    },
    /// Its settings.
    Settings {
        /// Which.
        fields: Vec<String>,
    },
    /// Its input.
    Input,
}

/// A source file, and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The package, where that can be told.
    pub package: Option<String>,
}

impl Home {
    /// The last change of each role, as far as it is known.
    pub fn changes(&self) -> Result<BTreeMap<RoleName, Change>, HomeError> {
        let path = self.root().join(CHANGES);
        if files::stat(&path).is_ok_and(|stat| stat.identity.size == 0) {
            // That is what a loss of power leaves.
            return Ok(BTreeMap::new());
        }
        Ok(read_json(&path)?.unwrap_or_default())
    }

    /// Remembers the last change of each role; a loss of power may forget them.
    pub fn set_changes(&self, changes: &BTreeMap<RoleName, Change>) -> Result<(), HomeError> {
        place_json(&self.root().join(CHANGES), changes)
    }

    /// The roles that a deploy has stopped and not started again.
    pub fn stopped(&self) -> Result<BTreeSet<RoleName>, HomeError> {
        Ok(read_json(&self.root().join(STOPPED))?.unwrap_or_default())
    }

    /// Remembers them; to be called before they are stopped, and again when
    /// they are back.
    pub fn set_stopped(&self, roles: &BTreeSet<RoleName>) -> Result<(), HomeError> {
        let path = self.root().join(STOPPED);
        if roles.is_empty() {
            return Ok(files::remove_file(&path)?);
        }
        write_json(&path, roles)
    }
}
