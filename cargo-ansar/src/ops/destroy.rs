//! `cargo ansar destroy`: stop everything in a home, and remove it.

use super::Error;
use super::hold::hold;
use super::locate::Places;
use crate::event::Events;
use crate::home::Home;
use crate::host::interrupts::Interrupts;

/// Removes the home. Where roles run, refuses, or with `force` has them
/// stopped first.
pub async fn destroy(
    places: &Places,
    force: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Home, Error> {
    let workspace = places.workspace()?;
    let home = Home::open(&places.home(workspace.as_ref()))?;
    // A home of which a part cannot be read can be removed all the same.
    let locks = hold(&home, &home.ever_run()?, force, interrupts, events).await?;
    let whole = home.lock()?;
    home.clone().remove()?;
    drop((locks, whole));
    Ok(home)
}
