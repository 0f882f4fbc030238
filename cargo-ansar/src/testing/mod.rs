//! `cargo ansar test`: build, deploy, run the test roles, judge.
//!
//! Operational roles that were not running are started before the test roles
//! and stopped after them.

pub mod agent;
pub mod analyzer;
mod driver_command;
pub mod early_failures;
pub mod excerpts;
pub mod killed_run;
pub mod log_context;
mod parts;
pub mod record;
pub mod runner;
pub mod selection;
pub mod shards;
pub mod source_paths;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::line::Level;

use crate::deploy::prepare::{Prepared, prepare};
use crate::deploy::resolve_settings::check_settings;
use crate::deploy::restart_affected::Running;
use crate::error::Error;
use crate::events::Events;
use crate::home::Home;
use crate::home::current_run::Note;
use crate::home::history;
use crate::home::last_run::Recorder;
use crate::home::program::ProgramError;
use crate::home::role::Entry;
use crate::host::clock;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::partition::Partition;
use crate::model::role_search::RoleSearch;
use crate::supervisor::background::{BackgroundRoles, wait_ready};
use crate::supervisor::engine::{Ended, RunResult};
use crate::supervisor::lock_roles::stop_running;
use crate::supervisor::scheduler::RoleKind;
use crate::supervisor::test_options::TestOptions;
use crate::testing::analyzer::Analysis;
use crate::testing::runner::Runner;
use crate::testing::selection::{Selection, failed_before};
use crate::testing::shards::DriverArgs;
use crate::testing::verdict::Verdict;
use crate::workspace::build;
use crate::workspace::roles::check_any_test;
use crate::workspace::{Places, Workspace, description_of};

/// Options of a test run.
#[derive(Debug)]
pub struct Options {
    /// Options for Cargo.
    pub build: build::Options,
    /// Test roles to run.
    pub search: RoleSearch,
    /// Options for the test roles.
    pub tests: TestOptions,
    /// Time limit of a test role whose description has none.
    pub timeout: Option<Duration>,
    /// True if roles that run already are stopped first.
    pub force: bool,
    /// Part of the test roles to run, if not all.
    pub partition: Option<Partition>,
    /// Other machines on which the roles run; `None` for this process.
    pub on: Option<DriverArgs>,
    /// Executable that evaluates the reports, overriding the manifest.
    pub analyzer: Option<ExecutableName>,
    /// Condition for running the tests after the deploy.
    pub run: When,
    /// Settings for this run, by name, passed to the test roles.
    pub settings: Vec<(String, String)>,
    /// Minimum level of log lines that become events.
    pub shown: Level,
}

impl Options {
    /// Returns the options of a run on other machines, if it is one.
    fn shards(&self, workspace: Option<&Workspace>) -> Result<Option<shards::Options>, Error> {
        let shards = self.on.as_ref();
        let shards = shards.map(|on| shards::Options::new(on, workspace));
        Ok(shards.transpose()?)
    }
}

/// Condition for running tests after a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Only if the deploy changed anything.
    Changed,
    /// Never.
    Never,
}

impl When {
    fn holds(self, changed: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Changed => changed,
            Self::Never => false,
        }
    }
}

/// Outcome of a test command.
#[derive(Debug)]
pub enum Outcome {
    /// The home is deployed, and [`When`] did not ask for a run.
    Prepared(Box<Prepared>),
    /// The tests were run.
    Ran(Box<CompletedRun>),
}

/// Outcome of a run.
#[derive(Debug)]
pub struct CompletedRun {
    /// The verdict.
    pub verdict: Verdict,
    /// Result of the analyzer, if there is one.
    pub analysis: Option<Analysis>,
    /// True if only roles that had failed before were run.
    pub narrowed: bool,
    /// Interrupt that ended the run, if any.
    pub interrupted: Option<Interrupt>,
    /// Executables that were built.
    pub artifacts: Vec<PathBuf>,
    /// Manifests of the packages that were compiled.
    pub compiled: BTreeSet<PathBuf>,
    /// Home of the run.
    pub home: Home,
    /// Record of the events.
    pub recorder: Recorder,
    /// Note of the run, until its report is stored.
    pub note: Option<Note>,
}

