//! Takes the right to run roles, or to remove them: nobody else runs them then.

use std::collections::BTreeSet;

use super::Error;
use crate::home::{Home, HomeError};
use crate::host::interrupts::Interrupts;
use crate::host::lock::Lock;
use crate::host::signal;
use crate::model::name::RoleName;

/// Takes the locks of `roles`. Where some run, refuses, or with `force` has
/// the commands that run them stop first, and waits for that.
pub(super) fn hold<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName> + Clone,
    force: bool,
) -> Result<Vec<Lock>, Error> {
    match home.lock_roles(roles.clone()) {
        Err(HomeError::Running(running)) if force => {
            let pids: BTreeSet<u32> = running
                .iter()
                .filter_map(|(_, note)| note.trim().parse().ok())
                .collect();
            for pid in pids {
                // One that is gone meanwhile has let go of its locks.
                let _ = signal::terminate(pid);
            }
            Ok(home.wait_for_roles(roles)?)
        }
        other => Ok(other?),
    }
}

/// Has the commands that run any of `roles` stop, and waits for that. The
/// roles are anybody's then: whoever runs them takes their locks.
pub(super) async fn make_way<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName>,
    interrupts: &mut Interrupts,
) -> Result<(), Error> {
    let home = home.clone();
    let roles: Vec<RoleName> = roles.into_iter().cloned().collect();
    // The thread is left behind where this command ends before it has waited.
    tokio::select! {
        held = tokio::task::spawn_blocking(move || hold(&home, &roles, true).map(drop)) => {
            held.unwrap_or_else(|error| Err(Error::System {
                what: "wait for running roles",
                source: std::io::Error::other(error),
            }))
        }
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}
