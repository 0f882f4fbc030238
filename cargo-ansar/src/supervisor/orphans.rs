//! Attributes orphaned processes to roles.
//!
//! A process started by a role may leave its process group and lose its parent.
//! The engine, a subreaper, adopts it. An orphan is attributed to a role by its
//! process group, by the group or session of known orphans, or by its
//! environment. Orphans that cannot be attributed end with the engine.

use std::collections::BTreeMap;
use std::time::Instant;

use ansar_contract::launch;

use crate::host::clock;
use crate::host::process::orphans::{Orphan, adopted};
use crate::host::process::signal::Signal;
use crate::model::name::RoleName;

/// The orphans of all roles.
#[derive(Debug, Default)]
pub struct Orphans {
    /// The owner of each process group.
    groups: BTreeMap<u32, usize>,
    /// The latest process group of each member.
    latest: BTreeMap<usize, u32>,
    /// Members by role name.
    names: BTreeMap<String, usize>,
    owned: BTreeMap<u32, (usize, Orphan)>,
    /// The last signal sent to each member. An orphan may appear only
    /// afterwards, when that signal kills its parent; it then gets the same
    /// signal.
    signalled: BTreeMap<usize, Signal>,
    scanned: Option<Instant>,
}

impl Orphans {
    /// Registers the role name of a member.
    pub fn register(&mut self, role: &RoleName, member: usize) {
        self.names.insert(role.to_string(), member);
    }

    /// Records that a member has started a new process group. All processes of
    /// its previous group have ended.
    pub fn started(&mut self, member: usize, group: u32) {
        if self.latest.insert(member, group).is_some() {
            self.groups.retain(|_, owner| *owner != member);
            self.signalled.remove(&member);
        }
        self.groups.insert(group, member);
    }

    /// Returns true if a member has living orphans. A scan newer than `since`
    /// is reused, so that queries at the same time share one scan.
    pub fn has_any(&mut self, member: usize, since: Instant) -> bool {
        if self.scanned.is_none_or(|scanned| scanned < since) {
            self.scanned = Some(clock::instant());
            for (orphan, signal) in self.attribute(adopted()) {
                let _ = orphan.signal(signal);
            }
        }
        self.owned.values().any(|(owner, _)| *owner == member)
    }

    /// Sends a signal to the orphans of a member, and to those that appear
    /// later.
    pub fn signal(&mut self, member: usize, signal: Signal) {
        self.signalled.insert(member, signal);
        let owned = self.owned.values().filter(|(owner, _)| *owner == member);
        for (_, orphan) in owned {
            let _ = orphan.signal(signal);
        }
    }

    /// Returns the orphans of a member as of the last scan.
    pub fn of(&self, member: usize) -> impl Iterator<Item = u32> {
        let owned = self.owned.iter();
        let owned = owned.filter(move |(_, (owner, _))| *owner == member);
        owned.map(|(pid, _)| *pid)
    }

    /// Attributes these orphans; returns the new ones that must get a signal.
    fn attribute(&mut self, adopted: Vec<Orphan>) -> Vec<(Orphan, Signal)> {
        let mut owned = BTreeMap::new();
        let mut late = Vec::new();
        for orphan in adopted {
            let Some(member) = self.owner(&orphan) else {
                continue;
            };
            if let Some(signal) = self.signalled.get(&member) {
                if self.known(&orphan).is_none() {
                    late.push((orphan.clone(), *signal));
                }
            }
            owned.insert(orphan.pid, (member, orphan));
        }
        self.owned = owned;
        late
    }

    /// Returns the owner of an orphan as of the last scan. If its process ID
    /// has been reused, it is unknown.
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
        let relative = self.owned.values().find(|(_, other)| {
            other.group == orphan.group
                || (other.session == orphan.session && other.pid == other.session)
        });
        if let Some((member, _)) = relative {
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
        orphans.register(&"a-0".parse().unwrap(), 0);
        orphans.register(&"b-0".parse().unwrap(), 1);
        orphans.started(0, 100);
        orphans.started(1, 200);
        orphans
    }

    fn owners(orphans: &Orphans) -> Vec<(u32, usize)> {
        let owned = orphans.owned.iter();
        owned.map(|(pid, (member, _))| (*pid, *member)).collect()
    }

    #[test]
    fn group_determines_the_owner() {
        let mut orphans = orphans();
        orphans.attribute(vec![orphan(101, 100, 1, None), orphan(201, 200, 1, None)]);
        assert_eq!(owners(&orphans), [(101, 0), (201, 1)]);
    }

    #[test]
    fn environment_determines_the_owner_outside_the_group() {
        let mut orphans = orphans();
        orphans.attribute(vec![
            orphan(150, 150, 150, Some("b-0")),
            orphan(160, 160, 160, None),
        ]);
        assert_eq!(owners(&orphans), [(150, 1)]);
    }

    #[test]
    fn session_determines_the_owner_without_environment() {
        let mut orphans = orphans();
        let first = orphan(150, 150, 150, Some("b-0"));
        orphans.attribute(vec![first.clone()]);
        orphans.attribute(vec![
            first,
            orphan(151, 150, 150, None),
            orphan(152, 152, 150, None),
        ]);
        assert_eq!(owners(&orphans), [(150, 1), (151, 1), (152, 1)]);
    }

    #[test]
    fn late_orphan_gets_the_last_signal() {
        let mut orphans = orphans();
        orphans.signal(1, Signal::Kill);
        let found = vec![
            orphan(150, 150, 150, Some("a-0")),
            orphan(160, 160, 160, Some("b-0")),
        ];
        let late = orphans.attribute(found.clone());
        assert_eq!(late, [(found[1].clone(), Signal::Kill)]);
        assert_eq!(orphans.attribute(found), []);
    }

    #[test]
    fn reused_process_id_is_another_process() {
        let mut orphans = orphans();
        let started = |at, group| Orphan {
            started: Some(at),
            ..orphan(150, group, 1, None)
        };
        orphans.attribute(vec![started(1, 100)]);
        orphans.attribute(vec![started(1, 150)]);
        assert_eq!(owners(&orphans), [(150, 0)]);
        orphans.attribute(vec![started(2, 300)]);
        assert!(owners(&orphans).is_empty());
    }

    #[test]
    fn ended_orphans_are_forgotten() {
        let mut orphans = orphans();
        orphans.attribute(vec![orphan(101, 100, 1, None)]);
        orphans.attribute(Vec::new());
        assert!(owners(&orphans).is_empty());
    }
}
