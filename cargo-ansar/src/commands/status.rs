//! `cargo ansar status`: what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Error;
use crate::events::{Events, Kind, Until};
use crate::home::Home;
use crate::home::role::Entry;
use crate::host::clock;
use crate::host::process::interrupts::Interrupts;
use crate::host::process::usage;
use crate::host::process::usage::Usage;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::Success;
use crate::model::role_search::RoleSearch;
use crate::protocol::{Ask, Host, State};
use crate::supervisor::called::{Called, called};
use crate::supervisor::client::{Answer, Engines, Next, Progress, ask, find_engines};
use crate::workspace::roles::{every_term, searched, wanted};
use crate::workspace::{Places, Workspace};

/// What is asked.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// Which roles.
    pub search: RoleSearch,
    /// Whether what they use is wanted.
    pub long: bool,
    /// Whether with the processes that roles called.
    pub all: bool,
    /// What to wait for first.
    pub wait: Option<Until>,
    /// How long to wait at most.
    pub timeout: Option<Duration>,
}

/// A role that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Its name; `PARENT.NAME` where a role called it.
    pub role: String,
    /// Whether it is a process that a role called.
    pub called: bool,
    /// What it runs; unknown where its engine does not answer.
    pub executable: Option<ExecutableName>,
    /// Its process; none between two of them.
    pub pid: Option<u32>,
    /// For how long it has been doing so.
    pub uptime: Duration,
    /// What it is doing; unknown where its engine does not answer.
    pub state: Option<State>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often it was started again after it had ended by itself.
    pub restarts: u32,
    /// How many lines of its log were lost.
    pub lost: u64,
    /// The reason why it goes on though it was killed.
    pub unkillable: Option<String>,
    /// The process of its engine, and where that lives.
    pub engine: Option<(u32, Host)>,
    /// What it uses, where that was asked for.
    pub usage: Option<Usage>,
}

