//! `cargo ansar start` and `restart`: roles in the background.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::Duration;

use super::engines::{Answer, Engines, Next, Told, ask, look, stop};
use super::locate::{Places, Workspace};
use super::prepare::take;
use super::test::tests;
use super::{Error, chosen};
use crate::event::{Events, Kind};
use crate::home::entry::{Entry, Origin};
use crate::home::{Home, HomeError};
use crate::host::interrupts::Interrupts;
use crate::host::lock::Lock;
use crate::host::process::Program;
use crate::host::{environment, files};
use crate::model::ending::Success;
use crate::model::name::RoleName;
use crate::model::search::RoleSearch;
use crate::protocol::{Ask, Host, Start, Word};

/// What to start, and how.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// Which roles; where nothing is said, all that are no tests.
    pub search: RoleSearch,
    /// Whether those that run already are stopped first.
    pub force: bool,
    /// Whether to wait until they are ready.
    pub wait: bool,
    /// How long each may take to become ready.
    pub ready_limit: Duration,
}

/// What came of it, by role; each is in one of these.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Those that are ready, or where nobody waited, those that are started.
    pub up: Vec<RoleName>,
    /// Those that have done what they are for already.
    pub done: Vec<RoleName>,
    /// Those that did not become ready.
    pub failed: Vec<RoleName>,
}

/// Starts roles in the background, all or none, in the engine that is there or
/// in a new one. Where some run already, refuses and changes nothing, or with
/// `force` has them stopped first.
pub async fn start(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let scene = Scene::open(options, interrupts, events).await?;
    let engines = look(&scene.home, events).await?;
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
    let mut scene = Scene::open(options, interrupts, events).await?;
    let engines = look(&scene.home, events).await?;
    let running: BTreeMap<RoleName, String> = running(&scene.home, &engines, scene.roles.keys())?
        .into_iter()
        .collect();
    let idle = scene
        .roles
        .keys()
        .filter(|role| !running.contains_key(*role));
    let idle: Vec<RoleName> = idle.cloned().collect();
    if !idle.is_empty() && !options.force {
        return Err(Error::NotRunning(idle));
    }
    let at_terminals = engines
        .answering
        .iter()
        .filter(|engine| engine.engine.host == Host::Foreground);
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
    roles: BTreeMap<RoleName, Entry>,
    /// While this is held nobody else changes the home.
    lock: Lock,
}

impl Scene {
    async fn open(
        options: &Options,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<Self, Error> {
        let workspace = options.places.workspace()?;
        let home = Home::open(&options.places.home(workspace.as_ref()))?;
        let lock = take(&home, interrupts, events).await?;
        let mut roles = home.entries()?;
        roles.retain(|_, entry| entry.origin != Origin::Retired);
        let mut roles = chosen(&home, &options.search, roles)?;
        if options.search.is_all() {
            retain_operational(&mut roles, workspace.as_ref())?;
        }
        // All or none: what is missing is found before anything is stopped.
        for entry in roles.values() {
            if !files::is_file(&home.executable(&entry.executable)) {
                return Err(Error::NoExecutable {
                    name: entry.executable.clone(),
                    meant: None,
                });
            }
        }
        Ok(Self { home, roles, lock })
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
        let Self { home, roles, lock } = self;
        stop(&home, engines, roles.keys(), events).await?;
        let roles: Vec<RoleName> = roles.into_keys().collect();
        let mut lock = Some(lock);
        let mut heard = Heard::default();
        bring_up(&home, &roles, options.ready_limit, events, |told| {
            match told {
                Told::Accepted => {
                    // From here on it is the engine that holds the roles.
                    lock = None;
                    if !options.wait {
                        return Next::Leave;
                    }
                }
                Told::Happened(kind) => {
                    heard.hear(&kind);
                    events.emit(kind);
                }
            }
            Next::Listen
        })
        .await?;
        Ok(heard.outcome(roles, options.wait))
    }
}

/// How often to begin anew where an engine ends at the very moment when it is
/// asked.
const ATTEMPTS: usize = 5;

/// Has roles, which do not run, started in the background; `heard` is told what
/// happens until each of them is ready or has ended.
pub(super) async fn bring_up(
    home: &Home,
    roles: &[RoleName],
    ready_limit: Duration,
    events: &Events,
    mut heard: impl FnMut(Told) -> Next,
) -> Result<(), Error> {
    if roles.is_empty() {
        return Ok(());
    }
    let order = Ask::Start(Start {
        roles: roles.to_vec(),
        environment: environment::for_roles()
            .iter()
            .map(|(name, value)| (Word::from(&**name), Word::from(&**value)))
            .collect(),
        ready_limit: ready_limit.as_secs_f64(),
    });
    let mut accepted = false;
    for _ in 0..ATTEMPTS {
        let engine = background(home, events).await?;
        let answer = ask(home, engine, order.clone(), |told| {
            accepted |= matches!(told, Told::Accepted);
            heard(told)
        });
        match answer.await? {
            Answer::Done | Answer::Enough => return Ok(()),
            Answer::Gone if accepted => return Ok(()),
            Answer::Gone => {}
        }
    }
    Err(Error::Background)
}

/// The engine in the background: the one that is there, or a new one.
async fn background(home: &Home, events: &Events) -> Result<u32, Error> {
    if let Some(engine) = look(home, events).await?.background() {
        return Ok(engine);
    }
    let failed = |source| Error::System {
        what: "start an engine in the background",
        source,
    };
    let mut home_path = OsString::from("--home-path=");
    home_path.push(home.root());
    let program = Program {
        path: environment::own_executable().map_err(failed)?,
        arguments: vec!["supervise".into(), home_path],
        environment: Some(environment::for_background()),
        folder: Some(home.root().to_owned()),
        stdin: None,
    };
    // It says by itself what is wrong.
    program.leave().await.map_err(failed)?;
    look(home, events)
        .await?
        .background()
        .ok_or(Error::Background)
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

/// Leaves out the tests, which are named where they are meant.
pub(super) fn retain_operational(
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
    ended: BTreeMap<RoleName, Success>,
}

impl Heard {
    fn hear(&mut self, kind: &Kind) {
        match kind {
            Kind::Ready { role } => {
                self.ended.remove(role);
                self.ready.insert(role.clone());
            }
            Kind::Ended { role, ending } => {
                self.ended.insert(role.clone(), ending.success());
            }
            _ => {}
        }
    }

    /// Where nobody waited, what was not heard of is up.
    fn outcome(&self, roles: Vec<RoleName>, waited: bool) -> Outcome {
        let mut outcome = Outcome::default();
        for role in roles {
            let list = match self.ended.get(&role) {
                Some(Success::Yes) => &mut outcome.done,
                None if self.ready.contains(&role) || !waited => &mut outcome.up,
                Some(Success::Stopped | Success::No) | None => &mut outcome.failed,
            };
            list.push(role);
        }
        outcome
    }
}
