//! Takes the right to change a home, to run roles, or to remove them: nobody
//! else does then.

use super::Error;
use super::engines::{look, stop};
use crate::event::{Events, Kind};
use crate::home::{Home, HomeError};
use crate::host::interrupts::Interrupts;
use crate::host::lock::Lock;
use crate::model::name::RoleName;

/// Takes the locks of `roles`. Where some run, refuses, or with `force` has
/// them stopped first, wherever they run; the others there go on.
pub(super) async fn hold<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName> + Clone,
    force: bool,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Vec<Lock>, Error> {
    match home.lock_roles(roles.clone()) {
        Err(HomeError::Running(_)) if force => {}
        other => return Ok(other?),
    }
    let stopped = async {
        let engines = look(home, events).await?;
        stop(home, &engines, roles.clone(), events).await?;
        Ok(home.lock_roles(roles)?)
    };
    tokio::select! {
        held = stopped => held,
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}

/// Has `roles` stopped that run. They are anybody's then: whoever runs them
/// takes their locks.
pub(super) async fn make_way<'r>(
    home: &Home,
    roles: impl IntoIterator<Item = &'r RoleName> + Clone,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    hold(home, roles, true, interrupts, events).await.map(drop)
}

/// Takes the home's lock; waits, and says so, while somebody else has it.
pub(super) async fn take(
    home: &Home,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Lock, Error> {
    if let Some(lock) = home.try_lock()? {
        return Ok(lock);
    }
    events.emit(Kind::Blocked {
        home: home.root().to_owned(),
    });
    let patient = home.clone();
    // The thread is left behind where this command ends before it has waited.
    tokio::select! {
        lock = tokio::task::spawn_blocking(move || patient.lock()) => match lock {
            Ok(lock) => Ok(lock?),
            Err(error) => Err(Error::System {
                what: "wait for the home",
                source: std::io::Error::other(error),
            }),
        },
        interrupt = interrupts.next() => Err(Error::Interrupted(interrupt)),
    }
}
