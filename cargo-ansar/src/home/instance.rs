//! Instances of operational roles that belong to one test role.
//!
//! A test role that names roles in `fresh` gets an instance of each: a role with
//! the same properties, its own ports and an empty model, which runs around the
//! test. It exists during a test run only, and leaves nothing but its log.

use std::collections::{BTreeMap, BTreeSet};

use ansar_contract::layout::Area;

use crate::home::program::ProgramError;
use crate::home::role::Entry;
use crate::home::{Home, HomeError};
use crate::model::instance::{Instance, instance_name};
use crate::model::name::RoleName;

/// Returns the instances that test roles have, by name. `all` are the roles of
/// the home.
pub fn instances<'r>(
    tests: impl Iterator<Item = (&'r RoleName, &'r Entry)>,
    all: &BTreeMap<RoleName, Entry>,
) -> Result<BTreeMap<RoleName, Entry>, ProgramError> {
    let mut instances = BTreeMap::new();
    for (test, entry) in tests {
        let fresh = &entry.properties.fresh;
        for role in fresh {
            let error = |reason: String| ProgramError::Fresh {
                test: test.clone(),
                role: role.clone(),
                reason,
            };
            let own = all.get(role);
            let own = own.ok_or_else(|| error("there is no such role".to_owned()))?;
            let name = instance_name(test, role).map_err(|why| error(why.to_string()))?;
            if all.contains_key(&name) {
                return Err(error(format!("role `{name}` exists already")));
            }
            let mut instance = own.clone();
            let properties = &mut instance.properties;
            properties.after = after(role, test, fresh, all);
            // The fixed ports are those of the role itself.
            properties.ports.clear();
            properties.tags.clear();
            if !properties.ready.is_done() {
                // It runs as long as the test needs it.
                properties.timeout = None;
            }
            instance.instance = Some(Instance {
                of: role.clone(),
                test: test.clone(),
                fresh: fresh.clone(),
            });
            instances.insert(name, instance);
        }
    }
    Ok(instances)
}

/// Adds instances to the roles of a run, in which their test roles start after
/// them.
pub fn add(roles: &mut BTreeMap<RoleName, Entry>, instances: &BTreeMap<RoleName, Entry>) {
    for instance in instances.values().filter_map(|it| it.instance.as_ref()) {
        if let Some(entry) = roles.get_mut(&instance.test) {
            entry.properties.after = after_of_test(&instance.test, entry);
        }
    }
    roles.extend(instances.clone());
}

/// Returns the roles that a test role with instances starts after.
fn after_of_test(test: &RoleName, entry: &Entry) -> Vec<RoleName> {
    let fresh = &entry.properties.fresh;
    let own = fresh
        .iter()
        .filter_map(|role| instance_name(test, role).ok());
    let own: Vec<RoleName> = own.collect();
    let others = entry.properties.after.iter();
    let others = others.filter(|role| !fresh.contains(role) && !own.contains(role));
    own.iter().chain(others).cloned().collect()
}

/// Returns the roles that the instance of a role starts after: those that the
/// role starts after, directly, and through others that are instances as well.
fn after(
    role: &RoleName,
    test: &RoleName,
    fresh: &[RoleName],
    all: &BTreeMap<RoleName, Entry>,
) -> Vec<RoleName> {
    let mut after = BTreeSet::new();
    let (mut seen, mut next) = (BTreeSet::from([role]), vec![role]);
    while let Some(role) = next.pop() {
        let needed = all.get(role).map(|entry| &entry.properties.after);
        for needed in needed.into_iter().flatten() {
            if !fresh.contains(needed) {
                after.insert(needed.clone());
            } else if seen.insert(needed) {
                after.extend(instance_name(test, needed));
                next.push(needed);
            }
        }
    }
    after.into_iter().collect()
}

impl Home {
    /// Removes everything that an instance has in the home, except for its log.
    pub fn clear_instance(&self, role: &RoleName) -> Result<(), HomeError> {
        for area in [Area::Model, Area::Tmp] {
            if let Some(area) = self.owned(area)? {
                area.remove_entry(role.as_str())?;
            }
        }
        self.remove_setup_record(role)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::home::role::Origin;

    fn entry(after: &[&str], fresh: &[&str]) -> Entry {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let id = "id".to_owned();
        let executable = "x".parse().unwrap();
        let mut entry = Entry::new(id, Timestamp::UNIX_EPOCH, executable, Origin::Manifest);
        entry.properties.after = names(after);
        entry.properties.fresh = names(fresh);
        entry
    }

    fn after(entry: &Entry) -> Vec<&str> {
        entry
            .properties
            .after
            .iter()
            .map(RoleName::as_str)
            .collect()
    }

    #[test]
    fn instances_start_after_each_other() {
        let all = BTreeMap::from(
            [
                ("cache-0", entry(&[], &[])),
                ("db-0", entry(&[], &[])),
                ("migrate-0", entry(&["db-0"], &[])),
                ("api-0", entry(&["migrate-0", "cache-0"], &[])),
                (
                    "test-a",
                    entry(&["api-0", "cache-0"], &["api-0", "db-0", "migrate-0"]),
                ),
            ]
            .map(|(name, entry)| (name.parse::<RoleName>().unwrap(), entry)),
        );
        let test: RoleName = "test-a".parse().unwrap();
        let found = instances(std::iter::once((&test, &all[&test])), &all).unwrap();
        let names: Vec<&str> = found.keys().map(RoleName::as_str).collect();
        assert_eq!(
            names,
            [
                "fresh-test-a-api-0",
                "fresh-test-a-db-0",
                "fresh-test-a-migrate-0"
            ]
        );
        let of = |name: &str| after(&found[&name.parse::<RoleName>().unwrap()]);
        assert_eq!(
            of("fresh-test-a-api-0"),
            ["cache-0", "fresh-test-a-db-0", "fresh-test-a-migrate-0"]
        );
        assert_eq!(of("fresh-test-a-migrate-0"), ["fresh-test-a-db-0"]);
        assert_eq!(of("fresh-test-a-db-0"), [""; 0]);
        let of_test = after_of_test(&test, &all[&test]);
        let of_test: Vec<&str> = of_test.iter().map(RoleName::as_str).collect();
        assert_eq!(
            of_test,
            [
                "fresh-test-a-api-0",
                "fresh-test-a-db-0",
                "fresh-test-a-migrate-0",
                "cache-0"
            ]
        );
    }

    #[test]
    fn instance_of_nothing_is_refused() {
        let test: RoleName = "test-a".parse().unwrap();
        let entry = entry(&[], &["db-1"]);
        let error = instances(std::iter::once((&test, &entry)), &BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "role `test-a` cannot have its own `db-1`: there is no such role"
        );
    }
}
