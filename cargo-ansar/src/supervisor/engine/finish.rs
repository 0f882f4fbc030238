//! Runs the commands after the end of a role's program, one after the other.
//!
//! They run after every end: a success, a failure, a timeout, or an interrupt.
//! Each has the process group, the log and the lock of the role, and the same
//! time; one that fails does not keep the next from running. Only a second
//! interrupt ends them.

use std::io;
use std::time::Duration;
use std::vec;

use crate::host::clock;
use crate::model::outcome::{RoleOutcome, Success};
use crate::model::role_properties::READY_LIMIT;
use crate::supervisor::engine::Engine;
use crate::supervisor::judge;
use crate::supervisor::judge::Finished;
use crate::supervisor::launch::{Launch, SetupCommand};
use crate::supervisor::scheduler::Input;

/// Environment variable that tells the commands the outcome of their role:
/// `passed`, `failed` or `stopped`.
const OUTCOME: &str = "ANSAR_OUTCOME";

/// The commands after a program, while they run.
pub(crate) struct Finishing {
    /// The outcome of the role until now.
    outcome: RoleOutcome,
    /// The commands that remain.
    commands: vec::IntoIter<SetupCommand>,
    /// The text of the command that runs.
    running: String,
    /// True if that has exceeded its time.
    pub(crate) is_late: bool,
    /// The failures of commands.
    failures: Vec<String>,
}

/// Returns the time that the commands after a role get together; `None` if it
/// has none.
pub(crate) fn limit(launch: &Launch) -> Option<Duration> {
    let count = u32::try_from(launch.properties.after_all.len()).unwrap_or(u32::MAX);
    let each = launch.ready_limit.unwrap_or(READY_LIMIT);
    (count > 0).then(|| each.saturating_mul(count))
}

impl Engine<'_> {
    /// Handles the end of a role's program, or of the commands before it: runs
    /// the commands that follow, if there are any, before the end of the role.
    pub(crate) fn finish(&mut self, member: usize, outcome: RoleOutcome) {
        let commands = std::mem::take(&mut self.roles[member].after_all);
        if commands.is_empty() || self.at_once {
            return self.end(member, outcome);
        }
        self.readiness.forget(member);
        self.roles[member].finishing = Some(Finishing {
            outcome,
            commands: commands.into_iter(),
            running: String::new(),
            is_late: false,
            failures: Vec::new(),
        });
        self.feed_finishing(member);
        self.starts.push_back(member);
    }

    /// Time that each command after a role gets.
    fn after_all_limit(&self, member: usize) -> Duration {
        self.roles[member].ready_limit.unwrap_or(READY_LIMIT)
    }

    fn feed_finishing(&mut self, member: usize) {
        let limit = self.after_all_limit(member);
        self.feed(Input::Finishing(member, limit));
    }

    /// Starts the next command after a program, or ends the role after the last
    /// one.
    pub(crate) async fn next_after_all(&mut self, member: usize) {
        let is_over = self.at_once;
        let Some(finishing) = &mut self.roles[member].finishing else {
            return;
        };
        let Some(command) = finishing.commands.next().filter(|_| !is_over) else {
            return self.finished(member);
        };
        let SetupCommand { text, mut program } = command;
        let outcome = word(&finishing.outcome);
        if let Some(environment) = &mut program.environment {
            environment.push((OUTCOME.into(), outcome.into()));
        }
        finishing.running = text;
        finishing.is_late = false;
        if let Err(error) = self.start_command(member, &program).await {
            let failure = format!("after-all: {}", program.refusal(&error));
            self.failed_after_all(member, Some(failure));
        }
    }

    /// Handles the end of a command after a program.
    pub(crate) fn after_all_ended(&mut self, member: usize, ended: io::Result<Finished>) {
        let limit = self.after_all_limit(member);
        let role = &mut self.roles[member];
        role.main_exited = false;
        let Some(finishing) = &role.finishing else {
            return;
        };
        let limit = finishing.is_late.then_some(limit);
        let failure = match ended {
            // It was killed.
            _ if self.at_once => None,
            Ok(finished) => judge::failed_after(&finishing.running, &finished, limit),
            Err(error) => Some(format!("after-all `{}`: {error}", finishing.running)),
        };
        self.failed_after_all(member, failure);
    }

    /// Records the failure of a command, and continues.
    fn failed_after_all(&mut self, member: usize, failure: Option<String>) {
        if let Some(finishing) = &mut self.roles[member].finishing {
            finishing.failures.extend(failure);
        }
        self.feed_finishing(member);
        self.starts.push_back(member);
    }

    fn finished(&mut self, member: usize) {
        let role = &mut self.roles[member];
        let Some(finishing) = role.finishing.take() else {
            return;
        };
        let outcome = judge::with_failures(
            finishing.outcome,
            &finishing.failures,
            (&role.name, role.described.as_ref()),
            clock::now(),
        );
        self.end(member, outcome);
    }
}

/// Returns the word for an outcome.
fn word(outcome: &RoleOutcome) -> &'static str {
    match (outcome.report(), outcome.success()) {
        (Some(report), _) if report.failed > 0 => "failed",
        (_, Success::No) => "failed",
        (_, Success::Stopped) => "stopped",
        (_, Success::Yes) => "passed",
    }
}
