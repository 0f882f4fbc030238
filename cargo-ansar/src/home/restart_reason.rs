//! What a deploy changed of a role, and why: for those who ask, nothing is
//! decided by it. And which roles a deploy has stopped that are still to be
//! started again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError, read_json, write_json};
use crate::host::fs;
use crate::model::name::{ExecutableName, RoleName};
use crate::protocol::RunOptions;
use crate::sync::executable::Difference;

/// The file in a home's root that names the roles that are to be restored.
pub(super) const STOPPED: &str = "restore.json";
/// The file beside it with the options for the runs of those roles, if there are
/// any.
pub(super) const OPTIONS: &str = "restore-options.json";

/// The last change of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Whether it ran, and was started again for it.
    pub restarted: bool,
    /// What changed.
    pub causes: Vec<ChangeCause>,
}

/// What changed of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum ChangeCause {
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

/// Roles that are to be started again, with the options for their runs.
pub type Stopped = BTreeMap<RoleName, RunOptions>;

impl Home {
    /// The roles that a deploy has stopped and not started again, with the
    /// options for their runs.
    pub fn stopped(&self) -> Result<Stopped, HomeError> {
        let roles: BTreeSet<RoleName> = read_json(&self.root().join(STOPPED))?.unwrap_or_default();
        if roles.is_empty() {
            return Ok(Stopped::new());
        }
        let mut options: Stopped = read_json(&self.root().join(OPTIONS))?.unwrap_or_default();
        let with_options = roles.into_iter().map(|role| {
            let options = options.remove(&role).unwrap_or_default();
            (role, options)
        });
        Ok(with_options.collect())
    }

    /// Remembers them; to be called before they are stopped, and again when
    /// they are back.
    pub fn set_stopped(&self, roles: &Stopped) -> Result<(), HomeError> {
        let (names, options) = (self.root().join(STOPPED), self.root().join(OPTIONS));
        if roles.is_empty() {
            fs::remove_file(&names)?;
            return Ok(fs::remove_file(&options)?);
        }
        let given: BTreeMap<_, _> = roles.iter().filter(|(_, run)| !run.is_empty()).collect();
        if given.is_empty() {
            fs::remove_file(&options)?;
        } else {
            write_json(&options, &given)?;
        }
        // Last: options of roles that are not named have no effect.
        write_json(&names, &roles.keys().collect::<Vec<_>>())
    }
}
