//! Finds out when roles are ready, and if they stay healthy.
//!
//! [`schedule`] and [`health`] decide when to look and what follows from the
//! answers, without a clock. [`Readiness`] looks: at listening sockets and
//! files at once, with one list of sockets for all roles; at servers and
//! commands in tasks of their own. Lines come from the capture of output, and
//! announcements from the engine.

mod ask;
mod check;
mod health;
mod lines;
mod listening;
mod schedule;
mod watched;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::host::net::own_network::Network;
use crate::host::net::sockets::Sockets;
use crate::host::process::Program;
use crate::model::readiness::{Health, Probe};
use crate::supervisor::readiness::check::{Check, Question};
pub use crate::supervisor::readiness::lines::Lines;
use crate::supervisor::readiness::listening::{Listeners, Processes};
pub use crate::supervisor::readiness::watched::{Checks, ProbeAnswer};
use crate::supervisor::readiness::watched::{HealthCheck, ReadinessChange, Source, Watched};

/// Time between two looks at the sockets of roles that are ready.
const SOCKETS_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at sockets for each role that waits for one, so that
/// many roles cause fewer looks; and the most for all of them.
const SHARE: Duration = Duration::from_micros(20);
const LARGEST_SHARE: Duration = Duration::from_millis(12);

/// The conditions of one start of a role.
#[derive(Debug)]
pub struct Conditions<'a> {
    /// The probes that decide when the role is ready, all of them; empty if the
    /// role announces it.
    pub probes: &'a [Probe<String>],
    /// The probe that is repeated afterwards.
    pub health: Option<&'a Health<String>>,
    /// The address on which the role is expected to listen.
    pub port: Option<SocketAddrV4>,
    /// The network of the role; that of the system if unset.
    pub network: Option<&'a Rc<Network>>,
    /// The program of the role. Commands get its environment and folder.
    pub program: &'a Program,
}

/// A change of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is ready.
    Ready(usize),
    /// It is unhealthy, for this reason.
    Unhealthy(usize, String),
    /// It is healthy again.
    Healthy(usize),
}

/// Returns the processes of a member that are not below its main process.
pub type Others<'a> = &'a dyn Fn(usize) -> Vec<u32>;

/// Looks at the members of an engine.
#[derive(Debug)]
pub struct Readiness {
    members: BTreeMap<usize, Watched>,
    /// Opened at the first use; `None` if the system has no list of sockets.
    sockets: OnceCell<Option<Sockets>>,
    /// The sockets of the network of the home, if a role is in it.
    in_network: Option<(Rc<Network>, Sockets)>,
    /// The time of the last look at sockets for readiness.
    looked_at: Option<Instant>,
    /// The time of the next look at the sockets of members that are ready.
    sockets_at: Option<Instant>,
    wake_at: Option<Instant>,
    heard: mpsc::UnboundedSender<ProbeAnswer>,
    starts: u64,
}

impl Readiness {
    /// Returns a value that watches no member, and the channel of answers that
    /// must be passed to [`take`](Self::take).
    pub fn new() -> (Self, mpsc::UnboundedReceiver<ProbeAnswer>) {
        let (heard, received) = mpsc::unbounded_channel();
        let readiness = Self {
            members: BTreeMap::new(),
            sockets: OnceCell::new(),
            in_network: None,
            looked_at: None,
            sockets_at: None,
            wake_at: None,
            heard,
            starts: 0,
        };
        (readiness, received)
    }

