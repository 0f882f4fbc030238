//! Which adopted processes belong to which role.
//!
//! What a role starts may leave its group, and lose its parent. It comes to the
//! engine then, and belongs to its role all the same. Owns that attribution:
//! by group, by the group or session of what was attributed before, by what its
//! environment says. What cannot be attributed ends with the engine.

use std::collections::BTreeMap;
use std::time::Instant;

use ansar_contract::launch;

use crate::host::clock;
use crate::host::process::orphans::{Orphan, adopted};
use crate::host::process::signal::Signal;
use crate::model::name::RoleName;

/// The adopted processes of all roles.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Whose group is whose.
    groups: BTreeMap<u32, usize>,
    /// The last group of each.
    latest: BTreeMap<usize, u32>,
    /// The members by the names of their roles.
    names: BTreeMap<String, usize>,
    owned: BTreeMap<u32, (usize, Orphan)>,
    /// The last signal that each member was sent: what comes to light only
    /// after it, as the one that started it died of it, hears it then.
    told: BTreeMap<usize, Signal>,
    looked: Option<Instant>,
}

impl Orphans {
    /// A member plays a role, and is known by its name.
    pub fn name(&mut self, role: &RoleName, member: usize) {
        self.names.insert(role.to_string(), member);
    }

    /// A member has started a group. Everything of the one before it is gone.
    pub fn started(&mut self, member: usize, group: u32) {
        if self.latest.insert(member, group).is_some() {
            self.groups.retain(|_, owner| *owner != member);
            self.told.remove(&member);
        }
        self.groups.insert(group, member);
    }

    /// Whether a member has orphans that live, as seen no earlier than `since`.
    /// Many that ask in one moment are answered from one look.
    pub fn any_of(&mut self, member: usize, since: Instant) -> bool {
        if self.looked.is_none_or(|looked| looked < since) {
            self.looked = Some(clock::instant());
            for (orphan, signal) in self.look(adopted()) {
                let _ = orphan.signal(signal);
            }
        }
        self.owned.values().any(|(owner, _)| *owner == member)
    }

    /// Sends a signal to the orphans of a member, and to those that are found
    /// to be after this.
    pub fn signal(&mut self, member: usize, signal: Signal) {
        self.told.insert(member, signal);
        let owned = self.owned.values().filter(|(owner, _)| *owner == member);
        for (_, orphan) in owned {
            let _ = orphan.signal(signal);
        }
    }

    /// The orphans of a member, as they were last seen.
    pub fn of(&self, member: usize) -> impl Iterator<Item = u32> {
        let owned = self.owned.iter();
        let owned = owned.filter(move |(_, (owner, _))| *owner == member);
        owned.map(|(pid, _)| *pid)
    }

    /// Finds out whose these are; those that were not known, and what they
    /// are to hear.
    fn look(&mut self, adopted: Vec<Orphan>) -> Vec<(Orphan, Signal)> {
        let mut owned = BTreeMap::new();
        let mut late = Vec::new();
        for orphan in adopted {
            let Some(member) = self.owner(&orphan) else {
                continue;
            };
            if let Some(signal) = self.told.get(&member)
                && self.known(&orphan).is_none()
            {
                late.push((orphan.clone(), *signal));
            }
            owned.insert(orphan.pid, (member, orphan));
        }
        self.owned = owned;
        late
    }

    /// Whose an orphan was when it was last seen. Where its number is that of
    /// another one by now, it is not known.
    fn known(&self, orphan: &Orphan) -> Option<&(usize, Orphan)> {
        let known = self.owned.get(&orphan.pid);
        known.filter(|(_, known)| known.started == orphan.started)
    }

    fn owner(&self, orphan: &Orphan) -> Option<usize> {
        if let Some((member, _)) = self.known(orphan) {
            return Some(*member);
        }
        if let Some(member) = self.groups.get(&orphan.group) {
            return Some(*member);
        }
        let kin = self.owned.values().find(|(_, other)| {
            other.group == orphan.group
                || (other.session == orphan.session && other.pid == other.session)
        });
        if let Some((member, _)) = kin {
            return Some(*member);
        }
        let role = orphan.variable(launch::ROLE)?;
        self.names.get(role).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphan(pid: u32, group: u32, session: u32, role: Option<&str>) -> Orphan {
        let role = role.map(|role| (launch::ROLE.to_owned(), role.to_owned()));
        Orphan {
            pid,
            group,
            session,
            started: None,
            environment: role.into_iter().collect(),
        }
    }

    fn orphans() -> Orphans {
        let mut orphans = Orphans::default();
        orphans.name(&"a-0".parse().unwrap(), 0);
        orphans.name(&"b-0".parse().unwrap(), 1);
        orphans.started(0, 100);
        orphans.started(1, 200);
        orphans
    }

    fn owners(orphans: &Orphans) -> Vec<(u32, usize)> {
        let owned = orphans.owned.iter();
        owned.map(|(pid, (member, _))| (*pid, *member)).collect()
    }

    #[test]
    fn a_stray_belongs_to_whose_group_it_is_in() {
        let mut orphans = orphans();
        orphans.look(vec![orphan(101, 100, 1, None), orphan(201, 200, 1, None)]);
        assert_eq!(owners(&orphans), [(101, 0), (201, 1)]);
    }

    #[test]
    fn one_that_left_its_group_is_known_by_its_environment() {
        let mut orphans = orphans();
        orphans.look(vec![
            orphan(150, 150, 150, Some("b-0")),
            orphan(160, 160, 160, None),
        ]);
        assert_eq!(owners(&orphans), [(150, 1)]);
    }

    #[test]
    fn one_without_an_environment_is_known_by_its_kin() {
        let mut orphans = orphans();
        let first = orphan(150, 150, 150, Some("b-0"));
        orphans.look(vec![first.clone()]);
        orphans.look(vec![
            first,
            orphan(151, 150, 150, None),
            orphan(152, 152, 150, None),
        ]);
        assert_eq!(owners(&orphans), [(150, 1), (151, 1), (152, 1)]);
    }

    #[test]
    fn one_that_is_found_late_hears_what_its_member_was_told() {
        let mut orphans = orphans();
        orphans.signal(1, Signal::Kill);
        let found = vec![
            orphan(150, 150, 150, Some("a-0")),
            orphan(160, 160, 160, Some("b-0")),
        ];
        let late = orphans.look(found.clone());
        assert_eq!(late, [(found[1].clone(), Signal::Kill)]);
        assert_eq!(orphans.look(found), []);
    }

    #[test]
    fn a_number_that_is_given_again_means_another_process() {
        let mut orphans = orphans();
        let started = |at, group| Orphan {
            started: Some(at),
            ..orphan(150, group, 1, None)
        };
        orphans.look(vec![started(1, 100)]);
        orphans.look(vec![started(1, 150)]);
        assert_eq!(owners(&orphans), [(150, 0)]);
        orphans.look(vec![started(2, 300)]);
        assert!(owners(&orphans).is_empty());
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut orphans = orphans();
        orphans.look(vec![orphan(101, 100, 1, None)]);
        orphans.look(Vec::new());
        assert!(owners(&orphans).is_empty());
    }
}
