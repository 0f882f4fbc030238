//! The roles of a home at one time, as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::home::history::{End, Run};
use crate::home::ports::{BIND, Ports};
use crate::home::role::{Entry, Origin};
use crate::host::process::usage;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::{Cause, RoleOutcome, Success};
use crate::protocol::{self, Host, RoleStatus};
use crate::supervisor::client::Running;

/// The roles of a home at one time.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Snapshot {
    /// The roles, sorted by name.
    pub roles: Vec<Role>,
    /// Engines that answered.
    pub engines: Vec<protocol::Engine>,
    /// Process ids of engines that did not answer.
    pub unresponsive: Vec<u32>,
    /// Time of the snapshot.
    pub at: Timestamp,
}

/// A role of a home.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// Its executable.
    pub executable: ExecutableName,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// True for a test role.
    pub is_test: bool,
    /// Its state.
    pub state: State,
    /// The condition that it waits for, or the reason of its state.
    pub reason: Option<String>,
    /// Time since when it is in this state.
    pub since: Option<Timestamp>,
    /// Number of restarts after it had ended by itself.
    pub restarts: u32,
    /// Number of lost log lines.
    pub lost: u64,
    /// Process id, if a process of it runs.
    pub pid: Option<u32>,
    /// Resource usage, if a process of it runs.
    pub usage: Option<Usage>,
    /// Its addresses, by name of the port.
    pub addresses: Vec<(String, SocketAddrV4)>,
    /// Process id and host of its engine.
    pub engine: Option<(u32, Host)>,
}

/// Resource usage of the processes of a role.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time in percent of one core, since the last snapshot.
    pub cpu: f64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Number of processes.
    pub processes: usize,
}

/// The state of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not run: it never ran, or was stopped.
    Stopped,
    /// It does not run: it did its task.
    Done,
    /// It does not run: it failed.
    Failed,
    /// It waits for roles that it depends on.
    Waiting,
    /// It is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It was ready and is unhealthy.
    Unhealthy,
    /// An attempt failed; the next one follows.
    Retrying,
    /// It exited and will be restarted.
    Restarting,
    /// It is stopping.
    Stopping,
}

impl State {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Retrying => "retrying",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
        }
    }

    /// Returns true if an engine runs the role.
    pub fn is_running(self) -> bool {
        !matches!(self, Self::Stopped | Self::Done | Self::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The last end of a role.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LastEnd {
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) at: Timestamp,
}

impl LastEnd {
    /// Returns the end of a run, if it was recorded.
    pub(super) fn of(run: &Run) -> Option<Self> {
        let end = run.end.as_ref()?;
        let outcome = end.result.as_ref().map(|result| RoleOutcome {
            result: result.clone(),
            cause: end.cause.into(),
        });
        let report = outcome.as_ref().and_then(RoleOutcome::report);
        let failed = report.map_or(0, |report| report.failed);
        let (state, reason) = match success(end, outcome.as_ref()) {
            Success::Yes if failed == 1 => (State::Failed, Some("1 check failed".to_owned())),
            Success::Yes if failed > 0 => (State::Failed, Some(format!("{failed} checks failed"))),
            Success::Yes => (State::Done, None),
            Success::Stopped => (State::Stopped, None),
            Success::No => (State::Failed, Some(reason(end.cause.into()))),
        };
        Some(Self {
            state,
            reason,
            at: end.at,
        })
    }
}

fn success(end: &End, outcome: Option<&RoleOutcome>) -> Success {
    match (outcome, Cause::from(end.cause)) {
        (Some(outcome), _) => outcome.success(),
        (None, Cause::Returned) => Success::Yes,
        (None, Cause::Stopped) => Success::Stopped,
        (None, _) => Success::No,
    }
}

fn reason(cause: Cause) -> String {
    match cause {
        Cause::Returned => "returned a failure".to_owned(),
        Cause::Stopped => "stopped".to_owned(),
        Cause::Killed => "did not stop in time and was killed".to_owned(),
        Cause::TimedOut => "exceeded its timeout".to_owned(),
        Cause::Signal(number) => format!("killed by signal {number}"),
        Cause::Exited(code) => format!("exited with {code}"),
        Cause::NeverStarted => "could not be started".to_owned(),
        Cause::Lost => "its node was lost".to_owned(),
    }
}

/// The data that a snapshot is made of.
pub(super) struct Parts<'a> {
    pub(super) entries: &'a BTreeMap<RoleName, Entry>,
    pub(super) is_test: &'a dyn Fn(&RoleName) -> bool,
    pub(super) engines: &'a [Running],
    pub(super) unresponsive: &'a [u32],
    pub(super) ports: &'a Ports,
    pub(super) ends: &'a BTreeMap<RoleName, LastEnd>,
    pub(super) usage: &'a BTreeMap<u32, usage::Usage>,
    /// The previous usage, with its time.
    pub(super) before: &'a (Timestamp, BTreeMap<u32, usage::Usage>),
    /// Time at which `usage` was measured.
    pub(super) measured: Timestamp,
    pub(super) now: Timestamp,
}

