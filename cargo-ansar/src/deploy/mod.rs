//! The deploy: brings a home in line with the manifest, the built executables
//! and the snapshot.
//!
//! [`plan`] decides everything first: roles, executables, materials, then
//! settings and input, which components validate before they are written.
//! [`apply`] acts: it stops the running roles that are affected, transfers the
//! files, and starts exactly those roles again. The deploy state is written
//! last, so that a killed deploy is done again by the next command.

pub mod apply;
pub mod commit;
pub mod executables;
pub mod origin;
pub mod plan;
pub mod prepare;
pub mod preview;
pub mod resolve_settings;
pub mod restart_affected;
pub mod roles;
pub mod snapshot_layout;
pub mod source;

use std::collections::BTreeMap;

use crate::deploy::restart_affected::Running;
use crate::error::Error;
use crate::events::{Events, Phase};
use crate::home::Home;
use crate::home::deploy_state::DeployState;
use crate::home::role::Entry;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;

use crate::deploy::apply::{Done, act};
use crate::deploy::plan::{Plan, Sources};

/// Brings `home`, whose lock is held, in line.
///
/// `deploy_state` is what was last deployed, and both it and `entries` are what is
/// now, afterwards.
pub async fn deploy(
    home: &Home,
    entries: &mut BTreeMap<RoleName, Entry>,
    deploy_state: &mut DeployState,
    sources: &Sources<'_>,
    running: Running,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Done, Error> {
    let plan = decide(home, entries, deploy_state, sources, interrupts, events).await?;
    let done = act(
        home,
        &plan,
        deploy_state,
        sources.how,
        running,
        interrupts,
        events,
    )
    .await?;
    *entries = plan.entries;
    Ok(done)
}

/// Decides what a deploy would do; an interrupt ends the deciding.
pub async fn decide(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
    deploy_state: &DeployState,
    sources: &Sources<'_>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Plan, Error> {
    events.phase(Phase::Plan);
    tokio::select! {
        plan = plan::plan(home, entries, deploy_state, sources, events) => {
            plan.map_err(Error::or_interrupted)
        }
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(what: &str, error: E) -> Error {
    Error::Deploy {
        what: what.to_owned(),
        source: Box::new(error),
    }
}
