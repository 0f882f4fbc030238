//! The engines of a home that run, in whatever command, and what is asked of
//! them over their sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::error::Error;
use crate::events::{Event, Events, Kind};
use crate::home::Home;
use crate::host::process;
use crate::host::process::wait::gone;
use crate::host::process::{orphans, signal};
use crate::host::socket::Connection;
use crate::model::name::RoleName;
use crate::protocol::{Ask, Engine, Host, Reply, Request, RoleStatus, VERSION};
use crate::supervisor::cleanup::clean;

/// An engine, and the roles that it runs.
#[derive(Debug)]
pub struct Running {
    /// The engine.
    pub engine: Engine,
    /// Its roles, by name.
    pub roles: Vec<RoleStatus>,
    /// When its process and the one above were started, as the kernel counts.
    started: [Option<u64>; 2],
}

impl Running {
    /// Waits until the engine and the process above it are gone, and with them
    /// everything that it ran; but no longer than that may take.
    pub async fn gone(&self) {
        // It may have taken other roles meanwhile.
        let [engine, guardian] = self.started;
        let pids = [self.engine.pid, self.engine.guardian];
        all_gone(&[(pids[0], engine), (pids[1], guardian)], EXIT_LIMIT).await;
    }
}

impl Running {
    /// Whether it is attached to this very command.
    fn is_own(&self) -> bool {
        self.engine.host == Host::Attached && process::started().contains(&self.engine.guardian)
    }

    /// Whether what runs there goes on while others work with it.
    pub fn is_kept(&self) -> bool {
        self.engine.host != Host::Foreground
    }
}

/// Waits until processes that were started then are gone, for `limit` at most.
/// Returns true if they are. Of one that was gone already, nothing is known.
async fn all_gone(processes: &[(u32, Option<u64>)], limit: Duration) -> bool {
    let all = async {
        for &(pid, started) in processes {
            if started.is_some() {
                gone(pid, started).await;
            }
        }
    };
    tokio::time::timeout(limit, all).await.is_ok()
}

/// What runs in a home.
#[derive(Debug, Default)]
pub struct Engines {
    /// The engines that answered.
    pub answering: Vec<Running>,
    /// The processes of those that did not: suspended, or very busy.
    pub unresponsive: Vec<u32>,
}

impl Engines {
    /// The engine in the background, which takes more roles.
    pub fn background(&self) -> Option<u32> {
        let mut all = self.answering.iter();
        all.find(|running| running.engine.host == Host::Background)
            .map(|running| running.engine.pid)
    }

    /// The engine that is attached to this very command.
    pub fn own(&self) -> Option<u32> {
        let mut all = self.answering.iter();
        all.find(|running| running.is_own())
            .map(|running| running.engine.pid)
    }

    /// Whether an engine answered.
    pub fn has(&self, engine: u32) -> bool {
        let mut all = self.answering.iter();
        all.any(|running| running.engine.pid == engine)
    }

    /// Everything that runs in an engine that answered, by name.
    pub fn roles(&self) -> BTreeMap<&RoleName, &RoleStatus> {
        let roles = self.answering.iter().flat_map(|running| &running.roles);
        roles.map(|status| (&status.role, status)).collect()
    }

    /// Where each of `roles` runs that runs at all.
    fn of(&self, roles: &BTreeSet<&RoleName>) -> Vec<(&Running, Vec<RoleName>)> {
        let answering = self.answering.iter();
        answering
            .map(|running| {
                let own = running.roles.iter().map(|status| &status.role);
                let own = own.filter(|role| roles.contains(role)).cloned();
                (running, own.collect::<Vec<_>>())
            })
            .filter(|(_, own)| !own.is_empty())
            .collect()
    }
}

