//! The engine in the background, from the outside: roles that are to run there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

use crate::error::Error;
use crate::events::Events;
use crate::home::Home;
use crate::host::environment;
use crate::host::process::Program;
use crate::model::name::RoleName;
use crate::protocol::{Ask, RunOptions, Start, Why, Word};
use crate::supervisor::client::{Answer, Next, Progress, ask, find_engines};
use crate::supervisor::role_environment::of_roles;
use crate::supervisor::scheduler::READY_LIMIT;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineTarget {
    /// The one in the background: the one that is there, or a new one.
    Background,
    /// One that is attached to a command, this one or another.
    Attached(u32),
}

/// How roles are started, and when they count as started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartOptions<'a> {
    /// The engine.
    pub place: EngineTarget,
    /// How long each may take to become ready.
    pub ready_limit: Duration,
    /// How long one that does not announce itself must survive before it counts
    /// as started.
    pub settle_time: Duration,
    /// Settings for this run, by name.
    pub settings: &'a [(String, String)],
    /// The options of roles that have options of their own.
    pub options: Option<&'a BTreeMap<RoleName, RunOptions>>,
}

impl StartOptions<'_> {
    /// Starts roles as their descriptions say, for a command that works against
    /// them and so notices by itself that one has crashed.
    pub(crate) fn without_settle_time(place: EngineTarget) -> Self {
        Self {
            place,
            ready_limit: READY_LIMIT,
            settle_time: Duration::ZERO,
            settings: &[],
            options: None,
        }
    }

    /// Starts roles as their descriptions say, for a command that tells how
    /// they are.
    pub(crate) fn with_settle_time(place: EngineTarget) -> Self {
        Self {
            settle_time: SETTLE_TIME,
            ..Self::without_settle_time(place)
        }
    }
}

/// How long a role that does not announce itself must survive before it counts
/// as started, unless something else is asked for.
pub const SETTLE_TIME: Duration = Duration::from_millis(200);

/// How often to begin anew where an engine ends at the very moment when it is
/// asked.
const ATTEMPTS: usize = 5;

/// Has roles, which do not run, started in `place`; `heard` is told what
/// happens until each of them is ready or has ended.
pub(crate) async fn start_roles(
    home: &Home,
    roles: &[RoleName],
    how: StartOptions<'_>,
    events: &Events,
    mut heard: impl FnMut(Progress) -> Next,
) -> Result<(), Error> {
    if roles.is_empty() {
        return Ok(());
    }
    let order = Ask::Start(Start {
        roles: roles.to_vec(),
        environment: of_roles(home)
            .iter()
            .map(|(name, value)| (Word::from(&**name), Word::from(&**value)))
            .collect(),
        ready_limit: how.ready_limit.as_secs_f64(),
        settle_time: how.settle_time.as_secs_f64(),
        settings: how.settings.to_vec(),
        options: how.options.cloned().unwrap_or_default(),
    });
    let mut accepted = false;
    for _ in 0..ATTEMPTS {
        let engine = match how.place {
            EngineTarget::Background => background(home, events).await?,
            EngineTarget::Attached(engine) => engine,
        };
        let answer = ask(home, engine, order.clone(), |told| {
            accepted |= matches!(told, Progress::Accepted);
            heard(told)
        });
        match answer.await {
            Ok(Answer::Done | Answer::Enough) => return Ok(()),
            Ok(Answer::Gone) if accepted => return Ok(()),
            Ok(Answer::Gone) => {}
            // The next one is another, once this one is gone.
            Err(Error::Refused(refusal)) if refusal.why == Some(Why::Ending) => {
                let engines = find_engines(home, events).await?.answering;
                for ending in engines.iter().filter(|it| it.engine.pid == engine) {
                    ending.gone().await;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::Background)
}

/// The engine in the background: the one that is there, or a new one.
async fn background(home: &Home, events: &Events) -> Result<u32, Error> {
    if let Some(engine) = find_engines(home, events).await?.background() {
        return Ok(engine);
    }
    let failed = |source| Error::System {
        what: "start an engine in the background",
        source,
    };
    let program = engine(home, &[]).map_err(failed)?;
    // It says by itself what is wrong.
    program.leave().await.map_err(failed)?;
    find_engines(home, events)
        .await?
        .background()
        .ok_or(Error::Background)
}

/// An engine of `home` in a process of its own, with these flags.
pub(crate) fn engine(home: &Home, flags: &[&str]) -> io::Result<Program> {
    let mut home_path = OsString::from("--home-path=");
    home_path.push(home.root());
    let flags = flags.iter().map(OsString::from);
    Ok(Program {
        path: environment::own_executable()?,
        arguments: std::iter::once("supervise".into())
            .chain(flags)
            .chain([home_path])
            .collect(),
        environment: Some(environment::for_background()),
        folder: Some(home.root().to_owned()),
        stdin: None,
    })
}
