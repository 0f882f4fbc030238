//! `cargo ansar start` and `restart`: start roles in the background.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::line::Tag;

use crate::deploy::origin::newer_than_deployed;
use crate::deploy::prepare::{FilledHome, open_filled};
use crate::deploy::resolve_settings::check_settings;
use crate::error::{DeployError, EngineError, Error};
use crate::events::{Events, Kind, RoleEvent};
use crate::home::role::Entry;
use crate::home::{Home, HomeError};
use crate::host::clock;
use crate::host::fs;
use crate::host::fs::lock::Lock;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::model::outcome::{RoleOutcome, Success};
use crate::model::role_search::RoleSearch;
use crate::model::run_report::{Excerpt, Which};
use crate::protocol::Host;
pub use crate::supervisor::background_start::SETTLE_TIME;
use crate::supervisor::background_start::{EngineTarget, StartOptions, start_roles};
use crate::supervisor::client::{Engines, Next, Progress, find_engines, running, stop};
use crate::supervisor::executable_kind::check_all;
use crate::supervisor::lock_roles::lock_home;
use crate::supervisor::one_shot;
use crate::supervisor::role_environment::of_roles;
use crate::testing::excerpts::{LAST_LINES, MOST_ROLES, console_lines, stamp};
use crate::workspace::build;
use crate::workspace::roles::{startable, test_pattern};
use crate::workspace::{Places, Workspace, place_of};

/// Options of `start` and `restart`.
#[derive(Debug)]
pub struct Options {
    /// Build options, used if nothing has been deployed yet.
    pub build: build::Options,
    /// Roles to start; an empty search selects all operational roles.
    pub search: RoleSearch,
    /// True if running roles are stopped first.
    pub force: bool,
    /// True if the command waits until the roles are ready.
    pub wait: bool,
    /// Time limit for each role to become ready.
    pub ready_limit: Duration,
    /// Time that a role which does not announce its readiness must run to count
    /// as started.
    pub settle_time: Duration,
    /// Settings for this run, by name.
    pub settings: Vec<(String, String)>,
}

/// The outcome of `start`. Each role is in one of the lists.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Roles that are ready, or started if the command did not wait.
    pub up: Vec<RoleName>,
    /// Roles that have already ended successfully.
    pub done: Vec<RoleName>,
    /// Roles that did not become ready or crashed early, with reasons.
    pub failed: Vec<(RoleName, String)>,
    /// Last log lines of failed roles; of the first ones if many failed.
    pub excerpts: Vec<Excerpt>,
    /// True if the command did not wait for readiness.
    pub is_unknown: bool,
    /// Sources that are newer than the executables of the roles.
    pub newer: Vec<PathBuf>,
}

/// Starts all roles in the background or none, in the running engine or in a
/// new one. Deploys first if nothing has been deployed yet. If some roles run
/// already, fails without any change, or with `force` stops them first.
pub async fn start(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let filled = open_filled(places, &options.build, &options.search, interrupts, events);
    let filled = filled.await?;
    let selection = Selection::open(options, filled, interrupts, events).await?;
    let engines = find_engines(&selection.home, events).await?;
    let running = running(&selection.home, &engines, selection.roles.keys())?;
    if !running.is_empty() && !options.force {
        let is_up = |role: &RoleName| running.iter().any(|(other, _)| other == role);
        let idle = selection.roles.iter();
        let idle = idle.filter(|(role, entry)| !is_up(role) && !entry.properties.ready.is_done());
        let idle: Vec<RoleName> = idle.map(|(role, _)| role.clone()).collect();
        let running = HomeError::Running(running);
        return Err(if idle.is_empty() {
            running.into()
        } else {
            Error::Engine(EngineError::SomeRunning { running, idle })
        });
    }
    selection.begin(options, &engines, interrupts, events).await
}

