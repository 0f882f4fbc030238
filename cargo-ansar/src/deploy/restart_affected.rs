//! Stopping running roles for a change of the home, and restarting them.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::events::{DeployEvent, Events, Kind, RoleEvent};
use crate::home::restart_reason::Stopped;
use crate::home::{Home, HomeError};
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::model::name::RoleName;
use crate::model::outcome::Success;
use crate::protocol::Host;
use crate::supervisor::background_start::{EngineTarget, StartOptions, start_roles};
use crate::supervisor::client;
use crate::supervisor::client::{Engines, Next, Progress};

/// Treatment of running roles that a change affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// Fail with an error that names them.
    Refuse,
    /// Restart those in the background. Fail with an error that names those in
    /// a foreground command.
    Restore,
    /// Restart those in the background, and stop those in a foreground command.
    Stop,
}

impl Running {
    /// For commands that run the roles they affect.
    pub fn implied(force: bool) -> Self {
        if force { Self::Stop } else { Self::Restore }
    }

    /// For commands that only change the home.
    pub fn asked(force: bool) -> Self {
        if force { Self::Stop } else { Self::Refuse }
    }
}

/// Roles that were stopped and started again.
#[derive(Debug, Default)]
pub struct Restored {
    /// Roles that are ready again, or have finished.
    pub ready: Vec<RoleName>,
    /// Roles that were started and did not become ready.
    pub broken: Vec<RoleName>,
}

impl Restored {
    fn and(mut self, other: Self) -> Self {
        self.ready.extend(other.ready);
        self.broken.extend(other.broken);
        self
    }
}

/// Does `work` while `roles` are stopped. Calls `announce` once the roles are
/// known to allow it.
///
/// Stopped roles are started again even if the work fails or this command is
/// interrupted; a second interrupt ends it at once. Roles that a killed command
/// left stopped are started as well.
pub(crate) async fn restart_affected<'r, T>(
    home: &Home,
    roles: impl ExactSizeIterator<Item = &'r RoleName>,
    running: Running,
    interrupts: &mut Interrupts,
    events: &Events,
    announce: impl FnOnce(),
    work: impl FnOnce(&RunningRoles) -> Result<T, Error>,
) -> Result<(T, Restored), Error> {
    let mut down = home.stopped()?;
    let engines = if roles.len() == 0 && down.is_empty() {
        Engines::default()
    } else {
        client::find_engines(home, events).await?
    };
    let running_roles = RunningRoles::of(home, roles, &engines)?;
    running_roles.check(running)?;
    announce();

    let known = down.len();
    down.extend(running_roles.background.clone());
    if down.len() > known {
        // If this command is killed, the next one starts them again.
        home.set_stopped(&down)?;
    }
    let mut guard = FirstInterrupt {
        interrupts,
        interrupted: None,
    };
    let stopping = running_roles.stop(home, &engines, events);
    let worked = match (guard.wait(stopping).await?, guard.interrupted) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(interrupt)) => Err(Error::Interrupted(interrupt)),
        (Ok(()), None) => guard.after(work(&running_roles)),
    };
    if let Err(Error::Interrupted(Interrupt::Orphaned)) = worked {
        return worked.map(|worked| (worked, Restored::default()));
    }
    let mut restored: Result<Restored, Error> = Ok(Restored::default());
    let attached = running_roles.attached.iter();
    let attached = attached.map(|(engine, roles)| (roles, EngineTarget::Attached(*engine)));
    for (roles, place) in std::iter::once((&down, EngineTarget::Background)).chain(attached) {
        if !roles.is_empty() {
            // Tests that use the restarted roles notice a crash themselves, and
            // do not wait to rule one out.
            let how = match (running, place) {
                (Running::Restore, _) | (_, EngineTarget::Attached(_)) => {
                    StartOptions::without_settle_time(place)
                }
                (Running::Refuse | Running::Stop, EngineTarget::Background) => {
                    StartOptions::with_settle_time(place)
                }
            };
            let again = guard.wait(restore(home, roles, how, events)).await?;
            restored = restored.and_then(|restored| Ok(restored.and(again?)));
        }
    }
    // The error of the work says more than the state of the roles.
    let worked = worked?;
    match guard.interrupted {
        Some(interrupt) => Err(Error::Interrupted(interrupt)),
        None => Ok((worked, restored?)),
    }
}

/// The affected roles that run.
#[derive(Debug)]
pub(crate) struct RunningRoles {
    /// All of them, with their processes.
    all: Vec<(RoleName, String)>,
    /// Roles in the background, which are restarted.
    background: Stopped,
    /// Roles in engines attached to commands, which are restarted there.
    attached: BTreeMap<u32, Stopped>,
}

