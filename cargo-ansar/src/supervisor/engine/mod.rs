//! Executes the decisions of the [scheduler](super::scheduler): starts, signals
//! and reads processes; and serves requests from outside ([`requests`]).

pub mod child;
pub mod requests;
pub mod role;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ansar_contract;
use ansar_contract::lifecycle::Faulted;
use ansar_contract::line::Level;
use ansar_contract::notice::Notice;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::events::{Events, Kind, StopReason, Until};
use crate::home::HomeError;
use crate::host::clock;
use crate::host::environment;
use crate::host::process;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::process::orphans;
use crate::host::process::pipe::Peeking;
use crate::host::process::sd_notify::Notices;
use crate::host::process::signal;
use crate::host::process::signal::Signal;
use crate::host::process::{Exit, Foreground, Narrative, Process, Program};
use crate::logs::store::Writer;
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::protocol::Host;
use crate::supervisor::capture::Capture;
use crate::supervisor::engine::child::{ChildEvent, ChildTask, LOOK_AGAIN};
use crate::supervisor::engine::role::Role;
use crate::supervisor::fd_store;
use crate::supervisor::judge;
use crate::supervisor::judge::Treatment;
use crate::supervisor::launch::Launch;
use crate::supervisor::orphans::Orphans;
use crate::supervisor::restart::STABLE;
use crate::supervisor::scheduler::{
    Action, Input, Member, Phase, Policy, RoleKind, Scheduler, StopCause, StopSignal,
};
use crate::supervisor::server::{Conversations, Launcher, Service};

/// How roles are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// When they are started, stopped and given up.
    pub policy: Policy,
    /// Which of their log lines become events.
    pub shown: Level,
}

/// What became of a role.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its name.
    pub role: RoleName,
    /// What it was for.
    pub kind: RoleKind,
    /// How it ended.
    pub outcome: RoleOutcome,
    /// How its process ended, where it was started.
    pub exit: Option<Exit>,
    /// When it ended.
    pub at: Timestamp,
    /// How it ended before, each time that it was run again for that, and when.
    pub before: Vec<(RoleOutcome, Timestamp)>,
}

/// What became of all roles.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// In the order of the launches.
    pub ended: Vec<Ended>,
    /// What ended the run from outside, where something did.
    pub interrupted: Option<Interrupt>,
    /// Whether that was to be at once.
    pub at_once: bool,
    /// The reason why the system would start no more processes, where it would not.
    pub refused: Option<String>,
}

/// How much is read from a pipe at once.
const READ_SIZE: usize = 64 * 1024;

/// Runs roles until all have ended; `notices` hears what they say of their
/// state, `service` what others ask meanwhile. Inside of a `LocalSet` only.
///
/// An engine in the background is given its first roles by whoever asks; it
/// ends with the last of them, or when nobody has asked for some time. The first interrupt stops them gracefully, the second at once. When this
/// returns, nothing of them is left in their groups; when it is dropped in the
/// middle, they are killed.
pub async fn run(
    launches: Vec<Launch>,
    options: &Options,
    notices: &Notices,
    service: Option<Service<'_>>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> RunResult {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (order, mut ordered) = mpsc::unbounded_channel();
    let mut conversations = Conversations::default();
    let mut engine = Engine::new(options, events.clone(), tell);
    if let Some(service) = service {
        engine.host = service.host;
        engine.is_persistent = service.is_persistent;
        engine.launcher = service.launcher;
        conversations.begin(service.listener, order);
    }
    engine.admit(launches);
    engine.feed(Input::Begin);
    let mut in_a_row = 0;
    loop {
        engine.settle();
        // Whoever has asked already is not turned away.
        if let Ok(order) = ordered.try_recv() {
            engine.order(order);
            continue;
        }
        engine.forget_tasks();
        if engine.is_done() {
            break;
        }
        let wake = engine.wake_at();
        let tick = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            interrupt = interrupts.next() => engine.interrupted(interrupt),
            notice = notices.next(), if in_a_row < NOTICES_IN_A_ROW => {
                in_a_row += 1;
                match notice {
                    Ok(notice) => engine.heard(&notice),
                    // The socket is ours and bound: nothing to be done about it.
                    Err(_) => tokio::task::yield_now().await,
                }
                continue;
            }
            Some(news) = told.recv() => {
                // What a role said before it ended comes first.
                for notice in std::iter::from_fn(|| notices.try_next()).take(NOTICES_IN_A_ROW) {
                    engine.heard(&notice);
                }
                engine.news(news);
            }
            Some(order) = ordered.recv() => engine.order(order),
            () = tick => engine.feed(Input::Tick),
            // Last, one at a time: those that run are heard in between.
            () = tokio::task::yield_now(), if !engine.starts.is_empty() => engine.start().await,
            () = tokio::task::yield_now(), if in_a_row >= NOTICES_IN_A_ROW => {}
        }
        in_a_row = 0;
    }
    drop(ordered);
    let outcome = engine.outcome();
    conversations.finish().await;
    outcome
}

