//! `cargo ansar status`: show running roles.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{EngineError, Error, RoleError};
use crate::events::{Events, Kind, RoleEvent, Until};
use crate::home::Home;
use crate::home::ports::BIND;
use crate::home::role::Entry;
use crate::host::clock;
use crate::host::process::interrupts::Interrupts;
use crate::host::process::usage;
use crate::host::process::usage::Usage;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::Success;
use crate::model::role_search::RoleSearch;
use crate::protocol::{Host, RequestKind, State};
use crate::supervisor::by_hand::{ByHand, started_by_hand};
use crate::supervisor::called::{Called, called};
use crate::supervisor::client::{Answer, Engines, Next, Progress, Running, ask, find_engines};
use crate::workspace::roles::{check_terms, searched, wanted};
use crate::workspace::{Places, Workspace};

/// Options of `status`.
#[derive(Debug)]
pub struct Options {
    /// Roles to show.
    pub search: RoleSearch,
    /// True if resource usage is measured.
    pub long: bool,
    /// True if processes that roles called are included.
    pub all: bool,
    /// State to wait for first.
    pub wait: Option<Until>,
    /// Time limit of the wait.
    pub timeout: Option<Duration>,
}

/// A running role.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Name of the role; `PARENT.NAME` if a role called it.
    pub role: String,
    /// True for a process that a role called.
    pub called: bool,
    /// True for a component that was started by hand, without an engine.
    pub by_hand: bool,
    /// Executable; unset if it is unknown because the engine does not answer.
    pub executable: Option<ExecutableName>,
    /// Process id; unset between two attempts.
    pub pid: Option<u32>,
    /// Time since the start of this state.
    pub uptime: Duration,
    /// State; unset if the engine does not answer.
    pub state: Option<State>,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Number of restarts after it had ended by itself.
    pub restarts: u32,
    /// Number of lost log lines.
    pub lost: u64,
    /// Reason why it still runs although it was killed.
    pub unkillable: Option<String>,
    /// Conditions that it still has to meet to be ready.
    pub unready: Option<String>,
    /// Reason why it is unhealthy.
    pub unhealthy: Option<String>,
    /// Process id and host of its engine.
    pub engine: Option<(u32, Host)>,
    /// Resource usage, if requested.
    pub usage: Option<Usage>,
    /// Its ports, by name, if requested.
    pub ports: Vec<(String, SocketAddrV4)>,
}

impl Status {
    /// Returns the status of a role of which nothing is known but its name.
    fn unknown(role: String) -> Self {
        Self {
            role,
            called: false,
            by_hand: false,
            executable: None,
            pid: None,
            uptime: Duration::ZERO,
            state: None,
            attempt: 1,
            restarts: 0,
            lost: 0,
            unkillable: None,
            unready: None,
            unhealthy: None,
            engine: None,
            usage: None,
            ports: Vec::new(),
        }
    }
}

