//! One-shot roles: those that are ready for others once they have succeeded.
//!
//! A one-shot role has run for its home. It runs again only when its executable
//! or anything that it is started with has changed, or when a role that it
//! starts after was set up or has run anew.

use std::collections::{BTreeMap, BTreeSet};

use ansar_contract::layout::Area;

use crate::error::Error;
use crate::home::Home;
use crate::home::deploy_state::DeployState;
use crate::home::role::Entry;
use crate::host::fs;
use crate::host::fs::Hash;
use crate::model::name::RoleName;

/// Returns those of `entries` that have run already and need not run again.
pub(crate) fn finished(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<BTreeSet<RoleName>, Error> {
    let one_shot = |entry: &Entry| entry.properties.ready.is_done();
    if !entries.values().any(one_shot) {
        return Ok(BTreeSet::new());
    }
    let deploy_state = home.deploy_state()?;
    let mut finished = BTreeSet::new();
    // A role that must run makes those after it run: looked at until nothing
    // changes, as the order of the roles may be of any depth.
    for (role, entry) in entries.iter().filter(|(_, entry)| one_shot(entry)) {
        if home.setup_record(role)?.done == Some(key(home, role, entry, &deploy_state)?) {
            finished.insert(role.clone());
        }
    }
    loop {
        let before = finished.len();
        let mut kept = BTreeSet::new();
        for role in &finished {
            if !is_invalidated(home, role, entries, &finished)? {
                kept.insert(role.clone());
            }
        }
        finished = kept;
        if finished.len() == before {
            return Ok(finished);
        }
    }
}

/// Returns true if a role must run because one that it starts after will be set
/// up, or will run.
fn is_invalidated(
    home: &Home,
    role: &RoleName,
    entries: &BTreeMap<RoleName, Entry>,
    finished: &BTreeSet<RoleName>,
) -> Result<bool, Error> {
    let after = entries.get(role).map(|entry| &entry.properties.after);
    for needed in after.into_iter().flatten() {
        let Some(entry) = entries.get(needed) else {
            continue;
        };
        let will_run = entry.properties.ready.is_done() && !finished.contains(needed);
        let has_setup = !entry.properties.setup.is_empty();
        if will_run || (has_setup && home.will_set_up(needed)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the roles that a role starts after, and those that one-shot roles among
/// them start after, transitively: these orders hold although the one-shot role has
/// ended, or need not run.
pub(crate) fn needed(home: &Home, entry: &Entry) -> Result<Vec<RoleName>, Error> {
    let mut needed = entry.properties.after.clone();
    let mut at = 0;
    while let Some(role) = needed.get(at) {
        at += 1;
        let Some(entry) = home.entry(role)? else {
            continue;
        };
        if entry.properties.ready.is_done() {
            for role in entry.properties.after {
                if !needed.contains(&role) {
                    needed.push(role);
                }
            }
        }
    }
    Ok(needed)
}

/// Records that a one-shot role has succeeded.
pub(crate) fn record(home: &Home, role: &RoleName, entry: &Entry) -> Result<(), Error> {
    let deploy_state = home.deploy_state()?;
    let key = key(home, role, entry, &deploy_state)?;
    Ok(home.record_done(role, key)?)
}

/// Returns a hash over everything that a run depends on.
fn key(
    home: &Home,
    role: &RoleName,
    entry: &Entry,
    deploy_state: &DeployState,
) -> Result<String, Error> {
    let launch = deploy_state.launches.get(role);
    let launch = launch.map(|launch| {
        let program = launch.program.as_ref().map(|program| program.hash);
        (&launch.environment, &launch.words, program, &launch.watched)
    });
    let executable = match entry.deployed() {
        Some(name) => {
            let path = fs::resolve(&home.executable(name))?;
            Some(fs::hash(&path)?.0)
        }
        None => None,
    };
    let mut files = Vec::new();
    for area in [Area::Settings, Area::Input] {
        let bytes = fs::read_if_exists(&home.file(area, role))?;
        files.push(bytes.map(|bytes| Hash::of(&bytes)));
    }
    let mut needed = BTreeMap::new();
    for role in &entry.properties.after {
        needed.insert(role, home.setup_record(role)?.id);
    }
    let all = serde_json::json!([launch, executable, files, needed]);
    Ok(Hash::of(all.to_string().as_bytes()).to_string())
}
