//! The division of a run's roles into shards.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::name::RoleName;
use crate::model::partition::divide;

/// The roles of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// Its operational roles.
    pub operational: BTreeSet<RoleName>,
    /// Its test roles.
    pub tests: BTreeSet<RoleName>,
    /// Operational roles that belong to one test role, with that role.
    pub instances: BTreeMap<RoleName, RoleName>,
    /// Test roles whose tests are divided; they are in every shard.
    pub divided: BTreeSet<RoleName>,
    /// The shards of roles that name one, from 0.
    pub pinned: BTreeMap<RoleName, usize>,
    /// For each operational role, the operational roles that it starts after.
    pub after: BTreeMap<RoleName, BTreeSet<RoleName>>,
    /// Test roles that must be in one shard: they start after each other, or
    /// never run at the same time.
    pub together: Vec<BTreeSet<RoleName>>,
}

/// The roles of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shard {
    /// Its operational roles.
    pub operational: BTreeSet<RoleName>,
    /// Its test roles.
    pub tests: BTreeSet<RoleName>,
    /// Operational roles that belong to one of its test roles.
    pub instances: BTreeSet<RoleName>,
    /// For each of its operational roles, the roles of other shards that it starts after.
    pub awaits: BTreeMap<RoleName, BTreeSet<RoleName>>,
}

impl Shard {
    /// Returns true if it has this role.
    pub fn has(&self, role: &RoleName) -> bool {
        let all = [&self.operational, &self.tests, &self.instances];
        all.iter().any(|roles| roles.contains(role))
    }

    /// Returns true if it has no role, so that no node is needed for it.
    pub fn is_empty(&self) -> bool {
        self.operational.is_empty() && self.tests.is_empty()
    }

    /// Returns all roles.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        let own = self.operational.iter().chain(&self.tests);
        own.chain(&self.instances)
    }
}

/// Divides roles into shards.
///
/// A role that names a shard is in that one; those after the last are in the last.
/// Other operational roles are together in the first shard, since they may share a
/// socket or a file. Test roles are divided as `--partition` does: evenly, and
/// so that a role mostly meets the same node, which has its files already. Those
/// that must be together follow the first of them, and instances follow their
/// tests. Roles whose tests are divided are in all shards.
pub fn plan(roles: &Roles, count: usize) -> Vec<Shard> {
    let tests = roles.divided.clone();
    let mut shards = vec![
        Shard {
            tests,
            ..Shard::default()
        };
        count.max(1)
    ];
    let pinned = |role| Some(*roles.pinned.get(role)?.min(&(count.max(1) - 1)));
    for role in &roles.operational {
        let shard = pinned(role).unwrap_or(0);
        shards[shard].operational.insert(role.clone());
    }
    let whole = roles.tests.difference(&roles.divided);
    let free = whole.clone().filter(|role| pinned(role).is_none());
    let divided: BTreeMap<&RoleName, usize> = divide(free, count);
    let leaders = leaders(roles);
    for role in whole {
        let leader = leaders.get(role).copied().unwrap_or(role);
        let shard = [role, leader].into_iter().find_map(pinned);
        let shard = shard.or_else(|| divided.get(leader).copied());
        shards[shard.unwrap_or(0)].tests.insert(role.clone());
    }
    for shard in &mut shards {
        shard.awaits = awaits(&roles.after, &shard.operational);
    }
    for (instance, test) in &roles.instances {
        let mut own = shards.iter_mut();
        if let Some(shard) = own.find(|shard| shard.tests.contains(test)) {
            shard.instances.insert(instance.clone());
        }
    }
    shards
}

/// Returns the roles of `own` that start after others, each with those.
fn awaits(
    after: &BTreeMap<RoleName, BTreeSet<RoleName>>,
    own: &BTreeSet<RoleName>,
) -> BTreeMap<RoleName, BTreeSet<RoleName>> {
    let after = after.iter().filter(|(role, _)| own.contains(*role));
    let others = after.map(|(role, needed)| {
        let others = needed.difference(own).cloned();
        (role.clone(), others.collect::<BTreeSet<_>>())
    });
    others.filter(|(_, others)| !others.is_empty()).collect()
}

