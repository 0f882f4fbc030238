//! Runs the commands that set a role up, one after the other, before its
//! program.
//!
//! A command has the process group, the log, the lock and the stop sequence of
//! the role. If one fails, the role has failed without having been started.

use std::vec;

use crate::host::clock;
use crate::host::process;
use crate::host::process::Program;
use crate::supervisor::engine::Engine;
use crate::supervisor::judge;
use crate::supervisor::judge::Finished;
use crate::supervisor::launch::{Output, Setup, SetupCommand};
use crate::supervisor::readiness::Checks;
use crate::supervisor::scheduler::{Input, Phase};

/// A setup that has begun.
pub(crate) struct SettingUp {
    /// The commands that remain.
    commands: vec::IntoIter<SetupCommand>,
    /// The text of the command that runs.
    running: String,
    /// Records that all commands have succeeded.
    done: Box<dyn Fn() -> Result<(), String>>,
    /// The program that follows.
    program: Program,
    /// Its probes.
    checks: Checks,
}

impl Engine<'_> {
    /// Begins the setup of a role, which its program follows.
    pub(crate) async fn set_up(
        &mut self,
        member: usize,
        setup: Setup,
        program: Program,
        checks: Checks,
    ) {
        if let Err(reason) = (setup.begun)() {
            return self.end(member, judge::not_started(&reason));
        }
        self.roles[member].setting_up = Some(SettingUp {
            commands: setup.commands.into_iter(),
            running: String::new(),
            done: setup.done,
            program,
            checks,
        });
        self.next_step(member).await;
    }

    /// Starts the next command of a setup, or the program after the last one.
    pub(crate) async fn next_step(&mut self, member: usize) {
        let Some(setting_up) = &mut self.roles[member].setting_up else {
            return;
        };
        let Some(command) = setting_up.commands.next() else {
            return self.finish_setup(member).await;
        };
        let SetupCommand { text, program } = command;
        setting_up.running = text;
        let at = clock::now();
        match self.start_process(member, &program, Output::Log).await {
            Ok(task) => {
                self.attach(member, task.end.pid(), at);
                self.tasks.spawn_local(task.run());
            }
            Err(error) => {
                self.roles[member].setting_up = None;
                if process::is_exhaustion(&error) {
                    self.exhausted(member, &error);
                }
                let reason = format!("setup: {}", program.refusal(&error));
                self.end(member, judge::not_started(&reason));
            }
        }
    }

    async fn finish_setup(&mut self, member: usize) {
        let Some(setting_up) = self.roles[member].setting_up.take() else {
            return;
        };
        let SettingUp {
            done,
            program,
            checks,
            ..
        } = setting_up;
        match done() {
            Ok(()) => self.launch(member, &program, checks).await,
            Err(reason) => self.end(member, judge::not_started(&reason)),
        }
    }

    /// Handles the end of a command of a setup.
    pub(crate) fn step_ended(&mut self, member: usize, finished: &Finished) {
        let role = &mut self.roles[member];
        role.main_exited = false;
        let Some(setting_up) = &role.setting_up else {
            return;
        };
        let failure = judge::failed_step(&setting_up.running, finished, &role.treatment);
        if let Some(outcome) = failure {
            role.setting_up = None;
            return self.end(member, outcome);
        }
        self.feed(Input::Step(member));
        if self.scheduler.phase(member) == Phase::Stopping {
            self.roles[member].setting_up = None;
            return self.end(member, judge::skipped());
        }
        self.starts.push_back(member);
    }
}
