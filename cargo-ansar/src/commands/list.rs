//! `cargo ansar list`: the roles of a home.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ansar_contract::layout::Area;

use crate::error::Error;
use crate::home::Home;
use crate::home::role::{Origin, parent};
use crate::host::fs;
use crate::host::fs::Kind;
use crate::model::name::ExecutableName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::called::called as running;
use crate::workspace::roles::{every_term, no_roles, searched, wanted};
use crate::workspace::{Places, Workspace};

/// What to list.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// Which roles.
    pub search: RoleSearch,
    /// Whether with what they have on disk.
    pub long: bool,
    /// Whether with the processes that roles called.
    pub all: bool,
}

/// The roles of a home that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The home.
    pub home: PathBuf,
    /// The roles, sorted by name.
    pub roles: Vec<Listed>,
    /// What all of them together have on disk; where asked for.
    pub total: Option<Total>,
}

/// A role, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name; `PARENT.NAME` where a role called it.
    pub role: String,
    /// What it runs, where that is known.
    pub executable: Option<ExecutableName>,
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

/// What roles have on disk together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// How many roles.
    pub roles: usize,
    /// How many executables they run.
    pub executables: usize,
    /// Their disks.
    pub disk: Disk,
}

/// The roles that match. None is fine where nothing was searched for.
pub fn list(options: &Options) -> Result<Listing, Error> {
    let Options { places, search, .. } = options;
    let workspace = places.workspace()?;
    let described = workspace
        .as_ref()
        .filter(|workspace| workspace.describes_roles());
    let home = match (places.open(), described) {
        (Ok((home, _)), _) => home,
        (Err(Error::NoHome { home, .. }), Some(_)) => {
            return described_only(home, workspace.as_ref(), options);
        }
        (Err(error), _) => return Err(error),
    };
    let entries = home.entries()?;
    let mut called = Vec::new();
    if options.all {
        let names = home.sub_roles()?.into_iter().map(|name| (name, None));
        let mut all: BTreeMap<_, _> = names.collect();
        // One that has no folders is known as long as it runs.
        let running = running(home.root()).into_iter();
        all.extend(running.map(|it| (it.role, it.executable)));
        for (name, executable) in all {
            // What is not known of it is as for the role that called it.
            let parent = parent(&name).and_then(|parent| entries.get(&parent));
            called.extend(parent.map(|entry| (name, executable, entry.executable.clone())));
        }
    }
    if !search.is_all() {
        if entries.is_empty() {
            return Err(no_roles(home.root(), workspace.as_ref()));
        }
        let called = called.iter();
        let called = called.map(|(name, _, of_parent)| (name.as_str(), of_parent));
        every_term("role", search, &searched(&entries).chain(called))?;
    }
    let mut roles = Vec::new();
    for (role, entry) in entries {
        if search.matches(&role, &entry.executable) {
            roles.push(Listed {
                role: role.into(),
                executable: Some(entry.executable),
                retired: entry.origin == Origin::Retired,
                disk: None,
            });
        }
    }
    for (name, executable, of_parent) in called {
        if search.matches_name(&name, &of_parent) {
            roles.push(Listed {
                role: name,
                executable,
                retired: false,
                disk: None,
            });
        }
    }
    if roles.is_empty() && !search.is_all() {
        return Err(Error::NoRole {
            what: "role",
            search: search.clone(),
            meant: Vec::new(),
        });
    }
    roles.sort_by(|one, other| one.role.cmp(&other.role));
    let total = if options.long {
        Some(measure(&home, &mut roles)?)
    } else {
        None
    };
    Ok(Listing {
        home: home.root().to_owned(),
        roles,
        total,
    })
}

/// Returns the roles that a workspace describes, where no home is there yet.
fn described_only(
    home: PathBuf,
    workspace: Option<&Workspace>,
    options: &Options,
) -> Result<Listing, Error> {
    let none = BTreeMap::new();
    let roles = wanted(workspace, &none);
    let names = roles
        .clone()
        .map(|(role, executable)| (role.as_str(), executable));
    every_term("role", &options.search, &names)?;
    let roles = roles.filter(|(role, executable)| options.search.matches(role, executable));
    let roles = roles.map(|(role, executable)| Listed {
        role: role.to_string(),
        executable: Some(executable.clone()),
        retired: false,
        disk: options.long.then(Disk::default),
    });
    let mut roles: Vec<Listed> = roles.collect();
    roles.sort_by(|one, other| one.role.cmp(&other.role));
    let executables: BTreeSet<_> = roles.iter().map(|listed| &listed.executable).collect();
    let total = options.long.then(|| Total {
        roles: roles.len(),
        executables: executables.len(),
        disk: Disk::default(),
    });
    Ok(Listing { home, roles, total })
}

/// Finds out what roles have on disk.
fn measure(home: &Home, roles: &mut [Listed]) -> Result<Total, Error> {
    let mut total = Total::default();
    let mut executables = BTreeSet::new();
    for listed in roles {
        let disk = disk(home, &listed.role)?;
        total.roles += 1;
        total.disk.files += disk.files;
        total.disk.bytes += disk.bytes;
        executables.extend(listed.executable.clone());
        listed.disk = Some(disk);
    }
    total.executables = executables.len();
    Ok(total)
}

fn disk(home: &Home, role: &str) -> Result<Disk, Error> {
    let mut disk = Disk::default();
    for area in [Area::Model, Area::Tmp, Area::Logs] {
        for walked in fs::walk(&home.area(area).join(role))?.unwrap_or_default() {
            if walked.stat.kind == Kind::File {
                disk.files += 1;
                disk.bytes += walked.stat.fingerprint.size;
            }
        }
    }
    Ok(disk)
}
