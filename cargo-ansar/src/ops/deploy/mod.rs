//! Brings a home in line with what is described, what was built, and the
//! snapshot of materials.
//!
//! First everything is decided ([`plan`]): roles, executables, materials, then
//! settings and input, which components check by what is about to be put in
//! place. Then it is done ([`act`]): the running roles that it affects are
//! stopped, everything is transferred, and exactly those are started again. What
//! was deployed is remembered at the end; a deploy that is killed in between is
//! done again.

pub mod act;
mod built;
pub mod command;
pub mod describe;
pub mod folder;
pub mod lines;
mod origin;
pub mod plan;

use std::collections::BTreeMap;

use super::Error;
use super::suspend::Running;
use crate::event::{Events, Phase};
use crate::home::Home;
use crate::home::entry::Entry;
use crate::home::ledger::Ledger;
use crate::host::interrupts::Interrupts;
use crate::model::name::RoleName;

use self::act::{Done, act};
use self::plan::{Plan, Sources};

/// Brings `home`, whose lock is held, in line.
///
/// `ledger` is what was last deployed, and both it and `entries` are what is
/// now, afterwards.
pub async fn deploy(
    home: &Home,
    entries: &mut BTreeMap<RoleName, Entry>,
    ledger: &mut Ledger,
    sources: &Sources<'_>,
    running: Running,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Done, Error> {
    let plan = decide(home, entries, ledger, sources, interrupts, events).await?;
    let done = act(
        home,
        &plan,
        ledger,
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
    ledger: &Ledger,
    sources: &Sources<'_>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Plan, Error> {
    events.phase(Phase::Plan);
    tokio::select! {
        plan = plan::plan(home, entries, ledger, sources, events) => {
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
