//! Starts roles in the background engine or in an attached engine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

use crate::error::{EngineError, Error};
use crate::events::Events;
use crate::home::Home;
use crate::host::environment;
use crate::host::process::{Process, Program, StderrMode};
use crate::model::name::RoleName;
use crate::model::role_properties::READY_LIMIT;
use crate::protocol::{EnvText, RefusalKind, RequestKind, RunOptions, Start};
use crate::supervisor::client::{Answer, Next, Progress, ask, find_engines};
use crate::supervisor::role_environment::of_roles;

/// The engine in which roles are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineTarget {
    /// The background engine, which is started if it does not run.
    Background,
    /// An engine attached to this or another command.
    Attached(u32),
}

/// Options for starting roles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartOptions<'a> {
    /// The engine.
    pub target: EngineTarget,
    /// Time that each role gets to become ready.
    pub ready_limit: Duration,
    /// Time that a role which does not announce its readiness must survive to
    /// count as started.
    pub settle_time: Duration,
    /// Settings for this run: names and values.
    pub settings: &'a [(String, String)],
    /// The options of roles that have options of their own.
    pub options: Option<&'a BTreeMap<RoleName, RunOptions>>,
}

impl StartOptions<'_> {
    /// Returns default options without a settle time, for commands that use the
    /// roles and so notice a crash.
    pub(crate) fn without_settle_time(target: EngineTarget) -> Self {
        Self {
            target,
            ready_limit: READY_LIMIT,
            settle_time: Duration::ZERO,
            settings: &[],
            options: None,
        }
    }

    /// Returns default options with a settle time, for commands that report
    /// whether the roles started.
    pub(crate) fn with_settle_time(target: EngineTarget) -> Self {
        Self {
            settle_time: SETTLE_TIME,
            ..Self::without_settle_time(target)
        }
    }
}

/// Default time that a role which does not announce its readiness must survive
/// to count as started.
pub const SETTLE_TIME: Duration = Duration::from_millis(200);

/// Number of attempts if the engine ends just when it is asked.
const ATTEMPTS: usize = 5;

/// Starts roles, which must not run, in the engine `options.target`. Calls
/// `on_progress` for each event until every role is ready or has ended.
pub(crate) async fn start_roles(
    home: &Home,
    roles: &[RoleName],
    options: StartOptions<'_>,
    events: &Events,
    mut on_progress: impl FnMut(Progress) -> Next,
) -> Result<(), Error> {
    if roles.is_empty() {
        return Ok(());
    }
    let order = RequestKind::Start(Start {
        roles: roles.to_vec(),
        environment: of_roles(home)
            .iter()
            .map(|(name, value)| (EnvText::from(&**name), EnvText::from(&**value)))
            .collect(),
        ready_limit: options.ready_limit.as_secs_f64(),
        settle_time: options.settle_time.as_secs_f64(),
        settings: options.settings.to_vec(),
        options: options.options.cloned().unwrap_or_default(),
    });
    let mut accepted = false;
    for _ in 0..ATTEMPTS {
        let engine = match options.target {
            EngineTarget::Background => background(home, events).await?,
            EngineTarget::Attached(engine) => engine,
        };
        let answer = ask(home, engine, order.clone(), |progress| {
            accepted |= matches!(progress, Progress::Accepted);
            on_progress(progress)
        });
        match answer.await {
            Ok(Answer::Done | Answer::Enough) => return Ok(()),
            Ok(Answer::Gone) if accepted => return Ok(()),
            Ok(Answer::Gone) => {}
            // Try again with a new engine once this one is gone.
            Err(Error::Engine(EngineError::Refused(refusal)))
                if refusal.why == Some(RefusalKind::Ending) =>
            {
                let engines = find_engines(home, events).await?.answering;
                for ending in engines.iter().filter(|it| it.engine.pid == engine) {
                    ending.gone().await;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::Engine(EngineError::NoBackgroundEngine))
}

/// Returns the background engine; starts it if it does not run.
async fn background(home: &Home, events: &Events) -> Result<u32, Error> {
    if let Some(engine) = find_engines(home, events).await?.background() {
        return Ok(engine);
    }
    let failed = |source| Error::System {
        what: "start an engine in the background",
        source,
    };
    let program = engine(home, &[]).map_err(failed)?;
    // The new engine prints its own errors.
    program.spawn_detached().await.map_err(failed)?;
    find_engines(home, events)
        .await?
        .background()
        .ok_or(Error::Engine(EngineError::NoBackgroundEngine))
}

/// Starts an engine that keeps operational roles running until this command ends
/// it, or ends itself.
pub(crate) async fn attach(home: &Home) -> Result<Process, Error> {
    let failed = |source| Error::System {
        what: "start an engine for operational roles",
        source,
    };
    let program = engine(home, &["--attached"]).map_err(failed)?;
    let engine = Process::start(&program, StderrMode::Inherited).await;
    let mut engine = engine.map_err(failed)?;
    engine.stdout_closed().await.map_err(failed)?;
    Ok(engine)
}

/// Returns the program that runs an engine of `home` in a new process with
/// these flags.
fn engine(home: &Home, flags: &[&str]) -> io::Result<Program> {
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
