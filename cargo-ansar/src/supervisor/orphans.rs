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
use crate::host::process::orphans::{Stray, adopted};
use crate::host::process::signal::Signal;
use crate::model::name::RoleName;

/// The adopted processes of all roles.
#[derive(Debug, Default)]
pub struct Strays {
    /// Whose group is whose.
    groups: BTreeMap<u32, usize>,
    /// The last group of each.
    latest: BTreeMap<usize, u32>,
    /// The members by the names of their roles.
    names: BTreeMap<String, usize>,
    owned: BTreeMap<u32, (usize, Stray)>,
    /// The last signal that each member was sent: what comes to light only
    /// after it, as the one that started it died of it, hears it then.
    told: BTreeMap<usize, Signal>,
    looked: Option<Instant>,
}

impl Strays {
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

    /// Whether a member has strays that live, as seen no earlier than `since`.
    /// Many that ask in one moment are answered from one look.
    pub fn any_of(&mut self, member: usize, since: Instant) -> bool {
        if self.looked.is_none_or(|looked| looked < since) {
            self.looked = Some(clock::instant());
            for (stray, signal) in self.look(adopted()) {
                let _ = stray.signal(signal);
            }
        }
        self.owned.values().any(|(owner, _)| *owner == member)
    }

    /// Sends a signal to the strays of a member, and to those that are found
    /// to be after this.
    pub fn signal(&mut self, member: usize, signal: Signal) {
        self.told.insert(member, signal);
        let owned = self.owned.values().filter(|(owner, _)| *owner == member);
        for (_, stray) in owned {
            let _ = stray.signal(signal);
        }
    }

    /// The strays of a member, as they were last seen.
    pub fn of(&self, member: usize) -> impl Iterator<Item = u32> {
        let owned = self.owned.iter();
        let owned = owned.filter(move |(_, (owner, _))| *owner == member);
        owned.map(|(pid, _)| *pid)
    }

    /// Finds out whose these are; those that were not known, and what they
    /// are to hear.
    fn look(&mut self, adopted: Vec<Stray>) -> Vec<(Stray, Signal)> {
        let mut owned = BTreeMap::new();
        let mut late = Vec::new();
        for stray in adopted {
            let Some(member) = self.owner(&stray) else {
                continue;
            };
            if let Some(signal) = self.told.get(&member)
                && self.known(&stray).is_none()
            {
                late.push((stray.clone(), *signal));
            }
            owned.insert(stray.pid, (member, stray));
        }
        self.owned = owned;
        late
    }

    /// Whose a stray was when it was last seen. Where its number is that of
    /// another one by now, it is not known.
    fn known(&self, stray: &Stray) -> Option<&(usize, Stray)> {
        let known = self.owned.get(&stray.pid);
        known.filter(|(_, known)| known.started == stray.started)
    }

    fn owner(&self, stray: &Stray) -> Option<usize> {
        if let Some((member, _)) = self.known(stray) {
            return Some(*member);
        }
        if let Some(member) = self.groups.get(&stray.group) {
            return Some(*member);
        }
        let kin = self.owned.values().find(|(_, other)| {
            other.group == stray.group
                || (other.session == stray.session && other.pid == other.session)
        });
        if let Some((member, _)) = kin {
            return Some(*member);
        }
        let role = stray.variable(launch::ROLE)?;
        self.names.get(role).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stray(pid: u32, group: u32, session: u32, role: Option<&str>) -> Stray {
        let role = role.map(|role| (launch::ROLE.to_owned(), role.to_owned()));
        Stray {
            pid,
            group,
            session,
            started: None,
            environment: role.into_iter().collect(),
        }
    }

    fn strays() -> Strays {
        let mut strays = Strays::default();
        strays.name(&"a-0".parse().unwrap(), 0);
        strays.name(&"b-0".parse().unwrap(), 1);
        strays.started(0, 100);
        strays.started(1, 200);
        strays
    }

    fn owners(strays: &Strays) -> Vec<(u32, usize)> {
        let owned = strays.owned.iter();
        owned.map(|(pid, (member, _))| (*pid, *member)).collect()
    }

    #[test]
    fn a_stray_belongs_to_whose_group_it_is_in() {
        let mut strays = strays();
        strays.look(vec![stray(101, 100, 1, None), stray(201, 200, 1, None)]);
        assert_eq!(owners(&strays), [(101, 0), (201, 1)]);
    }

    #[test]
    fn one_that_left_its_group_is_known_by_its_environment() {
        let mut strays = strays();
        strays.look(vec![
            stray(150, 150, 150, Some("b-0")),
            stray(160, 160, 160, None),
        ]);
        assert_eq!(owners(&strays), [(150, 1)]);
    }

    #[test]
    fn one_without_an_environment_is_known_by_its_kin() {
        let mut strays = strays();
        let first = stray(150, 150, 150, Some("b-0"));
        strays.look(vec![first.clone()]);
        strays.look(vec![
            first,
            stray(151, 150, 150, None),
            stray(152, 152, 150, None),
        ]);
        assert_eq!(owners(&strays), [(150, 1), (151, 1), (152, 1)]);
    }

    #[test]
    fn one_that_is_found_late_hears_what_its_member_was_told() {
        let mut strays = strays();
        strays.signal(1, Signal::Kill);
        let found = vec![
            stray(150, 150, 150, Some("a-0")),
            stray(160, 160, 160, Some("b-0")),
        ];
        let late = strays.look(found.clone());
        assert_eq!(late, [(found[1].clone(), Signal::Kill)]);
        assert_eq!(strays.look(found), []);
    }

    #[test]
    fn a_number_that_is_given_again_means_another_process() {
        let mut strays = strays();
        let started = |at, group| Stray {
            started: Some(at),
            ..stray(150, group, 1, None)
        };
        strays.look(vec![started(1, 100)]);
        strays.look(vec![started(1, 150)]);
        assert_eq!(owners(&strays), [(150, 0)]);
        strays.look(vec![started(2, 300)]);
        assert!(owners(&strays).is_empty());
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut strays = strays();
        strays.look(vec![stray(101, 100, 1, None)]);
        strays.look(Vec::new());
        assert!(owners(&strays).is_empty());
    }
}
