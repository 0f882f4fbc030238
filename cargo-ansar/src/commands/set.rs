//! `cargo ansar set`: set a property of roles.

use std::collections::BTreeMap;
use std::path::Path;

use crate::commands::input_file::Given;
use crate::deploy::commit::commit;
use crate::error::{Error, of_the_user};
use crate::events::Events;
use crate::home::Home;
use crate::home::role::Entry;
use crate::home::role_properties::{Change, Property};
use crate::model::name::RoleName;
use crate::model::role_search::RoleSearch;
use crate::supervisor::lock_roles;
use crate::workspace::Places;
use crate::workspace::roles::check_start_order;
use crate::workspace::roles::chosen;

/// What a property is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// To what is given.
    Given(Given),
    /// To nothing.
    NotSet,
}

/// Sets a property, which can be set by `change`, of the roles that match;
/// their names. Nothing changes where the encoding is wrong or no role matches.
pub fn set(
    places: &Places,
    search: &RoleSearch,
    property: &Property,
    change: &Change,
    value: &Value,
    events: &Events,
) -> Result<Vec<RoleName>, Error> {
    let (home, workspace) = places.open()?;
    let given = match value {
        Value::NotSet => None,
        Value::Given(given) => Some(given.text(places)?),
    };
    let text = given.as_ref();
    let text = text.map(|text| (&*text.name, &*text.bytes));
    let _lock = lock_roles::lock_home_blocking(&home, events)?;
    let all = home.entries()?;
    let roles = chosen(&home, workspace.as_ref(), search, all.clone())?;
    store(&home, &all, &roles, property, change, text)
}

/// Sets a property of `roles`, which are among `all` of a home whose lock is
/// held; their names.
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
                .map_err(|error| of_the_user(error, Some(change.example)))?,
        }
        entry.by_hand.properties.insert(property.name.to_owned());
    }
    check_order(all, &changed)?;
    commit(home, &changed, &BTreeMap::new())?;
    Ok(changed.into_keys().collect())
}

/// Whether everybody could start, with `changed` as they are now.
fn check_order(
    all: &BTreeMap<RoleName, Entry>,
    changed: &BTreeMap<RoleName, Entry>,
) -> Result<(), Error> {
    for (role, entry) in changed {
        let was = all.get(role).map(|entry| &entry.after);
        let unknown = entry.after.iter().find(|after| !all.contains_key(*after));
        if let Some(after) = unknown.filter(|_| was != Some(&entry.after)) {
            return Err(Error::After {
                role: role.clone(),
                after: after.clone(),
                reason: "there is no such role".to_owned(),
            });
        }
    }
    let mut whole = all.clone();
    whole.extend(changed.clone());
    check_start_order(&whole)
}
