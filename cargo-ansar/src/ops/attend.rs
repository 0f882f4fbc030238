//! Roles in the background that a command in the foreground works against: they
//! are waited for, left as they are, and missed where they fall.

use std::collections::BTreeSet;

use ansar_runtime::contract::message::Typed;
use jiff::Timestamp;
use serde_json::Value;

use super::Error;
use super::background::{Place, bring_up};
use super::engines::{self, Engines, Next, Told, ask, look};
use crate::event::{Events, Until};
use crate::home::Home;
use crate::host::clock;
use crate::host::interrupts::Interrupts;
use crate::model::ending::{Ending, Success};
use crate::model::name::RoleName;
use crate::protocol::Ask;
use crate::supervise::group::READY_LIMIT;

/// Roles that run in the background, and can be used.
#[derive(Debug)]
pub(super) struct Attended {
    /// Their names.
    pub roles: BTreeSet<RoleName>,
    since: Timestamp,
}

/// Those of `roles` that run in the background, once each of them can be used.
/// One that ends before is none of them.
pub(super) async fn attend<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Attended, Error> {
    let roles: BTreeSet<&RoleName> = roles.into_iter().collect();
    let since = clock::now();
    let attending = async {
        let engines = look(home, events).await?;
        if engines.own().is_some() {
            keep_up(home, &engines, &roles, events).await?;
        }
        for (engine, waited) in there(&look(home, events).await?, &roles) {
            let order = Ask::Wait {
                roles: waited.into_iter().collect(),
                until: Until::Ready,
            };
            ask(home, engine, order, |_| Next::Listen).await?;
        }
        // Whoever has ended meanwhile is not there any more.
        let there = there(&look(home, events).await?, &roles);
        Ok(there.into_iter().flat_map(|(_, roles)| roles).collect())
    };
    tokio::select! {
        attended = tokio::time::timeout(READY_LIMIT, attending) => match attended {
            Ok(roles) => roles.map(|roles| Attended { roles, since }),
            Err(_) => Err(Error::TimedOut { what: "ready", limit: READY_LIMIT }),
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// Has those of `roles` that run nowhere started in the engine that is attached
/// to this very command, where they stay up.
async fn keep_up(
    home: &Home,
    engines: &Engines,
    roles: &BTreeSet<&RoleName>,
    events: &Events,
) -> Result<(), Error> {
    let running = engines::running(home, engines, roles.iter().copied())?;
    let running: BTreeSet<RoleName> = running.into_iter().map(|(role, _)| role).collect();
    let idle = roles.iter().filter(|role| !running.contains(**role));
    let idle: Vec<RoleName> = idle.map(|role| (*role).clone()).collect();
    bring_up(home, &idle, Place::Own, READY_LIMIT, events, |told| {
        if let Told::Happened(kind) = told {
            events.emit(kind);
        }
        Next::Listen
    })
    .await
}

/// The engines whose roles go on meanwhile, and those of `roles` that each of
/// them runs.
fn there(engines: &Engines, roles: &BTreeSet<&RoleName>) -> Vec<(u32, BTreeSet<RoleName>)> {
    let kept = engines.answering.iter().filter(|running| running.is_kept());
    kept.map(|running| {
        let own = running.roles.iter().map(|status| &status.role);
        let own = own.filter(|role| roles.contains(role)).cloned();
        (running.engine.pid, own.collect())
    })
    .filter(|(_, own): &(u32, BTreeSet<RoleName>)| !own.is_empty())
    .collect()
}

impl Attended {
    /// Those that did not last, each with its first failure.
    pub(super) fn fallen(&self, home: &Home) -> Result<Vec<(RoleName, Ending, Timestamp)>, Error> {
        let mut fallen = Vec::new();
        for role in &self.roles {
            let runs = home.history(role)?.runs.into_iter();
            let mut ends = runs.filter_map(|run| run.end);
            let failure = ends.find_map(|end| {
                let ending = Ending {
                    result: end.result.unwrap_or(Typed {
                        name: end.name,
                        body: Value::Null,
                    }),
                    cause: end.cause.into(),
                };
                let failed = end.at >= self.since && ending.success() == Success::No;
                failed.then_some((ending, end.at))
            });
            fallen.extend(failure.map(|(ending, at)| (role.clone(), ending, at)));
        }
        Ok(fallen)
    }
}
