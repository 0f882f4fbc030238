//! Sub-roles: what a called process is in the home of its caller.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What stands between a role and what it calls; no role's own name has one.
pub(crate) const DOT: char = '.';

/// Whether a role is a sub-role.
pub(crate) fn is_sub_role(role: &str) -> bool {
    role.contains(DOT)
}

/// The names that the calls of one process have while they run.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubRoles(Arc<Mutex<BTreeSet<String>>>);

/// A name; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct SubRole {
    name: String,
    taken: SubRoles,
}

impl SubRoles {
    /// The name of the next call of `executable`: the executable's own where
    /// that is free, else with the lowest number that is, from 1.
    pub(crate) fn take(&self, executable: &str) -> SubRole {
        let mut taken = self.lock();
        let numbered = (1u32..).map(|number| format!("{executable}-{number}"));
        let mut names = std::iter::once(executable.to_owned()).chain(numbered);
        let name = names.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(name.clone());
        SubRole {
            name,
            taken: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubRole {
    /// The name below `parent`; by hand, where nobody has a role, the name
    /// alone.
    pub(crate) fn below(&self, parent: Option<&str>) -> String {
        match parent {
            Some(parent) => format!("{parent}{DOT}{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Drop for SubRole {
    fn drop(&mut self) {
        self.taken.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_name_at_once_get_a_number() {
        let sub_roles = SubRoles::default();
        let name = |sub_role: &SubRole| sub_role.below(Some("busy-0"));
        let first = sub_roles.take("noop");
        let second = sub_roles.take("noop");
        let third = sub_roles.take("noop");
        assert_eq!(name(&first), "busy-0.noop");
        assert_eq!(name(&second), "busy-0.noop-1");
        assert_eq!(name(&third), "busy-0.noop-2");
        drop(second);
        assert_eq!(name(&sub_roles.take("noop")), "busy-0.noop-1");
        // An executable may bear the name that a number would make.
        let other = sub_roles.take("noop-2");
        assert_eq!(name(&other), "busy-0.noop-2-1");
        assert_eq!(first.below(None), "noop");
    }
}
