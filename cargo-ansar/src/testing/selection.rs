//! Selection of the roles of a test run.

use std::collections::{BTreeMap, BTreeSet};

use crate::deploy::prepare::Prepared;
use crate::error::Error;
use crate::events::{Kind, RunEvent};
use crate::home::instance;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, HomeError};
use crate::manifest::Description;
use crate::manifest::properties::keep_by_hand;
use crate::model::name::RoleName;
use crate::model::partition::Partition;
use crate::model::role_properties::RoleProperties;
use crate::model::role_search::RolePattern;
use crate::model::run_report::RunReport;
use crate::supervisor::background::BackgroundRoles;
use crate::supervisor::one_shot;
use crate::testing::Options;
use crate::testing::killed_run::last_report;
use crate::testing::parts::Part;
use crate::workspace::roles::{check_any_test, test_pattern, wanted};
use crate::workspace::{Places, description_of};

/// The roles of a test run.
pub(super) struct Selection {
    /// The test roles that match, and all operational roles.
    roles: BTreeMap<RoleName, Entry>,
    /// The instances of operational roles that belong to one test role.
    instances: BTreeMap<RoleName, Entry>,
    /// Pattern of the names of test roles.
    tests: RolePattern,
    /// Roles of which only a part of the tests runs.
    pub(super) parts: BTreeMap<RoleName, Vec<Partition>>,
    /// True if only test roles that failed in the last run are among the roles.
    pub(super) narrowed: bool,
}

impl Selection {
    /// Selects roles of a home, and takes them out of `prepared`. `failed` are the
    /// test roles that did not pass in the last run.
    pub(super) fn of(
        options: &Options,
        prepared: &mut Prepared,
        failed: &BTreeSet<RoleName>,
        is_elsewhere: bool,
    ) -> Result<Self, Error> {
        let tests = test_pattern(prepared.workspace.as_ref())?;
        let is_test = |role: &RoleName| tests.matches(role);
        let all = std::mem::take(&mut prepared.entries);
        let mut entries = unfinished(&prepared.home, all.clone(), is_test, is_elsewhere)?;
        retain_affected(&mut entries, is_test, prepared.only.take(), failed);
        let Chosen {
            roles,
            parts,
            narrowed,
        } = choose(options, entries, is_test, failed);
        let tested = roles.iter().filter(|(role, _)| is_test(role));
        Ok(Self {
            instances: instance::instances(tested, &all)?,
            roles,
            tests,
            parts,
            narrowed,
        })
    }

    /// Returns true if a role is a test role.
    pub(super) fn is_test(&self, role: &RoleName) -> bool {
        self.tests.matches(role) && !self.instances.contains_key(role)
    }

    /// Returns the test roles.
    pub(super) fn tested(&self) -> impl Iterator<Item = (&RoleName, &Entry)> + Clone {
        self.roles.iter().filter(|(role, _)| self.is_test(role))
    }

    /// Returns the operational roles, without instances.
    pub(super) fn needed(&self) -> impl Iterator<Item = (&RoleName, &Entry)> + Clone {
        self.roles.iter().filter(|(role, _)| !self.is_test(role))
    }

    /// Returns the names of the operational roles.
    pub(super) fn operational(&self) -> impl Iterator<Item = &RoleName> {
        let needed = self.needed().map(|(role, _)| role);
        needed.chain(self.instances.keys())
    }

    /// Returns the names of all roles.
    pub(super) fn names(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.keys().chain(self.instances.keys())
    }

    /// Returns the event that the roles are about to run.
    pub(super) fn begun(&self) -> Kind {
        let roles: Vec<RoleName> = self.tested().map(|(role, _)| role.clone()).collect();
        Kind::Run(RunEvent::Testing {
            tests: roles.len(),
            operational: self.roles.len() - roles.len(),
            roles,
        })
    }

    /// Returns the roles to start: those that do not run in the background, and
    /// the instances.
    pub(super) fn launched(&self, background: &BackgroundRoles) -> BTreeMap<RoleName, Entry> {
        let mut launched = self.roles.clone();
        launched.retain(|role, _| !background.has(role));
        instance::add(&mut launched, &self.instances);
        launched
    }
}

/// Returns the names of the matching test roles, sorted. Builds and runs
/// nothing.
pub fn list(places: &Places, options: &Options) -> Result<Vec<RoleName>, Error> {
    let workspace = places.workspace()?;
    let described = description_of(workspace.as_ref());
    let entries = match Home::open(&places.home(workspace.as_ref())) {
        Ok(home) => home.entries()?,
        Err(HomeError::NotThere(_)) if described.is_some() => BTreeMap::new(),
        Err(error) => return Err(error.into()),
    };
    check_any_test(&options.search, workspace.as_ref(), &entries)?;
    let tests = test_pattern(workspace.as_ref())?;
    let roles = wanted(workspace.as_ref(), &entries).filter(|(role, executable)| {
        tests.matches(role) && options.search.matches(role, executable)
    });
    let Some(partition) = options.partition else {
        let roles: BTreeSet<RoleName> = roles.map(|(role, _)| role.clone()).collect();
        return Ok(roles.into_iter().collect());
    };
    let tests: Vec<(&RoleName, RoleProperties)> = roles
        .map(|(role, _)| (role, next_properties(described, &entries, role)))
        .collect();
    let tests = tests.iter().map(|(role, properties)| (*role, properties));
    Ok(Part::of(partition, tests).roles.into_iter().collect())
}

