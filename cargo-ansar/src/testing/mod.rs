//! `cargo ansar test`: build, deploy, run the test roles, judge.
//!
//! Operational roles that were not running are started before the test roles
//! and stopped after them.

pub mod agent;
pub mod analyzer;
mod driver_command;
pub mod killed_run;
pub mod live;
pub mod log_context;
mod parts;
pub mod record;
pub mod run;
mod selection;
pub mod shards;
pub mod source_paths;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::layout::Area;
use ansar_contract::line::{Level, Line, STAMP_FORMAT, Tag};
use jiff::Timestamp;

use crate::error::{Error, RunError};
use crate::supervisor::background::{BackgroundRoles, wait_ready};
use crate::testing::analyzer::Analysis;
use crate::workspace::build;
use crate::workspace::roles::{check_terms, or_retired, test_pattern, wanted};

use crate::deploy::prepare::{Prepared, prepare};
use crate::deploy::resolve_settings::check_settings;
use crate::deploy::restart_affected::Running;
use crate::events::Events;
use crate::home::current_run::Note;
use crate::home::history;
use crate::home::last_run::Recorder;
use crate::home::program::ProgramError;
use crate::home::role::Entry;
use crate::home::{Home, HomeError};
use crate::host::clock;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::logs::store::last_lines;
use crate::manifest::Description;
use crate::manifest::properties::keep_by_hand;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::partition::Partition;
use crate::model::role_properties::RoleProperties;
use crate::model::role_search::RoleSearch;
use crate::model::run_report::{Excerpt, Which};
use crate::supervisor::engine::{Ended, RunResult};
use crate::supervisor::lock_roles::stop_running;
use crate::supervisor::scheduler::RoleKind;
use crate::supervisor::test_options::TestOptions;
use crate::testing::parts::Part;
use crate::testing::run::Runner;
use crate::testing::selection::{Selection, failed_before};
use crate::testing::shards::On;
use crate::testing::verdict::{Failure, Verdict};
use crate::workspace::{Places, Workspace, description_of};

/// Options of a test run.
#[derive(Debug)]
pub struct Options {
    /// Workspace, home and working directory.
    pub places: Places,
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
    pub on: Option<On>,
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
    /// Returns true if a test role matches the search.
    fn wants(&self, role: &RoleName, executable: &ExecutableName) -> bool {
        self.search.matches(role, executable)
    }

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
    Ran(Box<Ran>),
}

