//! Acts on the readiness and the health of roles.

use std::cell::RefCell;
use std::rc::Rc;

use crate::events::RoleEvent;
use crate::host::clock;
use crate::model::restart_policy::Restart;
use crate::supervisor::engine::Engine;
use crate::supervisor::launch::Start;
use crate::supervisor::orphans::Orphans;
use crate::supervisor::readiness::{Change, Checks, Conditions, Lines, ProbeAnswer};
use crate::supervisor::scheduler::{Input, Phase};

impl Engine<'_> {
    /// Checks the probes of a start, before it. Returns the reason if one is
    /// not valid.
    pub(crate) fn check_probes(&mut self, start: &Start) -> Result<Checks, String> {
        self.readiness.check(&Conditions {
            probes: &start.probes,
            health: start.health.as_ref(),
            port: start.port,
            network: start.network.as_ref(),
            program: &start.program,
        })
    }

    /// Watches a start with this main process. The lines of the role must be
    /// passed to the value that is returned.
    pub(crate) fn watch_probes(
        &mut self,
        member: usize,
        pid: u32,
        checks: Checks,
    ) -> Option<Rc<Lines>> {
        let now = clock::instant();
        let need_only_start = checks.need_only_start();
        let lines = self.readiness.watch(member, pid, checks, now);
        if need_only_start {
            // It may still crash.
            self.roles[member].unannounced.set(Some(now));
            // It is ready at once, before its exit can be handled.
            self.readiness.ready(member, now);
            self.is_ready(member);
        }
        lines
    }

    /// Looks at everything that is due.
    pub(crate) fn look(&mut self) {
        let orphans = self.orphans.clone();
        let others = |member| orphans_of(&orphans, member);
        let changes = self.readiness.look(clock::instant(), &others);
        self.changed(changes);
    }

    /// Takes an answer to a question that was asked.
    pub(crate) fn heard(&mut self, heard: ProbeAnswer) {
        let changes = self.readiness.take(heard, clock::instant());
        self.changed(changes);
    }

    /// Handles the announcement of a role that it is ready. A role with probes
    /// is ready when they are met.
    pub(crate) fn announced(&mut self, member: usize) {
        if self.readiness.has_probes(member) {
            let changes = self.readiness.announced(member, clock::instant());
            self.changed(changes);
        } else {
            self.readiness.ready(member, clock::instant());
            self.is_ready(member);
        }
    }

    /// Returns the conditions that a role does not meet yet.
    pub(crate) fn unready(&mut self, member: usize) -> Option<String> {
        let orphans = self.orphans.clone();
        let others = |member| orphans_of(&orphans, member);
        self.readiness.explain(member, &others)
    }

    fn changed(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Ready(member) => self.is_ready(member),
                Change::Unhealthy(member, why) => self.is_unhealthy(member, why),
                Change::Healthy(member) => {
                    let role = &mut self.roles[member];
                    role.unhealthy = None;
                    let role = role.name.clone();
                    self.events.emit(RoleEvent::Healthy { role });
                }
            }
        }
    }

    fn is_ready(&mut self, member: usize) {
        let role = self.roles[member].name.clone();
        self.emit(member, RoleEvent::Ready { role });
        self.feed(Input::Ready(member));
    }

    /// Reports an unhealthy role, and stops it if its restart policy will start
    /// it again.
    fn is_unhealthy(&mut self, member: usize, why: String) {
        let role = &mut self.roles[member];
        role.unhealthy = Some(why.clone());
        let restarts = role.restarting.restart != Restart::Never;
        let name = role.name.clone();
        let event = RoleEvent::Unhealthy {
            role: name,
            why: why.clone(),
        };
        self.events.emit(event);
        if restarts && self.scheduler.phase(member) == Phase::Ready {
            self.roles[member].actions_taken.unhealthy = Some(why);
            self.feed(Input::Unhealthy(member));
        }
    }
}

/// Returns the orphans of a member, found now.
fn orphans_of(orphans: &RefCell<Orphans>, member: usize) -> Vec<u32> {
    let mut orphans = orphans.borrow_mut();
    orphans.has_any(member, clock::instant());
    orphans.of(member).collect()
}
