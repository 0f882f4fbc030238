//! Executes the actions of the [scheduler](super::scheduler): starts, signals
//! and reads processes; and handles requests of clients ([`requests`]).

pub mod child;
pub mod finish;
pub mod probes;
pub mod requests;
pub mod role;
pub mod setup;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ansar_contract;
use ansar_contract::lifecycle::Faulted;
use ansar_contract::line::Level;
use ansar_contract::notice::Notice;
use ansar_contract::test::Check;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::events::{Events, RoleEvent, RunEvent, StopReason, Until};
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
use crate::host::process::{Exit, Foreground, Process, Program, StderrMode};
use crate::logs::store::Writer;
use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::model::stop::{StopSequence, StopSignal};
use crate::protocol::Host;
use crate::supervisor::capture::Capture;
use crate::supervisor::engine::child::{ChildEvent, ChildTask, RECHECK};
use crate::supervisor::engine::role::Role;
use crate::supervisor::fd_store;
use crate::supervisor::judge;
use crate::supervisor::judge::{EngineActions, Finished, FinishedStart};
use crate::supervisor::last_output::LastOutput;
use crate::supervisor::launch::{Launch, Output};
use crate::supervisor::orphans::Orphans;
use crate::supervisor::readiness::{Checks, Readiness};
use crate::supervisor::restart::STABLE;
use crate::supervisor::scheduler::{
    Action, Input, Member, Phase, Policy, RoleKind, Scheduler, StopCause, StopStep,
};
use crate::supervisor::server::{Control, Conversations, Launcher, RemoteOrder, Service};

/// Options of an engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// The options of the scheduler.
    pub policy: Policy,
    /// The level of log lines that are emitted as events.
    pub shown: Level,
}

/// The result of a role.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The name of the role.
    pub role: RoleName,
    /// The kind of role.
    pub kind: RoleKind,
    /// The outcome.
    pub outcome: RoleOutcome,
    /// The exit status of its process, if it was started.
    pub exit: Option<Exit>,
    /// The time at which it ended.
    pub at: Timestamp,
    /// Outcomes of previous tries of a test, with their times.
    pub before: Vec<(RoleOutcome, Timestamp)>,
}

/// The results of all roles.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// Results in the order of the launches.
    pub ended: Vec<Ended>,
    /// The interrupt that ended the run, if any.
    pub interrupted: Option<Interrupt>,
    /// True if the roles were killed at once.
    pub at_once: bool,
    /// The error if the system could not start more processes.
    pub refused: Option<String>,
}

/// Number of bytes read from a pipe at once.
const READ_SIZE: usize = 64 * 1024;

/// Runs roles until all have ended. `notices` receives the notifications of
/// components, `service` the requests of clients. Must be called inside a
/// `LocalSet`.
///
/// The background engine gets its first roles by request. It ends after its
/// last role, or if no request arrives for some time. The first interrupt stops
/// all roles gracefully, the second kills them.
///
/// On return, no process of the roles is left in their groups, except for roles
/// that could not be killed. Dropping the future earlier kills the roles.
pub async fn run(
    launches: Vec<Launch>,
    options: &Options,
    notices: &Notices,
    service: Option<Service<'_>>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> RunResult {
    let (child_events, mut received) = mpsc::unbounded_channel();
    let (order, mut ordered) = mpsc::unbounded_channel();
    let mut conversations = Conversations::default();
    let (readiness, mut answers) = Readiness::new();
    let mut engine = Engine::new(options, events.clone(), child_events, readiness);
    let mut control = None;
    if let Some(service) = service {
        control = service.control;
        engine.host = service.host;
        engine.is_persistent = service.is_persistent;
        engine.launcher = service.launcher;
        conversations.begin(service.listener, order);
    }
    engine.admit(launches);
    engine.feed(Input::Begin);
    let mut in_a_row = 0;
    loop {
        engine.answer_watches();
        // Handle pending requests before checking for the end.
        if let Ok(order) = ordered.try_recv() {
            engine.order(order);
            continue;
        }
        engine.forget_tasks();
        engine.tell_tested(control.as_ref());
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
                    Ok(notice) => engine.handle_notice(&notice),
                    // An error of our own bound socket cannot be handled.
                    Err(_) => tokio::task::yield_now().await,
                }
                continue;
            }
            Some(event) = received.recv() => {
                // Handle notifications sent before the exit first.
                for notice in std::iter::from_fn(|| notices.try_next()).take(NOTICES_IN_A_ROW) {
                    engine.handle_notice(&notice);
                }
                engine.handle_child_event(event);
            }
            Some(heard) = answers.recv() => engine.heard(heard),
            Some(order) = ordered.recv() => engine.order(order),
            Some(order) = next_order(control.as_mut()) => engine.obey(order),
            () = tick => engine.tick(),
            // Starts come last and one at a time, so that running roles are
            // served in between.
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