/// Returns the matching running roles, sorted by name, after the requested
/// wait.
pub async fn status(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Vec<Status>, Error> {
    let workspace = places.workspace()?;
    let described = workspace
        .as_ref()
        .filter(|workspace| workspace.describes_roles());
    let home = match (places.open(), described) {
        (Ok((home, _)), _) => home,
        // Without a home, no described role has ever run.
        (Err(Error::Role(RoleError::NoHome { .. })), Some(_)) => {
            return without_home(options, workspace.as_ref());
        }
        (Err(error), _) => return Err(error),
    };
    let entries = home.entries()?;
    let mut engines = find_engines(&home, events).await?;
    check(&home, &entries, &engines, options)?;
    if let Some(until) = options.wait {
        let meant = meant(&entries, &engines, &options.search);
        wait_within(&home, &engines, &meant, until, options, interrupts, events).await?;
        engines = find_engines(&home, events).await?;
    }
    let meant = meant(&entries, &engines, &options.search);
    let mut statuses = running(&home, &engines, &meant, options.long)?;
    if options.all {
        let called = called(home.root()).into_iter();
        let called = called.filter(|called| {
            let entry = entries.get(&called.parent);
            entry.is_some_and(|entry| options.search.matches_name(&called.role, &entry.executable))
        });
        let called: Vec<_> = called.map(|called| of_called(called, &statuses)).collect();
        statuses.extend(called);
    }
    statuses.sort_by(|one, other| one.role.cmp(&other.role));
    if options.long {
        add_ports(&home, &mut statuses)?;
    }
    Ok(statuses)
}

/// Roles with their executables, as far as they are known.
type Meant = BTreeMap<RoleName, Option<ExecutableName>>;

/// Returns the roles that match a search, those that only engines know included.
fn meant(entries: &BTreeMap<RoleName, Entry>, engines: &Engines, search: &RoleSearch) -> Meant {
    let mut meant = Meant::new();
    for (role, entry) in entries {
        meant.insert(role.clone(), Some(entry.executable.clone()));
    }
    for (role, status) in engines.roles() {
        meant.insert(role.clone(), Some(status.executable.clone()));
    }
    meant.retain(|role, executable| match executable {
        Some(executable) => search.matches(role, executable),
        None => search.is_all(),
    });
    meant
}

/// Returns the status of roles that run, in engines or by hand.
fn running(
    home: &Home,
    engines: &Engines,
    meant: &Meant,
    long: bool,
) -> Result<Vec<Status>, Error> {
    let now = clock::now();
    let groups = if long {
        usage::by_group()
    } else {
        BTreeMap::new()
    };
    let mut statuses = Vec::new();
    for running in &engines.answering {
        statuses.extend(of_engine(running, meant, now, &groups));
    }
    let known = engines.roles();
    let by_hand = started_by_hand(home, &known, &engines.unresponsive, meant.keys())?;
    if !engines.unresponsive.is_empty() {
        let by_hand = by_hand.iter().map(|it| &it.role);
        let others = by_hand.chain(known.into_keys()).collect();
        statuses.extend(unresponsive(home, meant, &others, now, &groups)?);
    }
    statuses.extend(by_hand.iter().map(|it| of_hand(it, meant, &groups)));
    Ok(statuses)
}

fn add_ports(home: &Home, statuses: &mut [Status]) -> Result<(), Error> {
    let ports = home.ports()?;
    for status in statuses {
        if let Ok(role) = status.role.parse() {
            let own = ports.of(&role);
            let own = own.map(|(name, port)| (name.to_owned(), SocketAddrV4::new(BIND, port)));
            status.ports = own.collect();
        }
    }
    Ok(())
}

/// Returns the answer for a workspace that has no home yet: no role runs.
fn without_home(options: &Options, workspace: Option<&Workspace>) -> Result<Vec<Status>, Error> {
    let none = BTreeMap::new();
    let roles = wanted(workspace, &none);
    check_terms(
        "role",
        &options.search,
        &roles
            .clone()
            .map(|(role, executable)| (role.as_str(), executable)),
    )?;
    match options.wait {
        Some(Until::Ready) => {
            let meant = roles.filter(|(role, executable)| options.search.matches(role, executable));
            Err(Error::Engine(EngineError::NotRunning(
                meant.map(|(role, _)| role.clone()).collect(),
            )))
        }
        Some(Until::Stopped) | None => Ok(Vec::new()),
    }
}

/// Checks that every term of the search matches something that may run.
fn check(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
    engines: &Engines,
    options: &Options,
) -> Result<(), Error> {
    let statuses = engines.roles();
    let running = statuses.iter();
    let running = running.map(|(role, status)| (role.as_str(), &status.executable));
    let calls = if options.all && !options.search.is_all() {
        called(home.root())
    } else {
        Vec::new()
    };
    // The search matches them like the role that called them.
    let of_parents = calls.iter().filter_map(|called| {
        let entry = entries.get(&called.parent)?;
        Some((called.role.as_str(), &entry.executable))
    });
    let all = searched(entries).chain(running).chain(of_parents);
    check_terms("role", &options.search, &all)
}

/// Returns the status of a process that a role called. `running` holds the
/// status of its parent.
fn of_called(called: Called, running: &[Status]) -> Status {
    let parent = running.iter().find(|it| called.parent.as_str() == it.role);
    Status {
        called: true,
        executable: called.executable,
        pid: Some(called.pid),
        uptime: called.uptime,
        engine: parent.and_then(|parent| parent.engine),
        ..Status::unknown(called.role)
    }
}

/// Returns the status of the selected roles of an engine.
fn of_engine<'a>(
    running: &'a Running,
    meant: &'a Meant,
    now: Timestamp,
    groups: &'a BTreeMap<u32, Usage>,
) -> impl Iterator<Item = Status> + 'a {
    let roles = running.roles.iter();
    let own = roles.filter(|status| meant.contains_key(&status.role));
    own.map(move |status| Status {
        executable: Some(status.executable.clone()),
        pid: status.pid,
        uptime: since(status.since, now),
        state: Some(status.state),
        attempt: status.attempt,
        restarts: status.restarts,
        lost: status.lost,
        unkillable: status.unkillable.clone(),
        unready: status.unready.clone(),
        unhealthy: status.unhealthy.clone(),
        engine: Some((running.engine.pid, running.engine.host)),
        usage: status.pid.and_then(|pid| groups.get(&pid).copied()),
        ..Status::unknown(status.role.to_string())
    })
}

