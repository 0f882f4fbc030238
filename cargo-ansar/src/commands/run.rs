//! `cargo ansar run`: run roles in the foreground, to completion.

use std::path::PathBuf;

use ansar_contract::envelope::Typed;
use ansar_contract::lifecycle::Faulted;
use ansar_contract::line::Level;
use ansar_contract::run::Run;
use ansar_contract::test::TestReport;

use crate::deploy::prepare::{FilledHome, open_filled};
use crate::deploy::resolve_settings::check_settings;
use crate::error::{DeployError, Error, RunError};
use crate::events::{Events, Kind, RunEvent};
use crate::home::history;
use crate::host::fs;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::Success;
use crate::model::role_search::RoleSearch;
use crate::supervisor::engine::{Ended, RunResult};
use crate::supervisor::lock_roles::stop_running;
use crate::supervisor::scheduler::RoleKind;
use crate::testing::analyzer;
use crate::testing::analyzer::Analysis;
use crate::testing::runner::Runner;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::Verdict;
use crate::workspace::Places;
use crate::workspace::build;
use crate::workspace::roles::{startable, test_pattern};

/// Options of `run`.
#[derive(Debug)]
pub struct Options {
    /// Options for Cargo, used if nothing is deployed yet.
    pub build: build::Options,
    /// Roles to run.
    pub search: RoleSearch,
    /// Folder that is searched first for sources.
    pub code_path: Option<PathBuf>,
    /// True if roles that run already are stopped first.
    pub force: bool,
    /// True if the reports are judged.
    pub test_run: bool,
    /// Executable that evaluates the reports and returns the result.
    pub analyzer: Option<ExecutableName>,
    /// Role whose exit stops all others.
    pub main_role: Option<RoleName>,
    /// Role that gets the terminal.
    pub interactive: Option<RoleName>,
    /// Settings for this run, by name, passed to all roles.
    pub settings: Vec<(String, String)>,
    /// Minimum level of log lines that become events.
    pub shown: Level,
}

/// Outcome of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Result of every role.
    pub run: Run,
    /// The verdict, if one was requested.
    pub verdict: Option<Verdict>,
    /// Result of the analyzer, if there is one.
    pub analysis: Option<Analysis>,
    /// True if a role failed.
    pub failed: bool,
    /// Interrupt that ended the run, if any.
    pub interrupted: Option<Interrupt>,
}

/// Runs the matching roles of a home until all of them have exited. Deploys
/// first if nothing is deployed yet.
pub async fn run(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let code = options.code_path.as_ref();
    let code = code.map(|path| places.folder.join(path));
    if let Some(folder) = code.as_ref().filter(|folder| !fs::is_folder(folder)) {
        return Err(Error::Deploy(DeployError::NoFolder(folder.clone())));
    }
    let filled = open_filled(places, &options.build, &options.search, interrupts, events);
    let FilledHome {
        home, workspace, ..
    } = filled.await?;
    let entries = startable(&home, workspace.as_ref(), &options.search, home.entries()?)?;
    analyzer::check(&home, options.analyzer.as_ref())?;
    let main = options.main_role.as_ref().map(|role| {
        let nth = entries.keys().position(|other| other == role);
        nth.ok_or_else(|| Error::Run(RunError::NoMainRole(role.clone())))
    });
    let main = main.transpose()?;
    check_settings(
        &home,
        workspace.as_ref(),
        &entries,
        &options.settings,
        events,
    )
    .await?;
    if options.force {
        stop_running(&home, entries.keys(), interrupts, events).await?;
    }
    let begun = Kind::Run(RunEvent::Running {
        roles: entries.len(),
    });
    let runner = Runner {
        main,
        settings: &options.settings,
        interactive: options.interactive.as_ref(),
        begun: Some(&begun),
        shown: options.shown,
        ..Runner::new(&home, workspace.as_ref(), history::Kind::Run)
    };
    // Roles of any name may report, and none waits for others as tests do.
    let ran = runner
        .run(
            &entries,
            |_| RoleKind::Operational,
            None,
            interrupts,
            events,
        )
        .await?;

    let sources = runner.sources(code.into_iter().collect(), Vec::new());
    outcome(options, &runner, ran, sources, interrupts, events).await
}

/// Judges the roles that ran, and passes their reports to the analyzer.
async fn outcome(
    options: &Options,
    runner: &Runner<'_>,
    ran: RunResult,
    mut sources: Sources,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let tests = test_pattern(runner.workspace)?;
    let role_runs = runner.role_runs(&ran.ended, |role| tests.matches(role));
    let verdict = Verdict::of(&role_runs, &mut sources);
    // Reports of stopped roles are analyzed as well, unless the run was aborted
    // at once.
    let analysis = match &options.analyzer {
        Some(analyzer) if !ran.at_once => {
            Some(analyzer::analyze(runner, analyzer, &verdict.suite, interrupts, events).await?)
        }
        _ => None,
    };
    let failed = ran
        .ended
        .iter()
        .any(|ended| ended.outcome.success() == Success::No);
    Ok(Outcome {
        run: Run {
            completed: completed(&ran.ended, &mut sources),
            home: runner.home.root().display().to_string(),
        },
        verdict: options.test_run.then_some(verdict),
        interrupted: ran
            .interrupted
            .or(analysis.as_ref().and_then(|a| a.interrupted)),
        analysis,
        failed,
    })
}

/// Returns the results by role, with the paths of sources resolved.
fn completed(ended: &[Ended], sources: &mut Sources) -> Vec<(String, Typed)> {
    let mut completed: Vec<_> = ended
        .iter()
        .map(|ended| {
            let mut result = ended.outcome.result.clone();
            if let Some(Ok(mut report)) = result.decode::<TestReport>() {
                for check in &mut report.tested {
                    check.source = sources.resolve(&check.source);
                }
                result = Typed::encode(&report).unwrap_or(result);
            } else if let Some(Ok(mut fault)) = result.decode::<Faulted>() {
                fault.source = fault.source.map(|source| sources.resolve(&source));
                result = Typed::encode(&fault).unwrap_or(result);
            }
            (ended.role.to_string(), result)
        })
        .collect();
    completed.sort_by(|(one, _), (other, _)| one.cmp(other));
    completed
}
