//! Preparing a home before a run: build and deploy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::deploy;
use crate::deploy::needs::with_needs;
use crate::deploy::plan::Sources;
use crate::deploy::resolve_settings::layer;
use crate::deploy::restart_affected::Running;
use crate::error::{Error, WorkspaceError};
use crate::events::{DeployEvent, Events, Phase};
use crate::home::deploy_state::{DeployState, TestFiles};
use crate::home::role::Entry;
use crate::home::{Home, HomeError};
use crate::host::cargo::ExitingCargo;
use crate::host::environment;
use crate::host::fs::TransferMethod;
use crate::host::fs::lock::Lock;
use crate::host::process::interrupts::Interrupts;
use crate::manifest::{DeployMode, Description};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::role_search::RoleSearch;
use crate::supervisor::lock_roles::lock_home;
use crate::workspace::build;
use crate::workspace::build::{Built, BuiltTests};
use crate::workspace::roles;
use crate::workspace::roles::check_terms;
use crate::workspace::targets::{Bins, wanted};
use crate::workspace::{Places, Workspace, description_of};

/// A home that is built and deployed.
#[derive(Debug)]
pub struct Prepared {
    /// The workspace, if there is one.
    pub workspace: Option<Workspace>,
    /// The home.
    pub home: Home,
    /// Roles of the home, including retired ones.
    pub entries: BTreeMap<RoleName, Entry>,
    /// Executables that were built.
    pub artifacts: BTreeMap<ExecutableName, PathBuf>,
    /// Manifests of the packages that were compiled.
    pub compiled: BTreeSet<PathBuf>,
    /// Libraries of the workspace that took part in the build. Their lists of
    /// sources are beside these paths.
    pub libraries: Vec<PathBuf>,
    /// True if the deploy changed anything.
    pub changed: bool,
    /// Affected roles, if nothing but what they run has changed.
    pub only: Option<BTreeSet<RoleName>>,
    /// Cargo, if it still runs.
    pub leaving: Option<ExitingCargo>,
    /// Lock of the home. No other command changes the home while it is held.
    pub lock: Lock,
}