/// Number of deploys that a run makes, if other programs take the ports of
/// roles between the deploy and the start.
const DEPLOYS: usize = 3;

/// Builds, deploys and runs the tests once.
pub async fn test(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let mut when = options.run;
    for _ in 1..DEPLOYS {
        match deploy_and_run(places, options, when, interrupts, events).await {
            // Nothing has started, and the next deploy chooses another port.
            Err(Error::Program(ProgramError::PortTaken {
                is_fixed: false, ..
            })) => when = When::Always,
            outcome => return outcome,
        }
    }
    deploy_and_run(places, options, when, interrupts, events).await
}

async fn deploy_and_run(
    places: &Places,
    options: &Options,
    when: When,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let recorder = Recorder::default();
    let events = &recorder.reading(events);
    let check = |workspace: Option<&Workspace>, entries: &_| {
        options.shards(workspace)?;
        check_any_test(&options.search, workspace, entries)
    };
    let mut prepared = prepare(
        places,
        &options.build,
        Running::implied(options.force),
        check,
        interrupts,
        events,
    )
    .await?;
    if !when.holds(prepared.changed) {
        build::wait_exit_after_use(prepared.leaving.take(), interrupts).await?;
        return Ok(Outcome::Prepared(Box::new(prepared)));
    }
    let ran = run_deployed(options, when, prepared, recorder, interrupts, events).await?;
    Ok(Outcome::Ran(Box::new(ran)))
}

