//! Finds the running engines of a home and sends them requests over their
//! sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::error::{EngineError, Error};
use crate::events::{Event, Events, Kind, RoleEvent};
use crate::home::Home;
use crate::host::process;
use crate::host::process::wait::all_gone;
use crate::host::process::{orphans, signal};
use crate::host::socket::Connection;
use crate::model::name::RoleName;
use crate::model::stop::{GRACE, StopSequence};
use crate::protocol::{Engine, Host, Reply, Request, RequestKind, RoleStatus, VERSION};
use crate::supervisor::by_hand::{started_by_hand, stop_by_hand};
use crate::supervisor::cleanup::clean;

/// A running engine and its roles.
#[derive(Debug)]
pub struct Running {
    /// The engine.
    pub engine: Engine,
    /// Its roles, sorted by name.
    pub roles: Vec<RoleStatus>,
    /// Start times of the engine and of its guardian, in kernel ticks.
    started: [Option<u64>; 2],
}

impl Running {
    /// Waits until the engine and its guardian have exited, and with them all
    /// roles, but no longer than [`EXIT_LIMIT`].
    pub async fn gone(&self) {
        let [engine, guardian] = self.started;
        let pids = [self.engine.pid, self.engine.guardian];
        // A suspended guardian would never exit.
        pids.into_iter().for_each(signal::wake);
        all_gone(&[(pids[0], engine), (pids[1], guardian)], EXIT_LIMIT).await;
    }
}

impl Running {
    /// Returns true if the engine is attached to this command.
    fn is_own(&self) -> bool {
        self.engine.host == Host::Attached && process::started().contains(&self.engine.guardian)
    }

    /// Returns true if the engine keeps running without the command that
    /// started it.
    pub fn is_kept(&self) -> bool {
        self.engine.host != Host::Foreground
    }
}

/// The running engines of a home.
#[derive(Debug, Default)]
pub struct Engines {
    /// Engines that answered.
    pub answering: Vec<Running>,
    /// Process IDs of engines that did not answer: suspended or overloaded.
    pub unresponsive: Vec<u32>,
}

impl Engines {
    /// Returns the background engine, which accepts new roles.
    pub fn background(&self) -> Option<u32> {
        let mut all = self.answering.iter();
        all.find(|running| running.engine.host == Host::Background)
            .map(|running| running.engine.pid)
    }

    /// Returns the engine attached to this command.
    pub fn own(&self) -> Option<u32> {
        let mut all = self.answering.iter();
        all.find(|running| running.is_own())
            .map(|running| running.engine.pid)
    }

    /// Returns true if this engine answered.
    pub fn has(&self, engine: u32) -> bool {
        let mut all = self.answering.iter();
        all.any(|running| running.engine.pid == engine)
    }

    /// Returns all roles of engines that answered, by name.
    pub fn roles(&self) -> BTreeMap<&RoleName, &RoleStatus> {
        let roles = self.answering.iter().flat_map(|running| &running.roles);
        roles.map(|status| (&status.role, status)).collect()
    }

