//! Acquires the locks to change a home, to run roles, and to remove them.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::events::{DeployEvent, Events, Phase};
use crate::home::{Home, HomeError};
use crate::host::fs::lock::Lock;
use crate::host::process::interrupts::Interrupts;
use crate::model::name::RoleName;
use crate::supervisor::cleanup::clean_all;
use crate::supervisor::client::{find_engines, stop};
use crate::supervisor::launcher::ensure_descriptors;

/// Acquires the locks of `roles`, and kills orphans of engines that were just
/// killed.
///
/// # Errors
///
/// Returns an error if a role runs.
pub(crate) fn acquire<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName>,
    events: &Events,
) -> Result<Vec<Lock>, Error> {
    let locks = home.lock_roles(roles)?;
    // Clean up after locking: an engine killed just before may have left
    // orphans of these roles.
    clean_all(home, events)?;
    Ok(locks)
}

/// Acquires the locks of `roles`. With `force`, stops those that run first;
/// other roles in their engines keep running.
///
/// # Errors
///
/// Returns an error if a role runs and `force` is not set, or when interrupted.
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
        locks = stopped => locks,
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// The locks to remove roles: that of the home and those of the roles.
#[derive(Debug)]
pub(crate) struct RemovalLocks {
    _home: Lock,
    _roles: Vec<Lock>,
}

/// Acquires the lock of the home and those of the roles that `find` returns.
/// With `force`, stops those that run first.
///
/// # Errors
///
/// Returns an error if a role runs and `force` is not set, or when interrupted.
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
            // The command that holds the lock may run these roles, and ends
            // when they do.
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

/// Stops those of `roles` that run. Does not keep their locks: the engine that
/// runs them next acquires them.
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

/// Acquires the lock of the home, blocking the thread, and cleans up after
/// killed commands.
pub(crate) fn lock_home_blocking(home: &Home, events: &Events) -> Result<Lock, Error> {
    let lock = home.lock()?;
    clean_all(home, events)?;
    Ok(lock)
}

/// Acquires the lock of the home and cleans up after killed commands. If
/// another command holds the lock, emits an event and waits.
///
/// # Errors
///
/// Returns an error when interrupted.
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
    events.emit(DeployEvent::Blocked {
        home: home.root().to_owned(),
    });
    let waiting = home.clone();
    // If this command ends earlier, the waiting thread is abandoned.
    tokio::select! {
        lock = tokio::task::spawn_blocking(move || waiting.lock()) => match lock {
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
