//! Finding roles that a command names, among those of a home.
//!
//! This module also chooses the errors for names that match nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Error, RoleError, RunError};
use crate::home::Home;
use crate::home::role::{Entry, Origin};
use crate::manifest::DEFAULT_TESTS;
use crate::model::did_you_mean::similar_role;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::role_properties::RoleProperties;
use crate::model::role_search::{RolePattern, RoleSearch, Unmatched};
use crate::model::start_order;
use crate::workspace::{Places, Workspace, description_of};

/// Returns the pattern of test roles.
pub fn test_pattern(workspace: Option<&Workspace>) -> Result<RolePattern, Error> {
    match description_of(workspace) {
        Some(description) => Ok(description.tests.clone()),
        None => Ok(RolePattern::parse(DEFAULT_TESTS)?),
    }
}

/// Checks that every term of a search matches one of `roles`, which the error
/// calls `what`.
pub(crate) fn check_terms<'r, R>(
    what: &'static str,
    search: &RoleSearch,
    roles: &R,
) -> Result<(), Error>
where
    R: IntoIterator<Item = (&'r str, &'r ExecutableName)> + Clone,
{
    match search.unmatched(roles) {
        None => Ok(()),
        Some(unmatched) => Err(no_role(what, unmatched)),
    }
}

/// Returns the error for terms that match no role, which the error calls `what`.
fn no_role(what: &'static str, unmatched: Unmatched) -> Error {
    Error::Role(RoleError::NoRole {
        what,
        meant: unmatched.meant,
        search: unmatched.search,
    })
}

