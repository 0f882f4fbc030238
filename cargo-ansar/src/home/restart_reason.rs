//! Changes that deploys made to roles, with their causes, and the roles that a
//! deploy stopped and has not restarted yet.
//!
//! Changes are only shown to users; no decision depends on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError, read_json, write_json};
use crate::host::fs;
use crate::model::name::{ExecutableName, RoleName};
use crate::protocol::RunOptions;
use crate::sync::executable::Difference;

/// File in the root of a home that lists the stopped roles.
pub(super) const STOPPED: &str = "restore.json";
/// File in the root of a home with the run options of the stopped roles.
pub(super) const OPTIONS: &str = "restore-options.json";

/// The last change of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Time of the deploy.
    pub at: Timestamp,
    /// True if the role was running and was restarted.
    pub restarted: bool,
    /// The changes.
    pub causes: Vec<ChangeCause>,
}

/// One change of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum ChangeCause {
    /// The role was added.
    Added,
    /// The executable changed.
    Executable {
        /// Its name.
        executable: ExecutableName,
        /// The difference to the previous one.
        why: Difference,
        /// Source files that are newer than the previous executable; `None` if
        /// there is no dep-info.
        sources: Option<Vec<Source>>,
        /// Crates that were compiled in the build before the deploy.
        compiled: BTreeSet<String>,
    },
    /// The role runs another executable.
    Runs {
        /// The previous executable.
        before: ExecutableName,
    },
    /// Environment variables changed.
    Environment,
    /// Arguments or the working directory changed.
    Arguments,
    /// Properties that its process depends on were set or removed.
    Properties {
        /// Their names.
        names: Vec<String>,
    },
    /// The program changed.
    Program {
        /// Its path.
        path: PathBuf,
    },
    /// Files that the role watches changed.
    Watched {
        /// The changed files.
        paths: Vec<String>,
    },
    /// Resources of the executable changed.
    Resource {
        /// The changed files.
        paths: Vec<String>,
    },
    /// The model changed.
    Model {
        /// The changed files.
        paths: Vec<String>,
    },
    /// Settings changed.
    Settings {
        /// The changed fields.
        fields: Vec<String>,
    },
    /// The input changed.
    Input,
}

/// A source file and its package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The package, if it is known.
    pub package: Option<String>,
}

/// Stopped roles that will be restarted, with the options of their runs.
pub type Stopped = BTreeMap<RoleName, RunOptions>;

impl Home {
    /// Reads the roles that a deploy stopped and has not restarted, with the
    /// options of their runs.
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

    /// Stores the stopped roles. Must be called before roles are stopped, and
    /// again when they have been restarted.
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
        // Last: options of roles that are not listed have no effect.
        write_json(&names, &roles.keys().collect::<Vec<_>>())
    }
}
