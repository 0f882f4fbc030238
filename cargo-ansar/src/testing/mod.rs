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
pub mod record;
pub mod run;
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
use crate::events::{Events, Kind, RunEvent};
use crate::home::current_run::Note;
use crate::home::history;
use crate::home::instance;
use crate::home::last_run::Recorder;
use crate::home::program::ProgramError;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, HomeError};
use crate::host::clock;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::logs::store::last_lines;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::partition::Partition;
use crate::model::role_search::{RolePattern, RoleSearch};
use crate::model::run_report::{Excerpt, RunReport, Which};
use crate::supervisor::engine::RunResult;
use crate::supervisor::lock_roles::stop_running;
use crate::supervisor::one_shot;
use crate::supervisor::scheduler::{Policy, RoleKind};
use crate::supervisor::test_options::TestOptions;
use crate::testing::killed_run::last_report;
use crate::testing::run::Runner;
use crate::testing::shards::On;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::{Failure, RoleRun, Verdict};
use crate::workspace::{Places, Workspace};

/// Options of a test run.
#[derive(Debug)]
pub struct Options {
    /// Workspace, home and working directory.
    pub places: Places,
    /// Options for Cargo.
    pub build: build::Options,
    /// Test roles to run.
    pub search: RoleSearch,
    /// Texts that the names of tests must contain, for the roles that a pattern
    /// matches.
    pub chosen: Vec<(RolePattern, String)>,
    /// Time limit of a test role whose description has none.
    pub timeout: Option<Duration>,
    /// Maximum number of test roles that run at once.
    pub jobs: Option<usize>,
    /// True if roles that run already are stopped first.
    pub force: bool,
    /// True if the first failure ends the run.
    pub fail_fast: bool,
    /// Part of the test roles to run, if not all.
    pub partition: Option<Partition>,
    /// Other machines on which the roles run; `None` for this process.
    pub on: Option<On>,
    /// Number of retries of a failed test role, overriding the manifest.
    pub retries: Option<u32>,
    /// Time after which a test role is reported as slow, overriding the
    /// manifest.
    pub slow: Option<Duration>,
    /// Executable that evaluates the reports, overriding the manifest.
    pub analyzer: Option<ExecutableName>,
    /// True if only roles that failed in the last run are run. If none failed,
    /// all are run.
    pub failed: bool,
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

