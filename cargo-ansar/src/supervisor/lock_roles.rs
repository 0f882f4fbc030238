//! Takes the right to change a home, to run roles, or to remove them: nobody
//! else does then.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::events::{Events, Kind, Phase};
use crate::home::{Home, HomeError};
use crate::host::fs::lock::Lock;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::supervisor::cleanup::clean_all;
use crate::supervisor::client::{find_engines, stop};
use crate::supervisor::launcher::ensure_descriptors;

/// Takes the locks of `roles`, of which nothing runs then: not even what an
/// engine left that was killed a moment ago.
pub(crate) fn acquire<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName>,
    events: &Events,
) -> Result<Vec<Lock>, Error> {
    let locks = home.lock_roles(roles)?;
    // Afterwards: whoever had a lock before leaves nothing once it is free.
    clean_all(home, events)?;
    Ok(locks)
}

/// Takes the locks of `roles`. Where some run, refuses, or with `force` has
/// them stopped first, wherever they run; the others there go on.
pub(crate) async fn lock_roles<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName> + Clone,
    force: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Vec<Lock>, Error> {
    match acquire(home, roles.clone(), events) {
        Err(Error::Home(HomeError::Running(_))) if force => {}
        other => return other,
    }
    let stopped = async {
        let engines = find_engines(home, events).await?;
        stop(home, &engines, roles.clone(), force, events).await?;
        acquire(home, roles, events)
    };
    tokio::select! {
        held = stopped => held,
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// The right to remove roles: the home's lock, and theirs.
#[derive(Debug)]
pub(crate) struct RemovalLocks {
    _home: Lock,
    _roles: Vec<Lock>,
}

/// Takes the home's lock, and those of the roles that `find` finds in it. Where
/// some run, refuses, or with `force` has them stopped first.
pub(crate) async fn lock_for_removal<T>(
    home: &Home,
    find: impl Fn() -> Result<(BTreeSet<RoleName>, T), Error>,
    force: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(RemovalLocks, T), Error> {
    let lock = match home.try_lock()? {
        Some(lock) => lock,
        None => {
            // The command that has it may run these roles, and ends with them.
            let (roles, _) = find()?;
            ensure_descriptors(roles.len())?;
            drop(lock_roles(home, &roles, force, interrupts, events).await?);
            lock_home(home, interrupts, events).await?
        }
    };
    clean_all(home, events)?;
    let (roles, found) = find()?;
    ensure_descriptors(roles.len())?;
    let locks = lock_roles(home, &roles, force, interrupts, events).await?;
    let removing = RemovalLocks {
        _home: lock,
        _roles: locks,
    };
    Ok((removing, found))
}

/// Has `roles` stopped that run. They are anybody's then: whoever runs them
/// takes their locks.
pub(crate) async fn stop_running<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName> + Clone,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    lock_roles(home, roles, true, interrupts, events)
        .await
        .map(drop)
}

/// Takes the home's lock, in a command that cannot be interrupted meanwhile.
/// What killed commands left is ended first.
pub(crate) fn lock_home_blocking(home: &Home, events: &Events) -> Result<Lock, Error> {
    let lock = home.lock()?;
    clean_all(home, events)?;
    Ok(lock)
}

/// Takes the home's lock; waits, and says so, while somebody else has it. What
/// killed commands left is ended first.
pub(crate) async fn lock_home(
    home: &Home,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Lock, Error> {
    if let Some(lock) = home.try_lock()? {
        clean_all(home, events)?;
        events.phase(Phase::Locked);
        return Ok(lock);
    }
    events.emit(Kind::Blocked {
        home: home.root().to_owned(),
    });
    let patient = home.clone();
    // The thread is left behind where this command ends before it has waited.
    tokio::select! {
        lock = tokio::task::spawn_blocking(move || patient.lock()) => match lock {
            Ok(lock) => {
                let lock = lock?;
                clean_all(home, events)?;
                events.phase(Phase::Locked);
                Ok(lock)
            }
            Err(error) => Err(Error::System {
                what: "wait for the home",
                source: std::io::Error::other(error),
            }),
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}