/// Checks that every term of a search matches an operational role.
pub(crate) fn check_operational(
    search: &RoleSearch,
    workspace: Option<&Workspace>,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<(), Error> {
    let pattern = test_pattern(workspace)?;
    let roles = wanted(workspace, entries).filter(|(role, _)| !pattern.matches(role));
    let roles = roles.map(|(role, executable)| (role.as_str(), executable));
    check_terms("operational role", search, &roles).map_err(|error| or_retired(error, entries))
}

/// Checks that every term of a search matches a test role, and that it selects
/// one.
pub(crate) fn check_any_test(
    search: &RoleSearch,
    workspace: Option<&Workspace>,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<(), Error> {
    let pattern = test_pattern(workspace)?;
    let roles = wanted(workspace, entries).filter(|(role, _)| pattern.matches(role));
    let roles = roles.map(|(role, executable)| (role.as_str(), executable));
    if search.is_all() {
        return match roles.count() {
            0 => Err(no_tests(workspace, pattern)),
            _ => Ok(()),
        };
    }
    let no_test_role = |search: RoleSearch, meant| {
        Error::Run(RunError::NoTestRole {
            of_tests: of_tests(workspace, &search),
            meant,
            search,
        })
    };
    let Some(unmatched) = search.unmatched(&roles) else {
        let mut roles = roles;
        return if roles.any(|(role, executable)| search.matches_name(role, executable)) {
            Ok(())
        } else {
            // The search is inverted, and similar names are those that it excludes.
            Err(no_test_role(search.clone(), Vec::new()))
        };
    };
    let error = if unmatched.matches_none {
        no_test_role(unmatched.search, unmatched.meant)
    } else {
        no_role("test role", unmatched)
    };
    Err(or_retired(error, entries))
}

/// Returns the error for a workspace and a home without test roles.
fn no_tests(workspace: Option<&Workspace>, pattern: RolePattern) -> Error {
    let proposed = workspace.and_then(Workspace::proposed_test);
    Error::Run(RunError::NoTests {
        is_described: workspace.is_some_and(Workspace::describes_roles),
        proposed: proposed.filter(|role| pattern.matches(role)),
        pattern,
    })
}

/// Returns a term that chooses tests by the only word of a search.
fn of_tests(workspace: Option<&Workspace>, search: &RoleSearch) -> Option<String> {
    let word = search.only_word()?;
    let roles = &workspace?.description.as_ref()?.roles;
    let mut targets = roles.iter().filter(|spec| spec.properties.test.is_some());
    let first = targets.next()?;
    Some(match targets.next() {
        None => format!("{}::{word}", first.name),
        Some(_) => format!(".*::{word}"),
    })
}

/// Returns the roles of a home in the form that searches expect.
pub(crate) fn searched(
    entries: &BTreeMap<RoleName, Entry>,
) -> impl Iterator<Item = (&str, &ExecutableName)> + Clone {
    let entries = entries.iter();
    entries.map(|(role, entry)| (role.as_str(), &entry.executable))
}

/// Returns those of `entries` that match a search. Every term must match at
/// least one.
pub(crate) fn chosen(
    home: &Home,
    workspace: Option<&Workspace>,
    search: &RoleSearch,
    mut entries: BTreeMap<RoleName, Entry>,
) -> Result<BTreeMap<RoleName, Entry>, Error> {
    if entries.is_empty() {
        return Err(no_roles(home.root(), workspace));
    }
    if let Err(error) = check_terms("role", search, &searched(&entries)) {
        return Err(undeployed(error, workspace, &entries));
    }
    entries.retain(|role, entry| search.matches(role, &entry.executable));
    if entries.is_empty() {
        return Err(Error::Role(RoleError::NoRole {
            what: "role",
            search: search.clone(),
            meant: Vec::new(),
        }));
    }
    Ok(entries)
}

/// Returns the matching roles that can be started. Retired roles are left out;
/// an error names those that the search matches.
pub(crate) fn startable(
    home: &Home,
    workspace: Option<&Workspace>,
    search: &RoleSearch,
    entries: BTreeMap<RoleName, Entry>,
) -> Result<BTreeMap<RoleName, Entry>, Error> {
    let (retired, entries): (BTreeMap<_, _>, BTreeMap<_, _>) = entries
        .into_iter()
        .partition(|(_, entry)| entry.origin == Origin::Retired);
    if entries.is_empty() && !retired.is_empty() && search.is_all() {
        return Err(Error::Role(RoleError::Retired(
            retired.into_keys().collect(),
        )));
    }
    if entries.is_empty() && !retired.is_empty() {
        check_terms("role", search, &searched(&entries))
            .map_err(|error| or_retired(error, &retired))?;
    }
    chosen(home, workspace, search, entries).map_err(|error| or_retired(error, &retired))
}

/// Returns the entry of a role.
pub(crate) fn known(
    home: &Home,
    workspace: Option<&Workspace>,
    role: &RoleName,
) -> Result<Entry, Error> {
    if let Some(entry) = home.entry(role)? {
        return Ok(entry);
    }
    let description = description_of(workspace);
    if description.is_some_and(|description| description.role(role).is_some()) {
        return Err(Error::Role(RoleError::NotDeployed(vec![role.clone()])));
    }
    let roles = home.role_names()?;
    if roles.is_empty() {
        return Err(no_roles(home.root(), workspace));
    }
    let meant = similar_role(role.as_str(), roles.iter().map(RoleName::as_str));
    Err(Error::Role(RoleError::NoSuchRole {
        role: role.clone(),
        meant: meant.and_then(|name| name.parse().ok()),
    }))
}

/// Returns the error for a home that has no roles.
pub(crate) fn no_roles(home: &Path, workspace: Option<&Workspace>) -> Error {
    Error::Role(RoleError::NoRoles {
        home: home.to_owned(),
        is_described: workspace.is_some_and(Workspace::describes_roles),
    })
}

/// Replaces `error` if its terms match roles that the workspace describes and
/// that are not deployed yet.
fn undeployed(
    error: Error,
    workspace: Option<&Workspace>,
    entries: &BTreeMap<RoleName, Entry>,
) -> Error {
    let Error::Role(RoleError::NoRole { search, .. }) = &error else {
        return error;
    };
    let description = description_of(workspace);
    let roles = description
        .iter()
        .flat_map(|description| &description.roles);
    let roles = roles.filter(|spec| {
        let is_there = entries.contains_key(&spec.name);
        !is_there && search.matches(&spec.name, &spec.executable)
    });
    let roles: Vec<RoleName> = roles.map(|spec| spec.name.clone()).collect();
    if roles.is_empty() {
        error
    } else {
        Error::Role(RoleError::NotDeployed(roles))
    }
}

/// Returns the roles of the manifest and those of `entries` that were added by
/// hand, which is every role after a deploy.
pub(crate) fn wanted<'a>(
    workspace: Option<&'a Workspace>,
    entries: &'a BTreeMap<RoleName, Entry>,
) -> impl Iterator<Item = (&'a RoleName, &'a ExecutableName)> + Clone {
    let description = description_of(workspace);
    let described = description
        .into_iter()
        .flat_map(|description| &description.roles);
    let by_hand = entries
        .iter()
        .filter(|(_, entry)| entry.origin == Origin::Hand);
    described
        .map(|spec| (&spec.name, &spec.executable))
        .chain(by_hand.map(|(role, entry)| (role, &entry.executable)))
}

/// Returns the names of the roles with each tag: those of the manifest, and
/// those of the home. Errors are left to the command that needs the roles.
pub(crate) fn tags(places: &Places) -> BTreeMap<String, BTreeSet<String>> {
    let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |role: &RoleName, properties: &RoleProperties| {
        for tag in &properties.tags {
            let roles = tags.entry(tag.clone()).or_default();
            roles.insert(role.to_string());
        }
    };
    let workspace = places.workspace().ok().flatten();
    let home = Home::open(&places.home(workspace.as_ref()));
    for (role, entry) in home.and_then(|home| home.entries()).unwrap_or_default() {
        if entry.origin != Origin::Manifest {
            add(&role, &entry.properties);
        }
    }
    let description = workspace.and_then(|workspace| workspace.description);
    for spec in description.into_iter().flat_map(|it| it.roles) {
        add(&spec.name, &spec.properties);
    }
    tags
}

/// Replaces `error` if its terms match retired roles.
pub(crate) fn or_retired(error: Error, entries: &BTreeMap<RoleName, Entry>) -> Error {
    let matched = |role: &RoleName, entry: &Entry| match &error {
        Error::Role(RoleError::NoRole { search, .. })
        | Error::Run(RunError::NoTestRole { search, .. }) => {
            search.matches(role, &entry.executable)
        }
        _ => false,
    };
    let retired = entries
        .iter()
        .filter(|(_, entry)| entry.origin == Origin::Retired);
    let meant = retired.filter(|(role, entry)| matched(role, entry));
    let meant: Vec<RoleName> = meant.map(|(role, _)| role.clone()).collect();
    if meant.is_empty() {
        error
    } else {
        Error::Role(RoleError::Retired(meant))
    }
}

/// Checks that the dependency order of the roles has no cycle.
pub(crate) fn check_start_order(entries: &BTreeMap<RoleName, Entry>) -> Result<(), Error> {
    let after = entries.iter();
    let after = after.map(|(role, entry)| (role.clone(), entry.properties.after.clone()));
    let Some(cycle) = start_order::cycle(&after.collect()) else {
        return Ok(());
    };
    let links: Vec<_> = cycle.iter().map(|role| format!("`{role}`")).collect();
    match cycle.as_slice() {
        [role, after, ..] => Err(Error::Role(RoleError::StartOrder {
            role: role.clone(),
            after: after.clone(),
            reason: format!("the start order has a cycle: {}", links.join(" waits for ")),
        })),
        _ => Ok(()),
    }
}
