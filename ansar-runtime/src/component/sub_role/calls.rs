//! The names of calls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::DOT;

/// The names of the running calls of one process.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubRoles(Arc<Mutex<BTreeSet<String>>>);

/// The name of a call; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct SubRole {
    name: String,
    taken: SubRoles,
}

impl SubRoles {
    /// Takes the name of the next call of `executable`: that of the executable if it
    /// is free, or with the lowest free number from 1.
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
    /// Returns the name below `parent`; by hand, without a parent, the name alone.
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
