//! `cargo ansar list`: list the roles of a home.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ansar_contract::layout::Area;

use crate::error::{Error, RoleError};
use crate::home::Home;
use crate::home::role::{Entry, Origin, parent};
use crate::host::fs;
use crate::host::fs::Kind;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::role_search::RoleSearch;
use crate::supervisor::called::called as running;
use crate::workspace::roles::{check_terms, no_roles, searched, wanted};
use crate::workspace::{Places, Workspace};

/// Options of `list`.
#[derive(Debug)]
pub struct Options {
    /// Roles to list.
    pub search: RoleSearch,
    /// True if disk usage is measured.
    pub long: bool,
    /// True if processes that roles called are included.
    pub all: bool,
}

/// The listed roles of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The home.
    pub home: PathBuf,
    /// The roles, sorted by name.
    pub roles: Vec<Listed>,
    /// Disk usage of all roles together, if requested.
    pub total: Option<Total>,
}

/// A listed role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Name of the role; `PARENT.NAME` if a role called it.
    pub role: String,
    /// Executable, if known.
    pub executable: Option<ExecutableName>,
    /// True if the role is no longer described, and is never started.
    pub retired: bool,
    /// Disk usage, if requested.
    pub disk: Option<Disk>,
}

/// Disk usage of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// Number of files.
    pub files: usize,
    /// Size in bytes.
    pub bytes: u64,
}

/// Disk usage of several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Number of roles.
    pub roles: usize,
    /// Number of executables that they run.
    pub executables: usize,
    /// Disk usage of all roles.
    pub disk: Disk,
}

/// Returns the matching roles. Fails if a search matches no role; a home
/// without roles is listed as empty.
pub fn list(places: &Places, options: &Options) -> Result<Listing, Error> {
    let search = &options.search;
    let workspace = places.workspace()?;
    let described = workspace
        .as_ref()
        .filter(|workspace| workspace.describes_roles());
    let home = match (places.open(), described) {
        (Ok((home, _)), _) => home,
        (Err(Error::Role(RoleError::NoHome { home, .. })), Some(_)) => {
            return described_only(home, workspace.as_ref(), options);
        }
        (Err(error), _) => return Err(error),
    };
    let entries = home.entries()?;
    let called = if options.all {
        called(&home, &entries)?
    } else {
        Vec::new()
    };
    if !search.is_all() {
        if entries.is_empty() {
            return Err(no_roles(home.root(), workspace.as_ref()));
        }
        let called = called.iter();
        let called = called.map(|it| (it.name.as_str(), &it.of_parent));
        check_terms("role", search, &searched(&entries).chain(called))?;
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
    for it in called {
        if search.matches_name(&it.name, &it.of_parent) {
            roles.push(Listed {
                role: it.name,
                executable: it.executable,
                retired: false,
                disk: None,
            });
        }
    }
    if roles.is_empty() && !search.is_all() {
        return Err(Error::Role(RoleError::NoRole {
            what: "role",
            search: search.clone(),
            meant: Vec::new(),
        }));
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

/// A process that a role called.
struct Called {
    name: String,
    /// Its executable, while it runs.
    executable: Option<ExecutableName>,
    /// The executable of the role that called it.
    of_parent: ExecutableName,
}

/// Returns the processes that roles of a home called.
fn called(home: &Home, entries: &BTreeMap<RoleName, Entry>) -> Result<Vec<Called>, Error> {
    let names = home.sub_roles()?.into_iter().map(|name| (name, None));
    let mut all: BTreeMap<_, _> = names.collect();
    // A called process without folders is known while it runs.
    let running = running(home.root()).into_iter();
    all.extend(running.map(|it| (it.role, it.executable)));
    let called = all.into_iter().filter_map(|(name, executable)| {
        // The search matches it like the role that called it.
        let parent = parent(&name).and_then(|parent| entries.get(&parent));
        parent.map(|entry| Called {
            name,
            executable,
            of_parent: entry.executable.clone(),
        })
    });
    Ok(called.collect())
}

/// Lists the roles that a workspace describes while it has no home yet.
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
    check_terms("role", &options.search, &names)?;
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

/// Measures the disk usage of roles, and returns the total.
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