    /// Returns those of the matching test roles that this part of the run has.
    fn part<'r>(&self, roles: impl Iterator<Item = &'r RoleName>) -> BTreeSet<RoleName> {
        match self.partition {
            Some(partition) => partition.of(roles),
            None => roles.cloned().collect(),
        }
    }

    /// Returns the options of a run on other machines, if it is one.
    fn shards(&self, workspace: Option<&Workspace>) -> Result<Option<shards::Options>, Error> {
        let shards = self.on.as_ref();
        let shards = shards.map(|on| shards::Options::new(on, workspace));
        Ok(shards.transpose()?)
    }

    /// Returns the options for roles that run tests.
    fn tests(&self, workspace: Option<&Workspace>) -> TestOptions {
        TestOptions {
            jobs: self.jobs,
            slow: policy(self, workspace).slow,
            failed: self.failed,
            chosen: self.chosen.clone(),
        }
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

/// Time after which a test role is reported as slow by default.
pub const SLOW: Duration = Duration::from_mins(1);

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
    /// Log lines that may explain failures, by role.
    pub excerpts: Vec<Excerpt>,
    /// Duration of the run, without the build.
    pub elapsed: Duration,
    /// True if only roles that had failed before were run.
    pub narrowed: bool,
    /// Part of the test roles that were run, if not all.
    pub partition: Option<Partition>,
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
    let described = workspace.as_ref().and_then(|w| w.description.as_ref());
    let entries = match Home::open(&options.places.home(workspace.as_ref())) {
        Ok(home) => home.entries()?,
        Err(HomeError::NotThere(_)) if described.is_some() => BTreeMap::new(),
        Err(error) => return Err(error.into()),
    };
    check_any_test(options, workspace.as_ref(), &entries)?;
    let tests = test_pattern(workspace.as_ref())?;
    let roles = wanted(workspace.as_ref(), &entries)
        .filter(|(role, executable)| tests.matches(role) && options.wants(role, executable));
    let roles = options.part(roles.map(|(role, _)| role));
    Ok(roles.into_iter().collect())
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
    prepared: Prepared,
    recorder: Recorder,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Ran, Error> {
    let Prepared {
        workspace,
        home,
        entries,
        artifacts,
        libraries,
        compiled,
        only,
        leaving,
        lock,
        ..
    } = prepared;
    let shards = options.shards(workspace.as_ref())?;
    let analyzer = analyzer(options, workspace.as_ref());
    analyzer::check(&home, analyzer.as_ref())?;
    let begun = (clock::instant(), clock::now());
    let pattern = test_pattern(workspace.as_ref())?;
    let is_test = |role: &RoleName| pattern.matches(role);
    let failed = failed_before(&home);
    let all = entries.clone();
    let mut entries = unfinished(&home, entries, is_test, shards.is_some())?;
    let only = only.filter(|_| when == When::Changed);
    retain_affected(&mut entries, is_test, only, &failed);
    let (chosen, narrowed) = choose(options, entries, is_test, &failed);
    let tested = chosen.iter().filter(|(role, _)| is_test(role));
    check_settings(&home, workspace.as_ref(), tested, &options.settings, events).await?;
    let (testing, tests) = (begin(&chosen, is_test), options.tests(workspace.as_ref()));
    let runner = Runner {
        first: Some(&failed),
        begun: Some(&testing),
        ..runner(options, &tests, &home, workspace.as_ref())
    };
    let tested = chosen.iter().filter(|(role, _)| is_test(role));
    let instances = instance::instances(tested, &all)?;
    let is_test = |role: &RoleName| is_test(role) && !instances.contains_key(role);
    let kind_of = |role: &RoleName| role_kind(is_test(role));
    let operational = chosen.keys().filter(|role| !is_test(role));
    let needed = chosen.iter().filter(|(role, _)| !is_test(role));
    let background = match shards {
        None => wait_ready(&home, needed, interrupts, events).await?,
        Some(_) => BackgroundRoles::none(),
    };
    let launched = launched(&chosen, &background, &instances);
    if shards.as_ref().is_none_or(|it| it.driver.is_local()) {
        let force = options.force.then_some(&launched);
        let beside = shards.as_ref().map(|_| &chosen);
        make_way(&home, force, beside, interrupts, events).await?;
    }
    let artifacts: Vec<PathBuf> = artifacts.into_values().chain(libraries).collect();
    let note = home.note_run(&runner.current(&launched, is_test, &artifacts, clock::now()))?;
    let telling = runner.telling(events, launched.keys(), is_test, &artifacts);
    let ran = run(
        shards.as_ref(),
        &runner,
        &launched,
        kind_of,
        interrupts,
        &telling,
    );
    let mut ran = ran.await?;
    // An interrupt while waiting for Cargo's exit must not hide the results.
    let impatient = interruption(build::wait_exit_after_use(leaving, interrupts).await)?;
    ran.interrupted = ran.interrupted.or(impatient);
    drop(lock);
    let role_runs = runner.role_runs(&ran.ended, is_test);
    let mut sources = runner.sources(Vec::new(), artifacts.clone());
    let mut verdict = judge(&runner, role_runs, &background, &mut sources).await?;
    let roles = chosen.keys().chain(instances.keys());
    attach_context(&home, roles, &mut verdict, recorder.stopping());
    let operational = operational.chain(instances.keys());
    let excerpts = excerpts(&home, &verdict, operational, begun.1);
    let elapsed = clock::instant() - begun.0;
    let analyzer = analyzer.filter(|_| ran.interrupted.is_none());
    let analysis = analysis(&runner, analyzer, &verdict, interrupts, events).await?;
    let interrupted = analysis.as_ref().and_then(|it| it.interrupted);
    Ok(Ran {
        verdict,
        excerpts,
        elapsed,
        narrowed,
        partition: options.partition,
        interrupted: ran.interrupted.or(interrupted),
        analysis,
        artifacts,
        compiled,
        home,
        recorder,
        note,
    })
}

/// Runs the roles, in this process or on agents.
async fn run(
    shards: Option<&shards::Options>,
    runner: &Runner<'_>,
    launched: &BTreeMap<RoleName, Entry>,
    kind_of: impl Fn(&RoleName) -> RoleKind,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<RunResult, Error> {
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

/// Returns a runner with the options of a test run.
fn runner<'a>(
    options: &'a Options,
    tests: &'a TestOptions,
    home: &'a Home,
    workspace: Option<&'a Workspace>,
) -> Runner<'a> {
    Runner {
        policy: policy(options, workspace),
        settings: &options.settings,
        tests: Some(tests),
        shown: options.shown,
        ..Runner::new(home, workspace, history::Kind::Test)
    }
}

/// Stops the roles of `force`, if they run, and checks that those of `beside` do
/// not: they have the ports and files of roles that shards on this machine run.
async fn make_way(
    home: &Home,
    force: Option<&BTreeMap<RoleName, Entry>>,
    beside: Option<&BTreeMap<RoleName, Entry>>,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<(), Error> {
    if let Some(roles) = force {
        stop_running(home, roles.keys(), interrupts, events).await?;
    }
    if let Some(roles) = beside {
        drop(home.lock_roles(roles.keys())?);
    }
    Ok(())
}

/// Returns the event that roles are about to run.
fn begin(chosen: &BTreeMap<RoleName, Entry>, is_test: impl Fn(&RoleName) -> bool) -> Kind {
    let tests = chosen.keys().filter(|role| is_test(role));
    let roles: Vec<RoleName> = tests.cloned().collect();
    Kind::Run(RunEvent::Testing {
        tests: roles.len(),
        operational: chosen.len() - roles.len(),
        roles,
    })
}

/// Returns the roles to start: those that do not run in the background, and the
/// instances of their own that test roles need.
fn launched(
    chosen: &BTreeMap<RoleName, Entry>,
    background: &BackgroundRoles,
    instances: &BTreeMap<RoleName, Entry>,
) -> BTreeMap<RoleName, Entry> {
    let mut launched = chosen.clone();
    launched.retain(|role, _| !background.has(role));
    instance::add(&mut launched, instances);
    launched
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

fn role_kind(is_test: bool) -> RoleKind {
    if is_test {
        RoleKind::Test
    } else {
        RoleKind::Operational
    }
}

/// Attaches log records to each failure of a verdict, of a run whose roles were
/// asked to stop at `stopping`.
pub(crate) fn attach_context<'r>(
    home: &Home,
    roles: impl Iterator<Item = &'r RoleName>,
    verdict: &'r mut Verdict,
    stopping: Option<Timestamp>,
) {
    let tries = verdict.tries.iter_mut();
    let failed = tries.flat_map(|it| &mut it.failures);
    let failed = verdict.failures.iter_mut().chain(failed);
    log_context::attach(home, roles, failed, stopping);
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

/// Returns the policy of a run: the options, or else the manifest.
fn policy(options: &Options, workspace: Option<&Workspace>) -> Policy {
    let described = workspace.and_then(|workspace| workspace.description.as_ref());
    let retries = described.and_then(|description| description.retries);
    let slow = described.and_then(|description| description.slow_timeout);
    Policy {
        jobs: options.jobs,
        fail_fast: options.fail_fast,
        retries: options.retries.or(retries).unwrap_or(0),
        slow: Some(options.slow.or(slow).unwrap_or(SLOW)),
        ..Policy::default()
    }
}

/// Judges the roles that ran, including background roles that failed meanwhile.
async fn judge(
    runner: &Runner<'_>,
    mut role_runs: Vec<RoleRun>,
    background: &BackgroundRoles,
    sources: &mut Sources,
) -> Result<Verdict, Error> {
    let verdict = Verdict::of(&role_runs, sources);
    let failed = background
        .failed_since(runner.home, !verdict.passed())
        .await?;
    if failed.is_empty() {
        return Ok(verdict);
    }
    role_runs.extend(runner.failed_in_background(failed));
    Ok(Verdict::of(&role_runs, sources))
}

/// Returns the roles without those one-shot roles that need not run again. On
/// other machines nothing has run.
fn unfinished(
    home: &Home,
    mut entries: BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    is_elsewhere: bool,
) -> Result<BTreeMap<RoleName, Entry>, Error> {
    if is_elsewhere {
        return Ok(entries);
    }
    let finished = one_shot::finished(home, &entries)?;
    entries.retain(|role, _| is_test(role) || !finished.contains(role));
    Ok(entries)
}

/// Removes test roles that need not run, if all roles in `only` run test targets
/// and nothing else was affected: those that are not among them, and have passed
/// in the last run.
fn retain_affected(
    entries: &mut BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    only: Option<BTreeSet<RoleName>>,
    failed: &BTreeSet<RoleName>,
) {
    let Some(only) = only.filter(|only| !only.is_empty()) else {
        return;
    };
    let is_target = |entry: &Entry| entry.properties.test.is_some();
    let mut affected = only.iter().map(|role| entries.get(role));
    if affected.all(|entry| entry.is_some_and(is_target)) {
        let will_run = |role: &RoleName| only.contains(role) || failed.contains(role);
        entries.retain(|role, _| !is_test(role) || will_run(role));
    }
}

/// Returns the roles to run: all operational roles, and the tests that match.
/// The second value is true if these were narrowed to those in `failed`.
fn choose(
    options: &Options,
    mut entries: BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    failed: &BTreeSet<RoleName>,
) -> (BTreeMap<RoleName, Entry>, bool) {
    entries.retain(|role, entry| {
        entry.origin != Origin::Retired
            && (!is_test(role) || options.wants(role, &entry.executable))
    });
    let part = options.part(entries.keys().filter(|role| is_test(role)));
    entries.retain(|role, _| !is_test(role) || part.contains(role));
    let narrowed = options.failed && narrow(&mut entries, &is_test, failed);
    for (role, entry) in &mut entries {
        if is_test(role) && entry.properties.timeout.is_none() {
            entry.properties.timeout = options.timeout.map(|timeout| timeout.as_secs_f64());
        } else if !is_test(role) && !entry.properties.ready.is_done() {
            // Operational roles run as long as the tests need them.
            entry.properties.timeout = None;
        }
    }
    (entries, narrowed)
}

/// Returns the test roles that did not pass in the last run.
fn failed_before(home: &Home) -> BTreeSet<RoleName> {
    let last = last_report(home).ok().flatten();
    let failed = last.iter().flat_map(RunReport::failed_roles);
    failed.cloned().collect()
}

/// Removes test roles that are not in `failed`, if any test role is. Returns
/// true if any was removed.
fn narrow(
    chosen: &mut BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    failed: &BTreeSet<RoleName>,
) -> bool {
    let all = chosen.len();
    let mut roles = chosen.keys();
    if roles.any(|role| is_test(role) && failed.contains(role)) {
        chosen.retain(|role, _| !is_test(role) || failed.contains(role));
    }
    chosen.len() < all
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
    if verdict.failures.is_empty() {
        return Vec::new();
    }
    let since = stamp(begun);
    let failed: BTreeSet<&RoleName> = verdict.failures.iter().map(|f| &f.role).collect();
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
    let around: Vec<(String, String)> = verdict.failures.iter().map(second_around).collect();
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
