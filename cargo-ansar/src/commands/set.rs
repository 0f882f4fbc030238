//! `cargo ansar set`: set a property of roles.

use std::collections::BTreeMap;
use std::path::Path;

use crate::commands::input_file::InputFile;
use crate::deploy::commit::commit;
use crate::error::{Error, RoleError, in_input_file};
use crate::events::Events;
use crate::home::Home;
use crate::home::role::Entry;
use crate::manifest::properties::{Change, Property};
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::lock_roles;
use crate::workspace::Places;
use crate::workspace::roles::check_start_order;
use crate::workspace::roles::chosen;

/// New value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A passed value.
    Set(InputFile),
    /// No value.
    NotSet,
}

/// Sets a property of the matching roles with `change`, and returns their
/// names. Changes nothing if the encoding is invalid or no role matches.
pub fn set(
    places: &Places,
    search: &RoleSearch,
    property: &Property,
    change: &Change,
    value: &Value,
    events: &Events,
) -> Result<Vec<RoleName>, Error> {
    let (home, workspace) = places.open()?;
    let text = match value {
        Value::NotSet => None,
        Value::Set(input) => Some(input.text(places)?),
    };
    let text = text.as_ref().map(|text| (&*text.name, &*text.bytes));
    let _lock = lock_roles::lock_home_blocking(&home, events)?;
    let all = home.entries()?;
    let roles = chosen(&home, workspace.as_ref(), search, all.clone())?;
    store(&home, &all, &roles, property, change, text)
}

/// Sets a property of `roles`, and returns their names. `all` are the roles of
/// the home, whose lock the caller has acquired.
pub(crate) fn store(
    home: &Home,
    all: &BTreeMap<RoleName, Entry>,
    roles: &BTreeMap<RoleName, Entry>,
    property: &Property,
    change: &Change,
    text: Option<(&Path, &[u8])>,
) -> Result<Vec<RoleName>, Error> {
    let mut changed = roles.clone();
    for entry in changed.values_mut() {
        match text {
            None => change.unset(entry),
            Some((path, bytes)) => change
                .set(entry, path, bytes)
                .map_err(|error| in_input_file(error, Some(change.example)))?,
        }
        entry.by_hand.properties.insert(property.name.to_owned());
    }
    check_order(all, &changed)?;
    commit(home, &changed, &BTreeMap::new())?;
    Ok(changed.into_keys().collect())
}

/// Checks that all roles could start after the change.
fn check_order(
    all: &BTreeMap<RoleName, Entry>,
    changed: &BTreeMap<RoleName, Entry>,
) -> Result<(), Error> {
    for (role, entry) in changed {
        let was = all.get(role).map(|entry| &entry.properties.after);
        let unknown = entry
            .properties
            .after
            .iter()
            .find(|after| !all.contains_key(*after));
        if let Some(after) = unknown.filter(|_| was != Some(&entry.properties.after)) {
            return Err(Error::Role(RoleError::StartOrder {
                role: role.clone(),
                after: after.clone(),
                reason: "there is no such role".to_owned(),
            }));
        }
    }
    let mut whole = all.clone();
    whole.extend(changed.clone());
    check_start_order(&whole)
}
