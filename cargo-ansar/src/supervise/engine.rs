//! Acts on what the group's machine decides: starts, signals, reads, listens.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ansar_runtime::contract;
use ansar_runtime::contract::lifecycle::Faulted;
use ansar_runtime::contract::line::Level;
use ansar_runtime::contract::notice::Notice;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::capture::Capture;
use super::ending::{self, Treatment};
use super::group::{Action, Group, Input, Member, Part, Policy, Rung, Why};
use super::strays::Strays;
use crate::event::{Events, Kind, StopReason, Until};
use crate::home::HomeError;
use crate::home::history::Journal;
use crate::home::log::Writer;
use crate::host::clock;
use crate::host::interrupts::{Interrupt, Interrupts};
use crate::host::notices::Notices;
use crate::host::process::{self, Exit, Foreground, Narrative, Pipe, Process, Program};
use crate::host::signal::{self, Signal};
use crate::model::ending::{Cause, Ending, Success};
use crate::model::name::{ExecutableName, RoleName};

/// A role to run.
#[derive(Debug)]
pub struct Launch {
    /// Its name.
    pub role: RoleName,
    /// The name of what it runs.
    pub executable: ExecutableName,
    /// How to start it, or why it cannot be.
    pub program: Result<Program, String>,
    /// What it is for.
    pub part: Part,
    /// The roles that are ready, or done, before it starts; those that are not
    /// among the launches are not waited for.
    pub after: Vec<RoleName>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// The folder of its log.
    pub log: PathBuf,
    /// Where its start and its end are written down; nowhere for what is no
    /// role.
    pub history: Option<Journal>,
    /// Whether it has the streams and the terminal of this command instead of
    /// a log and a result.
    pub foreground: bool,
}

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
    pub part: Part,
    /// How it ended.
    pub ending: Ending,
    /// How its process ended, where it was started.
    pub exit: Option<Exit>,
    /// When it ended.
    pub at: Timestamp,
}

/// What became of all roles.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// In the order of the launches.
    pub ended: Vec<Ended>,
    /// What ended the run from outside, where something did.
    pub interrupted: Option<Interrupt>,
    /// Why the system would start no more processes, where it would not.
    pub refused: Option<String>,
}

/// A result larger than this is none.
const LARGEST_RESULT: usize = 64 << 20;
/// How much is read from a pipe at once.
const READ_SIZE: usize = 64 * 1024;
/// How many of these are read after everything of a role has ended.
const LAST_READS: usize = 64;
/// How often to look whether processes that a role left behind are gone.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Runs roles until all have ended; `notices` hears what they say of their
/// state. Inside of a `LocalSet` only.
///
/// The first interrupt stops them gracefully, the second at once. When this
/// returns, nothing of them is left in their groups; when it is dropped in the
/// middle, they are killed.
pub async fn run(
    launches: Vec<Launch>,
    options: &Options,
    notices: &Notices,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Outcome {
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut engine = Engine::new(launches, options, events.clone(), tell);
    engine.feed(Input::Begin);
    while !engine.group.is_done() {
        let wake = engine.group.wake_at();
        let tick = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            interrupt = interrupts.next() => engine.interrupted(interrupt),
            notice = notices.next() => match notice {
                Ok(notice) => engine.heard(&notice),
                // The socket is ours and bound: nothing to be done about it.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(news) = told.recv() => {
                // What a role said before it ended comes first.
                while let Some(notice) = notices.try_next() {
                    engine.heard(&notice);
                }
                engine.news(news);
            }
            () = tick => engine.feed(Input::Tick),
            // Last, one at a time: those that run are heard in between.
            () = tokio::task::yield_now(), if !engine.starts.is_empty() => engine.start().await,
        }
    }
    engine.outcome()
}

/// What the task of a process tells the engine.
enum News {
    /// The process has ended, and left others of its group behind.
    Left(usize),
    /// Everything of it has ended.
    Ended(usize, io::Result<(Exit, Vec<u8>)>),
}

/// One role, in the engine.
struct Role {
    name: RoleName,
    executable: ExecutableName,
    program: Result<Program, String>,
    part: Part,
    timeout: Option<Duration>,
    capture: Option<Capture>,
    history: Option<Journal>,
    /// How many attempts it has made, as far as it says so.
    attempts: Option<u32>,
    foreground: bool,
    /// The group, while it is there.
    group: Option<u32>,
    treatment: Treatment,
    /// It has ended by itself, and others of its group have not.
    left: bool,
    refused: Option<String>,
    exit: Option<Exit>,
    ended: Option<(Ending, Timestamp)>,
}

