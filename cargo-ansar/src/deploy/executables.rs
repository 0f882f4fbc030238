//! Executables to deploy, from a folder or from a Cargo build.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ansar_contract::layout::Area;

use crate::deploy::snapshot_layout;
use crate::error::{DeployError, Error};
use crate::events::{DeployEvent, Events};
use crate::home::Home;
use crate::home::deploy_state::DeployState;
use crate::home::role::{Entry, Origin};
use crate::host::fs;
use crate::host::fs::TransferMethod;
use crate::model::name::{ExecutableName, RoleName};
use crate::sync::executable;
use crate::workspace::targets::Wanted;

/// Executables to deploy.
#[derive(Debug)]
pub(crate) struct Executables {
    /// Path of each executable.
    pub(crate) artifacts: BTreeMap<ExecutableName, PathBuf>,
    /// Names of the crates that were compiled for them.
    pub(crate) compiled: BTreeSet<String>,
    /// Method that puts them into the home.
    pub(crate) how: TransferMethod,
}

impl Default for Executables {
    fn default() -> Self {
        Self {
            artifacts: BTreeMap::new(),
            compiled: BTreeSet::new(),
            how: TransferMethod::Link,
        }
    }
}

/// Executables that a home needs or has deployed before.
pub(crate) struct Needed {
    names: BTreeSet<ExecutableName>,
    /// Roles that run each executable.
    users: BTreeMap<ExecutableName, Vec<RoleName>>,
}

impl Needed {
    pub(crate) fn of(
        wanted: &Wanted,
        entries: &BTreeMap<RoleName, Entry>,
        deploy_state: &DeployState,
    ) -> Self {
        let mut users: BTreeMap<_, Vec<RoleName>> = BTreeMap::new();
        let active = entries.iter();
        for (role, entry) in active.filter(|(_, entry)| entry.origin != Origin::Retired) {
            let Some(executable) = entry.deployed().cloned() else {
                continue;
            };
            users.entry(executable).or_default().push(role.clone());
        }
        let names = wanted
            .names()
            .chain(deploy_state.executables.keys())
            .cloned();
        Self {
            names: names.collect(),
            users,
        }
    }
}

/// Name of a folder that Cargo keeps in its target folders.
const FINGERPRINTS: &str = ".fingerprint";

impl Executables {
    /// Collects the executables of a folder.
    ///
    /// A folder that Cargo builds in holds many more executables than the home
    /// needs; only the needed ones are taken. Emits an event for each file that
    /// is skipped and for each executable that a role runs and the folder
    /// lacks.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder has no executable.
    pub(crate) fn of(
        folder: &Path,
        home: &Home,
        needed: &Needed,
        events: &Events,
    ) -> Result<Self, Error> {
        let folder = fs::resolve(folder)?;
        let bin = home.area(Area::Bin);
        if fs::is_within(&folder, &bin)? && fs::is_within(&bin, &folder)? {
            events.emit(DeployEvent::Passed {
                path: folder,
                why: "it is the folder that the home runs executables from".to_owned(),
            });
            return Ok(Self::default());
        }
        let is_cargo_folder = fs::is_folder(&folder.join(FINGERPRINTS));
        let mut scan = FolderScan {
            folder: &folder,
            home,
            needed,
            is_cargo_folder,
            found_any: false,
            artifacts: BTreeMap::new(),
        };
        let names: BTreeSet<OsString> = fs::names(&folder)?.into_iter().collect();
        for name in names {
            if let Some(why) = scan.add(&name)? {
                let path = folder.join(name);
                events.emit(DeployEvent::Passed { path, why });
            }
        }
        if !scan.found_any {
            let is_snapshot = snapshot_layout::is_snapshot(&folder);
            return Err(Error::Deploy(DeployError::NoExecutables {
                folder,
                is_snapshot,
            }));
        }
        scan.report_missing(events);
        Ok(Self {
            artifacts: scan.artifacts,
            compiled: BTreeSet::new(),
            // Other programs may write into a file in place; Cargo does not.
            how: if is_cargo_folder {
                TransferMethod::Link
            } else {
                TransferMethod::Copy
            },
        })
    }
}

struct FolderScan<'a> {
    folder: &'a Path,
    home: &'a Home,
    needed: &'a Needed,
    is_cargo_folder: bool,
    /// True if the folder has any executable.
    found_any: bool,
    artifacts: BTreeMap<ExecutableName, PathBuf>,
}

impl FolderScan<'_> {
    /// Collects a file that is to be deployed. Returns the reason for skipping
    /// it, if that is worth reporting.
    fn add(&mut self, name: &OsString) -> Result<Option<String>, Error> {
        let path = self.folder.join(name);
        let is_executable = fs::is_executable(&path);
        let parsed = match name.to_str().map(str::parse::<ExecutableName>) {
            Some(Ok(name)) => name,
            // Cargo's folders also hold libraries and other files.
            _ if self.is_cargo_folder || !is_executable => return Ok(None),
            Some(Err(error)) => return Ok(Some(error.to_string())),
            None => return Ok(Some("no name of an executable: not UTF-8".to_owned())),
        };
        let is_needed = self.needed.names.contains(&parsed);
        if !is_executable {
            let is_meant = is_needed || (!self.is_cargo_folder && fs::is_program(&path));
            let why = "it is not a file that may be executed".to_owned();
            return Ok(is_meant.then_some(why));
        }
        self.found_any = true;
        if is_needed || !self.is_cargo_folder {
            // Skip a file that is another link to the home's own.
            if !executable::is_one_place(&path, &self.home.executable(&parsed))? {
                self.artifacts.insert(parsed, path);
            }
        }
        Ok(None)
    }

    /// Reports executables that roles run and the folder lacks.
    fn report_missing(&self, events: &Events) {
        for (name, users) in &self.needed.users {
            let path = self.folder.join(name.as_str());
            // A file that exists and was skipped is already reported.
            if fs::stat(&path).is_ok() {
                continue;
            }
            let others = match users.len() {
                0 | 1 => String::new(),
                more => format!(" and {} more", more - 1),
            };
            let first = users.first().map(RoleName::as_str).unwrap_or_default();
            let deployed = if fs::is_file(&self.home.executable(name)) {
                "; the one that was deployed before stays"
            } else {
                ""
            };
            events.emit(DeployEvent::Passed {
                path,
                why: format!("no such executable, which role `{first}`{others} runs{deployed}"),
            });
        }
    }
}