/// The most notices that are heard before others are, so that a role that sends
/// them without end holds up nothing. More than a socket's queue holds.
const NOTICES_IN_A_ROW: usize = 1024;

/// How long an engine in the background waits for its first roles.
const UNUSED: Duration = Duration::from_secs(10);

struct Engine<'a> {
    scheduler: Scheduler,
    roles: Vec<Role>,
    by_name: BTreeMap<RoleName, usize>,
    shown: Level,
    /// How often a test role that failed is run again.
    retries: u32,
    host: Host,
    /// Whether it goes on without roles.
    is_persistent: bool,
    /// The process above this one, as long as it was there.
    guardian: u32,
    /// How often roles were taken in.
    batches: u64,
    /// When it gives up waiting for its first roles.
    unused: Option<Instant>,
    launcher: Option<Launcher<'a>>,
    watches: Vec<requests::Watch>,
    events: Events,
    starts: VecDeque<usize>,
    interrupted: Option<Interrupt>,
    at_once: bool,
    no_more: Option<String>,
    orphans: Rc<RefCell<Orphans>>,
    tasks: JoinSet<()>,
    tell: mpsc::UnboundedSender<ChildEvent>,
    buffer: Rc<RefCell<Vec<u8>>>,
    /// Once there is something to peek at.
    peeking: Option<Rc<Peeking>>,
}

