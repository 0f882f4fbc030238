//! `cargo ansar destroy`: stop everything in a home, and remove it.

use std::path::PathBuf;

use crate::error::Error;
use crate::events::Events;
use crate::home::Home;
use crate::host::process::interrupts::Interrupts;
use crate::supervisor::lock_roles::lock_for_removal;
use crate::workspace::Places;

/// Removes the home, and returns its path. Where roles run, refuses, or with
/// `force` has them stopped first. What a killed `destroy` left is removed.
pub async fn destroy(
    places: &Places,
    force: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<PathBuf, Error> {
    let workspace = places.workspace()?;
    let root = places.home(workspace.as_ref());
    if Home::finish_removal(&root)? || Home::remove_empty(&root)? {
        return Ok(root);
    }
    let home = Home::open(&root)?;
    // A home of which a part cannot be read can be removed all the same.
    let find = || {
        let mut roles = home.ever_run()?;
        roles.extend(home.role_names()?);
        Ok((roles, ()))
    };
    let (_removing, ()) = lock_for_removal(&home, find, force, interrupts, events).await?;
    home.remove()?;
    Ok(root)
}
