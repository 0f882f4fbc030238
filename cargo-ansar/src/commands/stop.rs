//! `cargo ansar stop`: stop running roles, in the background or in a command.

use std::collections::BTreeSet;

use crate::commands::start::retain_operational;
use crate::error::{EngineError, Error, RoleError};
use crate::events::Events;
use crate::home::role::Origin;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::client::{find_engines, running, stop as stop_all};
use crate::workspace::Places;
use crate::workspace::roles::{check_terms, searched};

/// Options of `stop`.
#[derive(Debug)]
pub struct Options {
    /// Roles to stop; an empty search selects all operational roles, and all
    /// other roles that run.
    pub search: RoleSearch,
    /// True if roles that do not run are skipped, and if an engine that does
    /// not answer is killed with all its roles.
    pub force: bool,
}

/// Stops roles, waits until they are gone, and returns them. If some do not
/// run, fails without any change, or with `force` stops the others.
pub async fn stop(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<BTreeSet<RoleName>, Error> {
    let (home, workspace) = places.open()?;
    let mut entries = home.entries()?;
    let engines = find_engines(&home, events).await?;
    // A running role may have been deleted or retired since its start.
    let mut known: BTreeSet<RoleName> = entries.keys().cloned().collect();
    known.extend(engines.roles().into_keys().cloned());
    let running: BTreeSet<RoleName> = running(&home, &engines, &known)?
        .into_iter()
        .map(|(role, _)| role)
        .collect();
    let all = options.search.is_all();
    let statuses = engines.roles();
    let also = statuses.iter();
    let also = also.map(|(role, status)| (role.as_str(), &status.executable));
    check_terms("role", &options.search, &searched(&entries).chain(also))?;
    if all {
        retain_operational(&mut entries, workspace.as_ref())?;
    }
    let mut retired = Vec::new();
    entries.retain(|role, entry| {
        let is_there = entry.origin != Origin::Retired || running.contains(role);
        let is_meant = options.search.matches(role, &entry.executable);
        if is_meant && !is_there {
            retired.push(role.clone());
        }
        is_meant && is_there
    });
    let also = running.iter().filter(|role| match statuses.get(role) {
        Some(status) => options.search.matches(role, &status.executable),
        None => all,
    });
    let one_shot = entries
        .iter()
        .filter(|(_, it)| it.properties.ready.is_done());
    let one_shot: BTreeSet<RoleName> = one_shot.map(|(role, _)| role.clone()).collect();
    let meant: BTreeSet<RoleName> = entries.into_keys().chain(also.cloned()).collect();
    if meant.is_empty() && !all {
        return Err(if retired.is_empty() {
            Error::Role(RoleError::NoRole {
                what: "role",
                search: options.search.clone(),
                meant: Vec::new(),
            })
        } else {
            Error::Engine(EngineError::NotAllRunning(retired))
        });
    }
    let mut idle: Vec<RoleName> = meant.difference(&running).cloned().collect();
    if idle.len() < meant.len() {
        // A one-shot role that has ended is not missing beside roles that run.
        idle.retain(|role| !one_shot.contains(role));
    }
    if !idle.is_empty() && !options.force {
        return Err(Error::Engine(EngineError::NotAllRunning(idle)));
    }
    let meant: Vec<&RoleName> = meant.intersection(&running).collect();
    tokio::select! {
        stopped = stop_all(&home, &engines, meant, options.force, events) => stopped,
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}
