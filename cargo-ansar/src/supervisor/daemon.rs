//! The engine of a home in the background, from the inside: a process of its
//! own that takes roles as long as it has some.

use std::ffi::OsString;
use std::path::Path;
use std::pin::pin;

use ansar_contract::line::Level;

use crate::error::{Error, full};
use crate::events::Events;
use crate::home::history::Kind;
use crate::home::{Home, HomeError};
use crate::host::fs;
use crate::host::fs::changes::Changes;
use crate::host::process::interrupts::Interrupts;
use crate::host::process::{daemonize, orphans};
use crate::protocol::{Host, Refusal, Start, Why};
use crate::supervisor::cleanup::clean_and_mark;
use crate::supervisor::engine;
use crate::supervisor::engine::Options;
use crate::supervisor::launch::Launch;
use crate::supervisor::launcher::{LaunchContext, ensure_descriptors};
use crate::supervisor::lock_roles::acquire;
use crate::supervisor::scheduler::{Policy, RoleKind};
use crate::supervisor::server::Service;
use crate::workspace::Places;

/// Runs what it is asked to run, until nothing is left of it, or where it is
/// `attached` to the command that started it, until that ends it. It lets go of
/// its streams as soon as it can be asked. Where its home is removed or moved
/// away, in which nobody could ask it any more, it stops what it runs.
pub async fn supervise(
    places: &Places,
    attached: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    // It is told where the home is, and looks for no workspace, which may be
    // broken since, or another one.
    let home = Home::open(&places.home(None))?;
    let _mark = clean_and_mark(&home, events)?;
    let notices = home.hear()?;
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
        launcher: Some(Box::new(|start: &Start, running: usize| {
            let launches = launches(&home, notices.address(), start, running, events);
            launches.map_err(|error| Refusal {
                reason: full(&error),
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
    orphans::end_left_behind();
    Ok(())
}

/// Waits until the home is no longer where it was; where nobody tells of that,
/// for ever.
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

/// Returns the kind of a refusal that a command would have met by itself, had
/// it looked a moment later.
fn why(error: &Error) -> Option<Why> {
    match error {
        Error::Home(HomeError::Running(_)) => Some(Why::Running),
        Error::NoSuchRole { .. } | Error::NoExecutable { .. } => Some(Why::Missing),
        _ => None,
    }
}

/// The launches of roles that are to be started, all or none.
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
        entries.push(entry.ok_or_else(|| Error::NoSuchRole {
            role: role.clone(),
            meant: None,
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
    )
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
