//! Everything that resolving the settings of a role depends on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::events::Events;
use crate::home::Home;
use crate::home::ports::Ports;
use crate::home::role::Entry;
use crate::home::role_values::RoleValues;
use crate::host::fs;
use crate::host::fs::Fingerprint;
use crate::manifest::RoleSpec;
use crate::model::name::{ExecutableName, RoleName};
use crate::workspace::{Workspace, place_of};

/// Resolves the settings of roles.
#[derive(Clone, Copy)]
pub struct SettingsResolver<'a> {
    /// The home.
    pub home: &'a Home,
    /// The workspace, if there is one.
    pub workspace: Option<&'a Workspace>,
    /// The snapshot, if there is one.
    pub snapshot: Option<&'a Path>,
    /// Executables about to be put in place. They are asked instead of those in
    /// the home.
    pub new: Option<&'a BTreeMap<ExecutableName, NewExecutable>>,
    /// Ports of the home's roles.
    pub ports: &'a Ports,
    /// Stream of events.
    pub events: &'a Events,
}

/// An executable that is about to be put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExecutable {
    /// Its current path.
    pub path: PathBuf,
    /// Fingerprint of the file.
    pub fingerprint: Fingerprint,
}

impl SettingsResolver<'_> {
    pub(crate) fn has_executable(&self, name: &ExecutableName) -> bool {
        self.new_executable(name).is_some() || fs::is_file(&self.home.executable(name))
    }

    pub(crate) fn new_executable(&self, name: &ExecutableName) -> Option<&NewExecutable> {
        self.new?.get(name)
    }

    /// Returns the values of placeholders for a role.
    pub(crate) fn values<'v>(&'v self, role: &'v RoleName, entry: &'v Entry) -> RoleValues<'v> {
        RoleValues {
            home: self.home,
            role,
            executable: &entry.executable,
            ports: self.ports,
        }
    }

    /// Returns the position of a role's description, as ` (FILE:LINE)`; empty
    /// if it has none.
    pub(crate) fn place(&self, role: &RoleName) -> String {
        place_of(self.workspace, role)
    }

    pub(crate) fn spec(&self, role: &RoleName) -> Option<&RoleSpec> {
        self.workspace?.description.as_ref()?.role(role)
    }
}
