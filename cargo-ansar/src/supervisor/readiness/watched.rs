//! One start of a role that is watched.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::host::fs;
use crate::host::net::own_network::Network;
use crate::supervisor::readiness::ask::ask;
use crate::supervisor::readiness::check::{Check, Question};
use crate::supervisor::readiness::health::{Checkup, HealthChange};
use crate::supervisor::readiness::lines::Lines;
use crate::supervisor::readiness::listening::{Found, Listeners, Processes};
use crate::supervisor::readiness::schedule::{Answer, Pace, ProbeSchedule};

/// Number of looks in a row without its socket that make a role unhealthy.
const LISTENS_FAILURES: u32 = 2;

/// An answer that arrives later: of a server, of a command, or of a line.
#[derive(Debug)]
pub struct ProbeAnswer {
    pub(super) member: usize,
    /// The start of the member that it belongs to.
    pub(super) start: u64,
    slot: Slot,
    answer: Answer,
}

/// The probe that an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// The readiness probe with this index.
    Ready(usize),
    /// The health probe.
    Health,
}

/// The source of answers that arrive later.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) member: usize,
    pub(super) start: u64,
    pub(super) heard: UnboundedSender<ProbeAnswer>,
    /// The network of the role; that of the system if unset.
    pub(super) network: Option<Rc<Network>>,
}

impl Source {
    fn send(&self, slot: Slot, answer: Answer) {
        // The engine may have ended.
        let _ = self.heard.send(ProbeAnswer {
            member: self.member,
            start: self.start,
            slot,
            answer,
        });
    }
}

/// The probes of one start of a role.
#[derive(Debug)]
pub struct Checks {
    pub(super) probes: Vec<Check>,
    pub(super) health: Option<HealthCheck>,
    /// The address on which the role is expected to listen, where sockets can
    /// be listed.
    pub(super) port: Option<SocketAddr>,
    /// The network of the role; that of the system if unset.
    pub(super) network: Option<Rc<Network>>,
}

impl Checks {
    /// Returns true if there is nothing to look at, ever.
    pub(super) fn is_empty(&self) -> bool {
        self.probes.is_empty() && self.health.is_none()
    }

    /// Returns the probes for a role whose output is not captured: no line can
    /// match, so a log probe is met once the role has started.
    #[must_use]
    pub fn without_lines(mut self) -> Self {
        for check in &mut self.probes {
            if matches!(check, Check::Log(_)) {
                *check = Check::Started;
            }
        }
        self
    }

    /// Describes the conditions under which the role is ready.
    pub fn describe(&self) -> String {
        let texts: Vec<String> = self.probes.iter().map(Check::describe).collect();
        if texts.is_empty() {
            return "its announcement".to_owned();
        }
        texts.join(" and ")
    }

    /// Returns true if the role is ready once it has started.
    pub fn need_only_start(&self) -> bool {
        let mut probes = self.probes.iter();
        !self.probes.is_empty() && probes.all(|check| matches!(check, Check::Started))
    }
}

/// A health probe.
#[derive(Debug)]
pub(super) struct HealthCheck {
    pub(super) check: Check,
    pub(super) every: Duration,
    pub(super) failures: u32,
}

/// A start of a role that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) main: u32,
    port: Option<SocketAddr>,
    source: Source,
    probes: Vec<Probing>,
    /// True if probes decide that the role is ready.
    has_probes: bool,
    lines: Option<Rc<Lines>>,
    is_ready: bool,
    health: Option<HealthCheck>,
    /// The looks of the health probe, once the role is ready.
    checkup: Option<Checkup>,
    sockets: Vec<OwnSocket>,
    /// Questions without an answer. Dropping them ends them.
    asking: JoinSet<()>,
}

/// A probe, and the looks at it.
#[derive(Debug)]
struct Probing {
    check: Check,
    schedule: ProbeSchedule,
    /// The inode of the socket that met the condition.
    inode: Option<u64>,
}

/// A listening socket of a role that is ready.
#[derive(Debug)]
struct OwnSocket {
    address: SocketAddr,
    inode: u64,
    checkup: Checkup,
}

/// A change of a role that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadinessChange {
    Ready,
    Unhealthy(String),
    Healthy,
}

impl Watched {
    pub(super) fn new(checks: Checks, main: u32, source: Source, now: Instant) -> Self {
        let has_probes = !checks.probes.is_empty();
        let mut logs = Vec::new();
        let probing = |(index, check): (usize, Check)| {
            if let Check::Log(pattern) = &check {
                logs.push((index, pattern.clone()));
            }
            Probing {
                schedule: ProbeSchedule::new(check.pace(), now),
                check,
                inode: None,
            }
        };
        let probes = checks.probes.into_iter().enumerate().map(probing).collect();
        let lines = (!logs.is_empty()).then(|| {
            let source = source.clone();
            let met = move |index| source.send(Slot::Ready(index), Answer::Met);
            Rc::new(Lines::new(logs, met))
        });
        Self {
            main,
            port: checks.port,
            source,
            has_probes,
            probes,
            lines,
            is_ready: false,
            health: checks.health,
            checkup: None,
            sockets: Vec::new(),
            asking: JoinSet::new(),
        }
    }

