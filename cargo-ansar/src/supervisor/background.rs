//! Lets a foreground command use roles that run in the background: waits until
//! they are ready, and finds those that failed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ansar_contract::envelope::Typed;
use jiff::Timestamp;
use serde_json::Value;

use crate::error::{EngineError, Error};
use crate::events::{Events, Kind, RoleEvent, RunEvent, Until};
use crate::home::Home;
use crate::home::role::Entry;
use crate::host::clock;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::outcome::{RoleOutcome, Success};
use crate::model::role_properties::READY_LIMIT;
use crate::model::role_properties::RoleProperties;
use crate::protocol::{RequestKind, State};
use crate::supervisor::background_start::{EngineTarget, StartOptions, start_roles};
use crate::supervisor::client;
use crate::supervisor::client::{Engines, Next, Progress, ask, find_engines};

/// Roles that run in the background and are ready.
#[derive(Debug)]
pub(crate) struct BackgroundRoles {
    /// Names of the roles.
    pub roles: BTreeSet<RoleName>,
    /// Names of roles that were started and have succeeded meanwhile.
    pub finished: BTreeSet<RoleName>,
    engines: Vec<u32>,
    since: Timestamp,
}

/// Waits until those of `roles` that run in the background are ready, and
/// returns them. Roles that end meanwhile are not included.
///
/// If an engine is attached to this command, roles that do not run are started in
/// it first, and keep running after the test.
///
/// # Errors
///
/// Returns an error when the roles have taken longer than they may, or when
/// interrupted.
pub(crate) async fn wait_ready<'r>(
    home: &Home,
    roles: impl Iterator<Item = (&'r RoleName, &'r Entry)> + Clone,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<BackgroundRoles, Error> {
    let limit = limit(roles.clone().map(|(_, entry)| &*entry.properties));
    let roles: BTreeSet<&RoleName> = roles.map(|(role, _)| role).collect();
    let since = clock::now();
    let waiting = async {
        let mut finished = BTreeSet::new();
        let mut engines = find_engines(home, events).await?;
        if let Some(own) = engines.own() {
            finished = start_idle(home, own, &engines, &roles, events).await?;
            engines = find_engines(home, events).await?;
        }
        let waited = kept_roles(&engines, &roles);
        if waited.is_empty() {
            return Ok((Vec::new(), finished));
        }
        let awaited = report_awaited(&engines, &roles, events);
        for (engine, waited) in waited {
            let order = RequestKind::Wait {
                roles: waited.into_iter().collect(),
                until: Until::Ready,
            };
            let tell = |progress| tell_ready(progress, &awaited, events);
            ask(home, engine, order, tell).await?;
        }
        // Some roles may have ended meanwhile.
        Ok((
            kept_roles(&find_engines(home, events).await?, &roles),
            finished,
        ))
    };
    tokio::select! {
        background = tokio::time::timeout(limit, waiting) => match background {
            Ok(kept) => kept.map(|(kept, finished)| BackgroundRoles {
                finished,
                engines: kept.iter().map(|(engine, _)| *engine).collect(),
                roles: kept.into_iter().flat_map(|(_, roles)| roles).collect(),
                since,
            }),
            Err(_) => {
                let engines = find_engines(home, events).await?;
                let running = engines.roles().into_iter();
                let late = running.filter(|(role, status)| {
                    roles.contains(role) && status.state != State::Ready
                });
                Err(Error::Engine(EngineError::TimedOut {
                    what: "be ready",
                    roles: late.map(|(role, _)| role.clone()).collect(),
                    limit,
                }))
            }
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// Emits the event that a role among `awaited` is ready, or that it is waited for.
fn tell_ready(progress: Progress, awaited: &BTreeSet<RoleName>, events: &Events) -> Next {
    match progress {
        Progress::Event(Kind::Role(RoleEvent::Ready { role })) if awaited.contains(&role) => {
            events.emit(RoleEvent::Ready { role });
        }
        Progress::Event(kind @ Kind::Run(RunEvent::Waiting { .. })) => events.emit(kind),
        _ => {}
    }
    Next::Listen
}

/// Emits an event for each of `roles` that runs and is not ready, and returns
/// these.
fn report_awaited(
    engines: &Engines,
    roles: &BTreeSet<&RoleName>,
    events: &Events,
) -> BTreeSet<RoleName> {
    let mut awaited = BTreeSet::new();
    for running in engines.answering.iter().filter(|it| it.is_kept()) {
        for status in &running.roles {
            if status.state != State::Ready && roles.contains(&status.role) {
                awaited.insert(status.role.clone());
                events.emit(RunEvent::Awaiting {
                    role: status.role.clone(),
                    why: status.unready.clone(),
                });
            }
        }
    }
    awaited
}

/// Starts those of `roles` that are not running, in `own`, the engine attached
/// to this command. They keep running after the command. Returns those that
/// have succeeded already.
async fn start_idle(
    home: &Home,
    own: u32,
    engines: &Engines,
    roles: &BTreeSet<&RoleName>,
    events: &Events,
) -> Result<BTreeSet<RoleName>, Error> {
    let mut finished = BTreeSet::new();
    let running = client::running(home, engines, roles.iter().copied())?;
    let running: BTreeSet<RoleName> = running.into_iter().map(|(role, _)| role).collect();
    let idle = roles.iter().filter(|role| !running.contains(**role));
    let idle: Vec<RoleName> = idle.map(|role| (*role).clone()).collect();
    let options = StartOptions::without_settle_time(EngineTarget::Attached(own));
    start_roles(home, &idle, options, events, |progress| {
        if let Progress::Event(kind) = progress {
            if let Kind::Role(RoleEvent::Ended { role, outcome }) = &kind {
                if outcome.success() == Success::Yes {
                    finished.insert(role.clone());
                }
            }
            events.emit(kind);
        }
        Next::Listen
    })
    .await?;
    Ok(finished)
}

/// Returns the longest time in which roles that start one after the other are
/// ready.
fn limit<'r>(roles: impl Iterator<Item = &'r RoleProperties>) -> Duration {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    let limits = roles.map(|properties| match properties.ready_timeout() {
        None if properties.ready.is_done() => YEAR,
        limit => limit.unwrap_or_default(),
    });
    let all = limits.fold(Duration::ZERO, Duration::saturating_add);
    all.clamp(READY_LIMIT, YEAR)
}

/// Returns the engines that keep running without this command, each with those
/// of `roles` that it runs.
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

/// Maximum time to wait, after a test failed, for the exit of a role that it
/// used.
const EXIT_LIMIT: Duration = Duration::from_millis(250);

impl BackgroundRoles {
    /// Returns no roles, for a run that uses none.
    pub(crate) fn none() -> Self {
        Self {
            roles: BTreeSet::new(),
            finished: BTreeSet::new(),
            engines: Vec::new(),
            since: clock::now(),
        }
    }

    /// Returns true if a role is ready, or has succeeded.
    pub(crate) fn has(&self, role: &RoleName) -> bool {
        self.roles.contains(role) || self.finished.contains(role)
    }

    /// Returns the roles that have failed since they were ready, each with its
    /// first failure. If a test has failed, waits briefly for exits that are in
    /// progress.
    pub(crate) async fn failed_since(
        &self,
        home: &Home,
        has_failed: bool,
    ) -> Result<Vec<(RoleName, RoleOutcome, Timestamp)>, Error> {
        let mut failed = BTreeMap::new();
        for &engine in self.engines.iter().filter(|_| has_failed) {
            let order = RequestKind::Wait {
                roles: self.roles.iter().cloned().collect(),
                until: Until::Stopped,
            };
            let answer = ask(home, engine, order, |progress| match progress {
                Progress::Event(Kind::Role(RoleEvent::Ended { role, outcome })) => {
                    if outcome.success() == Success::No {
                        failed.insert(role, (outcome, clock::now()));
                    }
                    Next::Leave
                }
                _ => Next::Listen,
            });
            // Roles that still run after this time have not failed.
            let _ = tokio::time::timeout(EXIT_LIMIT, answer).await;
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
                failed.insert(role.clone(), failure);
            }
        }
        let failed = failed.into_iter();
        Ok(failed
            .map(|(role, (outcome, at))| (role, outcome, at))
            .collect())
    }
}