/// Returns the next order from another machine. Cancel safe.
async fn next_order(control: Option<&mut Control>) -> Option<RemoteOrder> {
    match control {
        Some(control) => control.orders.recv().await,
        None => std::future::pending().await,
    }
}

/// Maximum number of notifications handled in a row, so that a role that floods
/// the socket does not block the others. Larger than the queue of a socket.
const NOTICES_IN_A_ROW: usize = 1024;

/// Time that the background engine waits for its first roles.
const UNUSED: Duration = Duration::from_secs(10);

struct Engine<'a> {
    scheduler: Scheduler,
    roles: Vec<Role>,
    by_name: BTreeMap<RoleName, usize>,
    shown: Level,
    /// Number of retries of a failed test.
    retries: u32,
    host: Host,
    /// True if the engine keeps running without roles.
    is_persistent: bool,
    /// The process ID of the guardian.
    guardian: u32,
    /// Number of admitted batches.
    batches: u64,
    /// The time at which to give up waiting for the first roles.
    unused: Option<Instant>,
    launcher: Option<Launcher<'a>>,
    watches: Vec<requests::Watch>,
    events: Events,
    starts: VecDeque<usize>,
    interrupted: Option<Interrupt>,
    at_once: bool,
    exhaustion: Option<String>,
    /// True once the end of all tests was told.
    is_tested: bool,
    orphans: Rc<RefCell<Orphans>>,
    readiness: Readiness,
    tasks: JoinSet<()>,
    child_events: mpsc::UnboundedSender<ChildEvent>,
    buffer: Rc<RefCell<Vec<u8>>>,
    /// Created on first use.
    peeking: Option<Rc<Peeking>>,
}

