//! Changing the entries and settings of several roles at once.

use std::collections::BTreeMap;

use crate::deploy::ask_component::Accepted;
use crate::deploy::resolve_settings;
use crate::error::Error;
use crate::home::Home;
use crate::home::pending::Transaction;
use crate::home::role::Entry;
use crate::model::name::RoleName;

/// Writes the entries in `now` and the `accepted` settings to a home, whose
/// lock the caller holds.
///
/// If a file cannot be written, nothing changes.
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
