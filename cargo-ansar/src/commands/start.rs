//! `cargo ansar start` and `restart`: roles in the background.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ansar_contract::line::Tag;

use crate::deploy::prepare::{Filled, filled};
use crate::deploy::resolve_settings::check_settings;
use crate::error::Error;
use crate::events::{Events, Kind};
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
use crate::supervisor::component_check::recognize_all;
use crate::supervisor::lock_roles::lock_home;
use crate::testing::{LAST, MOST_ROLES, said, stamp, tests};
use crate::workspace::build;
use crate::workspace::roles::startable;
use crate::workspace::{Places, Workspace};

/// What to start, and how.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// How Cargo is to build, where nothing has been deployed yet.
    pub build: build::Options,
    /// Which roles; where nothing is said, all that are no tests.
    pub search: RoleSearch,
    /// Whether those that run already are stopped first.
    pub force: bool,
    /// Whether to wait until they are ready.
    pub wait: bool,
    /// How long each may take to become ready.
    pub ready_limit: Duration,
    /// How long a role that does not announce itself must survive before it
    /// counts as started.
    pub settle_time: Duration,
    /// Settings for this run, by name.
    pub settings: Vec<(String, String)>,
}

/// What came of it, by role; each is in one of these.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Those that are ready, or where nobody waited, those that are started.
    pub up: Vec<RoleName>,
    /// Those that have done what they are for already.
    pub done: Vec<RoleName>,
    /// Those that did not become ready, or crashed in their first moments, and
    /// why.
    pub failed: Vec<(RoleName, String)>,
    /// The last lines that the first of these have logged.
    pub excerpts: Vec<Excerpt>,
    /// True if nobody waited to see how they are.
    pub is_unknown: bool,
}

/// Starts roles in the background, all or none, in the engine that is there or
/// in a new one; deploys them first where nothing has been deployed yet. Where some run already, refuses and changes nothing, or with
/// `force` has them stopped first.
pub async fn start(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let filled = filled(
        &options.places,
        &options.build,
        &options.search,
        interrupts,
        events,
    );
    let filled = filled.await?;
    let scene = Scene::open(options, filled, interrupts, events).await?;
    let engines = find_engines(&scene.home, events).await?;
    let running = running(&scene.home, &engines, scene.roles.keys())?;
    if !running.is_empty() && !options.force {
        return Err(HomeError::Running(running).into());
    }
    scene.begin(options, &engines, interrupts, events).await
}

/// Stops roles and starts them again, in the background. Where some do not
/// run, refuses and changes nothing, or with `force` does it to the others.
pub async fn restart(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let (home, workspace) = options.places.open()?;
    let there = Filled {
        workspace,
        home,
        lock: None,
    };
    let mut scene = Scene::open(options, there, interrupts, events).await?;
    let engines = find_engines(&scene.home, events).await?;
    let running: BTreeMap<RoleName, String> = running(&scene.home, &engines, scene.roles.keys())?
        .into_iter()
        .collect();
    let idle = scene
        .roles
        .keys()
        .filter(|role| !running.contains_key(*role));
    let idle: Vec<RoleName> = idle.cloned().collect();
    if !idle.is_empty() && !options.force {
        return Err(if running.is_empty() {
            Error::NotRunning(idle)
        } else {
            Error::NotAllRunning(idle)
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
        return Err(Error::InForeground(at_terminals));
    }
    scene.roles.retain(|role, _| running.contains_key(role));
    scene.begin(options, &engines, interrupts, events).await
}

/// A home, and the roles of it that are meant.
struct Scene {
    home: Home,
    workspace: Option<Workspace>,
    roles: BTreeMap<RoleName, Entry>,
    /// While this is held nobody else changes the home.
    lock: Lock,
}

impl Scene {
    async fn open(
        options: &Options,
        filled: Filled,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<Self, Error> {
        let Filled {
            workspace,
            home,
            lock,
        } = filled;
        let lock = match lock {
            Some(lock) => lock,
            None => lock_home(&home, interrupts, events).await?,
        };
        let entries = home.entries()?;
        let mut roles = startable(&home, workspace.as_ref(), &options.search, entries)?;
        if options.search.is_all() {
            retain_operational(&mut roles, workspace.as_ref())?;
        }
        // All or none: what is missing is found before anything is stopped.
        for entry in roles.values() {
            if !fs::is_file(&home.executable(&entry.executable)) {
                return Err(Error::NoExecutable {
                    name: entry.executable.clone(),
                    meant: None,
                });
            }
        }
        recognize_all(&home, &roles)?;
        Ok(Self {
            home,
            workspace,
            roles,
            lock,
        })
    }

    /// Stops those that run, and starts all.
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
        } = self;
        let settings = &options.settings;
        check_settings(&home, workspace.as_ref(), &roles, settings, events).await?;
        stop(&home, engines, roles.keys(), options.force, events).await?;
        let roles: Vec<RoleName> = roles.into_keys().collect();
        let since = stamp(clock::now());
        let mut lock = Some(lock);
        let mut heard = Heard::default();
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
                    // From here on it is the engine that holds the roles.
                    lock = None;
                    if !options.wait {
                        return Next::Leave;
                    }
                }
                Progress::Event(kind) => {
                    heard.hear(&kind);
                    events.emit(kind);
                }
            }
            Next::Listen
        })
        .await?;
        let mut outcome = heard.outcome(roles, options.wait);
        let failed = outcome.failed.iter().take(MOST_ROLES);
        let excerpts = failed.map(|(role, _)| Excerpt {
            role: role.clone(),
            which: Which::Last,
            // A backtrace would leave no room for what it is of.
            lines: said(&home, role, LAST, &since, |line| line.tag != Tag::Continued),
        });
        outcome.excerpts = excerpts.filter(|it| !it.lines.is_empty()).collect();
        Ok(outcome)
    }
}

/// Leaves out the tests, which are named where they are meant.
pub(crate) fn retain_operational(
    roles: &mut BTreeMap<RoleName, Entry>,
    workspace: Option<&Workspace>,
) -> Result<(), Error> {
    let pattern = tests(workspace)?;
    roles.retain(|role, _| !pattern.matches(role));
    Ok(())
}

/// What was heard of roles.
#[derive(Debug, Default)]
struct Heard {
    ready: BTreeSet<RoleName>,
    ended: BTreeMap<RoleName, RoleOutcome>,
}

impl Heard {
    fn hear(&mut self, kind: &Kind) {
        match kind {
            Kind::Ready { role } => {
                self.ended.remove(role);
                self.ready.insert(role.clone());
            }
            Kind::Ended { role, outcome } => {
                self.ended.insert(role.clone(), outcome.clone());
            }
            _ => {}
        }
    }

    /// Where nobody waited, what was not heard of is up.
    fn outcome(&self, roles: Vec<RoleName>, waited: bool) -> Outcome {
        let mut outcome = Outcome {
            is_unknown: !waited,
            ..Outcome::default()
        };
        for role in roles {
            match self.ended.get(&role) {
                Some(end) if end.success() == Success::Yes => outcome.done.push(role),
                Some(end) => outcome.failed.push((role, why(end))),
                None if self.ready.contains(&role) || !waited => outcome.up.push(role),
                None => outcome
                    .failed
                    .push((role, "lost with its engine".to_owned())),
            }
        }
        outcome
    }
}

/// Why a role is not there.
fn why(outcome: &RoleOutcome) -> String {
    match (outcome.fault(), outcome.gave_up()) {
        (Some(fault), _) => fault.to_string(),
        (None, Some(reason)) => reason,
        (None, None) => "stopped".to_owned(),
    }
}