impl Engine<'_> {
    fn new(
        options: &Options,
        events: Events,
        child_events: mpsc::UnboundedSender<ChildEvent>,
        readiness: Readiness,
    ) -> Self {
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
            exhaustion: None,
            is_tested: false,
            orphans: Rc::new(RefCell::new(Orphans::default())),
            readiness,
            tasks: JoinSet::new(),
            child_events,
            buffer: Rc::new(RefCell::new(vec![0; READ_SIZE])),
            peeking: None,
        }
    }

    /// Adds roles. Each reuses the index of an ended role of the same name, or
    /// gets a new one.
    fn admit(&mut self, launches: Vec<Launch>) -> Vec<usize> {
        let mut places = Vec::with_capacity(launches.len());
        let mut next = self.roles.len();
        for launch in &launches {
            // A command that is not a role has no lock, and no name to register.
            let known = self.by_name.get(&launch.role).copied();
            let place = known.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            if launch.lock.is_some() {
                self.by_name.insert(launch.role.clone(), place);
                self.orphans.borrow_mut().register(&launch.role, place);
            }
            places.push(place);
        }
        self.batches += 1;
        let mut members = Vec::with_capacity(launches.len());
        for (&place, launch) in places.iter().zip(launches) {
            let after = launch.properties.after.iter();
            let after = after.filter_map(|role| self.by_name.get(role).copied());
            let member = Member {
                kind: launch.kind,
                // Dependencies that have ended are ignored.
                after: after
                    .filter(|needed| places.contains(needed) || self.runs(*needed))
                    .collect(),
                timeout: launch.properties.timeout(),
                ready_limit: launch.ready_limit,
                stop: launch.conduct.stop,
                is_one_shot: launch.conduct.is_one_shot,
                owner: launch
                    .owner
                    .as_ref()
                    .and_then(|test| self.by_name.get(test).copied()),
                tells_slow: launch.conduct.tells_slow,
                finish: finish::limit(&launch),
                setup: launch.setup.clone(),
                exclusive: if launch.kind == RoleKind::Test || launch.conduct.is_one_shot {
                    launch.properties.exclusive.clone()
                } else {
                    // It may run as long as the others wait.
                    BTreeSet::new()
                },
                is_held: launch.is_held,
            };
            members.push((place, member));
            let role = Role::new(launch, self.batches);
            match self.roles.get_mut(place) {
                Some(known) => *known = role,
                None => self.roles.push(role),
            }
        }
        self.scheduler.admit(members);
        self.listen(&places);
        places
    }

    /// Obeys an order from another machine.
    fn obey(&mut self, order: RemoteOrder) {
        match order {
            RemoteOrder::Feed(input) => self.feed(input),
            RemoteOrder::Admit(role) => {
                if let Some(&member) = self.by_name.get(&role) {
                    self.feed(Input::Admit(member));
                }
            }
        }
    }

    /// Returns true if a role runs or is about to.
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
        // Unkillable roles keep the background engine running, unless it is
        // interrupted.
        let is_kept = self.host == Host::Background
            && self.interrupted.is_none()
            && self.scheduler.has_unkillable();
        self.scheduler.is_done() && !is_kept
    }

    /// Tells another machine that all tests have ended, once.
    fn tell_tested(&mut self, control: Option<&Control>) {
        let Some(control) = control else {
            return;
        };
        if !self.is_tested && self.scheduler.have_tests_ended() {
            self.is_tested = true;
            // Its receiver lives as long as the engine.
            let _ = control.tested.send(());
        }
    }

    /// Reaps finished tasks; there is one per start.
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
            .chain(self.readiness.wake_at())
            .min()
    }

    /// Does what is due.
    fn tick(&mut self) {
        self.look();
        let now = clock::instant();
        if self.scheduler.wake_at().is_some_and(|at| at <= now) {
            self.feed(Input::Tick);
        }
    }

    /// Passes an input to the scheduler and executes its actions.
    fn feed(&mut self, input: Input) {
        for action in self.scheduler.next(input, clock::instant()) {
            match action {
                Action::Start(member) => self.starts.push_back(member),
                Action::Rerun(member) => self.will_rerun(member),
                Action::Slow(member, elapsed) => {
                    let role = self.roles[member].name.clone();
                    let test = None;
                    let slow = RoleEvent::Slow {
                        role,
                        elapsed,
                        test,
                    };
                    self.emit(member, slow);
                }
                Action::Signal(member, stop_signal) => self.signal(member, stop_signal),
                Action::TimedOut(member) => {
                    let role = &mut self.roles[member];
                    match &mut role.finishing {
                        Some(finishing) => finishing.is_late = true,
                        None => role.actions_taken.timed_out = role.timeout,
                    }
                }
                Action::NeverReady(member) => {
                    let unready = self.unready(member);
                    let role = &mut self.roles[member];
                    role.actions_taken.unready = unready;
                    role.actions_taken.never_ready = role.ready_limit;
                }
                Action::Skip(member, needed) => self.skip(member, needed),
                Action::Stopping(why) => self.events.emit(RunEvent::Stopping {
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
        if self.roles[member].finishing.is_some() {
            return self.next_after_all(member).await;
        }
        // A stop may have arrived after the decision to start.
        if self.roles[member].actions_taken.asked {
            let role = &mut self.roles[member];
            role.setting_up = None;
            if role.ended.is_none() {
                let outcome = judge::stopped_early(&role.actions_taken);
                return self.finish(member, outcome);
            }
            // The outcome of the previous try remains its outcome.
            self.feed(Input::Ended {
                member,
                success: false,
                restart_after: None,
            });
            return self.release(member);
        }
        if self.roles[member].setting_up.is_some() {
            return self.next_step(member).await;
        }
        self.roles[member].since = clock::now();
        if self.roles[member].kind == RoleKind::Test {
            self.rerun(member);
        }
        let prepared = (self.roles[member].prepare)()
            .and_then(|start| Ok((self.check_probes(&start)?, start)));
        let (checks, start) = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => return self.end(member, judge::not_started(&reason)),
        };
        self.roles[member].after_all = start.after_all;
        if start.steps.is_empty() {
            return self.launch(member, &start.program, checks).await;
        }
        self.set_up(member, start.steps, start.program, checks)
            .await;
    }

    /// Starts the program of a role.
    async fn launch(&mut self, member: usize, program: &Program, checks: Checks) {
        let started = if self.roles[member].foreground {
            self.start_foreground(member, program, checks)
        } else {
            self.start_role(member, program, checks).await
        };
        if let Err(error) = started {
            // Not the fault of this role; the next start would fail too.
            if process::is_exhaustion(&error) {
                self.exhausted(member, &error);
            }
            self.finish(member, judge::not_started(&program.refusal(&error)));
        }
    }

    /// Handles a lack of system resources: stops the roles of the same batch in
    /// an engine that accepts roles, and otherwise all roles.
    fn exhausted(&mut self, member: usize, error: &io::Error) {
        if self.launcher.is_none() {
            self.exhaustion.get_or_insert(error.to_string());
            return self.feed(Input::Stop);
        }
        let batch = self.roles[member].batch;
        let others = (0..self.roles.len()).filter(|&other| other != member);
        let others = others.filter(|&other| self.roles[other].batch == batch);
        self.feed(Input::StopSome(others.collect()));
    }

    async fn start_role(
        &mut self,
        member: usize,
        program: &Program,
        checks: Checks,
    ) -> io::Result<()> {
        let at = clock::now();
        let output = self.roles[member].conduct.output;
        let mut task = self.start_process(member, program, output).await?;
        let pid = task.end.pid();
        self.attach(member, pid, at);
        self.started(member, pid, at, &checks);
        task.capture.pass_to(self.watch_probes(member, pid, checks));
        self.tasks.spawn_local(task.run());
        Ok(())
    }

    /// Starts a command before or after the program of a role.
    async fn start_command(&mut self, member: usize, program: &Program) -> io::Result<()> {
        let at = clock::now();
        let task = self.start_process(member, program, Output::Log).await?;
        self.attach(member, task.end.pid(), at);
        self.tasks.spawn_local(task.run());
        Ok(())
    }

    /// Starts a process of a role, and returns the task that reads its output.
    async fn start_process(
        &mut self,
        member: usize,
        program: &Program,
        output: Output,
    ) -> io::Result<ChildTask> {
        let peeking = self.peeking()?;
        let mode = match output {
            Output::Message | Output::LogAndMessage => StderrMode::Piped,
            Output::Log => StderrMode::Joined,
        };
        let Process {
            stdout,
            stderr,
            end,
        } = Process::start(program, mode).await?;
        let (log, result) = match stderr {
            Some(stderr) => (stderr, Some(stdout)),
            None => (stdout, None),
        };
        let pid = end.pid();
        let role = &self.roles[member];
        let store = Writer::new(role.log.clone(), role.storage);
        let mut capture = Capture::new(role.name.clone(), store, self.shown);
        capture.follow(pid);
        capture.count(role.lost.clone());
        if output != Output::Message {
            capture.keep_last();
        }
        let loan = fd_store::lend(&log, &role.name, pid, &role.log);
        Ok(ChildTask {
            member,
            log,
            result,
            end,
            capture,
            events: self.events.clone(),
            buffer: self.buffer.clone(),
            orphans: self.orphans.clone(),
            child_events: self.child_events.clone(),
            peeking,
            seen: 0,
            incomplete: None,
            _loan: loan,
        })
    }

    fn peeking(&mut self) -> io::Result<Rc<Peeking>> {
        if let Some(peeking) = &self.peeking {
            return Ok(peeking.clone());
        }
        let peeking = Rc::new(Peeking::new()?);
        self.peeking = Some(peeking.clone());
        Ok(peeking)
    }

    fn start_foreground(
        &mut self,
        member: usize,
        program: &Program,
        checks: Checks,
    ) -> io::Result<()> {
        let at = clock::now();
        let reading = self.roles[member].reading.as_ref();
        let mut process = Foreground::start(program, reading)?;
        let pid = process.pid();
        self.attach(member, pid, at);
        self.started(member, pid, at, &checks);
        self.watch_probes(member, pid, checks.without_lines());
        let (child_events, orphans) = (self.child_events.clone(), self.orphans.clone());
        self.tasks.spawn_local(async move {
            let exit = process.wait().await;
            let mut is_reported = false;
            // Scanning for orphans reaps adopted processes of the group that
            // have exited, which count as alive until then.
            while orphans.borrow_mut().has_any(member, clock::instant())
                || signal::group_is_alive(pid)
            {
                if !is_reported {
                    let _ = child_events.send(ChildEvent::MainExited(member));
                    is_reported = true;
                }
                tokio::time::sleep(RECHECK).await;
            }
            process.finish_output().await;
            let ended = exit.map(|exit| Finished {
                exit,
                stdout: Vec::new(),
                last: LastOutput::default(),
            });
            let _ = child_events.send(ChildEvent::Ended(member, ended));
        });
        Ok(())
    }

    /// Registers a new process group of a role.
    fn attach(&mut self, member: usize, pid: u32, at: Timestamp) {
        self.orphans.borrow_mut().started(member, pid);
        let role = &mut self.roles[member];
        role.group = Some(pid);
        role.since = at;
        role.attempts = None;
        role.unannounced.set(None);
        role.unhealthy = None;
        if let Some(lock) = &role.lock {
            // Only used in messages; errors are ignored.
            let _ = lock.sign(&pid.to_string());
        }
    }

    /// Records and reports the start of a role's program.
    fn started(&mut self, member: usize, pid: u32, at: Timestamp, checks: &Checks) {
        let history = self.roles[member].history.as_mut();
        let recorded = history.map(|history| history.started(pid, at));
        self.recorded(member, recorded);
        let role = &self.roles[member];
        let started = RoleEvent::Started {
            role: role.name.clone(),
            executable: role.executable.clone(),
            pid,
            awaits: (role.kind == RoleKind::Operational && !role.foreground)
                .then(|| checks.describe()),
        };
        self.emit(member, started);
    }

    /// Waits for the notifications at the own sockets of these roles.
    fn listen(&mut self, members: &[usize]) {
        for &member in members {
            let Some(own) = &mut self.roles[member].notices else {
                continue;
            };
            let (socket, child_events) = (own.socket.clone(), self.child_events.clone());
            own.task = Some(self.tasks.spawn_local(async move {
                loop {
                    // An error of our own bound socket cannot be handled.
                    if let Ok(notice) = socket.next().await {
                        let _ = child_events.send(ChildEvent::Noticed(member, notice));
                    }
                    // A role that floods its socket does not block the others.
                    tokio::task::yield_now().await;
                }
            }));
        }
    }

    /// Handles the notifications that a role sent before its exit.
    fn handle_last_notices(&mut self, member: usize) {
        let Some(own) = &self.roles[member].notices else {
            return;
        };
        let socket = own.socket.clone();
        for notice in std::iter::from_fn(|| socket.try_next()).take(NOTICES_IN_A_ROW) {
            self.handle_own_notice(member, &notice);
        }
    }

    /// Handles a notification at the shared socket, which names its role.
    fn handle_notice(&mut self, notice: &Notice) {
        let named = notice
            .role
            .as_deref()
            .and_then(|role| self.by_name.get(role));
        if let Some(&member) = named {
            self.noticed(member, notice);
        }
    }

    /// Handles a notification at the own socket of a role. It need not name the
    /// role, and must not name another.
    fn handle_own_notice(&mut self, member: usize, notice: &Notice) {
        let own = self.roles[member].name.as_str();
        if notice.role.as_deref().is_none_or(|role| role == own) {
            self.noticed(member, notice);
        }
    }

    fn noticed(&mut self, member: usize, notice: &Notice) {
        let role = &mut self.roles[member];
        if let Some(version) = notice
            .contract
            .filter(|&version| version != ansar_contract::VERSION)
        {
            role.refused = Some(format!(
                "executable `{}` was built for contract version {version}; \
                 this `cargo ansar` supports {}",
                role.executable,
                ansar_contract::VERSION
            ));
            self.signal(member, StopStep::Kill);
            return;
        }
        let name = role.name.clone();
        role.attempts = role.attempts.max(notice.attempt);
        let delay = notice.retry_in.map(Duration::try_from_secs_f64);
        if let Some(Ok(delay)) = delay {
            role.retry_at = clock::now().checked_add(delay).ok();
            let role = name.clone();
            self.emit(member, RoleEvent::Retrying { role, delay });
        }
        if let Some((seconds, test)) = &notice.slow {
            if let Ok(elapsed) = Duration::try_from_secs_f64(*seconds) {
                let test = Some(test.clone());
                let role = name.clone();
                let slow = RoleEvent::Slow {
                    role,
                    elapsed,
                    test,
                };
                self.emit(member, slow);
            }
        }
        let check = notice.check.as_deref();
        if let Some(check) = check.and_then(|check| serde_json::from_str(check).ok()) {
            self.checked(member, check);
        }
        if notice.announces == Some(false) && !self.roles[member].conduct.is_one_shot {
            let unannounced = &self.roles[member].unannounced;
            unannounced.set(unannounced.get().or(Some(clock::instant())));
        }
        if self.roles[member].conduct.is_one_shot {
            // It is ready when it has succeeded.
            return;
        }
        if notice.ready || notice.announces == Some(false) {
            self.announced(member);
        }
    }

    /// Reports a check that a role has made.
    fn checked(&self, member: usize, check: Check) {
        let role = self.roles[member].name.clone();
        let passed = check.condition;
        let failed = |text: String| if passed { String::new() } else { text };
        let checked = RoleEvent::Check {
            role,
            passed,
            test: Some(check.name),
            file: failed(check.source),
            line: if passed { 0 } else { check.line },
            column: check.column.filter(|_| !passed),
            text: failed(check.text),
        };
        self.emit(member, checked);
    }

    fn handle_child_event(&mut self, event: ChildEvent) {
        match event {
            ChildEvent::Noticed(member, notice) => self.handle_own_notice(member, &notice),
            ChildEvent::MainExited(member) => {
                self.handle_last_notices(member);
                self.roles[member].main_exited = true;
                self.feed(Input::MainExited(member));
            }
            ChildEvent::Ended(member, ended) => {
                self.handle_last_notices(member);
                let role = &mut self.roles[member];
                role.group = None;
                role.unhealthy = None;
                role.unkillable = None;
                role.retry_at = None;
                if role.finishing.is_some() {
                    return self.after_all_ended(member, ended);
                }
                if let (Ok(finished), Some(_)) = (&ended, &role.setting_up) {
                    return self.step_ended(member, finished);
                }
                role.setting_up = None;
                role.exit = ended.as_ref().ok().map(|finished| finished.exit);
                let outcome = match (ended, role.refused.take()) {
                    (_, Some(refused)) => {
                        RoleOutcome::of(&Faulted::new(refused, ""), Cause::NeverStarted)
                    }
                    (Ok(finished), None) => FinishedStart {
                        role: &role.name,
                        judge: role.conduct.judge,
                        stop_signal: role.conduct.stop.signal,
                        described: role.described.as_ref(),
                        finished: &finished,
                        actions_taken: &role.actions_taken,
                        was_ready: self.scheduler.has_become_ready(member),
                        at: clock::now(),
                    }
                    .outcome(),
                    (Err(error), None) => {
                        let lost = Faulted::new("lost track of its process", error.to_string());
                        RoleOutcome::of(&lost, Cause::Exited(0))
                    }
                };
                self.finish(member, outcome);
            }
        }
    }

    /// Handles the end of a run of a role.
    fn end(&mut self, member: usize, outcome: RoleOutcome) {
        self.readiness.forget(member);
        let restart_after = self.restart_delay(member, &outcome);
        let role = &self.roles[member];
        let success = match role.kind {
            RoleKind::Test => outcome.report().is_some_and(|report| report.failed == 0),
            RoleKind::Operational => match outcome.success() {
                Success::Yes => true,
                // A program that has ended by itself, with success, has done its
                // task.
                Success::Stopped => role.actions_taken.asked || outcome.cause == Cause::Exited(0),
                Success::No => false,
            },
        };
        let recorded = match &role.succeeded {
            Some(record) if outcome.success() == Success::Yes => record(),
            _ => Ok(()),
        };
        if let Err(why) = recorded {
            let role = role.name.clone();
            self.emit(member, RoleEvent::Unrecorded { role, why });
        }
        self.record_exit(member, outcome);
        self.feed(Input::Ended {
            member,
            success,
            restart_after,
        });
        match (self.scheduler.phase(member), restart_after) {
            (Phase::BackingOff, Some(delay)) => {
                if let Some(lock) = &self.roles[member].lock {
                    // The process ID may be reused.
                    let _ = lock.sign("");
                }
                let role = self.roles[member].name.clone();
                self.emit(member, RoleEvent::Restarting { role, delay });
            }
            (Phase::Ended, _) => self.release(member),
            _ => {}
        }
    }

    /// Returns the delay before a role with this outcome is restarted, and
    /// counts the restart.
    fn restart_delay(&mut self, member: usize, outcome: &RoleOutcome) -> Option<Duration> {
        let role = &mut self.roles[member];
        // A role stopped for a timeout was not stopped on request: it has
        // failed.
        if role.actions_taken.asked && !role.actions_taken.is_failure() {
            return None;
        }
        let ran = clock::now().duration_since(role.since);
        if ran.unsigned_abs() >= STABLE {
            role.restarts.1 = 0;
        }
        let delay = role.restarting.delay(
            outcome.success(),
            role.restarts.1,
            environment::random_up_to,
        )?;
        role.restarts.0 = role.restarts.0.saturating_add(1);
        role.restarts.1 += 1;
        role.actions_taken = EngineActions::default();
        role.main_exited = false;
        Some(delay)
    }

    /// Resets a failed test for its next try.
    fn will_rerun(&mut self, member: usize) {
        let role = &mut self.roles[member];
        if let Some(lock) = &role.lock {
            // The process ID may be reused.
            let _ = lock.sign("");
        }
        role.actions_taken = EngineActions::default();
        role.main_exited = false;
    }

    /// Before a start of a test: if it is a retry, records the previous outcome
    /// and emits an event.
    fn rerun(&mut self, member: usize) {
        let role = &mut self.roles[member];
        let Some(failed) = role.ended.take() else {
            return;
        };
        role.before.push(failed);
        let role = &self.roles[member];
        let nth = u32::try_from(role.before.len()).unwrap_or(u32::MAX);
        let rerun = RoleEvent::Rerunning {
            role: role.name.clone(),
            nth: nth.saturating_add(1),
            of: self.retries.saturating_add(1),
        };
        self.emit(member, rerun);
    }

    /// Records that a role will not be started or restarted: because of the
    /// role `needed`, if that has failed.
    fn skip(&mut self, member: usize, needed: Option<usize>) {
        // The outcome before a cancelled restart has been emitted already.
        if self.roles[member].ended.is_none() {
            // A test that was not run is reported as such.
            let is_test = self.roles[member].kind == RoleKind::Test;
            let needed = needed
                .filter(|_| !is_test)
                .map(|needed| &self.roles[needed]);
            let outcome = needed.and_then(|needed| {
                let outcome = needed.ended.as_ref().map(|(outcome, _)| outcome);
                judge::skipped_after(&needed.name, outcome)
            });
            self.record_exit(member, outcome.unwrap_or_else(judge::skipped));
        }
        self.release(member);
    }

    fn record_exit(&mut self, member: usize, outcome: RoleOutcome) {
        let role = &mut self.roles[member];
        let attempts = role.attempts;
        let history = role.history.as_mut();
        let recorded = history.map(|history| history.ended(&outcome, attempts));
        self.recorded(member, recorded);
        let role = &mut self.roles[member];
        role.since = clock::now();
        role.ended = Some((outcome.clone(), role.since));
        let role = role.name.clone();
        self.emit(member, RoleEvent::Ended { role, outcome });
    }

    /// Releases the lock, the ports and the socket of a role that will not run
    /// again.
    fn release(&mut self, member: usize) {
        self.roles[member].ports.clear();
        self.roles[member].lock = None;
        self.roles[member].notices = None;
    }

    /// Reports a failure to write the history. The role keeps running.
    fn recorded(&self, member: usize, recorded: Option<Result<(), HomeError>>) {
        if let Some(Err(error)) = recorded {
            self.events.emit(RoleEvent::Unrecorded {
                role: self.roles[member].name.clone(),
                why: crate::error::with_causes(&error),
            });
        }
    }

    fn signal(&mut self, member: usize, stop_signal: StopStep) {
        let role = &mut self.roles[member];
        // Signals to remaining processes do not affect the outcome of the main
        // process.
        role.actions_taken.asked |= !role.main_exited;
        self.readiness.forget(member);
        // The role's signal is for its program. Commands before and after it,
        // and what a shell among them has started, stop at SIGTERM.
        let asks = match (&role.setting_up, &role.finishing) {
            (Some(_), _) | (_, Some(_)) => StopSignal::TERMINATE,
            (None, None) => role.conduct.stop.signal.unwrap_or(StopSignal::INTERRUPT),
        };
        let signal = match stop_signal {
            StopStep::Ask => Signal::Stop(asks),
            StopStep::Terminate => Signal::Stop(StopSignal::TERMINATE),
            StopStep::Kill => Signal::Kill,
        };
        if let Some(group) = role.group {
            // The group may have ended; if it may not be signalled, the role is
            // reported later as unkillable.
            let is_sent = signal::send_to_group(group, signal).is_ok();
            role.actions_taken.killed |=
                is_sent && !role.main_exited && stop_signal == StopStep::Kill;
            self.orphans.borrow_mut().signal(member, signal);
        }
    }

    /// Finds out why a role survived being killed, and reports it.
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
            (group, "processes of its group are still running".to_owned())
        });
        role.unkillable = Some(format!("process {pid}: {why}"));
        let role = role.name.clone();
        self.emit(member, RoleEvent::Unkillable { role, pid, why });
    }

    fn interrupted(&mut self, interrupt: Interrupt) {
        if interrupt == Interrupt::Superseded && self.interrupted.is_some() {
            // The engine is stopping already; superseding it does not count as
            // a second interrupt.
            return;
        }
        // An interrupt after superseding counts as the first one.
        let first = self.interrupted.filter(|it| *it != Interrupt::Superseded);
        let again = first.is_some();
        self.interrupted = first.or(Some(interrupt));
        let at_once = again || interrupt == Interrupt::Orphaned;
        self.at_once |= at_once;
        self.feed(if at_once { Input::Kill } else { Input::Stop });
    }

    /// Reports roles that take long to reach a state.
    fn waiting(&mut self, members: &[usize], until: Until) {
        let why: BTreeMap<usize, String> = members
            .iter()
            .filter_map(|&member| Some((member, self.reason_to_wait(member, until)?)))
            .collect();
        let waiting = |members: &[usize]| {
            let name = |member: usize| self.roles[member].name.clone();
            let why = members
                .iter()
                .filter_map(|&member| Some((name(member), why.get(&member)?.clone())));
            RunEvent::Waiting {
                roles: members.iter().map(|&member| name(member)).collect(),
                until,
                why: why.collect(),
            }
        };
        self.events.emit(waiting(members));
        for watch in &self.watches {
            let watched = watch.among(members);
            if !watched.is_empty() {
                watch.send(waiting(&watched));
            }
        }
    }

    /// Returns what a role is waited for.
    fn reason_to_wait(&mut self, member: usize, until: Until) -> Option<String> {
        if until == Until::Ready {
            if self.roles[member].setting_up.is_some() {
                return Some("its setup runs".to_owned());
            }
            return self.unready(member);
        }
        let role = &self.roles[member];
        let StopSequence { signal, grace } = role.conduct.stop;
        let signal = signal.unwrap_or(StopSignal::INTERRUPT);
        let grace = ShortDuration(grace);
        let is_asked = role.actions_taken.asked && !role.actions_taken.killed;
        is_asked.then(|| format!("{signal} was sent, SIGKILL follows after {grace}"))
    }

    /// Emits an event of a role, also to the clients that wait for it.
    fn emit(&self, member: usize, event: RoleEvent) {
        for watch in &self.watches {
            if watch.concerns(member) {
                watch.send(event.clone());
            }
        }
        self.events.emit(event);
    }

    fn outcome(mut self) -> RunResult {
        for member in 0..self.roles.len() {
            let role = &mut self.roles[member];
            if let (Some(why), true) = (role.unkillable.take(), role.group.is_some()) {
                self.record_exit(member, judge::unkillable(&why));
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
            refused: self.exhaustion.take(),
        }
    }
}
