//! `cargo ansar set`: set a property of roles.

use std::collections::BTreeMap;
use std::path::Path;

use super::amend::amend;
use super::choose::chosen;
use super::given::Given;
use super::locate::Places;
use super::{Error, hold, of_the_user};
use crate::event::Events;
use crate::home::Home;
use crate::home::entry::Entry;
use crate::home::property::{Change, Property};
use crate::model::name::RoleName;
use crate::model::order;
use crate::model::search::RoleSearch;

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
    let _lock = hold::change(&home, events)?;
    let all = home.entries()?;
    let roles = chosen(&home, workspace.as_ref(), search, all.clone())?;
    store(&home, &all, &roles, property, change, text)
}

/// Sets a property of `roles`, which are among `all` of a home whose lock is
/// held; their names.
pub(super) fn store(
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
    amend(home, &changed, &BTreeMap::new())?;
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
    can_start(&whole)
}

/// Whether everybody could start: nobody waits for whoever waits for them.
pub(super) fn can_start(entries: &BTreeMap<RoleName, Entry>) -> Result<(), Error> {
    let after = entries.iter();
    let after = after.map(|(role, entry)| (role.clone(), entry.after.clone()));
    let Some(cycle) = order::cycle(&after.collect()) else {
        return Ok(());
    };
    let names: Vec<_> = cycle.iter().map(|role| format!("`{role}`")).collect();
    match cycle.as_slice() {
        [role, after, ..] => Err(Error::After {
            role: role.clone(),
            after: after.clone(),
            reason: format!("each would wait for the next of {}", names.join(", ")),
        }),
        _ => Ok(()),
    }
}
