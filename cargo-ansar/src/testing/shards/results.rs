//! The results of roles that run on agents, as their events tell them.

use std::collections::{BTreeMap, BTreeSet};

use ansar_contract::lifecycle::Faulted;
use jiff::Timestamp;

use crate::events::{Event, Kind, RoleEvent, RunEvent, StopReason};
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::remote::scheduler::Change;
use crate::supervisor::engine::Ended;
use crate::supervisor::judge;
use crate::supervisor::scheduler::RoleKind;

/// The results of all roles.
pub(super) struct Results {
    roles: BTreeMap<RoleName, Known>,
    running: BTreeSet<RoleName>,
}

/// The outcomes of a role.
#[derive(Default)]
struct Known {
    before: Vec<(RoleOutcome, Timestamp)>,
    ended: Option<(RoleOutcome, Timestamp)>,
}

impl Known {
    fn has_failed(&self) -> bool {
        let failed = |(outcome, _): &(RoleOutcome, Timestamp)| !is_success(outcome);
        !self.before.is_empty() || self.ended.as_ref().is_some_and(failed)
    }
}

impl Results {
    /// Returns results in which no role has ended.
    pub(super) fn new<'r>(roles: impl Iterator<Item = &'r RoleName>) -> Self {
        let roles = roles.map(|role| (role.clone(), Known::default()));
        Self {
            roles: roles.collect(),
            running: BTreeSet::new(),
        }
    }

    /// Returns the number of roles that run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Records an event that counts.
    pub(super) fn record(&mut self, event: &Event) {
        let at = event.at;
        let Kind::Role(event) = &event.kind else {
            return;
        };
        match event {
            RoleEvent::Started { role, .. } => {
                self.running.insert(role.clone());
            }
            RoleEvent::Ended { role, outcome } => {
                self.running.remove(role);
                if let Some(known) = self.roles.get_mut(role) {
                    known.ended = Some((outcome.clone(), at));
                }
            }
            RoleEvent::Rerunning { role, .. } => {
                if let Some(known) = self.roles.get_mut(role) {
                    known.before.extend(known.ended.take());
                }
            }
            _ => {}
        }
    }

    /// Records that a role was lost, and returns its outcome.
    pub(super) fn lose(
        &mut self,
        role: &RoleName,
        node: &str,
        reason: &str,
        at: Timestamp,
    ) -> RoleOutcome {
        let fault = Faulted::new(format!("lost with {node}"), reason);
        let outcome = RoleOutcome::of(&fault, Cause::Lost);
        self.running.remove(role);
        if let Some(known) = self.roles.get_mut(role) {
            known.ended = Some((outcome.clone(), at));
        }
        outcome
    }

    /// Returns true if a role has failed, or has passed only in a later try.
    pub(super) fn has_failed(&self, role: &RoleName) -> bool {
        self.roles.get(role).is_some_and(Known::has_failed)
    }

    /// Returns true if any role has failed.
    pub(super) fn has_any_failure(&self) -> bool {
        self.roles.values().any(Known::has_failed)
    }

    /// Returns the results of all roles. One without any was not run.
    pub(super) fn ended(
        self,
        kind_of: impl Fn(&RoleName) -> RoleKind,
        now: Timestamp,
    ) -> Vec<Ended> {
        let ended = self.roles.into_iter().map(|(role, known)| {
            let ended = known.ended.unwrap_or_else(|| (judge::skipped(), now));
            Ended {
                kind: kind_of(&role),
                role,
                outcome: ended.0,
                exit: None,
                at: ended.1,
                before: known.before,
            }
        });
        ended.collect()
    }
}

fn is_success(outcome: &RoleOutcome) -> bool {
    let failed = outcome.report().is_some_and(|report| report.failed > 0);
    !failed && outcome.success() != Success::No
}

/// Returns the role of an event, and the change that matters to the scheduler.
pub(super) fn change_of(event: &Event) -> (Option<RoleName>, Option<Change>) {
    let (role, change) = match &event.kind {
        Kind::Role(RoleEvent::Ready { role }) => (role, Change::Ready),
        Kind::Role(RoleEvent::Rerunning { role, .. } | RoleEvent::Restarting { role, .. }) => {
            (role, Change::Again)
        }
        Kind::Role(RoleEvent::Ended { role, outcome }) => {
            (role, Change::Ended(is_success(outcome)))
        }
        Kind::Role(RoleEvent::Started { role, .. }) => return (Some(role.clone()), None),
        Kind::Run(RunEvent::Stopping {
            why: StopReason::FailFast | StopReason::Broken,
            ..
        }) => return (None, Some(Change::Stopping)),
        _ => return (None, None),
    };
    (Some(role.clone()), Some(change))
}