/// Runs the tests of a home that is deployed, and judges them.
async fn run_deployed(
    options: &Options,
    when: When,
    mut prepared: Prepared,
    recorder: Recorder,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<CompletedRun, Error> {
    prepared.only = prepared.only.filter(|_| when == When::Changed);
    let shards = options.shards(prepared.workspace.as_ref())?;
    let shards = shards.as_ref();
    let analyzer = analyzer(options, prepared.workspace.as_ref());
    analyzer::check(&prepared.home, analyzer.as_ref())?;
    let begun = (clock::instant(), clock::now());
    let failed = failed_before(&prepared.home);
    let selection = Selection::of(options, &mut prepared, &failed, shards.is_some())?;
    let (home, workspace) = (&prepared.home, prepared.workspace.as_ref());
    let settings = &options.settings;
    check_settings(home, workspace, selection.tested(), settings, events).await?;
    let testing = selection.begun();
    let runner = Runner {
        tests: &TestOptions {
            parts: selection.parts.clone(),
            ..options.tests.or_described(description_of(workspace))
        },
        settings,
        shown: options.shown,
        first: Some(&failed),
        begun: Some(&testing),
        ..Runner::new(home, workspace, history::Kind::Test)
    };
    let background = match shards {
        None => wait_ready(home, selection.needed(), interrupts, events).await?,
        Some(_) => BackgroundRoles::none(),
    };
    let launched = selection.launched(&background);
    stop_if_forced(home, options.force, shards, &launched, interrupts, events).await?;
    let artifacts = prepared.artifacts.into_values().chain(prepared.libraries);
    let artifacts: Vec<PathBuf> = artifacts.collect();
    let is_test = |role: &RoleName| selection.is_test(role);
    let note = home.note_run(&runner.current(&launched, is_test, &artifacts, clock::now()))?;
    let reporting = runner.with_early_failures(events, launched.keys(), is_test, &artifacts);
    let ran = run(&runner, &launched, is_test, shards, interrupts, &reporting);
    let mut ran = ran.await?;
    // An interrupt while waiting for Cargo's exit must not hide the results.
    let left = build::wait_exit_after_use(prepared.leaving, interrupts).await;
    ran.interrupted = ran.interrupted.or(interruption(left)?);
    drop(prepared.lock);
    let mut verdict = judge(&runner, &ran.ended, is_test, &background, &artifacts).await?;
    let failures = verdict.report.all_failures();
    log_context::attach(home, selection.names(), failures, recorder.stopping());
    verdict.report.partition = options.partition;
    verdict.report.excerpts = excerpts::around(home, &verdict, selection.operational(), begun.1);
    verdict.report.elapsed = (clock::instant() - begun.0).as_secs_f64();
    let analyzer = analyzer.filter(|_| ran.interrupted.is_none());
    let analysis = analysis(&runner, analyzer, &verdict, interrupts, events).await?;
    let interrupted = analysis.as_ref().and_then(|it| it.interrupted);
    Ok(CompletedRun {
        verdict,
        narrowed: selection.narrowed,
        interrupted: ran.interrupted.or(interrupted),
        analysis,
        artifacts,
        compiled: prepared.compiled,
        home: prepared.home,
        recorder,
        note,
    })
}

/// Runs the roles, in this process or on agents.
async fn run(
    runner: &Runner<'_>,
    launched: &BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    shards: Option<&shards::Options>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<RunResult, Error> {
    let kind_of = |role: &RoleName| {
        if is_test(role) {
            RoleKind::Test
        } else {
            RoleKind::Operational
        }
    };
    match shards {
        None => {
            let run = runner.run(launched, kind_of, None, interrupts, events);
            run.await
        }
        Some(shards) => {
            shards::perform(runner, launched, kind_of, shards, interrupts, events).await
        }
    }
}

/// Stops the roles that run already, with `--force`. Checks that operational
/// roles do not run beside shards on this machine, which have the same ports and
/// files.
async fn stop_if_forced(
    home: &Home,
    force: bool,
    shards: Option<&shards::Options>,
    launched: &BTreeMap<RoleName, Entry>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    if shards.is_some_and(|it| !it.driver.is_local()) {
        return Ok(());
    }
    if force {
        stop_running(home, launched.keys(), interrupts, events).await?;
    }
    if shards.is_some() {
        let roles = launched.iter().filter(|(_, it)| it.instance.is_none());
        drop(home.lock_roles(roles.map(|(role, _)| role))?);
    }
    Ok(())
}

/// Runs the analyzer of a run, if there is one.
async fn analysis(
    runner: &Runner<'_>,
    analyzer: Option<ExecutableName>,
    verdict: &Verdict,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Option<Analysis>, Error> {
    let Some(analyzer) = analyzer else {
        return Ok(None);
    };
    let suite = &verdict.suite;
    let analysis = analyzer::analyze(runner, &analyzer, suite, interrupts, events);
    analysis.await.map(Some)
}

/// Returns the interrupt if that is the error.
fn interruption(done: Result<(), Error>) -> Result<Option<Interrupt>, Error> {
    match done {
        Err(Error::Interrupted(interrupt)) => Ok(Some(interrupt)),
        done => done.map(|()| None),
    }
}

/// Returns the analyzer of a run, if there is one.
fn analyzer(options: &Options, workspace: Option<&Workspace>) -> Option<ExecutableName> {
    let described = || workspace?.description.as_ref()?.analyzer.clone();
    options.analyzer.clone().or_else(described)
}

/// Judges the roles that ran, including background roles that failed meanwhile.
async fn judge(
    runner: &Runner<'_>,
    ended: &[Ended],
    is_test: impl Fn(&RoleName) -> bool,
    background: &BackgroundRoles,
    artifacts: &[PathBuf],
) -> Result<Verdict, Error> {
    let mut role_runs = runner.role_runs(ended, is_test);
    let mut sources = runner.sources(Vec::new(), artifacts.to_vec());
    let verdict = Verdict::of(&role_runs, &mut sources);
    let failed = background
        .failed_since(runner.home, !verdict.report.is_pass())
        .await?;
    if failed.is_empty() {
        return Ok(verdict);
    }
    role_runs.extend(runner.failed_in_background(failed));
    Ok(Verdict::of(&role_runs, &mut sources))
}
