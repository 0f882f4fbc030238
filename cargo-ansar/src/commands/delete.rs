//! `cargo ansar delete`: remove roles and everything that is their own.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::events::Events;
use crate::home::pending::Transaction;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::lock_roles::lock_for_removal;
use crate::workspace::Places;
use crate::workspace::roles::chosen;

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The roles.
    pub roles: Vec<RoleName>,
    /// Those of them that the workspace describes, and that its next test makes
    /// again.
    pub described: Vec<RoleName>,
}

/// Removes the roles that match, all or none. Where some run, refuses, or with
/// `force` has the commands that run them stop them first.
pub async fn delete(
    places: &Places,
    search: &RoleSearch,
    force: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let (home, workspace) = places.open()?;
    let find = || {
        let roles: BTreeSet<RoleName> = chosen(&home, workspace.as_ref(), search, home.entries()?)?
            .into_keys()
            .collect();
        Ok((roles.clone(), roles))
    };
    let (_removing, roles) = lock_for_removal(&home, find, force, interrupts, events).await?;
    let mut transaction = Transaction::default();
    for role in &roles {
        transaction.delete(role);
    }
    home.commit(transaction)?;
    for role in &roles {
        home.remove_lock(role)?;
    }
    let description = workspace.as_ref().and_then(|w| w.description.as_ref());
    let described =
        |role: &RoleName| description.is_some_and(|description| description.role(role).is_some());
    Ok(Outcome {
        described: roles
            .iter()
            .filter(|role| described(role))
            .cloned()
            .collect(),
        roles: roles.into_iter().collect(),
    })
}
