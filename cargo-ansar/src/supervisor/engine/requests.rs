//! Handles requests of clients while the engine runs, and sends them events.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::events::{Event, Kind, Until};
use crate::host::process::usage::is_still_beginning;
use crate::host::{clock, environment};
use crate::model::name::RoleName;
use crate::protocol;
use crate::protocol::{Refusal, RefusalKind, Reply, RequestKind, RoleStatus, Start, State};
use crate::supervisor::engine::{Engine, Role};
use crate::supervisor::scheduler::{Input, Phase};
use crate::supervisor::server::Order;

/// Maximum extension of the settle time of a role that has hardly run yet.
const LONGEST_BEGINNING: Duration = Duration::from_secs(10);
/// Interval of checks in this extension.
const RECHECK: Duration = Duration::from_millis(20);

/// A client that waits for roles and receives their events.
pub(crate) struct Watch {
    members: BTreeSet<usize>,
    until: Until,
    /// Time until which a role in a restart loop may become ready.
    give_up_at: Option<Instant>,
    /// Time that a role which does not announce its readiness must survive.
    settle_time: Duration,
    replies: Sender<Reply>,
    /// True if an event was dropped because the client did not read.
    missed: Cell<bool>,
}

impl Watch {
    pub(crate) fn concerns(&self, member: usize) -> bool {
        self.members.contains(&member)
    }

    /// Returns the time of the next check of a ready role that does not count
    /// as started yet.
    fn next_check(&self, role: &Role, now: Instant) -> Option<Instant> {
        let since = role.unannounced.get()?;
        let at = since.checked_add(self.settle_time)?;
        let is_waited_for = !self.settle_time.is_zero();
        is_waited_for.then(|| if now < at { at } else { now + RECHECK })
    }

    /// Returns the time of the next check if a ready role does not count as
    /// started yet: without an announcement, it may still crash. The settle
    /// time is extended while the process has got too little CPU time.
    fn settled_at(&self, role: &Role, now: Instant) -> Option<Instant> {
        if self.settle_time.is_zero() {
            return None;
        }
        let since = role.unannounced.get()?;
        let at = since.checked_add(self.settle_time)?;
        if now < at {
            return Some(at);
        }
        let is_beginning = now < at + LONGEST_BEGINNING
            && role
                .group
                .is_some_and(|pid| is_still_beginning(pid, self.settle_time));
        if is_beginning {
            return Some(now + RECHECK);
        }
        // The role counts as started from now on.
        role.unannounced.set(None);
        None
    }

    pub(crate) fn among(&self, members: &[usize]) -> Vec<usize> {
        let members = members.iter().copied();
        members.filter(|&member| self.concerns(member)).collect()
    }

    pub(crate) fn send(&self, event: impl Into<Kind>) {
        let (at, kind) = (clock::now(), event.into());
        let sent = self.replies.try_send(Reply::Event(Event { at, kind }));
        // A client that has disconnected is ignored.
        if let Err(TrySendError::Full(_)) = sent {
            self.missed.set(true);
        }
    }
}

