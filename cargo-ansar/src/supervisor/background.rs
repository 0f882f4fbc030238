//! Roles in the background that a command in the foreground works against: they
//! are waited for, left as they are, and missed where they fall.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ansar_contract::envelope::Typed;
use jiff::Timestamp;
use serde_json::Value;

use crate::error::Error;
use crate::events::{Events, Kind, Until};
use crate::home::Home;
use crate::host::clock;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::outcome::{RoleOutcome, Success};
use crate::protocol::Ask;
use crate::supervisor::background_start::{EngineTarget, StartOptions, start_roles};
use crate::supervisor::client;
use crate::supervisor::client::{Engines, Next, Progress, ask, find_engines};
use crate::supervisor::scheduler::READY_LIMIT;

/// Roles that run in the background, and can be used.
#[derive(Debug)]
pub(crate) struct BackgroundRoles {
    /// Their names.
    pub roles: BTreeSet<RoleName>,
    engines: Vec<u32>,
    since: Timestamp,
}

/// Those of `roles` that run in the background, once each of them can be used.
/// One that ends before is none of them.
pub(crate) async fn wait_ready<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<BackgroundRoles, Error> {
    let roles: BTreeSet<&RoleName> = roles.into_iter().collect();
    let since = clock::now();
    let attending = async {
        let mut engines = find_engines(home, events).await?;
        if let Some(own) = engines.own() {
            start_idle(home, own, &engines, &roles, events).await?;
            engines = find_engines(home, events).await?;
        }
        let waited = kept_roles(&engines, &roles);
        if waited.is_empty() {
            return Ok(Vec::new());
        }
        for (engine, waited) in waited {
            let order = Ask::Wait {
                roles: waited.into_iter().collect(),
                until: Until::Ready,
            };
            ask(home, engine, order, |_| Next::Listen).await?;
        }
        // Whoever has ended meanwhile is not there any more.
        Ok(kept_roles(&find_engines(home, events).await?, &roles))
    };
    tokio::select! {
        background = tokio::time::timeout(READY_LIMIT, attending) => match background {
            Ok(there) => there.map(|there| BackgroundRoles {
                engines: there.iter().map(|(engine, _)| *engine).collect(),
                roles: there.into_iter().flat_map(|(_, roles)| roles).collect(),
                since,
            }),
            Err(_) => Err(Error::TimedOut { what: "ready", limit: READY_LIMIT }),
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// Has those of `roles` that run nowhere started in `own`, the engine that is
/// attached to this very command, where they stay up.
async fn start_idle(
    home: &Home,
    own: u32,
    engines: &Engines,
    roles: &BTreeSet<&RoleName>,
    events: &Events,
) -> Result<(), Error> {
    let running = client::running(home, engines, roles.iter().copied())?;
    let running: BTreeSet<RoleName> = running.into_iter().map(|(role, _)| role).collect();
    let idle = roles.iter().filter(|role| !running.contains(**role));
    let idle: Vec<RoleName> = idle.map(|role| (*role).clone()).collect();
    let how = StartOptions::without_settle_time(EngineTarget::Attached(own));
    start_roles(home, &idle, how, events, |told| {
        if let Progress::Event(kind) = told {
            events.emit(kind);
        }
        Next::Listen
    })
    .await
}

/// The engines whose roles go on meanwhile, and those of `roles` that each of
/// them runs.
fn kept_roles(engines: &Engines, roles: &BTreeSet<&RoleName>) -> Vec<(u32, BTreeSet<RoleName>)> {
    let kept = engines.answering.iter().filter(|running| running.is_kept());
    kept.map(|running| {
        let own = running.roles.iter().map(|status| &status.role);
        let own = own.filter(|role| roles.contains(role)).cloned();
        (running.engine.pid, own.collect())
    })
    .filter(|(_, own): &(u32, BTreeSet<RoleName>)| !own.is_empty())
    .collect()
}

/// How long the end of a role may take to be known where a test has failed of
/// it.
const EXIT_LIMIT: Duration = Duration::from_millis(250);

impl BackgroundRoles {
    /// Those that did not last, each with its first failure. Where a test has
    /// failed, an end that is under way is waited for, a little.
    pub(crate) async fn failed_since(
        &self,
        home: &Home,
        has_failed: bool,
    ) -> Result<Vec<(RoleName, RoleOutcome, Timestamp)>, Error> {
        let mut fallen = BTreeMap::new();
        for &engine in self.engines.iter().filter(|_| has_failed) {
            let order = Ask::Wait {
                roles: self.roles.iter().cloned().collect(),
                until: Until::Stopped,
            };
            let hear = ask(home, engine, order, |told| match told {
                Progress::Event(Kind::Ended { role, outcome }) => {
                    if outcome.success() == Success::No {
                        fallen.insert(role, (outcome, clock::now()));
                    }
                    Next::Leave
                }
                _ => Next::Listen,
            });
            // It has its time; who is there then has lasted.
            let _ = tokio::time::timeout(EXIT_LIMIT, hear).await;
        }
        for role in &self.roles {
            let runs = home.history(role)?.runs.into_iter();
            let mut ends = runs.filter_map(|run| run.end);
            let failure = ends.find_map(|end| {
                let outcome = RoleOutcome {
                    result: end.result.unwrap_or(Typed {
                        name: end.name,
                        body: Value::Null,
                    }),
                    cause: end.cause.into(),
                };
                let failed = end.at >= self.since && outcome.success() == Success::No;
                failed.then_some((outcome, end.at))
            });
            if let Some(failure) = failure {
                fallen.insert(role.clone(), failure);
            }
        }
        let fallen = fallen.into_iter();
        Ok(fallen
            .map(|(role, (outcome, at))| (role, outcome, at))
            .collect())
    }
}
