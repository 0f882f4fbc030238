//! `cargo ansar delete`: remove roles and everything that is their own.

use super::Error;
use super::choose::chosen;
use super::hold::hold;
use super::locate::Places;
use crate::event::Events;
use crate::home::Home;
use crate::host::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::search::RoleSearch;

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The roles.
    pub roles: Vec<RoleName>,
    /// Those of them that the workspace describes, and that its next test makes
    /// again.
    pub described: Vec<RoleName>,
}

/// Removes the roles that match. Where some run, refuses, or with `force` has
/// the commands that run them stop them first.
pub async fn delete(
    places: &Places,
    search: &RoleSearch,
    force: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let workspace = places.workspace()?;
    let home = Home::open(&places.home(workspace.as_ref()))?;
    let roles = chosen(&home, workspace.as_ref(), search, home.entries()?)?;
    let locks = hold(&home, roles.keys(), force, interrupts, events).await?;
    let whole = home.lock()?;
    let was = home.ledger()?;
    let mut ledger = was.clone();
    for role in roles.keys() {
        // Forgotten first: what is remembered of a role that is gone would be
        // taken for what a new one of its name has removed.
        ledger.forget(role);
    }
    if ledger != was {
        home.set_ledger(&ledger)?;
    }
    for role in roles.keys() {
        home.remove_role(role)?;
        home.remove_lock(role)?;
    }
    drop((locks, whole));
    let description = workspace.as_ref().and_then(|w| w.description.as_ref());
    let described =
        |role: &RoleName| description.is_some_and(|description| description.role(role).is_some());
    Ok(Outcome {
        described: roles
            .keys()
            .filter(|role| described(role))
            .cloned()
            .collect(),
        roles: roles.into_keys().collect(),
    })
}
