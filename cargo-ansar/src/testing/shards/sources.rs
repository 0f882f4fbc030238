//! Places of failed tests in sources, which only the machine that has built them has.

use std::collections::BTreeMap;

use crate::events::{Event, Kind, RoleEvent};
use crate::harness::TestSources;
use crate::model::name::RoleName;
use crate::model::outcome::RoleOutcome;

/// The sources of roles that run test targets.
pub(super) struct Sources(pub(super) BTreeMap<RoleName, TestSources>);

impl Sources {
    /// Adds the places to an event that its agent could not find: those of tests that
    /// have failed without a panic.
    pub(super) fn complete(&self, event: &mut Event) {
        match &mut event.kind {
            Kind::Role(RoleEvent::Check {
                role,
                passed: false,
                test: Some(test),
                file,
                line,
                column,
                ..
            }) if file.is_empty() => {
                let sources = self.0.get(role);
                if let Some(place) = sources.and_then(|sources| sources.place(test)) {
                    (*file, *line, *column) = place;
                }
            }
            Kind::Role(RoleEvent::Ended { role, outcome }) => {
                if let Some(sources) = self.0.get(role) {
                    complete(outcome, sources);
                }
            }
            _ => {}
        }
    }
}

fn complete(outcome: &mut RoleOutcome, sources: &TestSources) {
    let Some(mut report) = outcome.report() else {
        return;
    };
    let checks = report.tested.iter_mut();
    for check in checks.filter(|check| !check.condition && check.source.is_empty()) {
        if let Some((source, line, column)) = sources.place(&check.name) {
            (check.source, check.line, check.column) = (source, line, column);
        }
    }
    *outcome = RoleOutcome::of(&report, outcome.cause);
}
