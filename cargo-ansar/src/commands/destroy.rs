//! `cargo ansar destroy`: stop all roles of a home, and remove it.

use std::path::PathBuf;

use crate::error::Error;
use crate::events::Events;
use crate::home::Home;
use crate::host::process::interrupts::Interrupts;
use crate::supervisor::lock_roles::lock_for_removal;
use crate::workspace::Places;

/// Removes the home, and returns its path. If roles run, fails, or with `force`
/// stops them first. Completes the removal that a killed `destroy` began.
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
    // A home that is partly unreadable can be removed, too.
    let find = || {
        let mut roles = home.ever_run()?;
        roles.extend(home.role_names()?);
        Ok((roles, ()))
    };
    let (_removing, ()) = lock_for_removal(&home, find, force, interrupts, events).await?;
    home.remove()?;
    Ok(root)
}