/// The roles that match and run, by name; after what was to be waited for.
pub async fn status(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Vec<Status>, Error> {
    let workspace = options.places.workspace()?;
    let described = workspace
        .as_ref()
        .filter(|workspace| workspace.describes_roles());
    let home = match (options.places.open(), described) {
        (Ok((home, _)), _) => home,
        // Nothing was ever started of what is described.
        (Err(Error::NoHome { .. }), Some(_)) => {
            return none_yet(options, workspace.as_ref());
        }
        (Err(error), _) => return Err(error),
    };
    let entries = home.entries()?;
    let names = |engines: &Engines| {
        let mut names: BTreeMap<RoleName, Option<ExecutableName>> = BTreeMap::new();
        for (role, entry) in &entries {
            names.insert(role.clone(), Some(entry.executable.clone()));
        }
        for (role, status) in engines.roles() {
            names.insert(role.clone(), Some(status.executable.clone()));
        }
        names.retain(|role, executable| match executable {
            Some(executable) => options.search.matches(role, executable),
            None => options.search.is_all(),
        });
        names
    };
    let mut engines = find_engines(&home, events).await?;
    let mut meant = names(&engines);
    check(&home, &entries, &engines, options)?;
    if let Some(until) = options.wait {
        let waiting = wait(
            &home,
            &engines,
            meant.keys(),
            until,
            options.search.is_all(),
        );
        let limit = options.timeout.unwrap_or(Duration::MAX);
        tokio::select! {
            waited = tokio::time::timeout(limit, waiting) => match waited {
                Ok(waited) => waited?,
                Err(_) => return Err(Error::TimedOut { what: until_what(until), limit }),
            },
            interrupt = interrupts.next() => return Err(Error::Interrupted(interrupt)),
        }
        engines = find_engines(&home, events).await?;
        meant = names(&engines);
    }
    let now = clock::now();
    let groups = if options.long {
        usage::by_group()
    } else {
        BTreeMap::new()
    };
    let mut statuses = Vec::new();
    for running in &engines.answering {
        let own = running
            .roles
            .iter()
            .filter(|status| meant.contains_key(&status.role));
        statuses.extend(own.map(|status| Status {
            role: status.role.to_string(),
            called: false,
            executable: Some(status.executable.clone()),
            pid: status.pid,
            uptime: since(status.since, now),
            state: Some(status.state),
            attempt: status.attempt,
            restarts: status.restarts,
            lost: status.lost,
            unkillable: status.unkillable.clone(),
            engine: Some((running.engine.pid, running.engine.host)),
            usage: status.pid.and_then(|pid| groups.get(&pid).copied()),
        }));
    }
    if !engines.unresponsive.is_empty() {
        statuses.extend(silent(
            &home,
            &meant,
            &engines.roles().into_keys().collect(),
            now,
            &groups,
        )?);
    }
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
    Ok(statuses)
}

/// Returns that nothing runs of the roles that a workspace describes, where no
/// home is there yet.
fn none_yet(options: &Options, workspace: Option<&Workspace>) -> Result<Vec<Status>, Error> {
    let none = BTreeMap::new();
    let roles = wanted(workspace, &none);
    every_term(
        "role",
        &options.search,
        &roles
            .clone()
            .map(|(role, executable)| (role.as_str(), executable)),
    )?;
    match options.wait {
        Some(Until::Ready) => {
            let meant = roles.filter(|(role, executable)| options.search.matches(role, executable));
            Err(Error::NotRunning(
                meant.map(|(role, _)| role.clone()).collect(),
            ))
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
    // What is not known of them is as for the role that called them.
    let of_parents = calls.iter().filter_map(|called| {
        let entry = entries.get(&called.parent)?;
        Some((called.role.as_str(), &entry.executable))
    });
    let all = searched(entries).chain(running).chain(of_parents);
    every_term("role", &options.search, &all)
}

/// A process that a role called, which may be among those that run.
fn of_called(called: Called, running: &[Status]) -> Status {
    let parent = running.iter().find(|it| called.parent.as_str() == it.role);
    Status {
        role: called.role,
        called: true,
        executable: called.executable,
        pid: Some(called.pid),
        uptime: called.uptime,
        state: None,
        attempt: 1,
        restarts: 0,
        lost: 0,
        unkillable: None,
        engine: parent.and_then(|parent| parent.engine),
        usage: None,
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

/// The roles of engines that do not answer, as far as their locks tell.
fn silent(
    home: &Home,
    meant: &BTreeMap<RoleName, Option<ExecutableName>>,
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
            role: role.to_string(),
            called: false,
            executable: executable.clone(),
            pid,
            uptime: since(at, now),
            state: None,
            attempt: 1,
            restarts: 0,
            lost: 0,
            unkillable: None,
            engine: None,
            usage: pid.and_then(|pid| groups.get(&pid).copied()),
        });
    }
    Ok(silent)
}

fn until_what(until: Until) -> &'static str {
    match until {
        Until::Ready => "ready",
        Until::Stopped => "stopped",
    }
}

/// Waits until every one of `roles` has come to it. Those that do not run have
/// stopped, and will not be ready; where `all` are meant, it is those that run.
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
        return Err(Error::NotRunning(idle.into_iter().cloned().collect()));
    }
    for engine in &engines.answering {
        let own = engine.roles.iter().map(|status| &status.role);
        let own: Vec<RoleName> = own.filter(|role| meant.contains(role)).cloned().collect();
        if own.is_empty() {
            continue;
        }
        let order = Ask::Wait {
            roles: own.clone(),
            until,
        };
        let mut ended = BTreeSet::new();
        let answer = ask(home, engine.engine.pid, order, |told| {
            match told {
                // One of all that has done what it is for is no more of them.
                Progress::Event(Kind::Ended { outcome, .. })
                    if all && outcome.success() == Success::Yes => {}
                Progress::Event(Kind::Ended { role, .. }) => drop(ended.insert(role)),
                // It was started again.
                Progress::Event(Kind::Ready { role }) => drop(ended.remove(&role)),
                _ => {}
            }
            Next::Listen
        });
        if answer.await? == Answer::Gone {
            engine.gone().await;
            ended.extend(own);
        }
        if until == Until::Ready && !ended.is_empty() {
            return Err(Error::NotRunning(ended.into_iter().collect()));
        }
    }
    Ok(())
}