/// Stops roles and starts them in the background. If some do not run, fails
/// without any change, or with `force` restarts the others.
pub async fn restart(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let (home, workspace) = places.open()?;
    let there = FilledHome {
        workspace,
        home,
        lock: None,
    };
    let mut selection = Selection::open(options, there, interrupts, events).await?;
    let engines = find_engines(&selection.home, events).await?;
    let running: BTreeMap<RoleName, String> =
        running(&selection.home, &engines, selection.roles.keys())?
            .into_iter()
            .collect();
    // A one-shot role that has ended is not missing beside roles that run.
    let idle = selection.roles.iter().filter(|(role, entry)| {
        let has_ended = entry.properties.ready.is_done() && !running.is_empty();
        !running.contains_key(*role) && !has_ended
    });
    let idle: Vec<RoleName> = idle.map(|(role, _)| role.clone()).collect();
    if !idle.is_empty() && !options.force {
        return Err(if running.is_empty() {
            Error::Engine(EngineError::NotRunning(idle))
        } else {
            Error::Engine(EngineError::NotAllRunning(idle))
        });
    }
    let at_terminals = engines
        .answering
        .iter()
        .filter(|engine| engine.engine.host != Host::Background);
    let at_terminals = at_terminals.flat_map(|engine| &engine.roles);
    let at_terminals: Vec<_> = at_terminals
        .filter(|status| running.contains_key(&status.role))
        .map(|status| {
            (
                status.role.clone(),
                status.pid.map_or_else(String::new, |pid| pid.to_string()),
            )
        })
        .collect();
    if !at_terminals.is_empty() {
        return Err(Error::Engine(EngineError::InForeground(at_terminals)));
    }
    selection.roles.retain(|role, _| running.contains_key(role));
    selection.begin(options, &engines, interrupts, events).await
}

/// A locked home and the selected roles.
struct Selection {
    home: Home,
    workspace: Option<Workspace>,
    roles: BTreeMap<RoleName, Entry>,
    /// Lock that keeps other commands from changing the home.
    lock: Lock,
    /// Sources that are newer than the executables of the roles.
    newer: Vec<PathBuf>,
}

