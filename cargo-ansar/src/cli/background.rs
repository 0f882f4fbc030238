//! `start`, `restart`, `stop`, `status` and `supervise`: roles in the
//! background.

use crate::commands;
use crate::supervisor;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::cli::search::SearchArgs;
use crate::cli::time::time;
use crate::commands::start::SETTLE_TIME;
use crate::error::Error;
use crate::events::Until;
use crate::host::process::guardian::SpawnMode;
use crate::model::role_properties::READY_LIMIT;
use crate::report::background;
use crate::report::shell::Form;

/// Arguments of `start` and `restart`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each `--name=value` after `--` is a setting for this run, passed to all \
                  selected roles."
)]
pub struct StartArgs {
    #[command(flatten)]
    search: SearchArgs,
    /// Do not wait until the roles are ready
    #[arg(long)]
    no_wait: bool,
    /// Time limit for each role to become ready, as in `30s` [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    ready_timeout: Option<Duration>,
    /// Time that a role which does not announce its readiness must run to count
    /// as started [default: 200ms]
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "no_wait")]
    settle_time: Option<Duration>,
    #[arg(skip)]
    pub(super) settings: Vec<(String, String)>,
}

/// Arguments of `stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    search: SearchArgs,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    search: SearchArgs,
    /// Show process ids, times, states and resource usage, too
    #[arg(short, long)]
    long_listing: bool,
    /// Show processes that roles called, too
    #[arg(long)]
    all_roles: bool,
    /// Wait until the roles are in this state, then show them: ready, stopped
    #[arg(long, value_name = "STATE", hide_possible_values = true)]
    wait: Option<Wait>,
    /// Time limit for `--wait`, as in `30s` [default: none]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "wait")]
    timeout: Option<Duration>,
}

/// Arguments of `supervise`.
#[derive(Debug, Args)]
pub struct SuperviseArgs {
    /// End together with the process that started this one
    #[arg(long)]
    attached: bool,
}

impl SuperviseArgs {
    pub(super) fn spawn_mode(&self) -> SpawnMode {
        if self.attached {
            SpawnMode::Attached
        } else {
            SpawnMode::Detached
        }
    }
}

/// States that `--wait` accepts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wait {
    /// The roles are ready.
    Ready,
    /// The roles have stopped.
    Stopped,
}

impl Session<'_> {
    pub(super) async fn start(&self, args: &StartArgs, again: bool) -> Result<Exit, Error> {
        let options = commands::start::Options {
            build: self.default_build(),
            search: args.search.search(&self.places)?,
            force: self.force,
            wait: !args.no_wait,
            ready_limit: args.ready_timeout.unwrap_or(READY_LIMIT),
            settle_time: args.settle_time.unwrap_or(SETTLE_TIME),
            settings: args.settings.clone(),
        };
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let outcome = if again {
            commands::start::restart(&self.places, &options, &mut interrupts, &events).await?
        } else {
            commands::start::start(&self.places, &options, &mut interrupts, &events).await?
        };
        let exit = if outcome.failed.is_empty() {
            Exit::Success
        } else {
            Exit::RoleFailed
        };
        let hint = outcome.failed.first().map(|(role, _)| {
            self.hints
                .complete(&format!("see more with `cargo ansar log {role}`"))
        });
        self.printer
            .show(move |shell| background::started(shell, &outcome, hint.as_deref()));
        Ok(exit)
    }

    pub(super) async fn stop(&self, args: &StopArgs) -> Result<Exit, Error> {
        let options = commands::stop::Options {
            search: args.search.search(&self.places)?,
            force: self.force,
        };
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let stopped =
            commands::stop::stop(&self.places, &options, &mut interrupts, &events).await?;
        self.printer
            .show(move |shell| background::stopped(shell, &stopped));
        Ok(Exit::Success)
    }

    pub(super) async fn status(&self, args: &StatusArgs) -> Result<Exit, Error> {
        let options = commands::status::Options {
            search: args.search.search(&self.places)?,
            long: args.long_listing || self.general.form() == Form::Json,
            all: args.all_roles,
            wait: args.wait.map(|wait| match wait {
                Wait::Ready => Until::Ready,
                Wait::Stopped => Until::Stopped,
            }),
            timeout: args.timeout,
        };
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let status =
            commands::status::status(&self.places, &options, &mut interrupts, &events).await?;
        let long = args.long_listing;
        self.printer.show(move |shell| match (shell.form(), long) {
            (Form::Human, true) => background::status_in_full(shell, &status),
            (Form::Human, false) => background::status(shell, &status),
            _ => background::status_as_json(shell, &status),
        });
        Ok(Exit::Success)
    }

    pub(super) async fn supervise(&self, args: &SuperviseArgs) -> Result<Exit, Error> {
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let places = &self.places;
        supervisor::daemon::supervise(places, args.attached, &mut interrupts, &events).await?;
        Ok(Exit::Success)
    }
}
