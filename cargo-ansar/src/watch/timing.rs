//! The times of the phases of a loop, read from its events.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::events::{DeployEvent, Event, Events, Kind, RoleEvent, RunEvent};
use crate::home::loops::{Loop, LoopVerdict, VERSION};
use crate::model::name::RoleName;

/// A phase of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Build,
    Deploy,
    Start,
    Test,
}

/// Reads the events of a loop.
#[derive(Debug, Clone, Default)]
pub struct Timing(Arc<Mutex<Times>>);

#[derive(Debug, Default)]
struct Times {
    phase: Option<(Phase, Timestamp)>,
    tests: BTreeSet<RoleName>,
    deployed: u64,
    build: Duration,
    deploy: Duration,
    start: Duration,
    test: Duration,
}

impl Timing {
    /// Returns a stream whose events go to `events` and are timed.
    pub fn reading(&self, events: &Events) -> Events {
        let timing = self.clone();
        events.read_by(move |event| timing.times().read(event))
    }

    /// Returns the record of the loop, which ends now.
    pub fn ended(&self, at: Timestamp, verdict: LoopVerdict, failed: u64) -> Loop {
        let mut times = self.times();
        times.begin(None, at);
        Loop {
            version: VERSION,
            at,
            verdict,
            failed,
            deployed: times.deployed,
            build: times.build.as_secs_f64(),
            deploy: times.deploy.as_secs_f64(),
            start: times.start.as_secs_f64(),
            test: times.test.as_secs_f64(),
        }
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times {
    fn read(&mut self, event: &Event) {
        match &event.kind {
            Kind::Deploy(DeployEvent::Building {}) => self.begin(Some(Phase::Build), event.at),
            Kind::Deploy(DeployEvent::Built {}) => self.begin(Some(Phase::Deploy), event.at),
            Kind::Deploy(DeployEvent::Deployed { changed, .. }) => {
                self.deployed += changed.len() as u64;
            }
            Kind::Run(RunEvent::Testing { roles, .. }) => {
                self.tests = roles.iter().cloned().collect();
                self.begin(Some(Phase::Start), event.at);
            }
            Kind::Role(RoleEvent::Started { role, .. }) => {
                let is_starting = matches!(self.phase, Some((Phase::Start, _)));
                if is_starting && self.tests.contains(role) {
                    self.begin(Some(Phase::Test), event.at);
                }
            }
            Kind::Deploy(_) | Kind::Run(_) | Kind::Role(_) | Kind::Log(_) | Kind::Source(_) => {}
        }
    }

    /// Ends the current phase, and begins the next.
    fn begin(&mut self, next: Option<Phase>, at: Timestamp) {
        if let Some((phase, since)) = self.phase {
            let took = Duration::try_from(at.duration_since(since)).unwrap_or_default();
            *match phase {
                Phase::Build => &mut self.build,
                Phase::Deploy => &mut self.deploy,
                Phase::Start => &mut self.start,
                Phase::Test => &mut self.test,
            } += took;
        }
        self.phase = next.map(|next| (next, at));
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn each_phase_has_its_time() {
        let at = |second: i64| Timestamp::UNIX_EPOCH.checked_add(second.seconds()).unwrap();
        let role: RoleName = "test-a".parse().unwrap();
        let started = |name: &str| {
            Kind::Role(RoleEvent::Started {
                role: name.parse().unwrap(),
                executable: "x".parse().unwrap(),
                pid: 7,
                awaits: None,
            })
        };
        let timing = Timing::default();
        let deployed = Kind::Deploy(DeployEvent::Deployed {
            changed: vec!["a".to_owned(), "b".to_owned()],
            executables: 2,
            relinked: 2,
            affected: 1,
        });
        let testing = Kind::Run(RunEvent::Testing {
            tests: 1,
            operational: 1,
            roles: vec![role],
        });
        for (second, kind) in [
            (1, Kind::Deploy(DeployEvent::Building {})),
            (4, Kind::Deploy(DeployEvent::Built {})),
            (5, deployed),
            (6, started("db-0")),
            (7, testing),
            (8, started("api-0")),
            (9, started("test-a")),
        ] {
            timing.times().read(&Event {
                at: at(second),
                kind,
            });
        }
        let ended = timing.ended(at(14), LoopVerdict::Passed, 0);
        let times = [ended.build, ended.deploy, ended.start, ended.test];
        let times = times.map(|seconds| seconds.to_string());
        assert_eq!(times, ["3", "3", "2", "5"]);
        assert_eq!(ended.deployed, 2);
    }
}