/// Returns the properties that a role has after the next deploy: those of the manifest,
/// and those that were set by hand.
fn next_properties(
    description: Option<&Description>,
    entries: &BTreeMap<RoleName, Entry>,
    role: &RoleName,
) -> RoleProperties {
    let entry = entries.get(role);
    let spec = description.and_then(|description| description.role(role));
    let Some((spec, entry)) = spec.zip(entry) else {
        let properties = spec.map(|spec| &spec.properties);
        let properties = properties.or(entry.map(|entry| &*entry.properties));
        return properties.cloned().unwrap_or_default();
    };
    let mut next = entry.clone();
    *next.properties = spec.properties.clone();
    keep_by_hand(entry, &mut next);
    *next.properties
}

/// Returns the roles without those one-shot roles that need not run again. On
/// other machines nothing has run.
fn unfinished(
    home: &Home,
    mut entries: BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    is_elsewhere: bool,
) -> Result<BTreeMap<RoleName, Entry>, Error> {
    if is_elsewhere {
        return Ok(entries);
    }
    let finished = one_shot::finished(home, &entries)?;
    entries.retain(|role, _| is_test(role) || !finished.contains(role));
    Ok(entries)
}

/// Removes test roles that need not run, if all roles in `only` run test targets
/// and nothing else was affected: those that are not among them, and have passed
/// in the last run.
fn retain_affected(
    entries: &mut BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    only: Option<BTreeSet<RoleName>>,
    failed: &BTreeSet<RoleName>,
) {
    let Some(only) = only.filter(|only| !only.is_empty()) else {
        return;
    };
    let is_target = |entry: &Entry| entry.properties.test.is_some();
    let mut affected = only.iter().map(|role| entries.get(role));
    if affected.all(|entry| entry.is_some_and(is_target)) {
        let will_run = |role: &RoleName| only.contains(role) || failed.contains(role);
        entries.retain(|role, _| !is_test(role) || will_run(role));
    }
}

/// The roles to run.
struct Chosen {
    /// All operational roles, and the tests that match.
    roles: BTreeMap<RoleName, Entry>,
    /// Roles of which only a part of the tests runs.
    parts: BTreeMap<RoleName, Vec<Partition>>,
    /// True if the tests were narrowed to those that failed.
    narrowed: bool,
}

/// Chooses the roles to run. `failed` are the test roles that did not pass in the
/// last run.
fn choose(
    options: &Options,
    mut entries: BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    failed: &BTreeSet<RoleName>,
) -> Chosen {
    entries.retain(|role, entry| {
        entry.origin != Origin::Retired
            && (!is_test(role) || options.search.matches(role, &entry.executable))
    });
    let mut parts = BTreeMap::new();
    if let Some(partition) = options.partition {
        let tests = entries.iter().filter(|(role, _)| is_test(role));
        let tests = tests.map(|(role, entry)| (role, &*entry.properties));
        let part = Part::of(partition, tests);
        entries.retain(|role, _| !is_test(role) || part.roles.contains(role));
        let divided = part.divided.into_iter();
        parts.extend(divided.map(|role| (role, vec![partition])));
    }
    let narrowed = options.tests.failed && narrow(&mut entries, &is_test, failed);
    for (role, entry) in &mut entries {
        if is_test(role) && entry.properties.timeout.is_none() {
            entry.properties.timeout = options.timeout.map(|timeout| timeout.as_secs_f64());
        } else if !is_test(role) && !entry.properties.ready.is_done() {
            // Operational roles run as long as the tests need them.
            entry.properties.timeout = None;
        }
    }
    Chosen {
        roles: entries,
        parts,
        narrowed,
    }
}

/// Returns the test roles that did not pass in the last run.
pub(super) fn failed_before(home: &Home) -> BTreeSet<RoleName> {
    let last = last_report(home).ok().flatten();
    let failed = last.iter().flat_map(RunReport::failed_roles);
    failed.cloned().collect()
}

/// Removes test roles that are not in `failed`, if any test role is. Returns
/// true if any was removed.
fn narrow(
    chosen: &mut BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    failed: &BTreeSet<RoleName>,
) -> bool {
    let all = chosen.len();
    let mut roles = chosen.keys();
    if roles.any(|role| is_test(role) && failed.contains(role)) {
        chosen.retain(|role, _| !is_test(role) || failed.contains(role));
    }
    chosen.len() < all
}