/// How long an engine may take to say what it runs.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Finds out what runs. What a killed command left is ended first.
pub async fn find_engines(home: &Home, events: &Events) -> Result<Engines, Error> {
    let mut engines = Engines::default();
    let mut ending = Vec::new();
    for pid in clean(home, events)?.engines {
        let started = orphans::start_time(pid);
        match tokio::time::timeout(ANSWER_LIMIT, status(home, pid)).await {
            Ok(Ok(Some(running))) => engines.answering.push(running),
            // It has not begun.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            // It has just ended, perhaps without cleaning up.
            Ok(Ok(None)) => ending.push((pid, started)),
            Ok(Err(error)) if is_absence(&error) => ending.push((pid, started)),
            Ok(Err(_)) | Err(_) => engines.unresponsive.push(pid),
        }
    }
    if !ending.is_empty() {
        all_gone(&ending, ANSWER_LIMIT).await;
        clean(home, events)?;
    }
    Ok(engines)
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
    matches!(
        error.kind(),
        NotFound | ConnectionRefused | ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

async fn status(home: &Home, pid: u32) -> io::Result<Option<Running>> {
    let mut connection = open(home, pid, Ask::Status).await?;
    match connection.receive::<Reply>().await? {
        Some(Reply::Status { engine, roles }) => Ok(Some(Running {
            started: [engine.pid, engine.guardian].map(orphans::start_time),
            engine,
            roles,
        })),
        Some(_) => Err(io::Error::other("it answers something else")),
        None => Ok(None),
    }
}

async fn open(home: &Home, pid: u32, ask: Ask) -> io::Result<Connection> {
    let mut connection = Connection::open(&home.socket(pid)).await?;
    let request = Request {
        version: VERSION,
        ask,
    };
    connection.send(&request).await?;
    Ok(connection)
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What was asked is done.
    Done,
    /// The listener had heard enough.
    Enough,
    /// The engine has ended.
    Gone,
}

/// What to do after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Hear the next one.
    Listen,
    /// End the conversation.
    Leave,
}

/// Asks an engine for something, and hands what it tells meanwhile to `heard`.
pub async fn ask(
    home: &Home,
    pid: u32,
    ask: Ask,
    mut heard: impl FnMut(Progress) -> Next,
) -> Result<Answer, Error> {
    let failed = |source| Error::System {
        what: "talk to the engine that runs the roles",
        source,
    };
    let mut connection = match open(home, pid, ask).await {
        Ok(connection) => connection,
        Err(error) if is_absence(&error) => return Ok(Answer::Gone),
        Err(error) => return Err(failed(error)),
    };
    loop {
        let told = match connection.receive::<Reply>().await {
            Ok(Some(Reply::Done)) => return Ok(Answer::Done),
            Ok(Some(Reply::Refused(refusal))) => return Err(Error::Refused(refusal)),
            Ok(Some(Reply::Accepted)) => Progress::Accepted,
            Ok(Some(Reply::Event(Event { kind, .. }))) => Progress::Event(kind),
            Ok(Some(Reply::Status { .. })) => continue,
            Ok(None) => return Ok(Answer::Gone),
            Err(error) if is_absence(&error) => return Ok(Answer::Gone),
            Err(error) => return Err(failed(error)),
        };
        if heard(told) == Next::Leave {
            return Ok(Answer::Enough);
        }
    }
}

/// What an engine tells before it is done.
#[derive(Debug)]
pub enum Progress {
    /// Everything is in place to do what was asked.
    Accepted,
    /// Something happened to one of the roles.
    Event(Kind),
}

/// How long an engine may take to end after its last role.
const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// Stops those of `roles` that run, wherever that is, and waits until they are
/// gone, and with the last one its engine in the background. Returns these roles.
///
/// An engine that did not answer is continued, and asked again. One that does
/// not answer then is ended where all that it runs is to stop, or with `force`;
/// what else it ran is among the roles that are returned.
pub async fn stop<'r>(
    home: &Home,
    engines: &Engines,
    roles: impl IntoIterator<Item = &'r RoleName>,
    force: bool,
    events: &Events,
) -> Result<BTreeSet<RoleName>, Error> {
    let roles: BTreeSet<&RoleName> = roles.into_iter().collect();
    let mut silent = Unresponsive::of(home, engines, &roles)?;
    let woken = silent.wake(home).await;
    // Before anything is stopped: where this is refused, nothing has changed.
    silent.check(force)?;
    let mut stopped = BTreeSet::new();
    let mut unkillable = Vec::new();
    let answering = engines.of(&roles).into_iter().chain(woken.of(&roles));
    for (running, own) in answering {
        let Engine { pid, host, .. } = running.engine;
        let ends = host == Host::Background && own.len() == running.roles.len();
        stopped.extend(own.iter().cloned());
        let known = unkillable.len();
        let order = Ask::Stop { roles: own };
        let answer = ask(home, pid, order, |told| {
            if let Progress::Event(kind) = told {
                if let Kind::Unkillable { role, pid, why } = &kind {
                    unkillable.push((role.clone(), format!("process {pid}: {why}")));
                }
                events.emit(kind);
            }
            Next::Listen
        });
        let answer = answer.await?;
        if answer == Answer::Gone || ends && unkillable.len() == known {
            running.gone().await;
        }
    }
    if !unkillable.is_empty() {
        return Err(Error::Unkillable(unkillable));
    }
    stopped.extend(silent.end().await?);
    Ok(stopped)
}

/// How long an engine that was continued may take to say what it runs.
const RESUME_LIMIT: Duration = Duration::from_secs(8);