/// Returns the status of a role that was started by hand.
fn of_hand(by_hand: &ByHand, meant: &Meant, groups: &BTreeMap<u32, Usage>) -> Status {
    Status {
        executable: meant.get(&by_hand.role).cloned().flatten(),
        by_hand: true,
        pid: Some(by_hand.pid),
        uptime: by_hand.uptime,
        usage: groups.get(&by_hand.pid).copied(),
        ..Status::unknown(by_hand.role.to_string())
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

/// Returns the roles of engines that do not answer, found by their locks.
fn unresponsive(
    home: &Home,
    meant: &Meant,
    known: &BTreeSet<&RoleName>,
    now: Timestamp,
    groups: &BTreeMap<u32, Usage>,
) -> Result<Vec<Status>, Error> {
    let mut silent = Vec::new();
    for (role, executable) in meant {
        if known.contains(role) {
            continue;
        }
        let Some((note, at)) = home.holder(role)? else {
            continue;
        };
        let pid = note.trim().parse().ok();
        silent.push(Status {
            executable: executable.clone(),
            pid,
            uptime: since(at, now),
            usage: pid.and_then(|pid| groups.get(&pid).copied()),
            ..Status::unknown(role.to_string())
        });
    }
    Ok(silent)
}

fn until_what(until: Until) -> &'static str {
    match until {
        Until::Ready => "be ready",
        Until::Stopped => "stop",
    }
}

/// Returns true if a running role in this state has reached `until`.
fn is_reached(until: Until, state: State) -> bool {
    match until {
        Until::Ready => state == State::Ready,
        Until::Stopped => false,
    }
}

/// Waits until the roles have reached a state, at most for the time limit of the
/// command.
async fn wait_within(
    home: &Home,
    engines: &Engines,
    meant: &Meant,
    until: Until,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    let all = options.search.is_all();
    let waiting = wait(home, engines, meant.keys(), until, all);
    let limit = options.timeout.unwrap_or(Duration::MAX);
    tokio::select! {
        waited = tokio::time::timeout(limit, waiting) => match waited {
            Ok(waited) => waited,
            Err(_) => {
                let engines = find_engines(home, events).await?;
                let running = engines.roles().into_iter();
                let late = running.filter(|(role, status)| {
                    meant.contains_key(*role) && !is_reached(until, status.state)
                });
                Err(Error::Engine(EngineError::TimedOut {
                    what: until_what(until),
                    roles: late.map(|(role, _)| role.clone()).collect(),
                    limit,
                }))
            }
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// Waits until all `roles` have reached a state. Roles that do not run count as
/// stopped; a wait for readiness fails for them, unless `all` roles are
/// selected, which means the running ones.
async fn wait(
    home: &Home,
    engines: &Engines,
    roles: impl Iterator<Item = &RoleName>,
    until: Until,
    all: bool,
) -> Result<(), Error> {
    let running = engines.roles();
    let (meant, idle): (Vec<&RoleName>, Vec<&RoleName>) =
        roles.partition(|role| running.contains_key(role));
    if until == Until::Ready && !idle.is_empty() && (!all || meant.is_empty()) {
        return Err(Error::Engine(EngineError::NotRunning(
            idle.into_iter().cloned().collect(),
        )));
    }
    for engine in &engines.answering {
        let own = engine.roles.iter().map(|status| &status.role);
        let own: Vec<RoleName> = own.filter(|role| meant.contains(role)).cloned().collect();
        if own.is_empty() {
            continue;
        }
        let order = RequestKind::Wait {
            roles: own.clone(),
            until,
        };
        let mut ended = BTreeSet::new();
        let answer = ask(home, engine.engine.pid, order, |told| {
            match told {
                // Without a search, a role that succeeded is no longer waited
                // for.
                Progress::Event(Kind::Role(RoleEvent::Ended { outcome, .. }))
                    if all && outcome.success() == Success::Yes => {}
                Progress::Event(Kind::Role(RoleEvent::Ended { role, .. })) => {
                    ended.insert(role);
                }
                // It was restarted.
                Progress::Event(Kind::Role(RoleEvent::Ready { role })) => {
                    ended.remove(&role);
                }
                _ => {}
            }
            Next::Listen
        });
        if answer.await? == Answer::Gone {
            engine.gone().await;
            ended.extend(own);
        }
        if until == Until::Ready && !ended.is_empty() {
            return Err(Error::Engine(EngineError::NotRunning(
                ended.into_iter().collect(),
            )));
        }
    }
    Ok(())
}
