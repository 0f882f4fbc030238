//! `cargo ansar destroy`: stop everything in a home, and remove it.

use std::collections::BTreeSet;

use super::Error;
use super::locate::Places;
use crate::home::{Home, HomeError};
use crate::host::signal;
use crate::model::name::RoleName;

/// Removes the home. Where roles run, refuses, or with `force` has the
/// commands that run them stop them first.
pub fn destroy(places: &Places, force: bool) -> Result<Home, Error> {
    let workspace = places.workspace()?;
    let home = Home::open(&places.home(workspace.as_ref()))?;
    let roles: BTreeSet<RoleName> = home.entries()?.into_keys().collect();
    let locks = match home.lock_roles(&roles) {
        Err(HomeError::Running(running)) if force => {
            let pids: BTreeSet<u32> = running
                .iter()
                .filter_map(|(_, note)| note.trim().parse().ok())
                .collect();
            for pid in pids {
                // One that is gone meanwhile has let go of its locks.
                let _ = signal::terminate(pid);
            }
            home.wait_for_roles(&roles)?
        }
        other => other?,
    };
    let whole = home.lock()?;
    home.clone().remove()?;
    drop((locks, whole));
    Ok(home)
}