    /// Checks the conditions of a start, before it. Returns the reason if one
    /// is not valid.
    pub fn check(&mut self, conditions: &Conditions<'_>) -> Result<Checks, String> {
        if let Some(network) = conditions.network {
            self.list_in(network).map_err(|error| error.to_string())?;
        }
        let mut check = |probe| {
            let check = Check::of(probe, conditions)?;
            Ok(match check {
                Check::Listen(address) if self.sockets().is_none() => {
                    Check::Ask(Rc::new(Question::Tcp(address.to_string())))
                }
                check => check,
            })
        };
        let probes = conditions.probes.iter().map(&mut check);
        let probes: Result<_, String> = probes.collect();
        let probes = probes.map_err(|why| format!("`ready`: {why}"))?;
        let health = conditions.health.map(|health| {
            Ok(HealthCheck {
                check: check(&health.probe)?,
                every: health.every,
                failures: health.failures,
            })
        });
        let health: Result<_, String> = health.transpose();
        let health = health.map_err(|why| format!("`health`: {why}"))?;
        let port = conditions.port.map(SocketAddr::V4);
        Ok(Checks {
            probes,
            health,
            port: port.filter(|_| self.sockets().is_some()),
            network: conditions.network.cloned(),
        })
    }

    /// Watches a start of a member with this main process, instead of an
    /// earlier start. A member with a log probe must pass each line to the
    /// value that is returned.
    pub fn watch(
        &mut self,
        member: usize,
        main: u32,
        checks: Checks,
        now: Instant,
    ) -> Option<Rc<Lines>> {
        if checks.is_empty() {
            self.forget(member);
            return None;
        }
        self.starts += 1;
        let source = Source {
            member,
            start: self.starts,
            heard: self.heard.clone(),
            network: checks.network.clone(),
        };
        let watched = Watched::new(checks, main, source, now);
        let lines = watched.lines();
        self.members.insert(member, watched);
        self.plan();
        lines
    }

    /// Returns true if probes decide that a member is ready.
    pub fn has_probes(&self, member: usize) -> bool {
        let watched = self.members.get(&member);
        watched.is_some_and(Watched::has_probes)
    }

    /// Ends every look at a member.
    pub fn forget(&mut self, member: usize) {
        if self.members.remove(&member).is_some() {
            let has_sockets = self.members.values().any(Watched::has_sockets);
            self.sockets_at = self.sockets_at.filter(|_| has_sockets);
            self.plan();
        }
    }

    /// Returns the time at which to call [`look`](Self::look).
    pub fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    /// Looks at everything that is due.
    pub fn look(&mut self, now: Instant, others: Others<'_>) -> Vec<Change> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let for_readiness = is_due(self.sockets_due());
        let for_sockets = is_due(self.sockets_at);
        let mut members = self.members.values();
        let is_needed =
            for_readiness || for_sockets || members.any(|it| it.health_needs_sockets(now));
        let listeners = if is_needed { self.listeners() } else { None };
        let listeners = listeners
            .as_ref()
            .map(|it| it.as_ref().map_err(String::as_str));
        if for_readiness {
            self.looked_at = Some(now);
        }
        let mut changes = Vec::new();
        for (&member, watched) in &mut self.members {
            let others = || others(member);
            let processes = Processes {
                main: watched.main,
                in_network: watched.in_network(),
                others: &others,
            };
            let mut turned = Vec::new();
            if let (true, Some(Ok(listeners))) = (for_sockets, listeners) {
                turned.extend(watched.look_at_sockets(listeners, &processes, now));
            }
            if let (true, Some(listeners)) = (for_readiness, listeners) {
                watched.look_for_sockets(listeners, &processes, now);
            }
            turned.extend(watched.look(listeners, &processes, now));
            let is_ready = watched.becomes_ready(now);
            turned.extend(is_ready.then_some(ReadinessChange::Ready));
            changes.extend(turned.into_iter().map(|turned| change(member, turned)));
        }
        if for_sockets {
            self.sockets_at = None;
        }
        self.plan_sockets(now);
        self.plan();
        changes
    }

    /// Takes an answer from the channel.
    pub fn take(&mut self, heard: ProbeAnswer, now: Instant) -> Vec<Change> {
        let member = heard.member;
        let start = heard.start;
        self.update(member, now, |watched| {
            let is_current = watched.start() == start;
            is_current.then(|| watched.take(heard, now)).flatten()
        })
    }

    /// Takes the announcement of a member that it is ready, which one of its
    /// probes may wait for.
    pub fn announced(&mut self, member: usize, now: Instant) -> Vec<Change> {
        self.update(member, now, |watched| {
            watched.announced(now);
            None
        })
    }

