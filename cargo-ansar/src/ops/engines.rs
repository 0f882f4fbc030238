//! The engines of a home that run, in whatever command, and what is asked of
//! them over their sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use super::Error;
use super::sweep::clean;
use crate::event::{Event, Events, Kind};
use crate::home::Home;
use crate::host::gone::gone;
use crate::host::socket::Connection;
use crate::host::{process, signal, strays};
use crate::model::name::RoleName;
use crate::protocol::{Ask, Engine, Host, Reply, Request, RoleStatus, VERSION};

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
        let [engine, guardian] = self.started;
        let pids = [self.engine.pid, self.engine.guardian];
        all_gone(&[(pids[0], engine), (pids[1], guardian)]).await;
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

/// Waits until processes that were started then are gone, but no longer than
/// the end of an engine may take: it may have taken other roles meanwhile. Of
/// one that was gone already, nothing is known.
async fn all_gone(processes: &[(u32, Option<u64>)]) {
    let all = async {
        for &(pid, started) in processes {
            if started.is_some() {
                gone(pid, started).await;
            }
        }
    };
    let _ = tokio::time::timeout(ENDING, all).await;
}

/// What runs in a home.
#[derive(Debug, Default)]
pub struct Engines {
    /// The engines that answered.
    pub answering: Vec<Running>,
    /// The processes of those that did not: suspended, or very busy.
    pub silent: Vec<u32>,
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
const PATIENCE: Duration = Duration::from_secs(2);

/// Finds out what runs. What a killed command left is ended first.
pub async fn look(home: &Home, events: &Events) -> Result<Engines, Error> {
    let mut engines = Engines::default();
    for pid in clean(home, events)?.engines {
        match tokio::time::timeout(PATIENCE, status(home, pid)).await {
            Ok(Ok(Some(running))) => engines.answering.push(running),
            // It has just ended, or has not begun.
            Ok(Ok(None)) => {}
            Ok(Err(error)) if is_absence(&error) => {}
            Ok(Err(_)) | Err(_) => engines.silent.push(pid),
        }
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
            started: [engine.pid, engine.guardian].map(strays::start_time),
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
    mut heard: impl FnMut(Told) -> Next,
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
            Ok(Some(Reply::Accepted)) => Told::Accepted,
            Ok(Some(Reply::Event(Event { kind, .. }))) => Told::Happened(kind),
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
pub enum Told {
    /// Everything is in place to do what was asked.
    Accepted,
    /// Something happened to one of the roles.
    Happened(Kind),
}

/// How long an engine may take to end after its last role.
const ENDING: Duration = Duration::from_secs(5);

/// Stops those of `roles` that run, wherever that is, and waits until they are
/// gone, and with the last one its engine in the background. Which these were.
pub async fn stop<'r>(
    home: &Home,
    engines: &Engines,
    roles: impl IntoIterator<Item = &'r RoleName>,
    events: &Events,
) -> Result<BTreeSet<RoleName>, Error> {
    let roles: BTreeSet<&RoleName> = roles.into_iter().collect();
    let mut stopped = BTreeSet::new();
    for (running, own) in engines.of(&roles) {
        let Engine { pid, host, .. } = running.engine;
        let ends = host == Host::Background && own.len() == running.roles.len();
        stopped.extend(own.iter().cloned());
        let order = Ask::Stop { roles: own };
        let answer = ask(home, pid, order, |told| {
            if let Told::Happened(kind) = told {
                events.emit(kind);
            }
            Next::Listen
        });
        if answer.await? == Answer::Gone || ends {
            running.gone().await;
        }
    }
    let mut held = Vec::new();
    for role in roles {
        if !engines.silent.is_empty() && home.holder(role)?.is_some() {
            held.push(role.clone());
        }
    }
    let mut ending = Vec::new();
    if !held.is_empty() {
        for &pid in &engines.silent {
            let above = strays::parent(pid);
            let both = [Some(pid), above].into_iter().flatten();
            ending.extend(both.map(|pid| (pid, strays::start_time(pid))));
            // One that is gone meanwhile need not be told.
            let _ = signal::terminate(pid);
        }
        let (home, roles) = (home.clone(), held.clone());
        // The thread is left behind where this command ends before it has
        // waited.
        let gone = tokio::task::spawn_blocking(move || home.wait_for_roles(&roles).map(drop));
        gone.await.map_err(|error| Error::System {
            what: "wait for running roles",
            source: io::Error::other(error),
        })??;
        all_gone(&ending).await;
    }
    stopped.extend(held);
    Ok(stopped)
}

/// Those of `roles` that run, and the processes that do.
pub(super) fn running<'r>(
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
