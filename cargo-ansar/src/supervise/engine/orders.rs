//! What is asked of the engine while it runs, and who is told what comes of it.

use std::collections::BTreeSet;

use tokio::sync::mpsc::UnboundedSender;

use super::{Engine, Role};
use crate::event::{Event, Kind, Until};
use crate::host::{clock, environment};
use crate::model::name::RoleName;
use crate::protocol::{self, Ask, Reply, RoleStatus, Start, State};
use crate::supervise::group::{Input, Phase};
use crate::supervise::service::Order;

/// Somebody who waits for roles, and is told what happens to them.
pub(super) struct Watch {
    members: BTreeSet<usize>,
    until: Until,
    tell: UnboundedSender<Reply>,
}

impl Watch {
    pub(super) fn concerns(&self, member: usize) -> bool {
        self.members.contains(&member)
    }

    pub(super) fn among(&self, members: &[usize]) -> Vec<usize> {
        let members = members.iter().copied();
        members.filter(|&member| self.concerns(member)).collect()
    }

    pub(super) fn tell(&self, kind: Kind) {
        let at = clock::now();
        // Somebody who has left need not be told.
        let _ = self.tell.send(Reply::Event(Event { at, kind }));
    }
}

impl Engine<'_> {
    /// Does what is asked, or begins to.
    pub(super) fn order(&mut self, order: Order) {
        let Order { ask, tell } = order;
        match ask {
            Ask::Status => {
                let _ = tell.send(self.status());
            }
            Ask::Start(start) => match self.start_roles(&start) {
                Ok(members) => {
                    let _ = tell.send(Reply::Accepted);
                    self.watch(members, Until::Ready, tell);
                    self.feed(Input::Tick);
                }
                Err(reason) => {
                    let _ = tell.send(Reply::Refused { reason });
                }
            },
            Ask::Stop { roles } => {
                let members = self.running(&roles);
                self.watch(members.iter().copied().collect(), Until::Stopped, tell);
                self.feed(Input::StopSome(members));
            }
            Ask::Wait { roles, until } => {
                let members = self.running(&roles);
                self.watch(members.into_iter().collect(), until, tell);
            }
        }
    }

    /// Tells those who waited that what they waited for has come.
    pub(super) fn settle(&mut self) {
        if self.watches.is_empty() {
            return;
        }
        let group = &self.group;
        self.watches.retain(|watch| {
            let there = |member: &usize| match watch.until {
                Until::Stopped => group.phase(*member) == Phase::Ended,
                Until::Ready => matches!(group.phase(*member), Phase::Ready | Phase::Ended),
            };
            let done = watch.members.iter().all(there);
            if done {
                let _ = watch.tell.send(Reply::Done);
            }
            !done && !watch.tell.is_closed()
        });
    }

    fn watch(&mut self, members: BTreeSet<usize>, until: Until, tell: UnboundedSender<Reply>) {
        self.watches.push(Watch {
            members,
            until,
            tell,
        });
    }

    fn start_roles(&mut self, start: &Start) -> Result<BTreeSet<usize>, String> {
        if self.interrupted.is_some() || self.no_more.is_some() {
            return Err("everything here is being stopped".to_owned());
        }
        let Some(launcher) = &mut self.launcher else {
            return Err("a command in the foreground takes no more roles".to_owned());
        };
        let comers = launcher(start)?;
        Ok(self.admit(comers).into_iter().collect())
    }

    /// Those of `roles` that run here.
    fn running(&self, roles: &[RoleName]) -> Vec<usize> {
        let members = roles.iter().filter_map(|role| self.by_name.get(role));
        members
            .copied()
            .filter(|&member| self.runs(member))
            .collect()
    }

    fn status(&self) -> Reply {
        let running = self.by_name.values();
        let running = running.filter(|&&member| self.runs(member));
        Reply::Status {
            engine: protocol::Engine {
                pid: environment::pid(),
                guardian: environment::parent(),
                host: self.host,
            },
            roles: running
                .map(|&member| status(&self.roles[member], self.group.phase(member)))
                .collect(),
        }
    }
}

fn status(role: &Role, phase: Phase) -> RoleStatus {
    let retrying = role.retry_at.is_some_and(|at| clock::now() < at);
    RoleStatus {
        role: role.name.clone(),
        executable: role.executable.clone(),
        pid: role.group,
        since: role.since,
        state: match phase {
            Phase::Stopping => State::Stopping,
            Phase::Resting => State::Restarting,
            _ if retrying => State::Retrying,
            Phase::Waiting | Phase::Ended => State::Waiting,
            Phase::Starting => State::Starting,
            Phase::Ready => State::Ready,
        },
        attempt: role.attempts.unwrap_or(1),
        restarts: role.restarts.0,
        lost: role.lost.get(),
    }
}