/// Builds and deploys everything that the roles of a home need.
///
/// Creates the home if the workspace describes roles. `check` may refuse before
/// anything is built.
pub async fn prepare(
    places: &Places,
    how: &build::Options,
    running: Running,
    check: impl Fn(Option<&Workspace>, &BTreeMap<RoleName, Entry>) -> Result<(), Error>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Prepared, Error> {
    // A missing home has no roles, and is created only if `check` agrees.
    let check_new = |workspace: &Workspace| check(Some(workspace), &BTreeMap::new());
    let (home, workspace) = open(places, check_new, events)?;
    // The run must include files that were saved while this command waited for
    // the lock, so everything but the location of the home is read again.
    let lock = lock_home(&home, interrupts, events).await?;
    let workspace = places.workspace_again(workspace)?;
    let entries = home.entries()?;
    let mut deploy_state = home.deploy_state()?;
    check(workspace.as_ref(), &entries)?;

    let mut built = Built::default();
    if let Some(workspace) = &workspace {
        let state = &mut deploy_state;
        let cargo = async |interrupts: &mut Interrupts| {
            events.phase(Phase::Build);
            events.emit(DeployEvent::Building {});
            build_needed(places, how, &home, workspace, &entries, state, interrupts).await
        };
        built = with_needs(&home, workspace, interrupts, events, cargo).await?;
        events.emit(DeployEvent::Built {});
        build::check_described(&built, &home, workspace)?;
    }
    let snapshot = workspace.as_ref().and_then(Workspace::snapshot);
    let layer = layer(workspace.as_ref(), &deploy_state);
    let description = description_of(workspace.as_ref());
    let sources = Sources {
        workspace: workspace.as_ref(),
        description,
        artifacts: &built.artifacts,
        compiled: &built.compiled,
        how: description.map_or(TransferMethod::Link, deploy_method),
        materials: snapshot.as_deref(),
        layer: layer.as_deref(),
        named: None,
        take: None,
    };
    let mut entries = home.entries()?;
    let done = deploy::deploy(
        &home,
        &mut entries,
        &mut deploy_state,
        &sources,
        running,
        interrupts,
        events,
    )
    .await?;
    Ok(Prepared {
        workspace,
        home,
        entries,
        artifacts: built.artifacts,
        compiled: built.packages,
        libraries: built.libraries,
        changed: done.changed,
        only: done.only,
        leaving: built.leaving,
        lock,
    })
}

/// Builds the executables of the roles of a home, and remembers their packages
/// in the deploy state, which is read again: roles that the build needs are
/// deployed already. Does not wait for Cargo's exit.
pub(crate) async fn build_needed(
    places: &Places,
    how: &build::Options,
    home: &Home,
    workspace: &Workspace,
    entries: &BTreeMap<RoleName, Entry>,
    deploy_state: &mut DeployState,
    interrupts: &mut Interrupts,
) -> Result<Built, Error> {
    *deploy_state = home.deploy_state()?;
    let mut wanted = wanted(Some(workspace), entries);
    for name in &how.also {
        wanted.bins.entry(name.clone()).or_insert(None);
    }
    let how = how.described(workspace, Some(home))?;
    let (bins, folder) = (&deploy_state.bins, &places.folder);
    let built = build::build_ahead(workspace, &wanted, bins, &how, folder, interrupts).await;
    let mut built = built?;
    remember(&mut deploy_state.bins, std::mem::take(&mut built.bins));
    let tests = std::mem::take(&mut built.tests).into_iter();
    let tests = tests
        .map(|(name, BuiltTests { artifact, package })| (name, TestFiles { artifact, package }));
    deploy_state.tests.extend(tests);
    Ok(built)
}

/// A home with roles, about to be run.
#[derive(Debug)]
pub(crate) struct FilledHome {
    /// The workspace, if there is one.
    pub workspace: Option<Workspace>,
    pub home: Home,
    /// Lock of the home, if it was just deployed.
    pub lock: Option<Lock>,
}

/// Opens a home. A home that is missing or has no roles is first deployed as
/// the workspace describes; `search` must match some of its roles.
pub(crate) async fn open_filled(
    places: &Places,
    how: &build::Options,
    search: &RoleSearch,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<FilledHome, Error> {
    let workspace = places.workspace()?;
    let is_empty = match Home::open(&places.home(workspace.as_ref())) {
        Ok(home) => is_empty(&home, workspace.as_ref())?,
        Err(HomeError::NotThere(_)) => true,
        Err(error) => return Err(error.into()),
    };
    if !is_empty || !workspace.is_some_and(|workspace| workspace.describes_roles()) {
        let (home, workspace) = places.open()?;
        return Ok(FilledHome {
            workspace,
            home,
            lock: None,
        });
    }
    let check = |workspace: Option<&Workspace>, entries: &BTreeMap<RoleName, Entry>| {
        let roles = roles::wanted(workspace, entries);
        let roles = roles.map(|(role, executable)| (role.as_str(), executable));
        check_terms("role", search, &roles)
    };
    let running = Running::Restore;
    let prepared = prepare(places, how, running, check, interrupts, events).await?;
    build::wait_exit_after_use(prepared.leaving, interrupts).await?;
    Ok(FilledHome {
        workspace: prepared.workspace,
        home: prepared.home,
        lock: Some(prepared.lock),
    })
}

/// Returns true if nothing was deployed, except perhaps roles that a build
/// needed.
fn is_empty(home: &Home, workspace: Option<&Workspace>) -> Result<bool, Error> {
    let description = description_of(workspace);
    let names = home.role_names()?;
    Ok(match description {
        None => names.is_empty(),
        Some(description) => {
            let has_all = description.roles.iter().all(|it| names.contains(&it.name));
            let needs = &description.build.needs;
            names.iter().all(|name| needs.contains(name)) && !has_all
        }
    })
}

/// Returns the method that a manifest chooses for deploying executables.
pub(crate) fn deploy_method(description: &Description) -> TransferMethod {
    match description.deploy {
        DeployMode::Link => TransferMethod::Link,
        DeployMode::Copy => TransferMethod::Copy,
    }
}

/// Remembers the packages of binaries, and forgets names that are no binary.
fn remember(remembered: &mut Bins, bins: Bins) {
    for (name, packages) in bins {
        if packages.is_empty() {
            remembered.remove(&name);
        } else {
            remembered.insert(name, packages);
        }
    }
}

/// Opens the home, or creates it if a workspace describes its roles. `check`
/// may refuse before it is created.
pub(crate) fn open(
    places: &Places,
    check: impl FnOnce(&Workspace) -> Result<(), Error>,
    events: &Events,
) -> Result<(Home, Option<Workspace>), Error> {
    let workspace = places.workspace()?;
    let root = places.home(workspace.as_ref());
    match Home::open(&root) {
        Err(HomeError::NotThere(_)) => {}
        other => return Ok((other?, workspace)),
    }
    let Some(workspace) = workspace else {
        return Err(Error::Workspace(WorkspaceError::NoWorkspace(
            places.folder.clone(),
        )));
    };
    workspace.needed_description()?;
    check(&workspace)?;
    let id = environment::unique();
    let home = match Home::create(&root, Some(&workspace.root), &BTreeMap::new(), id) {
        Ok(home) => {
            events.emit(DeployEvent::HomeCreated { home: root });
            home
        }
        // Another command created it first.
        Err(HomeError::Exists(_)) => Home::open(&root)?,
        Err(error) => return Err(error.into()),
    };
    Ok((home, Some(workspace)))
}