/// Those of `roles` that are locked, each with the process that runs it where
/// that is known.
fn locked<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName>,
) -> Result<Vec<(RoleName, Option<u32>)>, Error> {
    let mut locked = Vec::new();
    for role in roles {
        if let Some((note, _)) = home.holder(role)? {
            locked.push((role.clone(), note.trim().parse().ok()));
        }
    }
    Ok(locked)
}

/// The engines that do not answer and are in the way.
#[derive(Debug)]
struct Unresponsive(Vec<(u32, MaybeRunning)>);

/// What an engine runs that does not answer, as far as locks tell.
#[derive(Debug, Default)]
struct MaybeRunning {
    /// The roles that are to stop.
    roles: Vec<RoleName>,
    /// The other roles that it may run.
    others: Vec<RoleName>,
}

impl Unresponsive {
    /// Those of the silent `engines` that may run one of `roles`.
    fn of(home: &Home, engines: &Engines, roles: &BTreeSet<&RoleName>) -> Result<Self, Error> {
        if engines.unresponsive.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut silent: BTreeMap<u32, MaybeRunning> = BTreeMap::new();
        let answering = engines.roles();
        for (role, pid) in locked(home, &home.ever_run()?)? {
            if answering.contains_key(&role) {
                continue;
            }
            // One whose process is not known may be of any of them.
            let parent = pid.and_then(orphans::parent);
            let known = parent.filter(|parent| engines.unresponsive.contains(parent));
            if parent.is_some() && known.is_none() {
                continue;
            }
            for &engine in &engines.unresponsive {
                if known.is_none_or(|known| known == engine) {
                    let maybe = silent.entry(engine).or_default();
                    if roles.contains(&role) {
                        maybe.roles.push(role.clone());
                    } else {
                        maybe.others.push(role.clone());
                    }
                }
            }
        }
        silent.retain(|_, maybe| !maybe.roles.is_empty());
        Ok(Self(silent.into_iter().collect()))
    }

    /// Continues these engines and asks them again; returns those that answer.
    async fn wake(&mut self, home: &Home) -> Engines {
        let mut woken = Engines::default();
        for (pid, maybe) in std::mem::take(&mut self.0) {
            signal::wake(pid);
            match tokio::time::timeout(RESUME_LIMIT, status(home, pid)).await {
                Ok(Ok(Some(running))) => woken.answering.push(running),
                // It has just ended.
                Ok(Ok(None)) => {}
                Ok(Err(error)) if is_absence(&error) => {}
                Ok(Err(_)) | Err(_) => self.0.push((pid, maybe)),
            }
        }
        let known = woken.roles();
        self.0.retain_mut(|(_, maybe)| {
            maybe.roles.retain(|role| !known.contains_key(role));
            maybe.others.retain(|role| !known.contains_key(role));
            !maybe.roles.is_empty()
        });
        woken
    }

    /// Refuses to end an engine that runs other roles, unless that is asked for
    /// with `force`.
    fn check(&self, force: bool) -> Result<(), Error> {
        let mut running_roles = self.0.iter().filter(|(_, maybe)| !maybe.others.is_empty());
        match running_roles.next() {
            Some((engine, maybe)) if !force => Err(Error::Silent {
                engine: *engine,
                roles: maybe.roles.clone(),
                others: maybe.others.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Ends these engines and waits until their roles are gone; returns those.
    async fn end(self) -> Result<BTreeSet<RoleName>, Error> {
        let mut ended = BTreeSet::new();
        for (engine, MaybeRunning { mut roles, others }) in self.0 {
            let above = orphans::parent(engine);
            let both = [Some(engine), above].into_iter().flatten();
            let both: Vec<_> = both.map(|pid| (pid, orphans::start_time(pid))).collect();
            // One that is gone meanwhile need not be told.
            let _ = signal::terminate(engine);
            if !all_gone(&both[..1], EXIT_LIMIT * 2).await {
                // Its guardian ends what it leaves, and has to go on for that.
                let _ = signal::kill(engine);
                above.into_iter().for_each(signal::wake);
            }
            if !all_gone(&both, EXIT_LIMIT).await {
                return Err(Error::Endless { engine, roles });
            }
            roles.extend(others);
            ended.extend(roles);
        }
        Ok(ended)
    }
}

/// Those of `roles` that run, and the processes that do.
pub(crate) fn running<'r>(
    home: &Home,
    engines: &Engines,
    roles: impl IntoIterator<Item = &'r RoleName>,
) -> Result<Vec<(RoleName, String)>, Error> {
    let known = engines.roles();
    let mut running = Vec::new();
    for role in roles {
        if let Some(status) = known.get(role) {
            let pid = status.pid.map_or_else(String::new, |pid| pid.to_string());
            running.push((role.clone(), pid));
        } else if let Some((note, _)) = home.holder(role)? {
            running.push((role.clone(), note));
        }
    }
    Ok(running)
}
