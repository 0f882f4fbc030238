//! Failed checks, told while roles run.
//!
//! The verdict judges all roles at the end. Each failure that it will name is
//! an event as soon as it is known: when a test target says so, or when a role
//! has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::events::{Event, Events, Kind, RoleEvent};
use crate::model::name::RoleName;
use crate::model::outcome::RoleOutcome;
use crate::model::run_report::Failure;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::{RoleRun, failures};

/// Number of failed checks of a role that are told at once in each try.
const MOST: usize = 20;

/// Returns a stream with an event for each failure of these roles, whose
/// outcomes do not count yet.
pub(crate) fn with_early_failures(
    events: &Events,
    roles: Vec<RoleRun>,
    sources: Sources,
) -> Events {
    let roles = roles.into_iter().map(|run| (run.role.clone(), run));
    let live = Mutex::new(Live {
        roles: roles.collect(),
        sources,
        told: BTreeMap::new(),
    });
    events.through(move |event, emit| {
        let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
        let at = event.at;
        for kind in live.read(event.kind) {
            emit(Event { at, kind });
        }
    })
}

struct Live {
    roles: BTreeMap<RoleName, RoleRun>,
    sources: Sources,
    /// Failures of the current try of each role that were told.
    told: BTreeMap<RoleName, BTreeSet<Told>>,
}

/// A failure, as far as it identifies it: the test of a target, or else the
/// place and the message.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Test(String),
    Check(String, u32, String),
}

impl Live {
    /// Returns the events in place of an event.
    fn read(&mut self, mut kind: Kind) -> Vec<Kind> {
        match kind {
            Kind::Role(RoleEvent::Check {
                ref role,
                passed: false,
                ref test,
                ref mut file,
                ref mut line,
                ..
            }) => {
                let described = self.roles.get(role).map(|run| &run.described);
                *file = match described {
                    Some((manifest, _)) if file.is_empty() => manifest.display().to_string(),
                    _ => self.sources.resolve(file),
                };
                if let Some((_, described)) = described.filter(|_| *line == 0) {
                    *line = *described;
                }
                let told = Told::Test(test.clone().unwrap_or_default());
                let is_new = self.is_new(role, told);
                is_new.then_some(kind).into_iter().collect()
            }
            Kind::Role(RoleEvent::Rerunning { ref role, .. }) => {
                self.told.remove(role);
                vec![kind]
            }
            Kind::Role(RoleEvent::Ended {
                ref role,
                ref outcome,
            }) => {
                let mut kinds = self.ended(role, outcome);
                kinds.push(kind);
                kinds
            }
            other => vec![other],
        }
    }

    /// Returns the failures of a role that has ended, without those that were
    /// told.
    fn ended(&mut self, role: &RoleName, outcome: &RoleOutcome) -> Vec<Kind> {
        let Some(run) = self.roles.get(role) else {
            return Vec::new();
        };
        let failures = failures(run, outcome, &mut self.sources);
        let new = failures.into_iter().filter(|it| {
            let told = match &it.test {
                Some(test) => Told::Test(test.clone()),
                None => Told::Check(it.source.clone(), it.line, it.text.clone()),
            };
            self.is_new(role, told)
        });
        let new: Vec<Failure> = new.collect();
        new.into_iter().map(check).collect()
    }

    /// Records that a failure is told. Returns false if it was already, or if
    /// too many were.
    fn is_new(&mut self, role: &RoleName, failure: Told) -> bool {
        let told = self.told.entry(role.clone()).or_default();
        told.len() < MOST && told.insert(failure)
    }
}

fn check(failure: Failure) -> Kind {
    Kind::Role(RoleEvent::Check {
        passed: false,
        text: failure.headline().to_owned(),
        role: failure.role,
        test: failure.test,
        file: failure.source,
        line: failure.line,
        column: failure.column,
    })
}