struct Engine {
    group: Group,
    roles: Vec<Role>,
    by_name: BTreeMap<RoleName, usize>,
    policy: Policy,
    events: Events,
    starts: VecDeque<usize>,
    interrupted: Option<Interrupt>,
    no_more: Option<String>,
    strays: Rc<RefCell<Strays>>,
    tasks: JoinSet<()>,
    tell: mpsc::UnboundedSender<News>,
    buffer: Rc<RefCell<Vec<u8>>>,
}

impl Engine {
    fn new(
        launches: Vec<Launch>,
        options: &Options,
        events: Events,
        tell: mpsc::UnboundedSender<News>,
    ) -> Self {
        let by_name: BTreeMap<RoleName, usize> = launches
            .iter()
            .enumerate()
            // What is no role has no name that others could mean.
            .filter(|(_, launch)| !launch.foreground)
            .map(|(member, launch)| (launch.role.clone(), member))
            .collect();
        let names = by_name.iter();
        let names = names.map(|(role, member)| (role.to_string(), *member));
        let names: Vec<_> = names.collect();
        let members = launches
            .iter()
            .map(|launch| Member {
                part: launch.part,
                after: launch
                    .after
                    .iter()
                    .filter_map(|role| by_name.get(role).copied())
                    .collect(),
                timeout: launch.timeout,
            })
            .collect();
        let roles = launches
            .into_iter()
            .map(|launch| Role {
                capture: Some(Capture::new(
                    launch.role.clone(),
                    Writer::new(launch.log),
                    options.shown,
                )),
                name: launch.role,
                executable: launch.executable,
                program: launch.program,
                part: launch.part,
                timeout: launch.timeout,
                history: launch.history,
                attempts: None,
                foreground: launch.foreground,
                group: None,
                treatment: Treatment::default(),
                left: false,
                refused: None,
                exit: None,
                ended: None,
            })
            .collect();
        Self {
            group: Group::new(members, options.policy),
            roles,
            by_name,
            policy: options.policy,
            events,
            starts: VecDeque::new(),
            interrupted: None,
            no_more: None,
            strays: Rc::new(RefCell::new(Strays::new(names))),
            tasks: JoinSet::new(),
            tell,
            buffer: Rc::new(RefCell::new(vec![0; READ_SIZE])),
        }
    }

