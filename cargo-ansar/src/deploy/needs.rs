//! Roles that run while Cargo does: `needs` of `[workspace.metadata.ansar.build]`.
//!
//! Macros such as those of `sqlx` ask a database when they are compiled. The
//! roles run programs, so they can be deployed before anything is built. Those
//! that do not run already are started in an engine attached to this command,
//! and stopped after the build; in `watch`, they stay in its engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::deploy::launch_state::launch_state;
use crate::deploy::ports;
use crate::deploy::roles::described;
use crate::error::{EngineError, Error};
use crate::events::{Events, Kind, RoleEvent};
use crate::home::Home;
use crate::home::pending::Transaction;
use crate::home::role::Entry;
use crate::host::process::Process;
use crate::host::process::interrupts::Interrupts;
use crate::manifest::Description;
use crate::model::name::RoleName;
use crate::model::outcome::Success;
use crate::model::placeholder::{Placeholder, Template};
use crate::supervisor::background::wait_ready;
use crate::supervisor::background_start::{EngineTarget, StartOptions, attach, start_roles};
use crate::supervisor::client::{Next, Progress, find_engines, running, stop_limit};
use crate::supervisor::executable_kind::check_all;
use crate::supervisor::lock_roles::lock_home;
use crate::supervisor::role_environment::of_roles;
use crate::workspace::Workspace;

/// Does `work`, which runs Cargo, while the roles that it needs are ready. The
/// caller holds the lock of the home.
pub(crate) async fn with_needs<T>(
    home: &Home,
    workspace: &Workspace,
    interrupts: &mut Interrupts,
    events: &Events,
    work: impl AsyncFnOnce(&mut Interrupts) -> Result<T, Error>,
) -> Result<T, Error> {
    let description = workspace.description.as_ref();
    let Some(description) = description.filter(|it| !it.build.needs.is_empty()) else {
        return work(interrupts).await;
    };
    let engine = start(home, workspace, description, interrupts, events).await?;
    let done = work(interrupts).await;
    if let Some(engine) = engine {
        engine.stop(stop_limit(home)).await;
    }
    done
}

/// Does `work` like [`with_needs`]. Locks the home for it, unless no role has to
/// be started.
pub(crate) async fn locked_with_needs<T>(
    home: &Home,
    workspace: &Workspace,
    interrupts: &mut Interrupts,
    events: &Events,
    work: impl AsyncFnOnce(&mut Interrupts) -> Result<T, Error>,
) -> Result<T, Error> {
    let description = workspace.description.as_ref();
    let mut is_idle = false;
    for role in description.into_iter().flat_map(|it| &it.build.needs) {
        is_idle |= home.holder(role)?.is_none();
    }
    if !is_idle {
        return work(interrupts).await;
    }
    let _lock = lock_home(home, interrupts, events).await?;
    with_needs(home, workspace, interrupts, events, work).await
}

/// Makes the needed roles ready. Returns the engine that was started for them.
async fn start(
    home: &Home,
    workspace: &Workspace,
    description: &Description,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Option<Process>, Error> {
    let needs = &description.build.needs;
    let engines = find_engines(home, events).await?;
    let running = running(home, &engines, needs)?;
    let running: BTreeSet<RoleName> = running.into_iter().map(|(role, _)| role).collect();
    let idle: BTreeSet<&RoleName> = needs.difference(&running).collect();
    let mut there = home.entries()?;
    there.retain(|role, _| running.contains(role));
    if idle.is_empty() {
        wait_ready(home, there.iter(), interrupts, events).await?;
        return Ok(None);
    }
    let entries = deploy(home, workspace, description, &idle)?;
    let engine = match engines.own() {
        Some(_) => None,
        None => Some(attach(home).await?),
    };
    let started = async {
        let own = find_engines(home, events).await?.own();
        let target =
            EngineTarget::Attached(own.ok_or(Error::Engine(EngineError::NoBackgroundEngine))?);
        let idle: Vec<RoleName> = entries.into_keys().collect();
        start_all(home, &idle, target, events).await
    };
    tokio::select! {
        started = started => started?,
        interrupt = interrupts.next() => return Err(Error::Interrupted(interrupt)),
    }
    wait_ready(home, there.iter(), interrupts, events).await?;
    Ok(engine)
}

/// Starts roles, and waits until all are ready or done.
async fn start_all(
    home: &Home,
    roles: &[RoleName],
    target: EngineTarget,
    events: &Events,
) -> Result<(), Error> {
    let mut failed = None;
    let how = StartOptions::without_settle_time(target);
    start_roles(home, roles, how, events, |progress| {
        if let Progress::Event(kind) = progress {
            if let Kind::Role(RoleEvent::Ended { role, outcome }) = &kind {
                if outcome.success() == Success::No {
                    failed.get_or_insert_with(|| {
                        Error::Engine(EngineError::NeedFailed {
                            role: role.clone(),
                            reason: outcome.reason(),
                        })
                    });
                }
            }
            events.emit(kind);
        }
        Next::Listen
    })
    .await?;
    failed.map_or(Ok(()), Err)
}

/// Writes the entries of roles that do not run, with the ports that they and
/// Cargo's variables refer to, and how they are launched. All other roles keep
/// what was deployed before.
fn deploy(
    home: &Home,
    workspace: &Workspace,
    description: &Description,
    idle: &BTreeSet<&RoleName>,
) -> Result<BTreeMap<RoleName, Entry>, Error> {
    let mut all = home.entries()?;
    let mut deployed = BTreeMap::new();
    let mut transaction = Transaction::default();
    for spec in &description.roles {
        let was = all.get(&spec.name);
        let entry = described(spec, was);
        if idle.contains(&spec.name) {
            if was != Some(&entry) {
                transaction.set_entry(&spec.name, &entry)?;
            }
            deployed.insert(spec.name.clone(), entry.clone());
        }
        all.insert(spec.name.clone(), entry);
    }
    let environment = of_roles(home);
    check_all(home, &deployed, &environment, |role| workspace.place(role))?;
    let variables = description.build.env.values().flat_map(Template::uses);
    let references = variables.filter_map(|placeholder| match placeholder {
        Placeholder::Address {
            role: Some(role), ..
        } => Some((role, placeholder.clone())),
        _ => None,
    });
    let allocated = ports::allocate_more(home, &all, references)?;
    if allocated != home.ports()? {
        home.set_ports(&allocated)?;
    }
    home.commit(transaction)?;
    let mut state = home.deploy_state()?;
    for (role, entry) in &deployed {
        let known = state.launches.get(role);
        let now = launch_state(home, role, entry, &allocated, &environment, known)?;
        state.launches.insert(role.clone(), now);
    }
    home.set_deploy_state(&state)?;
    Ok(deployed)
}
