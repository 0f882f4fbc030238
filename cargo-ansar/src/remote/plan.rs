//! The division of a run's roles into shards.

use std::collections::BTreeSet;

use crate::model::name::RoleName;
use crate::model::partition::divide;

/// The roles of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shard {
    /// Its operational roles.
    pub operational: BTreeSet<RoleName>,
    /// Its test roles.
    pub tests: BTreeSet<RoleName>,
}

impl Shard {
    /// Returns true if it has this role.
    pub fn has(&self, role: &RoleName) -> bool {
        self.operational.contains(role) || self.tests.contains(role)
    }

    /// Returns true if it has no role, so that no node is needed for it.
    pub fn is_empty(&self) -> bool {
        self.operational.is_empty() && self.tests.is_empty()
    }

    /// Returns all roles.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.operational.iter().chain(&self.tests)
    }
}

/// Divides roles into shards.
///
/// Operational roles are together in the first shard, since they may share a
/// socket or a file. Test roles are divided as `--partition` does: evenly, and
/// so that a role mostly meets the same node, which has its files already.
pub fn plan(
    operational: impl IntoIterator<Item = RoleName>,
    tests: &BTreeSet<RoleName>,
    count: usize,
) -> Vec<Shard> {
    let mut shards = vec![Shard::default(); count.max(1)];
    shards[0].operational.extend(operational);
    for (role, shard) in divide(tests, count) {
        shards[shard].tests.insert(role.clone());
    }
    shards
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
        fn every_role_is_in_one_shard(
            operational in names("server"),
            tests in names("test"),
            count in 1_usize..8,
        ) {
            let shards = plan(operational.clone(), &tests, count);
            prop_assert_eq!(shards.len(), count);
            prop_assert_eq!(&shards[0].operational, &operational);
            let sizes: Vec<usize> = shards.iter().map(|shard| shard.tests.len()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            prop_assert_eq!(sizes.iter().sum::<usize>(), tests.len());
            for role in operational.iter().chain(&tests) {
                prop_assert_eq!(shards.iter().filter(|shard| shard.has(role)).count(), 1);
            }
        }

        /// Both are for machines whose files are warm, which must not depend on
        /// the command.
        #[test]
        fn shards_are_the_parts_of_a_partition(tests in names("test"), count in 1_usize..8) {
            let shards = plan([], &tests, count);
            for (number, shard) in shards.iter().enumerate() {
                let part = format!("{}/{count}", number + 1);
                let part: crate::model::partition::Partition = part.parse().unwrap();
                prop_assert_eq!(&part.of(&tests), &shard.tests);
            }
        }
    }
}