impl RunningRoles {
    fn of<'r>(
        home: &Home,
        roles: impl IntoIterator<Item = &'r RoleName>,
        engines: &Engines,
    ) -> Result<Self, Error> {
        let all = client::running(home, engines, roles)?;
        let (mut background, mut attached) = (Stopped::new(), BTreeMap::new());
        for running in engines.answering.iter().filter(|running| running.is_kept()) {
            let kept = match running.engine.host {
                Host::Background => &mut background,
                Host::Attached | Host::Foreground | Host::Agent => attached
                    .entry(running.engine.pid)
                    .or_insert_with(Stopped::new),
            };
            let roles = running.roles.iter();
            let roles = roles.filter(|status| all.iter().any(|(role, _)| *role == status.role));
            kept.extend(roles.map(|status| (status.role.clone(), status.options.clone())));
        }
        Ok(Self {
            all,
            background,
            attached,
        })
    }

    /// Returns true if the role will be restarted.
    pub(crate) fn will_restart(&self, role: &RoleName) -> bool {
        let mut attached = self.attached.values();
        self.background.contains_key(role) || attached.any(|roles| roles.contains_key(role))
    }

    fn check(&self, running: Running) -> Result<(), Error> {
        let mut running_roles = self.all.clone();
        match running {
            Running::Refuse => {}
            Running::Restore => running_roles.retain(|(role, _)| !self.will_restart(role)),
            Running::Stop => running_roles.clear(),
        }
        if running_roles.is_empty() {
            Ok(())
        } else {
            Err(HomeError::Running(running_roles).into())
        }
    }

    /// Returns true if the role is stopped for the change.
    pub(crate) fn contains(&self, role: &RoleName) -> bool {
        self.all.iter().any(|(other, _)| other == role)
    }

    async fn stop(&self, home: &Home, engines: &Engines, events: &Events) -> Result<(), Error> {
        if self.all.is_empty() {
            return Ok(());
        }
        let roles: Vec<RoleName> = self.all.iter().map(|(role, _)| role.clone()).collect();
        events.emit(DeployEvent::Suspending {
            roles: roles.clone(),
        });
        // Roles of an engine that does not answer are stopped only if `force`
        // was given.
        client::stop(home, engines, &roles, true, events).await?;
        Ok(())
    }
}

/// Waits for required steps in spite of a first interrupt; the second ends
/// them.
struct FirstInterrupt<'i> {
    interrupts: &'i mut Interrupts,
    interrupted: Option<Interrupt>,
}

impl FirstInterrupt<'_> {
    /// Records an interrupt that ended `worked`, so that only the next one ends
    /// the steps that follow.
    fn after<T>(&mut self, worked: Result<T, Error>) -> Result<T, Error> {
        let worked = worked.map_err(Error::or_interrupted);
        if let Err(Error::Interrupted(interrupt)) = worked {
            self.interrupts.acknowledge();
            self.interrupted = Some(interrupt);
        }
        worked
    }

    async fn wait<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Error> {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                what = &mut what => return Ok(what),
                interrupt = self.interrupts.next() => {
                    if interrupt == Interrupt::Superseded && self.interrupted.is_some() {
                        // The command already ends; this is not the user's
                        // second interrupt.
                        continue;
                    }
                    let first = self.interrupted.filter(|it| *it != Interrupt::Superseded);
                    if first.is_some() || interrupt == Interrupt::Orphaned {
                        return Err(Error::Interrupted(interrupt));
                    }
                    self.interrupted = Some(interrupt);
                }
            }
        }
    }
}

/// Starts roles that were stopped, unless they were deleted or run already.
async fn restore(
    home: &Home,
    down: &Stopped,
    how: StartOptions<'_>,
    events: &Events,
) -> Result<Restored, Error> {
    let place = how.target;
    let engines = client::find_engines(home, events).await?;
    if matches!(place, EngineTarget::Attached(engine) if !engines.has(engine)) {
        // Without the command that ran them, they are no longer needed.
        return Ok(Restored::default());
    }
    let running = client::running(home, &engines, down.keys())?;
    let mut roles = Vec::new();
    for role in down.keys() {
        let runs = running.iter().any(|(other, _)| other == role);
        if !runs && home.entry(role)?.is_some() {
            roles.push(role.clone());
        }
    }
    let how = StartOptions {
        options: Some(down),
        ..how
    };
    let mut broken = BTreeSet::new();
    start_roles(home, &roles, how, events, |told| {
        if let Progress::Event(kind) = told {
            match &kind {
                Kind::Role(RoleEvent::Ready { role }) => {
                    broken.remove(role);
                }
                Kind::Role(RoleEvent::Ended { role, outcome })
                    if outcome.success() == Success::No =>
                {
                    broken.insert(role.clone());
                }
                _ => {}
            }
            events.emit(kind);
        }
        Next::Listen
    })
    .await?;
    if place == EngineTarget::Background {
        home.set_stopped(&Stopped::new())?;
    }
    roles.retain(|role| !broken.contains(role));
    let restored = Restored {
        ready: roles,
        broken: broken.into_iter().collect(),
    };
    if !restored.ready.is_empty() {
        let roles = restored.ready.clone();
        events.emit(DeployEvent::Restored { roles });
    }
    if !restored.broken.is_empty() {
        let roles = restored.broken.clone();
        events.emit(DeployEvent::Unrestored { roles });
    }
    Ok(restored)
}