impl Snapshot {
    /// Makes a snapshot.
    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let mut roles: BTreeMap<RoleName, Role> = BTreeMap::new();
        for (name, entry) in parts.entries {
            if entry.origin != Origin::Retired {
                roles.insert(
                    name.clone(),
                    parts.idle(name, Some(entry), &entry.executable),
                );
            }
        }
        for engine in parts.engines {
            for status in &engine.roles {
                let entry = parts.entries.get(&status.role);
                let role = parts.idle(&status.role, entry, &status.executable);
                let role = parts.running(role, status, &engine.engine);
                roles.insert(status.role.clone(), role);
            }
        }
        Self {
            roles: roles.into_values().collect(),
            engines: parts.engines.iter().map(|it| it.engine.clone()).collect(),
            unresponsive: parts.unresponsive.to_vec(),
            at: parts.now,
        }
    }

    /// Returns the numbers of roles that are ready, starting, unhealthy and
    /// failed, without zeros.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let groups: [(&str, &[State]); 4] = [
            ("ready", &[State::Ready]),
            (
                "starting",
                &[
                    State::Waiting,
                    State::Starting,
                    State::Retrying,
                    State::Restarting,
                ],
            ),
            ("unhealthy", &[State::Unhealthy]),
            ("failed", &[State::Failed]),
        ];
        let counts = groups.into_iter().map(|(name, states)| {
            let roles = self.roles.iter().map(|role| role.state);
            (name, roles.filter(|state| states.contains(state)).count())
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Returns the role of this name.
    pub fn role(&self, name: &RoleName) -> Option<&Role> {
        let found = self.roles.binary_search_by(|role| role.name.cmp(name));
        found.ok().map(|at| &self.roles[at])
    }
}

impl Parts<'_> {
    /// Returns a role as it is when no engine runs it.
    fn idle(&self, name: &RoleName, entry: Option<&Entry>, executable: &ExecutableName) -> Role {
        let end = self.ends.get(name);
        let tags = entry.map(|entry| entry.properties.tags.iter().cloned().collect());
        let ports = self.ports.of(name);
        let addresses =
            ports.map(|(port, number)| (port.to_owned(), SocketAddrV4::new(BIND, number)));
        Role {
            name: name.clone(),
            executable: executable.clone(),
            tags: tags.unwrap_or_default(),
            is_test: (self.is_test)(name),
            state: end.map_or(State::Stopped, |end| end.state),
            reason: end.and_then(|end| end.reason.clone()),
            since: end.map(|end| end.at),
            restarts: 0,
            lost: 0,
            pid: None,
            usage: None,
            addresses: addresses.collect(),
            engine: None,
        }
    }

    fn running(&self, idle: Role, status: &RoleStatus, engine: &protocol::Engine) -> Role {
        let reasons = [&status.unkillable, &status.unhealthy, &status.unready];
        let is_unhealthy = status.state == protocol::State::Ready && status.unhealthy.is_some();
        Role {
            state: match status.state {
                protocol::State::Waiting => State::Waiting,
                protocol::State::Starting => State::Starting,
                protocol::State::Ready if is_unhealthy => State::Unhealthy,
                protocol::State::Ready => State::Ready,
                protocol::State::Retrying => State::Retrying,
                protocol::State::Restarting => State::Restarting,
                protocol::State::Stopping => State::Stopping,
            },
            reason: reasons.into_iter().flatten().next().cloned(),
            since: Some(status.since),
            restarts: status.restarts,
            lost: status.lost,
            pid: status.pid,
            usage: status.pid.and_then(|pid| self.usage_of(pid, status.since)),
            engine: Some((engine.pid, engine.host)),
            ..idle
        }
    }

    /// Returns the usage of a process group that was started at `since`.
    fn usage_of(&self, pid: u32, since: Timestamp) -> Option<Usage> {
        let usage = self.usage.get(&pid)?;
        let (at, before) = self.before;
        let (from, cpu) = match before.get(&pid) {
            Some(before) if before.cpu <= usage.cpu => (*at, before.cpu),
            _ => (since, Duration::ZERO),
        };
        let elapsed = self.measured.duration_since(from).as_secs_f64();
        let share = usage.cpu.saturating_sub(cpu).as_secs_f64() / elapsed.max(0.001);
        Some(Usage {
            cpu: 100.0 * share,
            memory: usage.memory,
            processes: usage.processes,
        })
    }
}

#[cfg(test)]
mod tests {
    use ansar_contract::test::TestReport;

    use super::*;
    use crate::home::history::{Kind, RecordedCause, Start};

    /// Returns the state and the reason after an end with this report.
    fn after(passed: u64, failed: u64) -> (State, Option<String>) {
        let report = TestReport {
            passed,
            failed,
            ..TestReport::default()
        };
        let outcome = RoleOutcome::of(&report, Cause::Returned);
        let run = Run {
            start: Start {
                at: Timestamp::UNIX_EPOCH,
                pid: 1,
                executable: "client".parse().unwrap(),
                kind: Kind::Test,
                engine: 2,
                engine_started: None,
            },
            end: Some(End {
                at: Timestamp::UNIX_EPOCH,
                cause: RecordedCause::Returned,
                attempts: None,
                name: outcome.result.name.clone(),
                result: Some(outcome.result),
                size: 1,
            }),
        };
        let end = LastEnd::of(&run).unwrap();
        (end.state, end.reason)
    }

    #[test]
    fn a_role_whose_checks_failed_has_failed() {
        assert_eq!(after(3, 0), (State::Done, None));
        let one = Some("1 check failed".to_owned());
        assert_eq!(after(2, 1), (State::Failed, one));
        let two = Some("2 checks failed".to_owned());
        assert_eq!(after(0, 2), (State::Failed, two));
    }
}
