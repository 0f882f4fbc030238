//! The step before any run of a workspace's roles: everything in place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Error;
use super::build::{self, Bins, Built, wanted};
use super::deploy::{self, Sources};
use super::locate::{Places, Workspace};
use crate::event::{Events, Kind};
use crate::home::entry::Entry;
use crate::home::{Home, HomeError};
use crate::host::environment;
use crate::host::interrupts::Interrupts;
use crate::host::lock::Lock;
use crate::model::name::{ExecutableName, RoleName};

/// A home in which everything is in place.
#[derive(Debug)]
pub struct Prepared {
    /// The workspace, where there is one.
    pub workspace: Option<Workspace>,
    /// The home.
    pub home: Home,
    /// Its roles, retired ones among them.
    pub entries: BTreeMap<RoleName, Entry>,
    /// What was built.
    pub artefacts: BTreeMap<ExecutableName, PathBuf>,
    /// While this is held nobody else changes the home.
    pub lock: Lock,
}

/// Builds and deploys what the roles of a home need; makes the home where a
/// workspace describes what goes in. `check` may refuse before anything is
/// built.
pub async fn prepare(
    places: &Places,
    how: &build::Options,
    check: impl FnOnce(Option<&Workspace>, &BTreeMap<RoleName, Entry>) -> Result<(), Error>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Prepared, Error> {
    let home = open(places, events)?;
    // What was saved while this command waited is in its verdict: nothing is
    // read before the home is ours, beyond where it is.
    let lock = take(&home, interrupts, events).await?;
    let workspace = places.workspace()?;
    let mut entries = home.entries()?;
    let mut ledger = home.ledger()?;
    check(workspace.as_ref(), &entries)?;

    let mut wanted = wanted(workspace.as_ref(), &entries);
    for name in &how.also {
        wanted.entry(name.clone()).or_insert(None);
    }
    let built = match &workspace {
        Some(workspace) => {
            events.emit(Kind::Building {});
            let built = build::build(
                workspace,
                &wanted,
                &ledger.bins,
                how,
                &places.folder,
                interrupts,
            );
            let built = built.await?;
            events.emit(Kind::Built {});
            Some(built)
        }
        None => None,
    };
    let artefacts = match built {
        Some(Built {
            artefacts, bins, ..
        }) => {
            remember(&mut ledger.bins, bins);
            artefacts
        }
        None => BTreeMap::new(),
    };
    let snapshot = workspace.as_ref().and_then(Workspace::snapshot);
    let sources = Sources {
        workspace: workspace.as_ref(),
        artefacts: &artefacts,
        snapshot: snapshot.as_deref(),
    };
    tokio::select! {
        deployed = deploy::deploy(&home, &mut entries, &mut ledger, &sources, events) => deployed?,
        interrupt = interrupts.next() => return Err(Error::Interrupted(interrupt)),
    }
    Ok(Prepared {
        workspace,
        home,
        entries,
        artefacts,
        lock,
    })
}

/// Keeps in mind where bins are, of those that are bins at all.
fn remember(remembered: &mut Bins, bins: Bins) {
    for (name, packages) in bins {
        if packages.is_empty() {
            remembered.remove(&name);
        } else {
            remembered.insert(name, packages);
        }
    }
}

/// Opens the home, or makes it where a workspace describes what goes in.
fn open(places: &Places, events: &Events) -> Result<Home, Error> {
    let workspace = places.workspace()?;
    let root = places.home(workspace.as_ref());
    match Home::open(&root) {
        Err(HomeError::NotThere(_)) => {}
        other => return Ok(other?),
    }
    let Some(workspace) = workspace else {
        return Err(Error::NoWorkspace(places.folder.clone()));
    };
    workspace.needed_description()?;
    let id = environment::unique();
    match Home::create(&root, Some(&workspace.root), &BTreeMap::new(), id) {
        Ok(home) => {
            events.emit(Kind::HomeCreated { home: root });
            Ok(home)
        }
        // Another command was quicker.
        Err(HomeError::Exists(_)) => Ok(Home::open(&root)?),
        Err(error) => Err(error.into()),
    }
}

/// Takes the home's lock; waits, and says so, while somebody else has it.
pub(super) async fn take(
    home: &Home,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Lock, Error> {
    if let Some(lock) = home.try_lock()? {
        return Ok(lock);
    }
    events.emit(Kind::Blocked {
        home: home.root().to_owned(),
    });
    let patient = home.clone();
    // The thread is left behind where this command ends before it has waited.
    tokio::select! {
        lock = tokio::task::spawn_blocking(move || patient.lock()) => match lock {
            Ok(lock) => Ok(lock?),
            Err(error) => Err(Error::System {
                what: "wait for the home",
                source: std::io::Error::other(error),
            }),
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}
