//! What a deploy changed of a role, and why: for those who ask, nothing is
//! decided by it. And which roles a deploy has stopped that are still to be
//! started again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError, read_json, write_json};
use crate::host::fs;
use crate::model::name::{ExecutableName, RoleName};
use crate::sync::executable::Difference;

/// The file in a home's root that names the roles that are to be restored.
pub(super) const STOPPED: &str = "restore.json";

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
    /// The roles that a deploy has stopped and not started again.
    pub fn stopped(&self) -> Result<BTreeSet<RoleName>, HomeError> {
        Ok(read_json(&self.root().join(STOPPED))?.unwrap_or_default())
    }

    /// Remembers them; to be called before they are stopped, and again when
    /// they are back.
    pub fn set_stopped(&self, roles: &BTreeSet<RoleName>) -> Result<(), HomeError> {
        let path = self.root().join(STOPPED);
        if roles.is_empty() {
            return Ok(fs::remove_file(&path)?);
        }
        write_json(&path, roles)
    }
}