    /// Returns the engines that run any of `roles`, each with those roles.
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

/// Time that an engine gets to report its status.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Finds the running engines. Cleans up after killed commands first.
pub async fn find_engines(home: &Home, events: &Events) -> Result<Engines, Error> {
    let mut engines = Engines::default();
    let mut ending = Vec::new();
    for pid in clean(home, events)?.engines {
        let started = orphans::start_time(pid);
        match tokio::time::timeout(ANSWER_LIMIT, status(home, pid)).await {
            Ok(Ok(Some(running))) => engines.answering.push(running),
            // The engine has no socket yet.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            // The engine has just ended, perhaps without cleaning up.
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

/// Returns those of some engines that run and do not answer.
pub(crate) async fn silent(home: &Home, engines: &[u32]) -> Vec<u32> {
    let mut silent = Vec::new();
    for pid in engines {
        match tokio::time::timeout(ANSWER_LIMIT, status(home, *pid)).await {
            Ok(Ok(_)) => {}
            // It has just started, or has just ended.
            Ok(Err(error)) if is_absence(&error) => {}
            Ok(Err(_)) | Err(_) => silent.push(*pid),
        }
    }
    silent
}

async fn status(home: &Home, pid: u32) -> io::Result<Option<Running>> {
    let mut connection = open(home, pid, RequestKind::Status).await?;
    match connection.receive::<Reply>().await? {
        Some(Reply::Status { engine, roles }) => Ok(Some(Running {
            started: [engine.pid, engine.guardian].map(orphans::start_time),
            engine,
            roles,
        })),
        Some(_) => Err(io::Error::other("unexpected reply")),
        None => Ok(None),
    }
}

async fn open(home: &Home, pid: u32, ask: RequestKind) -> io::Result<Connection> {
    let mut connection = Connection::open(&home.socket(pid)).await?;
    let request = Request {
        version: VERSION,
        ask,
    };
    connection.send(&request).await?;
    Ok(connection)
}

/// The end of a conversation with an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The request is done.
    Done,
    /// The caller returned [`Next::Leave`].
    Enough,
    /// The engine has ended.
    Gone,
}

/// The caller's decision after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait for the next reply.
    Listen,
    /// End the conversation.
    Leave,
}

/// Sends a request to an engine and passes its replies to `on_progress` until
/// the request is done.
pub async fn ask(
    home: &Home,
    pid: u32,
    ask: RequestKind,
    mut on_progress: impl FnMut(Progress) -> Next,
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
        let progress = match connection.receive::<Reply>().await {
            Ok(Some(Reply::Done)) => return Ok(Answer::Done),
            Ok(Some(Reply::Refused(refusal))) => {
                return Err(Error::Engine(EngineError::Refused(refusal)));
            }
            Ok(Some(Reply::Accepted)) => Progress::Accepted,
            Ok(Some(Reply::Event(Event { kind, .. }))) => Progress::Event(kind),
            Ok(Some(Reply::Status { .. })) => continue,
            Ok(None) => return Ok(Answer::Gone),
            Err(error) if is_absence(&error) => return Ok(Answer::Gone),
            Err(error) => return Err(failed(error)),
        };
        if on_progress(progress) == Next::Leave {
            return Ok(Answer::Enough);
        }
    }
}

/// Progress of a request.
#[derive(Debug)]
pub enum Progress {
    /// The engine has accepted the request.
    Accepted,
    /// An event of one of the roles.
    Event(Kind),
}

/// Time that an engine gets to exit after its last role.
const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// Returns the time within which an engine of a home stops all of its roles and
/// exits. Roles that wait for dependents with a longer grace stop after these.
pub(crate) fn stop_limit(home: &Home) -> Duration {
    let entries = home.entries().unwrap_or_default();
    let graces = entries.values().map(|entry| entry.properties.stop);
    let graces = graces.map(|stop| StopSequence::from(stop).grace);
    let longest = graces.fold(GRACE, Duration::max);
    longest + longest.saturating_sub(GRACE) + EXIT_LIMIT
}

/// Stops those of `roles` that run, in all engines or by hand, and waits until they have
/// ended; a background engine whose last role is stopped exits too. Returns the
/// stopped roles.
///
/// An engine that did not answer is resumed and asked again. If it still does
/// not answer, it is ended if all of its roles are to stop, or with `force`;
/// its other roles are then among the returned ones.
pub async fn stop<'r>(
    home: &Home,
    engines: &Engines,
    roles: impl IntoIterator<Item = &'r RoleName>,
    force: bool,
    events: &Events,
) -> Result<BTreeSet<RoleName>, Error> {
    let roles: BTreeSet<&RoleName> = roles.into_iter().collect();
    let mut unresponsive = Unresponsive::of(home, engines, &roles)?;
    let woken = unresponsive.wake(home).await;
    // Before anything is stopped, so that an error changes nothing.
    unresponsive.check(force)?;
    let mut stopped = BTreeSet::new();
    let mut unkillable = Vec::new();
    let answering = engines.of(&roles).into_iter().chain(woken.of(&roles));
    for (running, own) in answering {
        let Engine { pid, host, .. } = running.engine;
        let ends = host == Host::Background && own.len() == running.roles.len();
        stopped.extend(own.iter().cloned());
        let known = unkillable.len();
        let order = RequestKind::Stop { roles: own };
        let answer = ask(home, pid, order, |progress| {
            if let Progress::Event(kind) = progress {
                if let Kind::Role(RoleEvent::Unkillable { role, pid, why }) = &kind {
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
        return Err(Error::Engine(EngineError::Unkillable(unkillable)));
    }
    stopped.extend(unresponsive.end(stop_limit(home)).await?);
    let left = roles.into_iter().filter(|role| !stopped.contains(*role));
    let by_hand = started_by_hand(home, &engines.roles(), &engines.unresponsive, left)?;
    stopped.extend(stop_by_hand(home, by_hand).await?);
    Ok(stopped)
}

/// Time that a resumed engine gets to report its status.
const RESUME_LIMIT: Duration = Duration::from_secs(8);

/// Returns those of `roles` that are locked, each with its process ID if known.
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

/// Engines that do not answer and may run roles that are to stop.
#[derive(Debug)]
struct Unresponsive(Vec<(u32, MaybeRunning)>);

/// The roles of an engine that does not answer, as far as locks show them.
#[derive(Debug, Default)]
struct MaybeRunning {
    /// Roles that are to stop.
    roles: Vec<RoleName>,
    /// Other roles that the engine may run.
    others: Vec<RoleName>,
}

impl Unresponsive {
    /// Returns those of the unresponsive `engines` that may run one of `roles`.
    fn of(home: &Home, engines: &Engines, roles: &BTreeSet<&RoleName>) -> Result<Self, Error> {
        if engines.unresponsive.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut unresponsive: BTreeMap<u32, MaybeRunning> = BTreeMap::new();
        let answering = engines.roles();
        for (role, pid) in locked(home, &home.ever_run()?)? {
            if answering.contains_key(&role) {
                continue;
            }
            // A role whose process is unknown may belong to any of them.
            let parent = pid.and_then(orphans::parent);
            let known = parent.filter(|parent| engines.unresponsive.contains(parent));
            if parent.is_some() && known.is_none() {
                continue;
            }
            for &engine in &engines.unresponsive {
                if known.is_none_or(|known| known == engine) {
                    let maybe = unresponsive.entry(engine).or_default();
                    if roles.contains(&role) {
                        maybe.roles.push(role.clone());
                    } else {
                        maybe.others.push(role.clone());
                    }
                }
            }
        }
        unresponsive.retain(|_, maybe| !maybe.roles.is_empty());
        Ok(Self(unresponsive.into_iter().collect()))
    }

    /// Resumes these engines and asks them again; returns those that answer.
    async fn wake(&mut self, home: &Home) -> Engines {
        let mut woken = Engines::default();
        for (pid, maybe) in std::mem::take(&mut self.0) {
            signal::wake(pid);
            match tokio::time::timeout(RESUME_LIMIT, status(home, pid)).await {
                Ok(Ok(Some(running))) => woken.answering.push(running),
                // The engine has just ended.
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

    /// Returns an error if an engine that would be ended runs other roles,
    /// unless `force` is set.
    fn check(&self, force: bool) -> Result<(), Error> {
        let mut running_roles = self.0.iter().filter(|(_, maybe)| !maybe.others.is_empty());
        match running_roles.next() {
            Some((engine, maybe)) if !force => Err(Error::Engine(EngineError::EngineSilent {
                engine: *engine,
                roles: maybe.roles.clone(),
                others: maybe.others.clone(),
            })),
            _ => Ok(()),
        }
    }

    /// Terminates these engines, which stop their roles within `limit`, and waits
    /// until their roles have ended; returns the roles.
    async fn end(self, limit: Duration) -> Result<BTreeSet<RoleName>, Error> {
        let mut ended = BTreeSet::new();
        for (engine, MaybeRunning { mut roles, others }) in self.0 {
            let above = orphans::parent(engine);
            let both = [Some(engine), above].into_iter().flatten();
            let both: Vec<_> = both.map(|pid| (pid, orphans::start_time(pid))).collect();
            // The engine may have exited meanwhile.
            let _ = signal::terminate(engine);
            if !all_gone(&both[..1], limit).await {
                // The guardian kills the remaining processes; it must not be
                // suspended.
                let _ = signal::kill(engine);
                above.into_iter().for_each(signal::wake);
            }
            if !all_gone(&both, EXIT_LIMIT).await {
                return Err(Error::Engine(EngineError::EngineUnkillable {
                    engine,
                    roles,
                }));
            }
            roles.extend(others);
            ended.extend(roles);
        }
        Ok(ended)
    }
}

/// Returns those of `roles` that run, each with the text of its process ID.
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
