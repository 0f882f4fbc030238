//! The step that changes what is known of roles: all of them, or none.

use std::collections::BTreeMap;

use crate::deploy::resolve_settings;
use crate::deploy::resolve_settings::Accepted;
use crate::error::Error;
use crate::home::Home;
use crate::home::pending::Transaction;
use crate::home::role::Entry;
use crate::model::name::RoleName;

/// Makes the entries of a home, whose lock is held, to `now`, and what the
/// roles are told to what was `accepted`: all of it or, where a file cannot be
/// written, nothing.
pub(crate) fn commit(
    home: &Home,
    now: &BTreeMap<RoleName, Entry>,
    accepted: &BTreeMap<RoleName, Accepted>,
) -> Result<(), Error> {
    let mut transaction = Transaction::default();
    for (role, entry) in now {
        transaction.set_entry(role, entry)?;
    }
    for (role, accepted) in accepted {
        resolve_settings::store(home, role, accepted, &mut transaction)?;
    }
    Ok(home.commit(transaction)?)
}
