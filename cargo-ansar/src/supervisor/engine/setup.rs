//! Runs the commands before a role's program, one after the other: those that
//! set it up, and those that prepare each start.
//!
//! A command has the process group, the log, the lock and the grace of the
//! role, and is asked to stop with SIGTERM. If one fails, the role has failed without having been started.

use std::vec;

use crate::host::process;
use crate::host::process::Program;
use crate::supervisor::engine::Engine;
use crate::supervisor::judge;
use crate::supervisor::judge::Finished;
use crate::supervisor::launch::{Setup, SetupCommand};
use crate::supervisor::readiness::Checks;
use crate::supervisor::scheduler::{Input, Phase};

/// Commands before a program that have begun.
pub(crate) struct SettingUp {
    /// The property with the commands.
    property: &'static str,
    /// The commands that remain.
    commands: vec::IntoIter<SetupCommand>,
    /// The text of the command that runs.
    running: String,
    /// Records that all commands have succeeded.
    done: Box<dyn Fn() -> Result<(), String>>,
    /// The commands that follow.
    rest: vec::IntoIter<Setup>,
    /// The program that follows.
    program: Program,
    /// Its probes.
    checks: Checks,
}

impl Engine<'_> {
    /// Begins the commands before a role's program, which follows.
    pub(crate) async fn set_up(
        &mut self,
        member: usize,
        steps: Vec<Setup>,
        program: Program,
        checks: Checks,
    ) {
        self.feed(Input::Preparing(member));
        self.begin_steps(member, steps.into_iter(), program, checks)
            .await;
    }

    /// Begins the next commands, or the program after the last ones.
    async fn begin_steps(
        &mut self,
        member: usize,
        mut rest: vec::IntoIter<Setup>,
        program: Program,
        checks: Checks,
    ) {
        let Some(setup) = rest.next() else {
            self.feed(Input::Prepared(member));
            return self.launch(member, &program, checks).await;
        };
        if let Err(reason) = (setup.begun)() {
            return self.end(member, judge::not_started(&reason));
        }
        self.roles[member].setting_up = Some(SettingUp {
            property: setup.property,
            commands: setup.commands.into_iter(),
            running: String::new(),
            done: setup.done,
            rest,
            program,
            checks,
        });
        Box::pin(self.next_step(member)).await;
    }

    /// Starts the next command before a program, or what follows the last one.
    pub(crate) async fn next_step(&mut self, member: usize) {
        let Some(setting_up) = &mut self.roles[member].setting_up else {
            return;
        };
        let Some(command) = setting_up.commands.next() else {
            return self.finish_setup(member).await;
        };
        let property = setting_up.property;
        let SetupCommand { text, program } = command;
        setting_up.running = text;
        if let Err(error) = self.start_command(member, &program).await {
            self.roles[member].setting_up = None;
            if process::is_exhaustion(&error) {
                self.exhausted(member, &error);
            }
            let reason = format!("{property}: {}", program.refusal(&error));
            self.finish(member, judge::not_started(&reason));
        }
    }

    async fn finish_setup(&mut self, member: usize) {
        let Some(setting_up) = self.roles[member].setting_up.take() else {
            return;
        };
        let SettingUp {
            done,
            rest,
            program,
            checks,
            ..
        } = setting_up;
        match done() {
            Ok(()) => self.begin_steps(member, rest, program, checks).await,
            Err(reason) => self.end(member, judge::not_started(&reason)),
        }
    }

    /// Handles the end of a command before a program.
    pub(crate) fn step_ended(&mut self, member: usize, finished: &Finished) {
        let role = &mut self.roles[member];
        role.main_exited = false;
        let Some(setting_up) = &role.setting_up else {
            return;
        };
        let command = (setting_up.property, &*setting_up.running);
        let failure = judge::failed_step(command, finished, &role.actions_taken);
        if let Some(outcome) = failure {
            role.setting_up = None;
            return self.finish(member, outcome);
        }
        self.feed(Input::Step(member));
        if self.scheduler.phase(member) == Phase::Stopping {
            self.roles[member].setting_up = None;
            return self.finish(member, judge::skipped());
        }
        self.starts.push_back(member);
    }
}