    /// Tells the machine what happened, and does what it says.
    fn feed(&mut self, input: Input) {
        for action in self.group.next(input, clock::instant()) {
            match action {
                Action::Start(member) => self.starts.push_back(member),
                Action::Signal(member, rung) => self.signal(member, rung),
                Action::TimedOut(member) => {
                    self.roles[member].treatment.timed_out = self.roles[member].timeout;
                }
                Action::NeverReady(member) => {
                    self.roles[member].treatment.never_ready = Some(self.policy.ready_limit);
                }
                Action::Skip(member) => self.conclude(member, ending::skipped()),
                Action::Stopping(why) => self.events.emit(Kind::Stopping {
                    roles: self
                        .roles
                        .iter()
                        .filter(|role| role.group.is_some())
                        .count(),
                    why: match why {
                        Why::Finished => StopReason::Finished,
                        Why::Asked => StopReason::Interrupted,
                        Why::FailFast => StopReason::FailFast,
                        Why::Broken => StopReason::Broken,
                    },
                }),
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
            return self.end(member, ending::skipped());
        }
        let program = match &self.roles[member].program {
            Ok(program) => program.clone(),
            Err(reason) => {
                let ending = ending::not_started(reason);
                return self.end(member, ending);
            }
        };
        let started = if self.roles[member].foreground {
            self.start_foreground(member, &program)
        } else {
            self.start_role(member, &program).await
        };
        if let Err(error) = started {
            // Not this role's fault, and the next one fares no better.
            if process::is_exhaustion(&error) {
                self.no_more.get_or_insert(error.to_string());
                self.feed(Input::Stop);
            }
            self.end(member, ending::not_started(&error.to_string()));
        }
    }

    async fn start_role(&mut self, member: usize, program: &Program) -> io::Result<()> {
        let at = clock::now();
        let process = Process::start(program, Narrative::Piped).await?;
        self.started(member, process.pid(), at);
        let Some(mut capture) = self.roles[member].capture.take() else {
            return Ok(());
        };
        capture.follow(process.pid());
        let life = Life {
            member,
            process,
            capture,
            events: self.events.clone(),
            buffer: self.buffer.clone(),
            strays: self.strays.clone(),
            tell: self.tell.clone(),
        };
        self.tasks.spawn_local(life.live());
        Ok(())
    }

    fn start_foreground(&mut self, member: usize, program: &Program) -> io::Result<()> {
        let at = clock::now();
        let mut process = Foreground::start(program)?;
        let pid = process.pid();
        self.started(member, pid, at);
        let (tell, strays) = (self.tell.clone(), self.strays.clone());
        self.tasks.spawn_local(async move {
            let exit = process.wait().await;
            let mut told = false;
            // Looking for strays reaps those of the group that were adopted and
            // have ended: until then these count as alive.
            while strays.borrow_mut().any_of(member, clock::instant())
                || signal::group_is_alive(pid)
            {
                if !told {
                    let _ = tell.send(News::Left(member));
                    told = true;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let _ = tell.send(News::Ended(member, exit.map(|exit| (exit, Vec::new()))));
        });
        Ok(())
    }

    fn started(&mut self, member: usize, pid: u32, at: Timestamp) {
        self.strays.borrow_mut().started(member, pid);
        let role = &mut self.roles[member];
        role.group = Some(pid);
        let history = role.history.as_mut();
        let recorded = history.map(|history| history.started(pid, at));
        self.recorded(member, recorded);
        let role = &self.roles[member];
        self.events.emit(Kind::Started {
            role: role.name.clone(),
            executable: role.executable.clone(),
            pid,
        });
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
            .filter(|&version| version != contract::VERSION)
        {
            role.refused = Some(format!(
                "`{}` speaks contract version {version}, and this `cargo ansar` speaks {}",
                role.executable,
                contract::VERSION
            ));
            self.signal(member, Rung::Kill);
            return;
        }
        role.attempts = role.attempts.max(notice.attempt);
        if let Some(seconds) = notice.retry_in
            && let Ok(delay) = Duration::try_from_secs_f64(seconds)
        {
            self.events.emit(Kind::Retrying {
                role: role.name.clone(),
                delay,
            });
        }
        if notice.ready || notice.announces == Some(false) {
            self.events.emit(Kind::Ready {
                role: role.name.clone(),
            });
            self.feed(Input::Ready(member));
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Left(member) => {
                self.roles[member].left = true;
                self.feed(Input::Left(member));
            }
            News::Ended(member, ended) => {
                let role = &mut self.roles[member];
                role.group = None;
                role.exit = ended.as_ref().ok().map(|(exit, _)| *exit);
                let ending = match (ended, role.refused.take()) {
                    (_, Some(refused)) => {
                        Ending::of(&Faulted::new(refused, ""), Cause::NeverStarted)
                    }
                    (Ok((exit, stdout)), None) => ending::judge(exit, &stdout, role.treatment),
                    (Err(error), None) => {
                        let lost = Faulted::new("lost track of its process", error.to_string());
                        Ending::of(&lost, Cause::Exited(0))
                    }
                };
                self.end(member, ending);
            }
        }
    }

    /// A role that was to run has ended.
    fn end(&mut self, member: usize, ending: Ending) {
        let role = &self.roles[member];
        let well = match role.part {
            Part::Test => ending.report().is_some_and(|report| report.failed == 0),
            Part::Operational => match ending.success() {
                Success::Yes => true,
                Success::Stopped => role.treatment.asked,
                Success::No => false,
            },
        };
        self.conclude(member, ending);
        self.feed(Input::Ended { member, well });
    }

    fn conclude(&mut self, member: usize, ending: Ending) {
        let role = &mut self.roles[member];
        let attempts = role.attempts;
        let history = role.history.as_mut();
        let recorded = history.map(|history| history.ended(&ending, attempts));
        self.recorded(member, recorded);
        let role = &mut self.roles[member];
        role.ended = Some((ending.clone(), clock::now()));
        self.events.emit(Kind::Ended {
            role: role.name.clone(),
            ending,
        });
    }

    /// Says so where a start or an end could not be written down: the role
    /// goes on.
    fn recorded(&self, member: usize, recorded: Option<Result<(), HomeError>>) {
        if let Some(Err(error)) = recorded {
            self.events.emit(Kind::Unrecorded {
                role: self.roles[member].name.clone(),
                why: error.to_string(),
            });
        }
    }

    fn signal(&mut self, member: usize, rung: Rung) {
        let role = &mut self.roles[member];
        // What is done to those it left behind is not done to it.
        role.treatment.asked |= !role.left;
        role.treatment.killed |= !role.left && rung == Rung::Kill;
        let signal = match rung {
            Rung::Interrupt => Signal::Interrupt,
            Rung::Terminate => Signal::Terminate,
            Rung::Kill => Signal::Kill,
        };
        if let Some(group) = role.group {
            // One that is gone meanwhile has been told enough.
            let _ = signal::send_to_group(group, signal);
            self.strays.borrow_mut().signal(member, signal);
        }
    }

    fn interrupted(&mut self, interrupt: Interrupt) {
        let again = self.interrupted.is_some();
        self.interrupted.get_or_insert(interrupt);
        let at_once = again || interrupt == Interrupt::Orphaned;
        self.feed(if at_once { Input::Kill } else { Input::Stop });
    }

    fn waiting(&self, members: &[usize], until: Until) {
        let roles = members
            .iter()
            .map(|&member| self.roles[member].name.clone());
        self.events.emit(Kind::Waiting {
            roles: roles.collect(),
            until,
        });
    }

    fn outcome(mut self) -> Outcome {
        let roles = std::mem::take(&mut self.roles).into_iter();
        let ended = roles.map(|role| {
            let (ending, at) = role
                .ended
                .unwrap_or_else(|| (ending::skipped(), clock::now()));
            Ended {
                role: role.name,
                part: role.part,
                ending,
                exit: role.exit,
                at,
            }
        });
        Outcome {
            ended: ended.collect(),
            interrupted: self.interrupted,
            refused: self.no_more.take(),
        }
    }
}

/// The task of one process: reads its pipes until everything of it has ended.
struct Life {
    member: usize,
    process: Process,
    capture: Capture,
    events: Events,
    /// One for all: it is filled and emptied between two waits.
    buffer: Rc<RefCell<Vec<u8>>>,
    strays: Rc<RefCell<Strays>>,
    tell: mpsc::UnboundedSender<News>,
}

impl Life {
    async fn live(mut self) {
        let mut result = Vec::new();
        let ended = self.read(&mut result).await;
        self.capture.finish(clock::now(), &self.events);
        // An engine that is gone needs no news.
        let ended = ended.map(|exit| (exit, result));
        let _ = self.tell.send(News::Ended(self.member, ended));
    }

    async fn read(&mut self, result: &mut Vec<u8>) -> io::Result<Exit> {
        let (mut log, mut out) = (true, true);
        let mut exit = None;
        let Some(stderr) = self.process.stderr.take() else {
            return Err(io::Error::other("no pipe to read the log from"));
        };
        loop {
            let alive = exit.is_none();
            tokio::select! {
                more = stderr.wait(), if log => {
                    more?;
                    log = self.pull_log(&stderr, Pipe::read)? != Some(0);
                }
                more = self.process.stdout.wait(), if out => {
                    more?;
                    out = self.pull_result(Pipe::read, result)? != Some(0);
                }
                ended = self.process.end.wait(), if alive => exit = Some(ended?),
                () = tokio::time::sleep(LOOK_AGAIN), if !alive => {}
            }
            let Some(exit) = exit else {
                continue;
            };
            let since = clock::instant();
            if alive {
                // Whoever ends in the same moment is looked at together.
                tokio::task::yield_now().await;
            }
            // First who was adopted: looking reaps those of the group that have
            // ended, which count as alive until then.
            let left = self.strays.borrow_mut().any_of(self.member, since)
                || signal::group_is_alive(self.process.pid());
            if left && alive {
                let _ = self.tell.send(News::Left(self.member));
            }
            if !left {
                // Nobody of the role writes any more: what is in the pipes is
                // all there is, whoever else may hold them open.
                for _ in 0..LAST_READS {
                    if self.pull_log(&stderr, Pipe::read_now)?.unwrap_or(0) == 0 {
                        break;
                    }
                }
                for _ in 0..LAST_READS {
                    if self.pull_result(Pipe::read_now, result)?.unwrap_or(0) == 0 {
                        break;
                    }
                }
                return Ok(exit);
            }
        }
    }

    /// How many bytes there were; none where the pipe is empty but open.
    fn pull_log(&mut self, stderr: &Pipe, read: Read) -> io::Result<Option<usize>> {
        let mut buffer = self.buffer.borrow_mut();
        let length = read(stderr, &mut buffer)?;
        let bytes = &buffer[..length.unwrap_or(0)];
        self.capture.take(bytes, clock::now(), &self.events);
        Ok(length)
    }

    fn pull_result(&mut self, read: Read, result: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let mut buffer = self.buffer.borrow_mut();
        let length = read(&self.process.stdout, &mut buffer)?;
        // What is too large is cut, and is no message then.
        let room = LARGEST_RESULT.saturating_sub(result.len());
        result.extend_from_slice(&buffer[..length.unwrap_or(0).min(room)]);
        Ok(length)
    }
}

type Read = fn(&Pipe, &mut [u8]) -> io::Result<Option<usize>>;