impl Engine<'_> {
    /// Executes a request, or begins to.
    pub(crate) fn order(&mut self, order: Order) {
        let Order { ask, replies } = order;
        match ask {
            RequestKind::Status => {
                let _ = replies.try_send(self.status());
            }
            RequestKind::Start(start) => match self.start_roles(&start) {
                Ok(members) => {
                    let _ = replies.try_send(Reply::Accepted);
                    let own = members.iter();
                    let own = own.filter_map(|&member| self.roles[member].ready_limit);
                    let limit = own.fold(start.longest_ready_limit(), Duration::max);
                    self.watches.push(Watch {
                        members,
                        until: Until::Ready,
                        give_up_at: Some(clock::instant() + limit),
                        settle_time: start.settle_time(),
                        replies,
                        missed: Cell::new(false),
                    });
                    self.feed(Input::Tick);
                }
                Err(refusal) => {
                    if self.roles.is_empty() && self.host == protocol::Host::Background {
                        // No other client needs this engine; the next one
                        // starts another.
                        self.unused = Some(clock::instant());
                    }
                    let _ = replies.try_send(Reply::Refused(refusal));
                }
            },
            RequestKind::Stop { roles } => {
                let members = self.running(&roles);
                self.watch(members.iter().copied().collect(), Until::Stopped, replies);
                self.feed(Input::StopSome(members));
            }
            RequestKind::Wait { roles, until } => {
                let members = self.running(&roles);
                self.watch(members.into_iter().collect(), until, replies);
            }
        }
    }

    /// Answers the clients whose condition is met, and removes them.
    pub(crate) fn answer_watches(&mut self) {
        if self.watches.is_empty() {
            return;
        }
        let (group, roles, now) = (&self.scheduler, &self.roles, clock::instant());
        self.watches.retain(|watch| {
            let gave_up = watch.give_up_at.is_some_and(|give_up_at| now >= give_up_at);
            let there = |member: &usize| match (watch.until, group.phase(*member)) {
                (_, Phase::Ended) => true,
                (Until::Ready, Phase::Ready) => watch.settled_at(&roles[*member], now).is_none(),
                (_, Phase::Stopping) => group.is_unkillable(*member),
                (Until::Ready, Phase::BackingOff) => gave_up,
                _ => false,
            };
            // Checks all members, without short circuit, to update their state.
            let done = watch
                .members
                .iter()
                .map(there)
                .fold(true, |all, it| all & it);
            if done {
                let _ = watch.replies.try_send(Reply::Done);
            }
            !done && !watch.missed.get() && !watch.replies.is_closed()
        });
    }

    /// Returns the time of the next check of a ready role that a client waits
    /// for.
    pub(crate) fn settled_at(&self) -> Option<Instant> {
        let now = clock::instant();
        let ready = self
            .watches
            .iter()
            .filter(|watch| watch.until == Until::Ready);
        let times = ready.flat_map(|watch| {
            let members = watch.members.iter();
            let members = members.filter(|&&member| self.scheduler.phase(member) == Phase::Ready);
            members.filter_map(|&member| watch.next_check(&self.roles[member], now))
        });
        times.min()
    }

    fn watch(&mut self, members: BTreeSet<usize>, until: Until, replies: Sender<Reply>) {
        self.watches.push(Watch {
            members,
            until,
            give_up_at: None,
            settle_time: Duration::ZERO,
            replies,
            missed: Cell::new(false),
        });
    }

    fn start_roles(&mut self, start: &Start) -> Result<BTreeSet<usize>, Refusal> {
        if self.interrupted.is_some() || self.exhaustion.is_some() {
            return Err(Refusal {
                why: Some(RefusalKind::Ending),
                ..Refusal::from("this engine is stopping".to_owned())
            });
        }
        let running = self.by_name.values();
        let running = running.filter(|&&member| self.runs(member)).count();
        let Some(launcher) = &mut self.launcher else {
            return Err("an engine in the foreground accepts no new roles"
                .to_owned()
                .into());
        };
        let comers = launcher(start, running)?;
        Ok(self.admit(comers).into_iter().collect())
    }

    /// Returns those of `roles` that run in this engine.
    fn running(&self, roles: &[RoleName]) -> Vec<usize> {
        let members = roles.iter().filter_map(|role| self.by_name.get(role));
        members
            .copied()
            .filter(|&member| self.runs(member))
            .collect()
    }

    fn status(&mut self) -> Reply {
        let running = self.by_name.values().copied();
        let running: Vec<usize> = running.filter(|&member| self.runs(member)).collect();
        let roles = running.into_iter().map(|member| {
            let phase = self.scheduler.phase(member);
            let unready = (phase == Phase::Starting).then(|| self.unready(member));
            status(&self.roles[member], phase, unready.flatten())
        });
        let roles = roles.collect();
        Reply::Status {
            engine: protocol::Engine {
                pid: environment::pid(),
                guardian: self.guardian,
                host: self.host,
            },
            roles,
        }
    }
}

fn status(role: &Role, phase: Phase, unready: Option<String>) -> RoleStatus {
    let retrying = role.retry_at.is_some_and(|at| clock::now() < at);
    RoleStatus {
        role: role.name.clone(),
        executable: role.executable.clone(),
        pid: role.group,
        since: role.since,
        state: match phase {
            Phase::Stopping => State::Stopping,
            Phase::BackingOff => State::Restarting,
            _ if retrying => State::Retrying,
            Phase::Waiting | Phase::Ended => State::Waiting,
            Phase::Starting => State::Starting,
            Phase::Ready => State::Ready,
        },
        attempt: role.attempts.unwrap_or(1),
        restarts: role.restarts.0,
        lost: role.lost.get(),
        unkillable: role.unkillable.clone(),
        unready,
        unhealthy: role.unhealthy.clone(),
        options: role.options.clone(),
    }
}
