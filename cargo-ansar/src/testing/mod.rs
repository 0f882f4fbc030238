//! `cargo ansar test`: build, deploy, run the test roles, judge.
//!
//! Operational roles that were not running are started before the test roles and
//! stopped after them.

pub mod analyzer;
pub mod log_context;
pub mod record;
pub mod run;
pub mod source_paths;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ansar_contract::layout::Area;
use ansar_contract::line::{Level, Line, STAMP_FORMAT, Tag};
use jiff::Timestamp;

use crate::error::Error;
use crate::supervisor::background::{BackgroundRoles, wait_ready};
use crate::testing::analyzer::Analysis;
use crate::workspace::build;
use crate::workspace::roles::{every_term, or_retired, wanted};

use crate::deploy::prepare::{Prepared, prepare};
use crate::deploy::resolve_settings::check_settings;
use crate::deploy::restart_affected::Running;
use crate::events::{Events, Kind};
use crate::home::history;
use crate::home::last_run::Recorder;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, HomeError};
use crate::host::clock;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::logs::store::last_lines;
use crate::manifest::DEFAULT_TESTS;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::role_search::{RolePattern, RoleSearch};
use crate::model::run_report::{Excerpt, RunReport, Which};
use crate::supervisor::lock_roles::stop_running;
use crate::supervisor::scheduler::{Policy, RoleKind};
use crate::testing::run::Runner;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::{Failure, RoleRun, Verdict};
use crate::workspace::{Places, Workspace};

/// What to test, and how.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// How Cargo is to build.
    pub build: build::Options,
    /// Which test roles.
    pub search: RoleSearch,
    /// How long each test role may run, where its own description does not say.
    pub timeout: Option<Duration>,
    /// How many test roles run at once.
    pub jobs: Option<usize>,
    /// Whether roles that run already are stopped first.
    pub force: bool,
    /// Whether the first failure ends it all.
    pub fail_fast: bool,
    /// How often a test role that failed is run again, instead of what the
    /// description says.
    pub retries: Option<u32>,
    /// How long a test role may run before that is told, instead of what the
    /// description says.
    pub slow: Option<Duration>,
    /// What is given the reports, instead of what the description names.
    pub analyzer: Option<ExecutableName>,
    /// Whether only roles that failed in the last run are run, where there are
    /// some.
    pub failed: bool,
    /// When the tests are run at all.
    pub run: When,
    /// Settings for this run, by name, that the test roles are given.
    pub settings: Vec<(String, String)>,
    /// Which log lines become events.
    pub shown: Level,
}

/// When tests are run, once everything is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Each time.
    Always,
    /// Where anything had to be put in place.
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

/// How long a test role may run before that is told, where nothing is said.
const SLOW: Duration = Duration::from_mins(1);

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// Everything is in place, and nothing was run: [`When`] says so.
    Prepared(Box<Prepared>),
    /// The roles were run.
    Ran(Box<Ran>),
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// What was found.
    pub verdict: Verdict,
    /// What the analyzer made of it, where there is one.
    pub analysis: Option<Analysis>,
    /// Log lines that may tell why, by role.
    pub excerpts: Vec<Excerpt>,
    /// How long the run took, without the build.
    pub elapsed: Duration,
    /// Whether only roles that had failed were run.
    pub narrowed: bool,
    /// What ended it from outside, where something did.
    pub interrupted: Option<Interrupt>,
    /// What was built.
    pub artifacts: Vec<PathBuf>,
    /// The manifests of the packages that were compiled for it.
    pub compiled: BTreeSet<PathBuf>,
    /// Where it ran.
    pub home: Home,
    /// What happened.
    pub recorder: Recorder,
}

/// The names of the test roles that match, sorted; nothing is built or run.
pub fn list(options: &Options) -> Result<Vec<RoleName>, Error> {
    let workspace = options.places.workspace()?;
    let described = workspace.as_ref().and_then(|w| w.description.as_ref());
    let entries = match Home::open(&options.places.home(workspace.as_ref())) {
        Ok(home) => home.entries()?,
        Err(HomeError::NotThere(_)) if described.is_some() => BTreeMap::new(),
        Err(error) => return Err(error.into()),
    };
    check_any_test(options, workspace.as_ref(), &entries)?;
    let tests = tests(workspace.as_ref())?;
    let roles = wanted(workspace.as_ref(), &entries).filter(|(role, executable)| {
        tests.matches(role) && options.search.matches(role, executable)
    });
    let roles: BTreeSet<RoleName> = roles.map(|(role, _)| role.clone()).collect();
    Ok(roles.into_iter().collect())
}

