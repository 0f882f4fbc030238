//! `cargo ansar deploy`: deploy built executables and materials to a home.

use std::path::{Path, PathBuf};

use crate::deploy::apply::{DeployOutcome, apply_plan};
use crate::deploy::executables::{Executables, Needed};
use crate::deploy::needs::with_needs;
use crate::deploy::plan::{Plan, Sources};
use crate::deploy::prepare::{build_needed, deploy_method, open};
use crate::deploy::preview::{Line, lines};
use crate::deploy::resolve_settings::layer;
use crate::deploy::restart_affected::Running;
use crate::error::{DeployError, Error};
use crate::events::{Events, Phase};
use crate::home::Home;
use crate::home::deploy_state::DeployState;
use crate::host::fs;
use crate::host::fs::TransferMethod;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::supervisor::client;
use crate::supervisor::lock_roles::lock_home;
use crate::sync::plan::Take;
use crate::workspace::build;
use crate::workspace::targets::wanted;
use crate::workspace::{Places, Workspace, description_of};

/// Options of `deploy`.
#[derive(Debug)]
pub struct Options {
    /// Build options, used without `build_path` and `storage_path`.
    pub build: build::Options,
    /// Folder of executables. Without any folder, Cargo builds them.
    pub build_path: Option<PathBuf>,
    /// Folder of materials. Without any folder, the configured snapshot is
    /// used.
    pub storage_path: Option<PathBuf>,
    /// Side that wins if both sides changed a material.
    pub take: Option<Take>,
    /// True if the plan is only returned, not applied.
    pub dry_run: bool,
    /// True if the plan is returned as lines.
    pub lines: bool,
    /// True if affected running roles are stopped and restarted.
    pub force: bool,
}

/// The outcome of `deploy`.
#[derive(Debug)]
pub struct Outcome {
    /// The plan, if it was requested.
    pub lines: Vec<Line>,
    /// Changes that were applied; unset for a dry run.
    pub done: Option<DeployOutcome>,
}

/// Returns the folders of executables and of materials that a command names. Their
/// paths start at `base`.
fn folders(base: &Path, options: &Options) -> Result<(Option<PathBuf>, Option<PathBuf>), Error> {
    let folder = |path: &Option<PathBuf>| path.as_ref().map(|path| base.join(path));
    let (executables, storage) = (folder(&options.build_path), folder(&options.storage_path));
    for folder in [&executables, &storage].into_iter().flatten() {
        if !fs::is_folder(folder) {
            return Err(Error::Deploy(DeployError::NoFolder(folder.clone())));
        }
    }
    if options.take.is_some() && executables.is_some() && storage.is_none() {
        return Err(Error::Deploy(DeployError::NoEffect {
            flag: "--take",
            why: "no materials are deployed",
        }));
    }
    Ok((executables, storage))
}

/// Deploys. If running roles are affected, fails without any change and names
/// them, or with `force` stops and restarts them.
pub async fn deploy(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let is_usual = options.build_path.is_none() && options.storage_path.is_none();
    let (executables, storage) = folders(&places.folder, options)?;
    let (home, workspace) = if is_usual && !options.dry_run {
        open(places, |_| Ok(()), events)?
    } else {
        places.open()?
    };
    let _lock = lock_home(&home, interrupts, events).await?;
    let workspace = places.workspace_again(workspace)?;
    let mut deploy_state = home.deploy_state()?;
    let built = match (&executables, &workspace) {
        (Some(folder), workspace) => {
            let entries = home.entries()?;
            let wanted = wanted(workspace.as_ref(), &entries);
            let needed = Needed::of(&wanted, &entries, &deploy_state);
            Executables::of(folder, &home, &needed, events)?
        }
        (None, Some(workspace)) if is_usual => {
            let state = &mut deploy_state;
            build(places, options, &home, workspace, state, interrupts, events).await?
        }
        (None, _) => Executables::default(),
    };
    // Roles that the build needed are deployed already.
    let entries = home.entries()?;
    let storage = storage.as_deref().map(fs::resolve).transpose()?;
    let layer = storage
        .clone()
        .or_else(|| layer(workspace.as_ref(), &deploy_state));
    let configured = workspace.as_ref().and_then(Workspace::snapshot);
    let sources = Sources {
        workspace: workspace.as_ref(),
        description: description_of(workspace.as_ref())
            .filter(|_| is_usual || executables.is_some()),
        artifacts: &built.artifacts,
        compiled: &built.compiled,
        how: built.how,
        materials: match &storage {
            Some(folder) => Some(folder),
            None if is_usual => configured.as_deref(),
            None => None,
        },
        layer: layer.as_deref(),
        named: storage.as_deref(),
        take: options.take,
    };
    let plan =
        crate::deploy::decide(&home, &entries, &deploy_state, &sources, interrupts, events).await?;
    let lines = if options.dry_run || options.lines {
        preview(&home, &plan, events).await?
    } else {
        Vec::new()
    };
    if options.dry_run {
        return Ok(Outcome { lines, done: None });
    }
    let (how, running) = (sources.how, Running::asked(options.force));
    let state = &mut deploy_state;
    let done = apply_plan(&home, &plan, state, how, running, interrupts, events).await?;
    Ok(Outcome {
        lines,
        done: Some(done),
    })
}

/// Returns the plan as lines, with the roles that it would stop.
async fn preview(home: &Home, plan: &Plan, events: &Events) -> Result<Vec<Line>, Error> {
    let running: Vec<(RoleName, String)> = if plan.affected.is_empty() {
        Vec::new()
    } else {
        let engines = client::find_engines(home, events).await?;
        client::running(home, &engines, plan.affected.keys())?
    };
    Ok(lines(plan, &running))
}

/// Builds the executables.
async fn build(
    places: &Places,
    options: &Options,
    home: &Home,
    workspace: &Workspace,
    deploy_state: &mut DeployState,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Executables, Error> {
    events.phase(Phase::Build);
    let entries = home.entries()?;
    let how = &options.build;
    let cargo = async |interrupts: &mut Interrupts| {
        let state = deploy_state;
        let built = build_needed(places, how, home, workspace, &entries, state, interrupts);
        let mut built = built.await?;
        build::wait_exit(built.leaving.take(), interrupts).await?;
        Ok(built)
    };
    let built = if options.dry_run {
        cargo(interrupts).await?
    } else {
        with_needs(home, workspace, interrupts, events, cargo).await?
    };
    build::check_described(&built, home, workspace)?;
    let description = workspace.description.as_ref();
    Ok(Executables {
        artifacts: built.artifacts,
        compiled: built.compiled,
        how: description.map_or(TransferMethod::Link, deploy_method),
    })
}
