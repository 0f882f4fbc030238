//! The step that changes what is known of roles: all of them, or none.

use std::collections::BTreeMap;

use ansar_runtime::contract::layout::Area;

use super::Error;
use super::settle::{self, Accepted};
use crate::home::Home;
use crate::home::entry::Entry;
use crate::host::files;
use crate::model::name::RoleName;

/// Makes the entries `was` of a home, whose lock is held, to `now`, and what
/// the roles are told to what was `accepted`. Where a file cannot be written,
/// all are again what they were.
///
/// A command that is killed in between leaves entries that are newer than what
/// their roles are told; the next deploy settles these.
pub(super) fn amend(
    home: &Home,
    was: &BTreeMap<RoleName, Entry>,
    now: &BTreeMap<RoleName, Entry>,
    accepted: &BTreeMap<RoleName, Accepted>,
) -> Result<(), Error> {
    let mut told = Vec::new();
    for role in accepted.keys() {
        for area in [Area::Settings, Area::Input] {
            let path = home.file(area, role);
            let bytes = files::read_if_there(&path)?;
            told.push((path, bytes));
        }
    }
    let write = || -> Result<(), Error> {
        for (role, entry) in now {
            home.set_entry(role, entry)?;
        }
        for (role, accepted) in accepted {
            settle::store(home, role, accepted)?;
        }
        Ok(())
    };
    let written = write();
    if written.is_err() {
        // What cannot be written now could not be written before.
        for (role, entry) in was {
            let _ = home.set_entry(role, entry);
        }
        for (path, bytes) in told {
            let _ = match bytes {
                Some(bytes) => files::replace(&path, &bytes, 0o600),
                None => files::remove_file(&path),
            };
        }
    }
    written
}