impl Selection {
    async fn open(
        options: &Options,
        filled: FilledHome,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<Self, Error> {
        let FilledHome {
            workspace,
            home,
            lock,
        } = filled;
        let is_deployed_now = lock.is_some();
        let lock = match lock {
            Some(lock) => lock,
            None => lock_home(&home, interrupts, events).await?,
        };
        let entries = home.entries()?;
        let mut roles = startable(&home, workspace.as_ref(), &options.search, entries)?;
        if options.search.is_all() {
            retain_operational(&mut roles, workspace.as_ref())?;
        }
        // Finds missing executables before any role is stopped.
        for entry in roles.values().filter(|it| !it.properties.is_program()) {
            if !fs::is_file(&home.executable(&entry.executable)) {
                return Err(Error::Deploy(DeployError::NoExecutable {
                    name: entry.executable.clone(),
                    meant: None,
                }));
            }
        }
        check_all(&home, &roles, &of_roles(&home), |role| {
            place_of(workspace.as_ref(), role)
        })?;
        let newer = if is_deployed_now {
            Vec::new()
        } else {
            newer_sources(&home, workspace.as_ref(), &roles)?
        };
        Ok(Self {
            home,
            workspace,
            roles,
            lock,
            newer,
        })
    }

    /// Stops running roles, and starts all.
    async fn begin(
        self,
        options: &Options,
        engines: &Engines,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<Outcome, Error> {
        tokio::select! {
            begun = self.stop_and_start(options, engines, events) => begun,
            interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
        }
    }

    async fn stop_and_start(
        self,
        options: &Options,
        engines: &Engines,
        events: &Events,
    ) -> Result<Outcome, Error> {
        let Self {
            home,
            workspace,
            roles,
            lock,
            newer,
        } = self;
        let settings = &options.settings;
        check_settings(&home, workspace.as_ref(), &roles, settings, events).await?;
        stop(&home, engines, roles.keys(), options.force, events).await?;
        let finished = if options.force {
            BTreeSet::new()
        } else {
            one_shot::finished(&home, &roles)?
        };
        let mut roles: Vec<RoleName> = roles.into_keys().collect();
        roles.retain(|role| !finished.contains(role));
        let since = stamp(clock::now());
        let mut lock = Some(lock);
        let mut seen = RoleEvents::default();
        let how = StartOptions {
            target: EngineTarget::Background,
            ready_limit: options.ready_limit,
            settle_time: options.settle_time,
            settings,
            options: None,
        };
        start_roles(&home, &roles, how, events, |told| {
            match told {
                Progress::Accepted => {
                    // From now on the engine locks the roles.
                    lock = None;
                    if !options.wait {
                        return Next::Leave;
                    }
                }
                Progress::Event(kind) => {
                    seen.record(&kind);
                    events.emit(kind);
                }
            }
            Next::Listen
        })
        .await?;
        let mut outcome = seen.outcome(roles, options.wait);
        outcome.done.extend(finished);
        outcome.newer = newer;
        let failed = outcome.failed.iter().take(MOST_ROLES);
        let excerpts = failed.map(|(role, _)| Excerpt {
            role: role.clone(),
            which: Which::Last,
            // A backtrace would displace the line that it belongs to.
            lines: console_lines(&home, role, LAST_LINES, &since, |line| {
                line.tag != Tag::Continued
            }),
        });
        outcome.excerpts = excerpts.filter(|it| !it.lines.is_empty()).collect();
        Ok(outcome)
    }
}

/// Returns the sources that are newer than the executables of the roles, from
/// the workspace root where possible.
fn newer_sources(
    home: &Home,
    workspace: Option<&Workspace>,
    roles: &BTreeMap<RoleName, Entry>,
) -> Result<Vec<PathBuf>, Error> {
    let executables = roles.values().map(|entry| &entry.executable);
    let newer = newer_than_deployed(home, executables)?.into_iter();
    let newer = newer.map(|path| {
        let relative = workspace.and_then(|it| path.strip_prefix(&it.root).ok());
        relative.map(Path::to_owned).unwrap_or(path)
    });
    Ok(newer.collect())
}

/// Removes test roles, which must be named to be started.
pub(crate) fn retain_operational(
    roles: &mut BTreeMap<RoleName, Entry>,
    workspace: Option<&Workspace>,
) -> Result<(), Error> {
    let pattern = test_pattern(workspace)?;
    roles.retain(|role, _| !pattern.matches(role));
    Ok(())
}

/// Events of roles that were received from the engine.
#[derive(Debug, Default)]
struct RoleEvents {
    ready: BTreeSet<RoleName>,
    ended: BTreeMap<RoleName, RoleOutcome>,
}

impl RoleEvents {
    fn record(&mut self, kind: &Kind) {
        if let Kind::Role(RoleEvent::Ready { role }) = kind {
            self.ended.remove(role);
            self.ready.insert(role.clone());
        } else if let Kind::Role(RoleEvent::Ended { role, outcome }) = kind {
            self.ended.insert(role.clone(), outcome.clone());
        }
    }

    /// Sorts the roles by outcome. Without waiting, roles without an event
    /// count as up.
    fn outcome(&self, roles: Vec<RoleName>, waited: bool) -> Outcome {
        let mut outcome = Outcome {
            is_unknown: !waited,
            ..Outcome::default()
        };
        for role in roles {
            match self.ended.get(&role) {
                Some(end) if end.success() == Success::Yes => outcome.done.push(role),
                Some(end) => outcome.failed.push((role, end.reason())),
                None if self.ready.contains(&role) || !waited => outcome.up.push(role),
                None => outcome
                    .failed
                    .push((role, "its engine was killed".to_owned())),
            }
        }
        outcome
    }
}