/// The whole loop, once.
pub async fn test(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let recorder = Recorder::default();
    let events = &recorder.reading(events);
    let check =
        |workspace: Option<&Workspace>, entries: &_| check_any_test(options, workspace, entries);
    let mut prepared = prepare(
        &options.places,
        &options.build,
        Running::implied(options.force),
        check,
        interrupts,
        events,
    )
    .await?;
    let leaving = prepared.leaving.take();
    if !options.run.holds(prepared.changed) {
        build::gone_afterwards(leaving, interrupts).await?;
        return Ok(Outcome::Prepared(Box::new(prepared)));
    }
    let Prepared {
        workspace,
        home,
        entries,
        artifacts,
        compiled,
        lock,
        ..
    } = prepared;
    let analyzer = analyzer(options, workspace.as_ref());
    analyzer::check(&home, analyzer.as_ref())?;
    let begun = (clock::instant(), clock::now());
    let pattern = tests(workspace.as_ref())?;
    let is_test = |role: &RoleName| pattern.matches(role);
    let failed = failed_before(&home);
    let (chosen, narrowed) = choose(options, entries, is_test, &failed);
    let count = chosen.keys().filter(|role| is_test(role)).count();
    let tested = chosen.iter().filter(|(role, _)| is_test(role));
    let settings = &options.settings;
    check_settings(&home, workspace.as_ref(), tested, settings, events).await?;
    let testing = Kind::Testing {
        tests: count,
        operational: chosen.len() - count,
    };
    let runner = Runner {
        home: &home,
        workspace: workspace.as_ref(),
        shown: options.shown,
        kind: history::Kind::Test,
        policy: policy(options, workspace.as_ref()),
        given: None,
        settings: &options.settings,
        first: Some(&failed),
        begun: Some(&testing),
    };
    let kind_of = |role: &RoleName| role_kind(is_test(role));
    let operational = chosen.keys().filter(|role| !is_test(role));
    let background = wait_ready(&home, operational.clone(), interrupts, events).await?;
    let mut launched = chosen.clone();
    launched.retain(|role, _| !background.roles.contains(role));
    if options.force {
        stop_running(&home, launched.keys(), interrupts, events).await?;
    }
    let mut ran = runner
        .run(&launched, kind_of, None, interrupts, events)
        .await?;
    // What was found is told even if somebody loses patience with Cargo.
    let impatient = interruption(build::gone_afterwards(leaving, interrupts).await)?;
    ran.interrupted = ran.interrupted.or(impatient);
    drop(lock);
    let participants = runner.participants(&ran.ended, is_test);
    let artifacts: Vec<PathBuf> = artifacts.into_values().collect();
    let mut sources = runner.sources(Vec::new(), artifacts.clone());
    let mut verdict = judge(&runner, participants, &background, &mut sources).await?;
    attach_context(&home, chosen.keys(), &mut verdict);
    let excerpts = excerpts(&home, &verdict, operational, begun.1);
    let elapsed = clock::instant() - begun.0;
    let analysis = match analyzer {
        Some(analyzer) if ran.interrupted.is_none() => Some(
            runner
                .analyze(&analyzer, &verdict.suite, interrupts, events)
                .await?,
        ),
        _ => None,
    };
    Ok(Outcome::Ran(Box::new(Ran {
        verdict,
        excerpts,
        elapsed,
        narrowed,
        interrupted: ran
            .interrupted
            .or(analysis.as_ref().and_then(|a| a.interrupted)),
        analysis,
        artifacts,
        compiled,
        home,
        recorder,
    })))
}

/// What a role is for.
fn role_kind(is_test: bool) -> RoleKind {
    if is_test {
        RoleKind::Test
    } else {
        RoleKind::Operational
    }
}

/// Attaches to each failure of a verdict what these roles logged around it.
fn attach_context<'r>(
    home: &Home,
    roles: impl Iterator<Item = &'r RoleName>,
    verdict: &'r mut Verdict,
) {
    let tries = verdict.tries.iter_mut();
    let failed = tries.flat_map(|it| &mut it.failures);
    let failed = verdict.failures.iter_mut().chain(failed);
    log_context::attach(home, roles, failed);
}

/// What interrupted something, where that is what went wrong.
fn interruption(done: Result<(), Error>) -> Result<Option<Interrupt>, Error> {
    match done {
        Err(Error::Interrupted(interrupt)) => Ok(Some(interrupt)),
        done => done.map(|()| None),
    }
}