    /// Begins to watch the health of a member that is ready, but not by its
    /// probes.
    pub fn ready(&mut self, member: usize, now: Instant) {
        self.update(member, now, |watched| {
            watched.ready(now);
            None
        });
    }

    /// Returns the reasons why a member is not ready, in one line; `None` if no
    /// probe says so.
    pub fn explain(&mut self, member: usize, others: Others<'_>) -> Option<String> {
        let listeners = if self.members.get(&member)?.is_about_sockets() {
            self.listeners().and_then(Result::ok)
        } else {
            None
        };
        let watched = self.members.get(&member)?;
        let others = || others(member);
        let processes = Processes {
            main: watched.main,
            in_network: watched.in_network(),
            others: &others,
        };
        watched.explain(listeners.as_ref(), &processes)
    }

    fn update(
        &mut self,
        member: usize,
        now: Instant,
        update: impl FnOnce(&mut Watched) -> Option<ReadinessChange>,
    ) -> Vec<Change> {
        let Some(watched) = self.members.get_mut(&member) else {
            return Vec::new();
        };
        let turned = update(watched);
        let is_ready = watched.becomes_ready(now);
        let turned = turned
            .into_iter()
            .chain(is_ready.then_some(ReadinessChange::Ready));
        let changes = turned.map(|turned| change(member, turned)).collect();
        self.plan_sockets(now);
        self.plan();
        changes
    }

    /// Returns the connection that lists sockets, if the system has one.
    fn sockets(&mut self) -> Option<&mut Sockets> {
        self.sockets.get_or_init(|| {
            let mut sockets = Sockets::open().ok()?;
            sockets.listeners().is_ok().then_some(sockets)
        });
        self.sockets.get_mut()?.as_mut()
    }

    /// Lists the sockets of a network from now on.
    fn list_in(&mut self, network: &Rc<Network>) -> io::Result<()> {
        let known = self.in_network.as_ref();
        if known.is_none_or(|(known, _)| !Rc::ptr_eq(known, network)) {
            let sockets = Sockets::open_in(network)?;
            self.in_network = Some((network.clone(), sockets));
        }
        Ok(())
    }

    fn listeners(&mut self) -> Option<Result<Listeners, String>> {
        self.sockets()?;
        let own = self.sockets.get_mut()?.as_mut()?;
        let in_network = self.in_network.as_mut().map(|(_, sockets)| sockets);
        let listeners = Listeners::now(own, in_network);
        Some(listeners.map_err(|error| error.to_string()))
    }

    /// Returns the time of the next look at sockets for readiness.
    fn sockets_due(&self) -> Option<Instant> {
        let due = self.members.values().filter_map(Watched::listen_due);
        let (first, count) = due.fold((None, 0_u32), |(first, count), due| {
            let first = first.map_or(due, |first: Instant| first.min(due));
            (Some(first), count.saturating_add(1))
        });
        let share = SHARE.saturating_mul(count).min(LARGEST_SHARE);
        let earliest = self.looked_at.map(|at| at + share);
        Some(first?.max(earliest.unwrap_or(first?)))
    }

    /// Plans the next look at the sockets of members that are ready.
    fn plan_sockets(&mut self, now: Instant) {
        if self.members.values().any(Watched::has_sockets) {
            self.sockets_at.get_or_insert(now + SOCKETS_EVERY);
        } else {
            self.sockets_at = None;
        }
    }

    /// Plans the next look.
    fn plan(&mut self) {
        let others = self.members.values().filter_map(Watched::due);
        let sockets = self.sockets_due().into_iter().chain(self.sockets_at);
        self.wake_at = others.chain(sockets).min();
    }
}

fn change(member: usize, turned: ReadinessChange) -> Change {
    match turned {
        ReadinessChange::Ready => Change::Ready(member),
        ReadinessChange::Unhealthy(why) => Change::Unhealthy(member, why),
        ReadinessChange::Healthy => Change::Healthy(member),
    }
}

#[cfg(test)]
mod tests;
