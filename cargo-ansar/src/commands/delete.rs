//! `cargo ansar delete`: remove roles with all their files.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::events::Events;
use crate::home::pending::Transaction;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::lock_roles::lock_for_removal;
use crate::workspace::roles::chosen;
use crate::workspace::{Places, description_of};

/// The removed roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// All removed roles.
    pub roles: Vec<RoleName>,
    /// Removed roles that the workspace describes. The next `test` creates them
    /// again.
    pub described: Vec<RoleName>,
}

/// Removes all matching roles or none. If some run, fails, or with `force`
/// stops them first.
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
    let description = description_of(workspace.as_ref());
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