/// Outcome of a run.
#[derive(Debug)]
pub struct Ran {
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

/// Returns the names of the matching test roles, sorted. Builds and runs
/// nothing.
pub fn list(options: &Options) -> Result<Vec<RoleName>, Error> {
    let workspace = options.places.workspace()?;
    let described = description_of(workspace.as_ref());
    let entries = match Home::open(&options.places.home(workspace.as_ref())) {
        Ok(home) => home.entries()?,
        Err(HomeError::NotThere(_)) if described.is_some() => BTreeMap::new(),
        Err(error) => return Err(error.into()),
    };
    check_any_test(options, workspace.as_ref(), &entries)?;
    let tests = test_pattern(workspace.as_ref())?;
    let roles = wanted(workspace.as_ref(), &entries)
        .filter(|(role, executable)| tests.matches(role) && options.wants(role, executable));
    let Some(partition) = options.partition else {
        let roles: BTreeSet<RoleName> = roles.map(|(role, _)| role.clone()).collect();
        return Ok(roles.into_iter().collect());
    };
    let tests: Vec<(&RoleName, RoleProperties)> = roles
        .map(|(role, _)| (role, next_properties(described, &entries, role)))
        .collect();
    let tests = tests.iter().map(|(role, properties)| (*role, properties));
    Ok(Part::of(partition, tests).roles.into_iter().collect())
}

/// Returns the properties that a role has after the next deploy: those of the manifest,
/// and those that were set by hand.
fn next_properties(
    description: Option<&Description>,
    entries: &BTreeMap<RoleName, Entry>,
    role: &RoleName,
) -> RoleProperties {
    let entry = entries.get(role);
    let spec = description.and_then(|description| description.role(role));
    let Some((spec, entry)) = spec.zip(entry) else {
        let properties = spec.map(|spec| &spec.properties);
        let properties = properties.or(entry.map(|entry| &entry.properties));
        return properties.cloned().unwrap_or_default();
    };
    let mut next = entry.clone();
    next.properties = spec.properties.clone();
    keep_by_hand(entry, &mut next);
    next.properties
}

/// Number of deploys that a run makes, if other programs take the ports of
/// roles between the deploy and the start.
const DEPLOYS: usize = 3;

/// Builds, deploys and runs the tests once.
pub async fn test(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let mut when = options.run;
    for _ in 1..DEPLOYS {
        match deploy_and_run(options, when, interrupts, events).await {
            // Nothing has started, and the next deploy chooses another port.
            Err(Error::Program(ProgramError::PortTaken {
                is_fixed: false, ..
            })) => when = When::Always,
            outcome => return outcome,
        }
    }
    deploy_and_run(options, when, interrupts, events).await
}

async fn deploy_and_run(
    options: &Options,
    when: When,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let recorder = Recorder::default();
    let events = &recorder.reading(events);
    let check = |workspace: Option<&Workspace>, entries: &_| {
        options.shards(workspace)?;
        check_any_test(options, workspace, entries)
    };
    let mut prepared = prepare(
        &options.places,
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
) -> Result<Ran, Error> {
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
    make_way(home, options.force, shards, &launched, interrupts, events).await?;
    let artifacts = prepared.artifacts.into_values().chain(prepared.libraries);
    let artifacts: Vec<PathBuf> = artifacts.collect();
    let is_test = |role: &RoleName| selection.is_test(role);
    let note = home.note_run(&runner.current(&launched, is_test, &artifacts, clock::now()))?;
    let telling = runner.telling(events, launched.keys(), is_test, &artifacts);
    let ran = run(&runner, &launched, is_test, shards, interrupts, &telling);
    let mut ran = ran.await?;
    // An interrupt while waiting for Cargo's exit must not hide the results.
    let left = build::wait_exit_after_use(prepared.leaving, interrupts).await;
    ran.interrupted = ran.interrupted.or(interruption(left)?);
    drop(prepared.lock);
    let mut verdict = judge(&runner, &ran.ended, is_test, &background, &artifacts).await?;
    attach_context(home, selection.names(), &mut verdict, recorder.stopping());
    verdict.report.partition = options.partition;
    verdict.report.excerpts = excerpts(home, &verdict, selection.operational(), begun.1);
    verdict.report.elapsed = (clock::instant() - begun.0).as_secs_f64();
    let analyzer = analyzer.filter(|_| ran.interrupted.is_none());
    let analysis = analysis(&runner, analyzer, &verdict, interrupts, events).await?;
    let interrupted = analysis.as_ref().and_then(|it| it.interrupted);
    Ok(Ran {
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
async fn make_way(
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
    let analysis = runner.analyze(&analyzer, suite, interrupts, events);
    analysis.await.map(Some)
}

/// Attaches log records to each failure of a verdict, of a run whose roles were
/// asked to stop at `stopping`.
pub(crate) fn attach_context<'r>(
    home: &Home,
    roles: impl Iterator<Item = &'r RoleName>,
    verdict: &'r mut Verdict,
    stopping: Option<Timestamp>,
) {
    log_context::attach(home, roles, verdict.report.all_failures(), stopping);
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

/// Checks that every term of the search matches a test role.
fn check_any_test(
    options: &Options,
    workspace: Option<&Workspace>,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<(), Error> {
    let pattern = test_pattern(workspace)?;
    let search = &options.search;
    let roles = wanted(workspace, entries).filter(|(role, _)| pattern.matches(role));
    if search.is_all() {
        return match roles.count() {
            0 => Err(Error::Run(RunError::NoTests {
                is_described: workspace.is_some_and(Workspace::describes_roles),
                proposed: workspace
                    .and_then(Workspace::proposed_test)
                    .filter(|role| pattern.matches(role)),
                pattern,
            })),
            _ => Ok(()),
        };
    }
    let roles = roles.map(|(role, executable)| (role.as_str(), executable));
    let none = |search: &RoleSearch| {
        Error::Run(RunError::NoTestRole {
            meant: search.did_you_mean(&roles),
            of_tests: of_tests(workspace, search),
            search: search.clone(),
        })
    };
    match search.unmatched(&roles) {
        Some(unmatched) if search.is_unmatched(&unmatched) => {
            Err(or_retired(none(&unmatched), entries))
        }
        Some(_) => {
            check_terms("test role", search, &roles).map_err(|error| or_retired(error, entries))
        }
        None if roles
            .clone()
            .any(|(role, executable)| search.matches_name(role, executable)) =>
        {
            Ok(())
        }
        None => Err(none(search)),
    }
}

/// Returns a term that chooses tests by the only word of a search.
fn of_tests(workspace: Option<&Workspace>, search: &RoleSearch) -> Option<String> {
    let word = search.only_word()?;
    let roles = &workspace?.description.as_ref()?.roles;
    let mut targets = roles.iter().filter(|spec| spec.properties.test.is_some());
    let first = targets.next()?;
    Some(match targets.next() {
        None => format!("{}::{word}", first.name),
        Some(_) => format!(".*::{word}"),
    })
}

/// Maximum number of last lines shown of a failed role.
pub(crate) const LAST: usize = 10;
/// Maximum number of lines shown of an operational role.
const AROUND: usize = 20;
/// Maximum number of roles with lines shown.
pub(crate) const MOST_ROLES: usize = 5;
/// Bytes at the end of a log that are searched.
const REACH: u64 = 256 * 1024;

/// Returns up to `count` console lines of a role since a time. A log that
/// cannot be read has none.
pub(crate) fn said(
    home: &Home,
    role: &RoleName,
    count: usize,
    since: &str,
    is_chosen: impl Fn(&Line<'_>) -> bool,
) -> Vec<String> {
    let folder = home.folder(Area::Logs, role);
    let lines = last_lines(&folder, REACH, count, |line| {
        Line::parse(line).is_some_and(|line| {
            let said = Level::Console.shows(line.tag) || line.tag == Tag::Continued;
            said && line.stamp >= since && is_chosen(&line)
        })
    });
    lines.unwrap_or_default()
}

/// Returns console lines that may explain failures: the last lines of each
/// failed role, and those of operational roles in the second around a failure.
pub(crate) fn excerpts<'r>(
    home: &Home,
    verdict: &Verdict,
    operational: impl Iterator<Item = &'r RoleName>,
    begun: Timestamp,
) -> Vec<Excerpt> {
    let failures = &verdict.report.failures;
    if failures.is_empty() {
        return Vec::new();
    }
    let since = stamp(begun);
    let failed: BTreeSet<&RoleName> = failures.iter().map(|f| &f.role).collect();
    let mut excerpts = Vec::new();
    let mut add = |role: &RoleName, which, count, chosen: &dyn Fn(&str) -> bool| {
        let lines = said(home, role, count, &since, |line| chosen(line.stamp));
        if !lines.is_empty() {
            excerpts.push(Excerpt {
                role: role.clone(),
                which,
                lines,
            });
        }
    };
    for role in failed.iter().take(MOST_ROLES) {
        add(role, Which::Last, LAST, &|_| true);
    }
    let around: Vec<(String, String)> = failures.iter().map(second_around).collect();
    for role in operational.filter(|role| !failed.contains(role)) {
        add(role, Which::Around, AROUND, &|stamp| {
            around
                .iter()
                .any(|(from, to)| (&**from..=&**to).contains(&stamp))
        });
    }
    excerpts
}

/// Returns the time half a second before and after a failure.
fn second_around(failure: &Failure) -> (String, String) {
    let half = jiff::SignedDuration::from_millis(500);
    let from = failure.at.checked_sub(half).unwrap_or(failure.at);
    let to = failure.at.checked_add(half).unwrap_or(failure.at);
    (stamp(from), stamp(to))
}

/// Formats a time like log lines. The results compare like the times.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime(STAMP_FORMAT).to_string()
}
