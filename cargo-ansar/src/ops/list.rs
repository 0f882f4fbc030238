//! `cargo ansar list`: the roles of a home.

use ansar_runtime::contract::layout::Area;

use super::Error;
use super::locate::Places;
use crate::home::Home;
use crate::home::entry::Origin;
use crate::host::files::{self, Kind};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::search::RoleSearch;

/// A role, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub role: RoleName,
    /// What it runs.
    pub executable: ExecutableName,
    /// Whether it is no longer described, and so never run.
    pub retired: bool,
    /// What it has on disk; where asked for.
    pub disk: Option<Disk>,
}

/// What a role has on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// How many files.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
}

/// The roles that match, sorted by name.
pub fn list(places: &Places, search: &RoleSearch, long: bool) -> Result<Vec<Listed>, Error> {
    let workspace = places.workspace()?;
    let home = Home::open(&places.home(workspace.as_ref()))?;
    let mut listed = Vec::new();
    for (role, entry) in home.entries()? {
        if search.matches(&role, &entry.executable) {
            listed.push(Listed {
                disk: if long {
                    Some(disk(&home, &role)?)
                } else {
                    None
                },
                role,
                executable: entry.executable,
                retired: entry.origin == Origin::Retired,
            });
        }
    }
    Ok(listed)
}

fn disk(home: &Home, role: &RoleName) -> Result<Disk, Error> {
    let mut disk = Disk::default();
    for area in [Area::Model, Area::Tmp, Area::Logs] {
        for walked in files::walk(&home.folder(area, role))?.unwrap_or_default() {
            if walked.stat.kind == Kind::File {
                disk.files += 1;
                disk.bytes += walked.stat.identity.size;
            }
        }
    }
    Ok(disk)
}
