//! Bringing a home in line with the manifest, the built executables and the
//! snapshot.
//!
//! [`plan`] decides everything first: roles, executables, materials, then
//! settings and input, which components validate before they are written.
//! [`apply`] acts: it stops the affected running roles, transfers the files,
//! and starts exactly those roles again. The deploy state is written last, so
//! that the next command repeats a deploy that was killed.

pub mod apply;
pub mod ask_component;
pub mod commit;
pub mod executables;
pub(crate) mod launch_state;
pub(crate) mod needs;
pub mod origin;
pub mod plan;
pub(crate) mod ports;
pub mod prepare;
pub mod preview;
pub mod resolve_settings;
pub mod restart_affected;
pub mod roles;
pub mod settings_context;
pub mod snapshot_layout;
pub mod source;

use std::collections::BTreeMap;

use crate::deploy::restart_affected::Running;
use crate::error::{DeployError, Error};
use crate::events::{Events, Phase};
use crate::home::Home;
use crate::home::deploy_state::DeployState;
use crate::home::role::Entry;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;

use crate::deploy::apply::{DeployOutcome, apply_plan};
use crate::deploy::plan::{Plan, Sources};

/// Deploys `sources` to `home`, whose lock the caller holds.
///
/// Updates `entries` and the deploy state to the state after the deploy.
pub async fn deploy(
    home: &Home,
    entries: &mut BTreeMap<RoleName, Entry>,
    deploy_state: &mut DeployState,
    sources: &Sources<'_>,
    running: Running,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<DeployOutcome, Error> {
    let plan = decide(home, entries, deploy_state, sources, interrupts, events).await?;
    let done = apply_plan(
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

/// Decides what a deploy would do. An interrupt cancels the planning.
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
    Error::Deploy(DeployError::Failed {
        what: what.to_owned(),
        source: Box::new(error),
    })
}
