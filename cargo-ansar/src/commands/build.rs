//! `cargo ansar build`: build the executables of the roles.

use crate::deploy::needs::locked_with_needs;
use crate::deploy::prepare::open;
use crate::error::Error;
use crate::events::Events;
use crate::home::{Home, HomeError};
use crate::host::process::interrupts::Interrupts;
use crate::workspace::build::{Options, build as run_cargo};
use crate::workspace::targets::{Bins, wanted};
use crate::workspace::{Places, Workspace};

/// Builds the executables of the home's roles: those of the manifest and those
/// added by hand. Without roles that Cargo needs, works without a home.
pub async fn build(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    let workspace = places.needed_workspace()?;
    let home = open_if_exists(places, &workspace, events)?;
    let cargo = async |interrupts: &mut Interrupts| {
        let entries = home.as_ref().map(Home::entries).transpose()?;
        let wanted = wanted(Some(&workspace), &entries.unwrap_or_default());
        let options = options.described(&workspace, home.as_ref())?;
        let (bins, folder) = (Bins::new(), &places.folder);
        run_cargo(&workspace, &wanted, &bins, &options, folder, interrupts).await
    };
    match &home {
        Some(home) => locked_with_needs(home, &workspace, interrupts, events, cargo).await?,
        None => {
            // Without a home, only the manifest names executables.
            workspace.needed_description()?;
            cargo(interrupts).await?
        }
    };
    Ok(())
}

/// Opens the home if there is one. Creates it for roles that Cargo needs.
pub(crate) fn open_if_exists(
    places: &Places,
    workspace: &Workspace,
    events: &Events,
) -> Result<Option<Home>, Error> {
    if workspace.needs_roles() {
        return Ok(Some(open(places, |_| Ok(()), events)?.0));
    }
    match Home::open(&places.home(Some(workspace))) {
        Ok(home) => Ok(Some(home)),
        Err(HomeError::NotThere(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
