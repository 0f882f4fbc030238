//! `cargo ansar stop`: roles down, wherever they run.

use std::collections::BTreeSet;

use crate::commands::start::retain_operational;
use crate::error::Error;
use crate::events::Events;
use crate::home::role::Origin;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::client::{find_engines, running, stop as stop_all};
use crate::workspace::Places;
use crate::workspace::roles::{every_term, searched};

/// What to stop, and how.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// Which roles; where nothing is said, all that are no tests, and whatever
    /// else runs.
    pub search: RoleSearch,
    /// Whether those that do not run are passed over, and an engine that does
    /// not answer is ended with all its roles.
    pub force: bool,
}

/// Stops roles and waits until they are gone; which these were. Where some do
/// not run, refuses and changes nothing, or with `force` stops the others.
pub async fn stop(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<BTreeSet<RoleName>, Error> {
    let (home, workspace) = options.places.open()?;
    let mut entries = home.entries()?;
    let engines = find_engines(&home, events).await?;
    // A role may run that was deleted, or has retired, in the meantime.
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
    every_term("role", &options.search, &searched(&entries).chain(also))?;
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
    let meant: BTreeSet<RoleName> = entries.into_keys().chain(also.cloned()).collect();
    if meant.is_empty() && !all {
        return Err(if retired.is_empty() {
            Error::NoRole {
                what: "role",
                search: options.search.clone(),
                meant: Vec::new(),
            }
        } else {
            Error::NotAllRunning(retired)
        });
    }
    let idle: Vec<RoleName> = meant.difference(&running).cloned().collect();
    if !idle.is_empty() && !options.force {
        return Err(Error::NotAllRunning(idle));
    }
    let meant: Vec<&RoleName> = meant.intersection(&running).collect();
    tokio::select! {
        stopped = stop_all(&home, &engines, meant, options.force, events) => stopped,
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}
