//! Test roles of which each shard, and each job, runs a part of the tests.

use std::collections::BTreeSet;

use crate::model::name::RoleName;
use crate::model::partition::Partition;
use crate::model::placeholder::Placeholder;
use crate::model::role_properties::RoleProperties;

/// Returns those of the test roles whose tests are divided: the roles that run test
/// targets. Those that name a shard, those with commands, instances or ports of their
/// own, and those that run before, after, or never beside another test role, are whole.
pub(super) fn divided<'t>(
    tests: impl Iterator<Item = (&'t RoleName, &'t RoleProperties)> + Clone,
) -> BTreeSet<RoleName> {
    let names: BTreeSet<&RoleName> = tests.clone().map(|(role, _)| role).collect();
    let after = tests.clone().flat_map(|(_, properties)| &properties.after);
    let awaited: BTreeSet<&RoleName> = after.filter(|role| names.contains(role)).collect();
    let is_divided = |(role, properties): &(&RoleName, &RoleProperties)| {
        let waits = properties.after.iter().any(|role| names.contains(role));
        let has_order = waits || awaited.contains(role) || !properties.exclusive.is_empty();
        let is_pinned = properties.shard.is_some();
        properties.test.is_some() && !is_pinned && !has_order && !has_own(properties)
    };
    let divided = tests.filter(is_divided);
    divided.map(|(role, _)| role.clone()).collect()
}

/// The roles of one part of a run.
pub(super) struct Part {
    /// The test roles that it runs.
    pub(super) roles: BTreeSet<RoleName>,
    /// Those of which it runs a part of the tests.
    pub(super) divided: BTreeSet<RoleName>,
}

impl Part {
    /// Returns the roles of this part, out of all test roles of the run.
    pub(super) fn of<'t>(
        partition: Partition,
        tests: impl Iterator<Item = (&'t RoleName, &'t RoleProperties)> + Clone,
    ) -> Self {
        let divided = divided(tests.clone());
        let whole = tests.map(|(role, _)| role);
        let mut roles = partition.of(whole.filter(|role| !divided.contains(*role)));
        roles.extend(divided.iter().cloned());
        Self { roles, divided }
    }
}

/// Returns true if something exists once for all tests of a role.
fn has_own(properties: &RoleProperties) -> bool {
    let is_own_port = |placeholder: &Placeholder| {
        matches!(
            placeholder,
            Placeholder::Port { role: None, .. } | Placeholder::Address { role: None, .. }
        )
    };
    !properties.before.is_empty()
        || !properties.after_all.is_empty()
        || !properties.fresh.is_empty()
        || !properties.ports.is_empty()
        || properties.placeholders().any(is_own_port)
}