/// What is given the reports, if anything.
fn analyzer(options: &Options, workspace: Option<&Workspace>) -> Option<ExecutableName> {
    let described = || workspace?.description.as_ref()?.analyzer.clone();
    options.analyzer.clone().or_else(described)
}

/// How the roles of a run are run: what was asked for, or else described.
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

/// The verdict over those who took part, those in the background among them
/// that did not last.
async fn judge(
    runner: &Runner<'_>,
    mut participants: Vec<RoleRun>,
    background: &BackgroundRoles,
    sources: &mut Sources,
) -> Result<Verdict, Error> {
    let verdict = Verdict::of(&participants, sources);
    let failed = background
        .failed_since(runner.home, !verdict.passed())
        .await?;
    if failed.is_empty() {
        return Ok(verdict);
    }
    participants.extend(runner.failed_in_background(failed));
    Ok(Verdict::of(&participants, sources))
}

/// The roles that take part: all operational ones, and the tests that match;
/// of these perhaps only those that `failed` before, and whether that is so.
fn choose(
    options: &Options,
    mut entries: BTreeMap<RoleName, Entry>,
    is_test: impl Fn(&RoleName) -> bool,
    failed: &BTreeSet<RoleName>,
) -> (BTreeMap<RoleName, Entry>, bool) {
    entries.retain(|role, entry| {
        entry.origin != Origin::Retired
            && (!is_test(role) || options.search.matches(role, &entry.executable))
    });
    let narrowed = options.failed && narrow(&mut entries, &is_test, failed);
    for (role, entry) in &mut entries {
        if is_test(role) && entry.timeout.is_none() {
            entry.timeout = options.timeout.map(|timeout| timeout.as_secs_f64());
        } else if !is_test(role) {
            // What tests run against lasts as long as they do.
            entry.timeout = None;
        }
    }
    (entries, narrowed)
}

/// The test roles that did not pass in the last run; none where it is not
/// known.
fn failed_before(home: &Home) -> BTreeSet<RoleName> {
    let last = home.last_report().ok().flatten();
    let failed = last.iter().flat_map(RunReport::failed_roles);
    failed.cloned().collect()
}

/// Leaves out the test roles that have not failed, where one of them has, and
/// says whether that was any.
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

/// The pattern of test roles.
pub fn tests(workspace: Option<&Workspace>) -> Result<RolePattern, Error> {
    match workspace.and_then(|workspace| workspace.description.as_ref()) {
        Some(description) => Ok(description.tests.clone()),
        None => Ok(RolePattern::parse(DEFAULT_TESTS)?),
    }
}

/// Refuses, before anything is built, a search of which a term matches no test
/// role.
fn check_any_test(
    options: &Options,
    workspace: Option<&Workspace>,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<(), Error> {
    let pattern = tests(workspace)?;
    let search = &options.search;
    let roles = wanted(workspace, entries).filter(|(role, _)| pattern.matches(role));
    if search.is_all() {
        return match roles.count() {
            0 => Err(Error::NoTests { pattern }),
            _ => Ok(()),
        };
    }
    let roles = roles.map(|(role, executable)| (role.as_str(), executable));
    let none = |search: &RoleSearch| Error::NoTestRole {
        meant: search.did_you_mean(&roles),
        search: search.clone(),
    };
    match search.unmatched(&roles) {
        Some(unmatched) if search.is_unmatched(&unmatched) => {
            Err(or_retired(none(&unmatched), entries))
        }
        Some(_) => {
            every_term("test role", search, &roles).map_err(|error| or_retired(error, entries))
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

/// How many of the last lines of a failed role are shown.
pub(crate) const LAST: usize = 10;
/// How many lines of an operational role are shown.
const AROUND: usize = 20;
/// How many roles have lines shown.
pub(crate) const MOST_ROLES: usize = 5;
/// How much of a log is looked at.
const REACH: u64 = 256 * 1024;

/// Returns the last lines of a role since a time that are meant for a person,
/// `count` at most. A log that cannot be read explains nothing.
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

/// The lines that may tell why, of those that are meant for a person: the last
/// ones of each failed role, and those
/// of operational roles in the second around a failure.
fn excerpts<'r>(
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

/// Half a second before and after.
fn second_around(failure: &Failure) -> (String, String) {
    let half = jiff::SignedDuration::from_millis(500);
    let from = failure.at.checked_sub(half).unwrap_or(failure.at);
    let to = failure.at.checked_add(half).unwrap_or(failure.at);
    (stamp(from), stamp(to))
}

/// A time as log lines have it; such stamps compare as texts.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime(STAMP_FORMAT).to_string()
}