impl Engine<'_> {
    fn new(options: &Options, events: Events, tell: mpsc::UnboundedSender<ChildEvent>) -> Self {
        Self {
            scheduler: Scheduler::new(Vec::new(), options.policy),
            roles: Vec::new(),
            by_name: BTreeMap::new(),
            shown: options.shown,
            retries: options.policy.retries,
            host: Host::Foreground,
            is_persistent: false,
            guardian: environment::parent(),
            batches: 0,
            unused: None,
            launcher: None,
            watches: Vec::new(),
            events,
            starts: VecDeque::new(),
            interrupted: None,
            at_once: false,
            no_more: None,
            orphans: Rc::new(RefCell::new(Orphans::default())),
            tasks: JoinSet::new(),
            tell,
            buffer: Rc::new(RefCell::new(vec![0; READ_SIZE])),
            peeking: None,
        }
    }

    /// Takes roles in: each in the place of the one by its name that has ended,
    /// or in a new one.
    fn admit(&mut self, launches: Vec<Launch>) -> Vec<usize> {
        let mut places = Vec::with_capacity(launches.len());
        let mut next = self.roles.len();
        for launch in &launches {
            // What is no role has no name that others could mean.
            let known = self.by_name.get(&launch.role).copied();
            let place = known.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            if !launch.foreground {
                self.by_name.insert(launch.role.clone(), place);
                self.orphans.borrow_mut().name(&launch.role, place);
            }
            places.push(place);
        }
        self.batches += 1;
        let mut members = Vec::with_capacity(launches.len());
        for (&place, launch) in places.iter().zip(launches) {
            let after = launch.after.iter();
            let after = after.filter_map(|role| self.by_name.get(role).copied());
            let member = Member {
                kind: launch.kind,
                // One that has ended is waited for by nobody.
                after: after
                    .filter(|needed| places.contains(needed) || self.runs(*needed))
                    .collect(),
                timeout: launch.timeout,
                ready_limit: launch.ready_limit,
            };
            members.push((place, member));
            let role = Role::new(launch, self.batches);
            match self.roles.get_mut(place) {
                Some(known) => *known = role,
                None => self.roles.push(role),
            }
        }
        self.scheduler.admit(members);
        places
    }

    /// Whether a role runs, or is about to.
    fn runs(&self, member: usize) -> bool {
        member < self.roles.len() && self.scheduler.phase(member) != Phase::Ended
    }

    fn is_done(&mut self) -> bool {
        if self.is_persistent && self.interrupted.is_none() {
            return false;
        }
        if self.host == Host::Background && self.roles.is_empty() && self.interrupted.is_none() {
            let now = clock::instant();
            return now >= *self.unused.get_or_insert(now + UNUSED);
        }
        // What cannot be killed is kept in view, unless everything is to end.
        let is_kept = self.host == Host::Background
            && self.interrupted.is_none()
            && self.scheduler.has_unkillable();
        self.scheduler.is_done() && !is_kept
    }

    /// Forgets the tasks that are done, of which there is one per start.
    fn forget_tasks(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    fn wake_at(&self) -> Option<Instant> {
        let unused = self.unused.filter(|_| self.roles.is_empty());
        let settled = self.settled_at();
        self.scheduler
            .wake_at()
            .into_iter()
            .chain(unused)
            .chain(settled)
            .min()
    }

    /// Tells the machine what happened, and does what it says.
    fn feed(&mut self, input: Input) {
        for action in self.scheduler.next(input, clock::instant()) {
            match action {
                Action::Start(member) => self.starts.push_back(member),
                Action::Rerun(member) => self.will_rerun(member),
                Action::Slow(member, elapsed) => {
                    let role = self.roles[member].name.clone();
                    self.emit(member, Kind::Slow { role, elapsed });
                }
                Action::Signal(member, rung) => self.signal(member, rung),
                Action::TimedOut(member) => {
                    self.roles[member].treatment.timed_out = self.roles[member].timeout;
                }
                Action::NeverReady(member) => {
                    let role = &mut self.roles[member];
                    role.treatment.never_ready = Some(role.ready_limit);
                }
                Action::Skip(member) => self.skip(member),
                Action::Stopping(why) => self.events.emit(Kind::Stopping {
                    roles: self
                        .roles
                        .iter()
                        .filter(|role| role.group.is_some())
                        .count(),
                    why: match why {
                        StopCause::Finished => StopReason::Finished,
                        StopCause::Asked => StopReason::Interrupted,
                        StopCause::FailFast => StopReason::FailFast,
                        StopCause::Broken => StopReason::Broken,
                    },
                }),
                Action::Unkillable(member) => self.unkillable(member),
                Action::StillRunning(members) => self.waiting(&members, Until::Stopped),
                Action::StillStarting(members) => self.waiting(&members, Until::Ready),
            }
        }
    }

    async fn start(&mut self) {
        let Some(member) = self.starts.pop_front() else {
            return;
        };
        // A stop may have come between the decision and now.
        if self.roles[member].treatment.asked {
            if self.roles[member].ended.is_none() {
                return self.end(member, judge::skipped());
            }
            // How a try of it has ended stays what came of it.
            self.feed(Input::Ended {
                member,
                well: false,
                again: None,
            });
            return self.release(member);
        }
        self.roles[member].since = clock::now();
        if self.roles[member].kind == RoleKind::Test {
            self.rerun(member);
        }
        let program = match (self.roles[member].prepare)() {
            Ok(program) => program,
            Err(reason) => return self.end(member, judge::not_started(&reason)),
        };
        let started = if self.roles[member].foreground {
            self.start_foreground(member, &program)
        } else {
            self.start_role(member, &program).await
        };
        if let Err(error) = started {
            // Not this role's fault, and the next one fares no better.
            if process::is_exhaustion(&error) {
                self.exhausted(member, &error);
            }
            self.end(member, judge::not_started(&program.refusal(&error)));
        }
    }

    /// The system has no room for a role: those that were to run with it are
    /// stopped. Where roles come and go, the others go on.
    fn exhausted(&mut self, member: usize, error: &io::Error) {
        if self.launcher.is_none() {
            self.no_more.get_or_insert(error.to_string());
            return self.feed(Input::Stop);
        }
        let batch = self.roles[member].batch;
        let others = (0..self.roles.len()).filter(|&other| other != member);
        let others = others.filter(|&other| self.roles[other].batch == batch);
        self.feed(Input::StopSome(others.collect()));
    }

    async fn start_role(&mut self, member: usize, program: &Program) -> io::Result<()> {
        let at = clock::now();
        let peeking = self.peeking()?;
        let process = Process::start(program, Narrative::Piped).await?;
        self.started(member, process.pid(), at);
        let role = &self.roles[member];
        let store = Writer::new(role.log.clone(), role.storage);
        let mut capture = Capture::new(role.name.clone(), store, self.shown);
        capture.follow(process.pid());
        capture.count(role.lost.clone());
        let stderr = process.stderr.as_ref();
        let loan =
            stderr.and_then(|pipe| fd_store::lend(pipe, &role.name, process.pid(), &role.log));
        let life = ChildTask {
            member,
            process,
            capture,
            events: self.events.clone(),
            buffer: self.buffer.clone(),
            orphans: self.orphans.clone(),
            tell: self.tell.clone(),
            peeking,
            seen: 0,
            unended: None,
            _loan: loan,
        };
        self.tasks.spawn_local(life.live());
        Ok(())
    }

    fn peeking(&mut self) -> io::Result<Rc<Peeking>> {
        if let Some(peeking) = &self.peeking {
            return Ok(peeking.clone());
        }
        let peeking = Rc::new(Peeking::new()?);
        self.peeking = Some(peeking.clone());
        Ok(peeking)
    }

    fn start_foreground(&mut self, member: usize, program: &Program) -> io::Result<()> {
        let at = clock::now();
        let mut process = Foreground::start(program)?;
        let pid = process.pid();
        self.started(member, pid, at);
        let (tell, orphans) = (self.tell.clone(), self.orphans.clone());
        self.tasks.spawn_local(async move {
            let exit = process.wait().await;
            let mut told = false;
            // Looking for orphans reaps those of the group that were adopted and
            // have ended: until then these count as alive.
            while orphans.borrow_mut().any_of(member, clock::instant())
                || signal::group_is_alive(pid)
            {
                if !told {
                    let _ = tell.send(ChildEvent::MainExited(member));
                    told = true;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let _ = tell.send(ChildEvent::Ended(
                member,
                exit.map(|exit| (exit, Vec::new())),
            ));
        });
        Ok(())
    }

    fn started(&mut self, member: usize, pid: u32, at: Timestamp) {
        self.orphans.borrow_mut().started(member, pid);
        let role = &mut self.roles[member];
        role.group = Some(pid);
        role.since = at;
        role.attempts = None;
        role.unannounced.set(None);
        if let Some(lock) = &role.lock {
            // Advice for messages: what cannot be written is not said.
            let _ = lock.sign(&pid.to_string());
        }
        let history = role.history.as_mut();
        let recorded = history.map(|history| history.started(pid, at));
        self.recorded(member, recorded);
        let role = &self.roles[member];
        let started = Kind::Started {
            role: role.name.clone(),
            executable: role.executable.clone(),
            pid,
        };
        self.emit(member, started);
    }

    fn heard(&mut self, notice: &Notice) {
        let named = notice
            .role
            .as_deref()
            .and_then(|role| self.by_name.get(role));
        let Some(&member) = named else {
            return;
        };
        let role = &mut self.roles[member];
        if let Some(version) = notice
            .contract
            .filter(|&version| version != ansar_contract::VERSION)
        {
            role.refused = Some(format!(
                "`{}` speaks contract version {version}, and this `cargo ansar` speaks {}",
                role.executable,
                ansar_contract::VERSION
            ));
            self.signal(member, StopSignal::Kill);
            return;
        }
        let name = role.name.clone();
        role.attempts = role.attempts.max(notice.attempt);
        if let Some(seconds) = notice.retry_in
            && let Ok(delay) = Duration::try_from_secs_f64(seconds)
        {
            role.retry_at = clock::now().checked_add(delay).ok();
            let role = name.clone();
            self.emit(member, Kind::Retrying { role, delay });
        }
        if notice.announces == Some(false) {
            let unannounced = &self.roles[member].unannounced;
            unannounced.set(unannounced.get().or(Some(clock::instant())));
        }
        if notice.ready || notice.announces == Some(false) {
            self.emit(member, Kind::Ready { role: name });
            self.feed(Input::Ready(member));
        }
    }

    fn news(&mut self, news: ChildEvent) {
        match news {
            ChildEvent::MainExited(member) => {
                self.roles[member].left = true;
                self.feed(Input::MainExited(member));
            }
            ChildEvent::Ended(member, ended) => {
                let role = &mut self.roles[member];
                role.group = None;
                role.unkillable = None;
                role.retry_at = None;
                role.exit = ended.as_ref().ok().map(|(exit, _)| *exit);
                let outcome = match (ended, role.refused.take()) {
                    (_, Some(refused)) => {
                        RoleOutcome::of(&Faulted::new(refused, ""), Cause::NeverStarted)
                    }
                    (Ok((exit, stdout)), None) => judge::judge(exit, &stdout, role.treatment),
                    (Err(error), None) => {
                        let lost = Faulted::new("lost track of its process", error.to_string());
                        RoleOutcome::of(&lost, Cause::Exited(0))
                    }
                };
                self.end(member, outcome);
            }
        }
    }

    /// A role that was to run has ended.
    fn end(&mut self, member: usize, outcome: RoleOutcome) {
        let again = self.again(member, &outcome);
        let role = &self.roles[member];
        let well = match role.kind {
            RoleKind::Test => outcome.report().is_some_and(|report| report.failed == 0),
            RoleKind::Operational => match outcome.success() {
                Success::Yes => true,
                Success::Stopped => role.treatment.asked,
                Success::No => false,
            },
        };
        self.conclude(member, outcome);
        self.feed(Input::Ended {
            member,
            well,
            again,
        });
        match (self.scheduler.phase(member), again) {
            (Phase::BackingOff, Some(delay)) => {
                if let Some(lock) = &self.roles[member].lock {
                    // The number of the process may mean another one soon.
                    let _ = lock.sign("");
                }
                let role = self.roles[member].name.clone();
                self.emit(member, Kind::Restarting { role, delay });
            }
            (Phase::Ended, _) => self.release(member),
            _ => {}
        }
    }

    /// After what time a role that has ended so is started again.
    fn again(&mut self, member: usize, outcome: &RoleOutcome) -> Option<Duration> {
        let role = &mut self.roles[member];
        // One that was late was asked to stop for that, which is a failure.
        let late = role.treatment.timed_out.or(role.treatment.never_ready);
        if role.treatment.asked && late.is_none() {
            return None;
        }
        let ran = clock::now().duration_since(role.since);
        if ran.unsigned_abs() >= STABLE {
            role.restarts.1 = 0;
        }
        let delay =
            role.restarting
                .delay(outcome.success(), role.restarts.1, environment::chance)?;
        role.restarts.0 = role.restarts.0.saturating_add(1);
        role.restarts.1 += 1;
        role.treatment = Treatment::default();
        role.left = false;
        Some(delay)
    }

    /// A test role that has failed will be run again.
    fn will_rerun(&mut self, member: usize) {
        let role = &mut self.roles[member];
        if let Some(lock) = &role.lock {
            // The number of the process may mean another one soon.
            let _ = lock.sign("");
        }
        role.treatment = Treatment::default();
        role.left = false;
    }

    /// A test role is about to run; perhaps again.
    fn rerun(&mut self, member: usize) {
        let role = &mut self.roles[member];
        let Some(failed) = role.ended.take() else {
            return;
        };
        role.before.push(failed);
        let role = &self.roles[member];
        let nth = u32::try_from(role.before.len()).unwrap_or(u32::MAX);
        let rerun = Kind::Rerunning {
            role: role.name.clone(),
            nth: nth.saturating_add(1),
            of: self.retries.saturating_add(1),
        };
        self.emit(member, rerun);
    }

    /// A role will not be started, or not again.
    fn skip(&mut self, member: usize) {
        // How one ended that waited to be started again has been told.
        if self.roles[member].ended.is_none() {
            self.conclude(member, judge::skipped());
        }
        self.release(member);
    }

    fn conclude(&mut self, member: usize, outcome: RoleOutcome) {
        let role = &mut self.roles[member];
        let attempts = role.attempts;
        let history = role.history.as_mut();
        let recorded = history.map(|history| history.ended(&outcome, attempts));
        self.recorded(member, recorded);
        let role = &mut self.roles[member];
        role.since = clock::now();
        role.ended = Some((outcome.clone(), role.since));
        let role = role.name.clone();
        self.emit(member, Kind::Ended { role, outcome });
    }

    /// Gives back the right to run a role that has ended for good.
    fn release(&mut self, member: usize) {
        self.roles[member].lock = None;
    }

    /// Says so where a start or an end could not be written down: the role
    /// goes on.
    fn recorded(&self, member: usize, recorded: Option<Result<(), HomeError>>) {
        if let Some(Err(error)) = recorded {
            self.events.emit(Kind::Unrecorded {
                role: self.roles[member].name.clone(),
                why: crate::supervisor::with_causes(&error),
            });
        }
    }

    fn signal(&mut self, member: usize, rung: StopSignal) {
        let role = &mut self.roles[member];
        // What is done to those it left behind is not done to it.
        role.treatment.asked |= !role.left;
        let signal = match rung {
            StopSignal::Interrupt => Signal::Interrupt,
            StopSignal::Terminate => Signal::Terminate,
            StopSignal::Kill => Signal::Kill,
        };
        if let Some(group) = role.group {
            // One that is gone meanwhile has been told enough, and one that may
            // not be signalled is told of when it does not end.
            let heard = signal::send_to_group(group, signal).is_ok();
            role.treatment.killed |= heard && !role.left && rung == StopSignal::Kill;
            self.orphans.borrow_mut().signal(member, signal);
        }
    }

    /// A role goes on though it was killed: finds out why, and says so.
    fn unkillable(&mut self, member: usize) {
        let pids: Vec<u32> = {
            let orphans = self.orphans.borrow();
            let group = self.roles[member].group.into_iter();
            group.chain(orphans.of(member)).collect()
        };
        let mut obstacles = pids
            .iter()
            .filter_map(|&pid| Some((pid, orphans::obstacle(pid)?)));
        let role = &mut self.roles[member];
        let (pid, why) = obstacles.next().unwrap_or_else(|| {
            let group = role.group.unwrap_or_default();
            (group, "processes of its group go on".to_owned())
        });
        role.unkillable = Some(format!("process {pid}: {why}"));
        let role = role.name.clone();
        self.emit(member, Kind::Unkillable { role, pid, why });
    }

    fn interrupted(&mut self, interrupt: Interrupt) {
        if interrupt == Interrupt::Superseded && self.interrupted.is_some() {
            // It stops already; nobody has lost patience.
            return;
        }
        // What begins anew stops of itself; whoever ends it then is the first.
        let first = self.interrupted.filter(|it| *it != Interrupt::Superseded);
        let again = first.is_some();
        self.interrupted = first.or(Some(interrupt));
        let at_once = again || interrupt == Interrupt::Orphaned;
        self.at_once |= at_once;
        self.feed(if at_once { Input::Kill } else { Input::Stop });
    }

    fn waiting(&self, members: &[usize], until: Until) {
        let roles = |members: &[usize]| {
            let roles = members.iter();
            roles
                .map(|&member| self.roles[member].name.clone())
                .collect()
        };
        self.events.emit(Kind::Waiting {
            roles: roles(members),
            until,
        });
        for watch in &self.watches {
            let watched = watch.among(members);
            if !watched.is_empty() {
                watch.tell(Kind::Waiting {
                    roles: roles(&watched),
                    until,
                });
            }
        }
    }

    /// Tells everybody whom it concerns what happened to a role.
    fn emit(&self, member: usize, kind: Kind) {
        for watch in &self.watches {
            if watch.concerns(member) {
                watch.tell(kind.clone());
            }
        }
        self.events.emit(kind);
    }

    fn outcome(mut self) -> RunResult {
        for member in 0..self.roles.len() {
            let role = &mut self.roles[member];
            if let (Some(why), true) = (role.unkillable.take(), role.group.is_some()) {
                self.conclude(member, judge::unkillable(&why));
            }
        }
        let roles = std::mem::take(&mut self.roles).into_iter();
        let ended = roles.map(|role| {
            let (outcome, at) = role
                .ended
                .unwrap_or_else(|| (judge::skipped(), clock::now()));
            Ended {
                role: role.name,
                kind: role.kind,
                outcome,
                exit: role.exit,
                at,
                before: role.before,
            }
        });
        RunResult {
            ended: ended.collect(),
            interrupted: self.interrupted,
            at_once: self.at_once,
            refused: self.no_more.take(),
        }
    }
}
