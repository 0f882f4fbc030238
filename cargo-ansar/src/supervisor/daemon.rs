//! Runs the background engine of a home, or an engine attached to `watch`, in
//! its own process.

use std::ffi::OsString;
use std::path::Path;
use std::pin::pin;

use ansar_contract::line::Level;

use crate::error::{DeployError, Error, RoleError, with_causes};
use crate::events::Events;
use crate::home::history::Kind;
use crate::home::{Home, HomeError};
use crate::host::fs;
use crate::host::fs::changes::Changes;
use crate::host::process::interrupts::Interrupts;
use crate::host::process::{daemonize, orphans};
use crate::protocol::{Host, Refusal, RefusalKind, Start};
use crate::supervisor::cleanup::clean_and_mark;
use crate::supervisor::engine;
use crate::supervisor::engine::Options;
use crate::supervisor::launch::Launch;
use crate::supervisor::launcher::{LaunchContext, ensure_descriptors};
use crate::supervisor::lock_roles::acquire;
use crate::supervisor::scheduler::{Policy, RoleKind};
use crate::supervisor::server::Service;
use crate::workspace::Places;

/// Runs an engine that accepts roles, until its last role has ended. If it is
/// `attached`, it runs until the command that started it ends it.
///
/// Releases its standard streams once its socket exists. If the home is removed
/// or moved, the engine stops its roles, as no command could reach it any more.
pub async fn supervise(
    places: &Places,
    attached: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    // The home is passed as an argument. The workspace is not searched: it may
    // be broken, or a different one, by now.
    let home = Home::open(&places.home(None))?;
    let _mark = clean_and_mark(&home, events)?;
    let notices = home.listen_notify()?;
    let listener = home.listen()?;
    daemonize::finish().map_err(|source| Error::System {
        what: "let go of the standard streams",
        source,
    })?;
    let service = Service {
        listener,
        host: if attached {
            Host::Attached
        } else {
            Host::Background
        },
        is_persistent: attached,
        control: None,
        launcher: Some(Box::new(|start: &Start, running: usize| {
            let launches = launches(&home, notices.address(), start, running, events);
            launches.map_err(|error| Refusal {
                reason: with_causes(&error),
                hint: error.hint(),
                why: why(&error),
            })
        })),
    };
    let options = Options {
        policy: Policy::default(),
        shown: Level::None,
    };
    let within = interrupts.superseder();
    let mut running = pin!(engine::run(
        Vec::new(),
        &options,
        &notices,
        Some(service),
        interrupts,
        events,
    ));
    tokio::select! {
        _ = &mut running => {}
        () = gone(&home) => {
            within.interrupt();
            running.await;
        }
    }
    orphans::end_orphans();
    Ok(())
}

/// Waits until the home has been moved or removed. Waits forever if the folder
/// cannot be watched.
async fn gone(home: &Home) {
    let folder = || {
        let stat = fs::stat(home.root()).ok()?;
        Some((stat.fingerprint.device, stat.fingerprint.inode))
    };
    let here = folder();
    let Ok(mut changes) = Changes::new() else {
        return std::future::pending().await;
    };
    if changes.watch(home.root()).is_err() {
        return std::future::pending().await;
    }
    while folder() == here && home.is_there() {
        changes.next().await;
    }
}

/// Returns the machine-readable reason for errors that the command could have
/// found itself a moment later.
fn why(error: &Error) -> Option<RefusalKind> {
    match error {
        Error::Home(HomeError::Running(_)) => Some(RefusalKind::Running),
        Error::Role(RoleError::NoSuchRole { .. })
        | Error::Deploy(DeployError::NoExecutable { .. }) => Some(RefusalKind::Missing),
        _ => None,
    }
}

/// Returns the launches of roles to start, or an error if one of them cannot be
/// started.
fn launches(
    home: &Home,
    notices: &Path,
    start: &Start,
    running: usize,
    events: &Events,
) -> Result<Vec<Launch>, Error> {
    let mut entries = Vec::with_capacity(start.roles.len());
    for role in &start.roles {
        let entry = home.entry(role)?;
        entries.push(entry.ok_or_else(|| {
            Error::Role(RoleError::NoSuchRole {
                role: role.clone(),
                meant: None,
            })
        })?);
    }
    ensure_descriptors(running + start.roles.len())?;
    let locks = acquire(home, &start.roles, events)?;
    let environment = start.environment.iter().cloned();
    let environment = environment.map(|(name, value)| (OsString::from(name), value.into()));
    let launching = LaunchContext::new(
        home,
        Kind::Start,
        environment.collect(),
        notices,
        start.ready_limit(),
    )?
    .with_settings(&start.settings);
    start
        .roles
        .iter()
        .zip(&entries)
        .zip(locks)
        .map(|((role, entry), lock)| {
            let mut launching = launching.clone();
            if start.options.contains_key(role) {
                launching = launching
                    .with_settings(start.settings_of(role))
                    .ready_within(start.ready_limit_of(role));
            }
            launching.launch(role, entry, RoleKind::Operational, lock)
        })
        .collect()
}
