//! Takes the right to run roles, or to remove them: nobody else runs them then.

use std::collections::BTreeSet;

use super::Error;
use crate::home::{Home, HomeError};
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