    /// Returns true if the role is in the network of the home.
    pub(super) fn in_network(&self) -> bool {
        self.source.network.is_some()
    }

    pub(super) fn start(&self) -> u64 {
        self.source.start
    }

    pub(super) fn lines(&self) -> Option<Rc<Lines>> {
        self.lines.clone()
    }

    /// Returns the time of the next look at sockets for readiness.
    pub(super) fn listen_due(&self) -> Option<Instant> {
        let listen = self.probes.iter().filter(|it| it.is_listen());
        listen.filter_map(|probing| probing.schedule.due()).min()
    }

    /// Returns true if its health probe looks at sockets, and a look is due.
    pub(super) fn health_needs_sockets(&self, now: Instant) -> bool {
        matches!(&self.health, Some(health) if matches!(health.check, Check::Listen(_)))
            && self.health_due().is_some_and(|at| at <= now)
    }

    /// Returns the time of the next look at anything else.
    pub(super) fn due(&self) -> Option<Instant> {
        let others = self.probes.iter().filter(|it| !it.is_listen());
        let others = others.filter_map(|probing| probing.schedule.due());
        others.chain(self.health_due()).min()
    }

    fn health_due(&self) -> Option<Instant> {
        self.checkup.as_ref()?.due()
    }

    /// Returns true if the sockets of the role are watched.
    pub(super) fn has_sockets(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// Looks at sockets for readiness, even if only another role's look is due.
    pub(super) fn look_for_sockets(
        &mut self,
        listeners: Result<&Listeners, &str>,
        processes: &Processes<'_>,
        now: Instant,
    ) {
        for probing in &mut self.probes {
            let Check::Listen(address) = probing.check else {
                continue;
            };
            if probing.schedule.join() {
                let (answer, inode) = listens(listeners, address, processes);
                probing.inode = inode;
                probing.schedule.next(answer, now);
            }
        }
    }

    /// Looks if the role still listens.
    pub(super) fn look_at_sockets(
        &mut self,
        listeners: &Listeners,
        processes: &Processes<'_>,
        now: Instant,
    ) -> Option<ReadinessChange> {
        let was_unhealthy = self.is_unhealthy();
        let in_network = self.in_network();
        let mut reason = None;
        for socket in &mut self.sockets {
            let address = socket.address;
            let answer = if listeners.has(address, in_network, socket.inode) {
                Answer::Met
            } else if let Found::Own(inode) = listeners.find(address, processes) {
                socket.inode = inode;
                Answer::Met
            } else {
                Answer::Unmet(format!("no longer listens on {address}").into())
            };
            let turn = socket.checkup.next(answer, now);
            if let Some(HealthChange::Unhealthy(why)) = turn {
                reason.get_or_insert(why);
            }
        }
        self.turned(was_unhealthy, reason)
    }

    /// Looks at everything else that is due.
    pub(super) fn look(
        &mut self,
        listeners: Option<Result<&Listeners, &str>>,
        processes: &Processes<'_>,
        now: Instant,
    ) -> Option<ReadinessChange> {
        while self.asking.try_join_next().is_some() {}
        for (index, probing) in self.probes.iter_mut().enumerate() {
            if probing.is_listen() || !probing.schedule.begin(now) {
                continue;
            }
            match &probing.check {
                Check::Ask(question) => {
                    let slot = Slot::Ready(index);
                    spawn(&mut self.asking, question, &self.source, slot);
                }
                check => drop(probing.schedule.next(at_once(check), now)),
            }
        }
        let health = self.health.as_ref()?;
        if !self.checkup.as_mut()?.begin(now) {
            return None;
        }
        let answer = match &health.check {
            Check::Ask(question) => {
                spawn(&mut self.asking, question, &self.source, Slot::Health);
                return None;
            }
            Check::Listen(address) => match listeners {
                Some(listeners) => listens(listeners, *address, processes).0,
                None => Answer::Met,
            },
            check => at_once(check),
        };
        self.examined(answer, now)
    }

    /// Takes an answer that arrived.
    pub(super) fn take(&mut self, heard: ProbeAnswer, now: Instant) -> Option<ReadinessChange> {
        match heard.slot {
            Slot::Ready(index) => {
                let probing = self.probes.get_mut(index)?;
                probing.schedule.next(heard.answer, now);
                None
            }
            Slot::Health => self.examined(heard.answer, now),
        }
    }

    /// Returns true if probes decide that the role is ready.
    pub(super) fn has_probes(&self) -> bool {
        self.has_probes
    }

    /// Takes the announcement of the role.
    pub(super) fn announced(&mut self, now: Instant) {
        for probing in &mut self.probes {
            if matches!(probing.check, Check::Notify) {
                probing.schedule.next(Answer::Met, now);
            }
        }
    }

    /// Returns true if the role has become ready by its probes.
    pub(super) fn becomes_ready(&mut self, now: Instant) -> bool {
        let all_met = self.probes.iter().all(|it| it.schedule.is_ready());
        let is = self.has_probes && !self.is_ready && all_met;
        if is {
            self.ready(now);
        }
        is
    }

    /// Begins to watch the health of the role, which is ready.
    pub(super) fn ready(&mut self, now: Instant) {
        if std::mem::replace(&mut self.is_ready, true) {
            return;
        }
        self.lines = None;
        for probing in self.probes.drain(..) {
            if let (Check::Listen(address), Some(inode)) = (probing.check, probing.inode) {
                self.sockets.push(OwnSocket {
                    address,
                    inode,
                    // All sockets are looked at together.
                    checkup: Checkup::new(Duration::ZERO, LISTENS_FAILURES, now),
                });
            }
        }
        let health = self.health.as_ref();
        let health = health.filter(|health| health.check.pace() != Pace::Event);
        self.checkup = health.map(|it| Checkup::new(it.every, it.failures, now));
    }

    /// Returns true if sockets explain a probe that is not met.
    pub(super) fn is_about_sockets(&self) -> bool {
        let mut unmet = self.probes.iter().filter(|it| !it.schedule.is_ready());
        unmet.any(|it| matches!(it.check, Check::Listen(_) | Check::Ask(_)))
    }

    /// Returns one line about every probe that is not met.
    pub(super) fn explain(
        &self,
        listeners: Option<&Listeners>,
        processes: &Processes<'_>,
    ) -> Option<String> {
        let unmet = self.probes.iter().filter(|it| !it.schedule.is_ready());
        let unmet = unmet.map(|probing| {
            let explanation = probing.check.explain(probing.schedule.answers());
            match (&probing.check, listeners, &self.lines) {
                (Check::Ask(question), Some(listeners), _) => {
                    let port = self
                        .port
                        .filter(|port| question.address() == Some(port.to_string()));
                    let misplaced = port.and_then(|port| listeners.misplaced(port, processes));
                    let misplaced = misplaced.iter().map(|it| format!("; {it}"));
                    explanation + &misplaced.collect::<String>()
                }
                (Check::Listen(address), Some(listeners), _) => {
                    listeners.explain(*address, processes)
                }
                (Check::Log(_), _, Some(lines)) => format!("{explanation}; {}", lines.summary()),
                _ => explanation,
            }
        });
        let unmet: Vec<String> = unmet.collect();
        (!unmet.is_empty()).then(|| unmet.join("; "))
    }

    fn examined(&mut self, answer: Answer, now: Instant) -> Option<ReadinessChange> {
        let was_unhealthy = self.is_unhealthy();
        let health = self.health.as_ref()?;
        let answer = match answer {
            Answer::Unmet(why) => Answer::Unmet(health.check.failed(&why).into()),
            Answer::Met => Answer::Met,
        };
        let reason = match self.checkup.as_mut()?.next(answer, now) {
            Some(HealthChange::Unhealthy(why)) => Some(why),
            _ => None,
        };
        self.turned(was_unhealthy, reason)
    }

    fn is_unhealthy(&self) -> bool {
        let sockets = self.sockets.iter().map(|socket| &socket.checkup);
        self.checkup
            .iter()
            .chain(sockets)
            .any(Checkup::is_unhealthy)
    }

    fn turned(&self, was_unhealthy: bool, reason: Option<String>) -> Option<ReadinessChange> {
        match (was_unhealthy, self.is_unhealthy(), reason) {
            (false, true, Some(why)) => Some(ReadinessChange::Unhealthy(why)),
            (true, false, _) => Some(ReadinessChange::Healthy),
            _ => None,
        }
    }
}

impl Probing {
    fn is_listen(&self) -> bool {
        matches!(self.check, Check::Listen(_))
    }
}

/// Answers if a process of a role listens on an address, with the inode of its
/// socket.
fn listens(
    listeners: Result<&Listeners, &str>,
    address: SocketAddr,
    processes: &Processes<'_>,
) -> (Answer, Option<u64>) {
    let listeners = match listeners {
        Ok(listeners) => listeners,
        Err(why) => return (Answer::Unmet(why.to_owned().into()), None),
    };
    match listeners.find(address, processes) {
        Found::Own(inode) => (Answer::Met, Some(inode)),
        Found::Other(_) => (Answer::Unmet("another process listens there".into()), None),
        Found::Nothing => (Answer::Unmet("nothing listens there".into()), None),
    }
}

/// Answers a check that needs neither sockets nor time.
fn at_once(check: &Check) -> Answer {
    match check {
        Check::File(path) if !fs::exists(path) => Answer::Unmet("it does not exist".into()),
        _ => Answer::Met,
    }
}

fn spawn(asking: &mut JoinSet<()>, question: &Rc<Question>, source: &Source, slot: Slot) {
    let (question, source) = (question.clone(), source.clone());
    asking.spawn_local(async move {
        let answer = ask(&question, source.network.as_deref()).await;
        source.send(slot, answer);
    });
}
