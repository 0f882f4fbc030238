//! The results of roles that run on agents, as their events tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ansar_contract::lifecycle::Faulted;
use jiff::Timestamp;

use crate::events::{Event, Kind, RoleEvent, RunEvent, StopReason};
use crate::model::name::RoleName;
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::remote::plan::Shard;
use crate::remote::scheduler::Change;
use crate::supervisor::engine::Ended;
use crate::supervisor::judge;
use crate::supervisor::scheduler::RoleKind;
use crate::testing::shards::parts::merged;

/// The results of all roles.
pub(super) struct Results {
    roles: BTreeMap<RoleName, Known>,
}

/// The results of a role, of which several shards may run a part.
struct Known {
    /// File and line that describe it.
    described: (PathBuf, u32),
    parts: BTreeMap<usize, Part>,
    /// Number of the try that was told last, from 1.
    told: u32,
    /// True once a start of this try was told.
    has_started: bool,
}

/// The outcomes of the part of a role that one shard has.
#[derive(Default)]
struct Part {
    is_running: bool,
    before: Vec<Outcome>,
    ended: Option<Outcome>,
}

type Outcome = (RoleOutcome, Timestamp);

impl Part {
    fn has_failed(&self) -> bool {
        let failed = |(outcome, _): &Outcome| !is_success(outcome);
        !self.before.is_empty() || self.ended.as_ref().is_some_and(failed)
    }

    /// Returns the outcome of a try, from 0; that of the last one if there are fewer.
    fn nth(&self, nth: usize) -> Option<&Outcome> {
        self.before.get(nth).or(self.ended.as_ref())
    }
}

impl Known {
    fn has_failed(&self) -> bool {
        self.parts.values().any(Part::has_failed)
    }

    fn is_running(&self) -> bool {
        self.parts.values().any(|part| part.is_running)
    }

    fn has_ended(&self) -> bool {
        self.parts.values().all(|part| part.ended.is_some())
    }

    /// Returns the outcome of a try, from 0.
    fn nth(&self, role: &RoleName, nth: usize, now: Timestamp) -> Outcome {
        let not_run = (judge::skipped(), now);
        let parts = self.parts.iter();
        let parts: Vec<(usize, &Outcome)> = parts
            .map(|(shard, part)| (*shard, part.nth(nth).unwrap_or(&not_run)))
            .collect();
        if let [(_, outcome)] = parts.as_slice() {
            return (*outcome).clone();
        }
        let at = parts.iter().map(|(_, (_, at))| *at).max().unwrap_or(now);
        let parts: Vec<(usize, &RoleOutcome)> = parts
            .iter()
            .map(|(shard, (outcome, _))| (*shard, outcome))
            .collect();
        (merged(&parts, role, &self.described, at), at)
    }

    /// Returns the number of tries before the last one.
    fn before(&self) -> usize {
        let before = self.parts.values().map(|part| part.before.len());
        before.max().unwrap_or(0)
    }
}

impl Results {
    /// Returns results in which no role of these shards has ended.
    pub(super) fn new(shards: &[Shard], described: impl Fn(&RoleName) -> (PathBuf, u32)) -> Self {
        let mut roles = BTreeMap::new();
        for (nth, shard) in shards.iter().enumerate() {
            for role in shard.roles() {
                let known = roles.entry(role.clone()).or_insert_with(|| Known {
                    described: described(role),
                    parts: BTreeMap::new(),
                    told: 1,
                    has_started: false,
                });
                known.parts.insert(nth, Part::default());
            }
        }
        Self { roles }
    }

    /// Returns the number of roles that run.
    pub(super) fn running(&self) -> usize {
        self.roles.values().filter(|it| it.is_running()).count()
    }

    /// Records an event of a shard that counts. Returns the event to emit, if there is
    /// one: a role with several parts has one start and one end for each try.
    pub(super) fn record(&mut self, shard: usize, mut event: Event) -> Option<Event> {
        let at = event.at;
        let Kind::Role(kind) = &mut event.kind else {
            return Some(event);
        };
        match kind {
            RoleEvent::Started { role, .. } => {
                let known = self.roles.get_mut(role)?;
                known.parts.get_mut(&shard)?.is_running = true;
                // An operational role is restarted within its only try.
                let is_first = !std::mem::replace(&mut known.has_started, true);
                (is_first || known.parts.len() == 1).then_some(event)
            }
            RoleEvent::Ended { role, outcome } => {
                let known = self.roles.get_mut(role)?;
                let part = known.parts.get_mut(&shard)?;
                part.is_running = false;
                part.ended = Some((outcome.clone(), at));
                if !known.has_ended() {
                    return None;
                }
                (*outcome, event.at) = known.nth(role, known.before(), at);
                Some(event)
            }
            RoleEvent::Rerunning { role, nth, .. } => {
                let known = self.roles.get_mut(role)?;
                let part = known.parts.get_mut(&shard)?;
                part.before.extend(part.ended.take());
                let is_first = *nth > known.told;
                known.told = known.told.max(*nth);
                known.has_started &= !is_first;
                is_first.then_some(event)
            }
            _ => Some(event),
        }
    }

    /// Records that a role was lost with a shard. Returns the event that is told, if
    /// the role has ended on all shards.
    pub(super) fn lose(
        &mut self,
        shard: usize,
        role: &RoleName,
        (node, reason): (&str, &str),
        at: Timestamp,
    ) -> Option<Event> {
        let fault = Faulted::new(format!("lost with {node}"), reason);
        let ended = RoleEvent::Ended {
            role: role.clone(),
            outcome: RoleOutcome::of(&fault, Cause::Lost),
        };
        let kind = Kind::Role(ended);
        self.record(shard, Event { at, kind })
    }

    /// Returns true if a role has failed, or has passed only in a later try.
    pub(super) fn has_failed(&self, role: &RoleName) -> bool {
        self.roles.get(role).is_some_and(Known::has_failed)
    }

    /// Returns true if any role has failed.
    pub(super) fn has_any_failure(&self) -> bool {
        self.roles.values().any(Known::has_failed)
    }

    /// Returns the roles of which several shards have a part.
    pub(super) fn divided(&self) -> BTreeSet<RoleName> {
        let divided = self.roles.iter().filter(|(_, known)| known.parts.len() > 1);
        divided.map(|(role, _)| role.clone()).collect()
    }

    /// Returns the results of all roles. One without any was not run.
    pub(super) fn ended(
        self,
        kind_of: impl Fn(&RoleName) -> RoleKind,
        now: Timestamp,
    ) -> Vec<Ended> {
        let ended = self.roles.into_iter().map(|(role, known)| {
            let last = known.before();
            let (outcome, at) = known.nth(&role, last, now);
            Ended {
                kind: kind_of(&role),
                outcome,
                exit: None,
                at,
                before: (0..last).map(|nth| known.nth(&role, nth, now)).collect(),
                role,
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