/// Returns the first role of all that each role must be together with, directly
/// or through others. One that names a shard comes before those that do not.
fn leaders(roles: &Roles) -> BTreeMap<&RoleName, &RoleName> {
    let mut groups: Vec<BTreeSet<&RoleName>> = Vec::new();
    for together in &roles.together {
        let mut group: BTreeSet<&RoleName> = together.iter().collect();
        groups.retain(|other| {
            let is_apart = other.is_disjoint(&group);
            if !is_apart {
                group.extend(other);
            }
            is_apart
        });
        groups.push(group);
    }
    let pairs = groups.iter().filter_map(|group| {
        let mut pinned = group
            .iter()
            .filter(|role| roles.pinned.contains_key(**role));
        let leader = *pinned.next().or(group.first())?;
        Some(group.iter().map(move |role| (*role, leader)))
    });
    pairs.flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(kind: &'static str) -> impl Strategy<Value = BTreeSet<RoleName>> {
        let name = (0_u32..500).prop_map(move |number| format!("{kind}-{number}").parse().unwrap());
        proptest::collection::btree_set(name, 0..60)
    }

    proptest! {
        #[test]
        fn every_role_is_in_one_shard_or_divided(
            operational in names("server"),
            tests in names("test"),
            divided in names("test"),
            count in 1_usize..8,
        ) {
            let divided = divided.intersection(&tests).cloned().collect();
            let roles = Roles { operational, tests, divided, ..Roles::default() };
            let shards = plan(&roles, count);
            prop_assert_eq!(shards.len(), count);
            prop_assert_eq!(&shards[0].operational, &roles.operational);
            let sizes: Vec<usize> = shards.iter().map(|shard| shard.tests.len()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            for role in roles.operational.iter().chain(&roles.tests) {
                let expected = if roles.divided.contains(role) { count } else { 1 };
                prop_assert_eq!(shards.iter().filter(|shard| shard.has(role)).count(), expected);
            }
        }

        #[test]
        fn pinned_roles_are_in_their_shards(
            operational in names("server"),
            tests in names("test"),
            pins in proptest::collection::vec(0_usize..4, 120),
            count in 4_usize..8,
        ) {
            let all = operational.iter().chain(&tests);
            // Every second role has a place, and every operational role is after
            // all that come before it.
            let pinned = all.zip(pins).step_by(2).map(|(role, shard)| (role.clone(), shard));
            let after = operational.iter().map(|role| {
                let before = operational.iter().filter(|other| *other < role);
                (role.clone(), before.cloned().collect::<BTreeSet<_>>())
            });
            let roles = Roles {
                pinned: pinned.collect(),
                after: after.collect(),
                operational: operational.clone(),
                tests,
                ..Roles::default()
            };
            let shards = plan(&roles, count);
            let of = |role: &RoleName| shards.iter().position(|shard| shard.has(role));
            for (role, shard) in &roles.pinned {
                prop_assert_eq!(of(role), Some(*shard));
            }
            for role in operational.iter().filter(|it| !roles.pinned.contains_key(*it)) {
                prop_assert_eq!(of(role), Some(0));
            }
            for (role, needed) in &roles.after {
                let own = of(role).unwrap();
                let awaited = shards[own].awaits.get(role).cloned().unwrap_or_default();
                let elsewhere = needed.iter().filter(|it| of(it) != Some(own));
                prop_assert_eq!(awaited, elsewhere.cloned().collect());
            }
        }

        /// Both are for machines whose files are warm, which must not depend on
        /// the command.
        #[test]
        fn shards_are_the_parts_of_a_partition(tests in names("test"), count in 1_usize..8) {
            let roles = Roles { tests, ..Roles::default() };
            let shards = plan(&roles, count);
            for (number, shard) in shards.iter().enumerate() {
                let part = format!("{}/{count}", number + 1);
                let part: crate::model::partition::Partition = part.parse().unwrap();
                prop_assert_eq!(&part.of(&roles.tests), &shard.tests);
            }
        }

        #[test]
        fn what_belongs_together_is_in_one_shard(
            tests in names("test"),
            pairs in proptest::collection::vec((0_usize..60, 0_usize..60), 0..20),
            count in 1_usize..8,
        ) {
            let all: Vec<&RoleName> = tests.iter().collect();
            let pairs = pairs.into_iter().filter_map(|(one, other)| {
                Some(BTreeSet::from([(*all.get(one)?).clone(), (*all.get(other)?).clone()]))
            });
            let instance = |test: &RoleName| format!("fresh-{test}-db-0").parse().unwrap();
            let roles = Roles {
                together: pairs.collect(),
                instances: tests.iter().map(|test| (instance(test), test.clone())).collect(),
                tests: tests.clone(),
                ..Roles::default()
            };
            let shards = plan(&roles, count);
            let of = |role: &RoleName| shards.iter().position(|shard| shard.has(role));
            for group in &roles.together {
                let shards: BTreeSet<_> = group.iter().map(of).collect();
                prop_assert_eq!(shards.len(), 1);
            }
            for (instance, test) in &roles.instances {
                prop_assert_eq!(of(instance), of(test));
                prop_assert!(of(test).is_some());
            }
        }
    }
}
