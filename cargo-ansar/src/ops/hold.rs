//! Takes the right to run roles, or to remove them: nobody else runs them then.

use super::Error;
use super::engines::{look, stop};
use crate::event::Events;
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
