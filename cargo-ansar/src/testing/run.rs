//! `cargo ansar run`: run roles in the foreground, to completion.
//!
//! Also the step that `test` shares: from roles of a home to what became of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::layout::Area;
use ansar_contract::lifecycle::Faulted;
use ansar_contract::line::Level;
use ansar_contract::run::Run;
use ansar_contract::test::{TestReport, TestSuite};
use jiff::Timestamp;

use crate::deploy::prepare::{Filled, filled};
use crate::deploy::resolve_settings::check_settings;
use crate::error::Error;
use crate::events::{Events, Kind};
use crate::home::Home;
use crate::home::history;
use crate::home::role::Entry;
use crate::host::fs;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::process::orphans;
use crate::manifest::DEFAULT_TESTS;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::outcome::{RoleOutcome, Success};
use crate::model::role_search::{RolePattern, RoleSearch};
use crate::protocol::Host;
use crate::supervisor::cleanup::clean_and_mark;
use crate::supervisor::component_check::recognize_all;
use crate::supervisor::engine;
use crate::supervisor::engine::Ended;
use crate::supervisor::judge;
use crate::supervisor::launch::Launch;
use crate::supervisor::launcher::{LaunchContext, ensure_descriptors};
use crate::supervisor::lock_roles::{acquire, stop_running};
use crate::supervisor::role_environment::of_roles;
use crate::supervisor::scheduler::{Policy, READY_LIMIT, RoleKind};
use crate::supervisor::server::Service;
use crate::testing::analyzer;
use crate::testing::analyzer::Analysis;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::{RoleRun, Verdict};
use crate::workspace::build;
use crate::workspace::roles::check_start_order;
use crate::workspace::roles::startable;
use crate::workspace::{Places, Workspace};

/// What to run, and how.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub places: Places,
    /// How Cargo is to build, where nothing has been deployed yet.
    pub build: build::Options,
    /// Which roles.
    pub search: RoleSearch,
    /// Where sources are looked for first.
    pub code_path: Option<PathBuf>,
    /// Whether those that run already are stopped first.
    pub force: bool,
    /// Whether a verdict over the reports is wanted.
    pub test_run: bool,
    /// What is given the reports, and gives the result.
    pub analyzer: Option<ExecutableName>,
    /// The role with whose end all others are stopped.
    pub main_role: Option<RoleName>,
    /// Settings for this run, by name, that all roles are given.
    pub settings: Vec<(String, String)>,
    /// Which log lines become events.
    pub shown: Level,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Every role's result.
    pub run: Run,
    /// The verdict, where one was wanted.
    pub verdict: Option<Verdict>,
    /// What the analyzer made of it, where one was wanted.
    pub analysis: Option<Analysis>,
    /// Whether a role did not do what it was for.
    pub failed: bool,
    /// What ended it from outside, where something did.
    pub interrupted: Option<Interrupt>,
}

/// Runs the roles of a home that match until all of them have ended; deploys
/// them first where nothing has been deployed yet.
pub async fn run(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let code = options.code_path.as_ref();
    let code = code.map(|path| options.places.folder.join(path));
    if let Some(folder) = code.as_ref().filter(|folder| !fs::is_folder(folder)) {
        return Err(Error::NoFolder(folder.clone()));
    }
    let filled = filled(
        &options.places,
        &options.build,
        &options.search,
        interrupts,
        events,
    );
    let Filled {
        home, workspace, ..
    } = filled.await?;
    let entries = startable(&home, workspace.as_ref(), &options.search, home.entries()?)?;
    analyzer::check(&home, options.analyzer.as_ref())?;
    let main = match &options.main_role {
        None => None,
        Some(role) => {
            let nth = entries.keys().position(|other| other == role);
            Some(nth.ok_or_else(|| Error::NoMainRole(role.clone()))?)
        }
    };
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
    let begun = Kind::Running {
        roles: entries.len(),
    };
    let runner = Runner {
        home: &home,
        workspace: workspace.as_ref(),
        shown: options.shown,
        kind: history::Kind::Run,
        policy: Policy {
            main,
            ..Policy::default()
        },
        given: None,
        settings: &options.settings,
        first: None,
        begun: Some(&begun),
    };
    // A role of any name may report; none has to wait for the others.
    let ran = runner
        .run(
            &entries,
            |_| RoleKind::Operational,
            None,
            interrupts,
            events,
        )
        .await?;

    let mut sources = runner.sources(code.into_iter().collect(), Vec::new());
    let tests = match workspace.as_ref().and_then(|w| w.description.as_ref()) {
        Some(description) => description.tests.clone(),
        None => RolePattern::parse(DEFAULT_TESTS)?,
    };
    let participants = runner.participants(&ran.ended, |role| tests.matches(role));
    let verdict = Verdict::of(&participants, &mut sources);
    // What was stopped is analyzed, too, unless there was no time for anything.
    let analysis = match &options.analyzer {
        Some(analyzer) if !ran.at_once => Some(
            runner
                .analyze(analyzer, &verdict.suite, interrupts, events)
                .await?,
        ),
        _ => None,
    };
    let failed = ran
        .ended
        .iter()
        .any(|ended| ended.outcome.success() == Success::No);
    Ok(Outcome {
        run: Run {
            completed: completed(&ran.ended, &mut sources),
            home: home.root().display().to_string(),
        },
        verdict: options.test_run.then_some(verdict),
        interrupted: ran
            .interrupted
            .or(analysis.as_ref().and_then(|a| a.interrupted)),
        analysis,
        failed,
    })
}

/// The results by role, with the sources of reports and faults found.
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

/// Where roles are run.
#[derive(Debug, Clone, Copy)]
pub struct Runner<'a> {
    /// The home.
    pub home: &'a Home,
    /// The workspace, where there is one.
    pub workspace: Option<&'a Workspace>,
    /// Which log lines become events.
    pub shown: Level,
    /// By which command.
    pub kind: history::Kind,
    /// How the group is run.
    pub policy: Policy,
    /// What every role is given on stdin instead of its own input.
    pub given: Option<&'a [u8]>,
    /// Settings for this run, by name: of all roles, or in a test run of the
    /// test roles.
    pub settings: &'a [(String, String)],
    /// The roles that start before others, where nothing else decides.
    pub first: Option<&'a BTreeSet<RoleName>>,
    /// The event that says that the roles are about to run, emitted once it is
    /// known that they may.
    pub begun: Option<&'a Kind>,
}

impl Runner<'_> {
    /// Runs roles until all of them have ended, each in the part that `part`
    /// gives it, and with them `errand`, which is no role. Refuses where one of them runs already, and then starts none.
    pub async fn run(
        &self,
        entries: &BTreeMap<RoleName, Entry>,
        kind_of: impl Fn(&RoleName) -> RoleKind,
        errand: Option<Launch>,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<engine::RunResult, Error> {
        // What is set by hand and what is described are checked alone only.
        check_start_order(entries)?;
        recognize_all(self.home, entries)?;
        let _mark = clean_and_mark(self.home, events)?;
        ensure_descriptors(entries.len())?;
        let locks = acquire(self.home, entries.keys(), events)?;
        if let Some(begun) = self.begun {
            events.emit(begun.clone());
        }
        let notices = self.home.hear()?;
        let launching = LaunchContext::new(
            self.home,
            self.kind,
            of_roles(self.home),
            notices.address(),
            READY_LIMIT,
        )
        .with_input(self.given);
        let told = launching.clone().with_settings(self.settings);
        let launches = entries.iter().zip(locks);
        let mut launches: Vec<_> = launches
            .map(|((role, entry), lock)| {
                let kind = kind_of(role);
                let is_told = self.kind != history::Kind::Test || kind == RoleKind::Test;
                let launching = if is_told { &told } else { &launching };
                launching.launch(role, entry, kind, lock)
            })
            .collect::<Result<_, Error>>()?;
        if let Some(first) = self.first {
            launches.sort_by_key(|launch| !first.contains(&launch.role));
        }
        launches.extend(errand);
        let options = engine::Options {
            policy: self.policy,
            shown: self.shown,
        };
        let service = Service {
            listener: self.home.listen()?,
            host: Host::Foreground,
            is_persistent: false,
            launcher: None,
        };
        let ran = engine::run(
            launches,
            &options,
            &notices,
            Some(service),
            interrupts,
            events,
        )
        .await;
        let count = orphans::end_left_behind().ended;
        if count > 0 {
            events.emit(Kind::Orphans { count });
        }
        match ran.refused {
            Some(reason) => Err(Error::Processes(reason)),
            None => Ok(ran),
        }
    }

    /// Runs an analyzer, with the suite on its stdin, in a role of its own.
    pub async fn analyze(
        &self,
        executable: &ExecutableName,
        suite: &TestSuite,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<Analysis, Error> {
        events.emit(Kind::Analyzing {
            reports: suite.report.len(),
            executable: executable.clone(),
        });
        // A suite is text and numbers, which always encode.
        let given = serde_json::to_vec(&Envelope::of(suite)).unwrap_or_default();
        let runner = Runner {
            given: Some(&given),
            settings: &[],
            begun: None,
            policy: Policy::default(),
            ..*self
        };
        let (role, entry) = analyzer::role_of(self.home, executable)?;
        let roles = BTreeMap::from([(role, entry)]);
        let ran = runner
            .run(&roles, |_| RoleKind::Operational, None, interrupts, events)
            .await?;
        let outcome = ran.ended.into_iter().next().map(|ended| ended.outcome);
        let outcome = outcome.unwrap_or_else(judge::skipped);
        Ok(Analysis::of(outcome, ran.interrupted))
    }

    /// Sources that are looked for in `folders` first, then in the workspace,
    /// then among what `artifacts` were built from.
    pub fn sources(&self, mut folders: Vec<PathBuf>, artifacts: Vec<PathBuf>) -> Sources {
        folders.extend(self.workspace.map(|workspace| workspace.root.clone()));
        folders.extend(self.home.workspace().map(Path::to_owned));
        Sources::new(folders, artifacts)
    }

    /// What became of roles, for a verdict.
    pub fn participants(
        &self,
        ended: &[Ended],
        is_test: impl Fn(&RoleName) -> bool,
    ) -> Vec<RoleRun> {
        let ended = ended.iter();
        ended
            .map(|ended| RoleRun {
                role: ended.role.clone(),
                is_test: is_test(&ended.role),
                outcome: ended.outcome.clone(),
                at: ended.at,
                before: ended.before.clone(),
                described: self.described(&ended.role),
            })
            .collect()
    }

    /// What became of roles in the background, for a verdict: where each fell.
    pub(crate) fn failed_in_background(
        &self,
        failed: Vec<(RoleName, RoleOutcome, Timestamp)>,
    ) -> impl Iterator<Item = RoleRun> {
        failed.into_iter().map(|(role, outcome, at)| RoleRun {
            is_test: false,
            described: self.described(&role),
            role,
            outcome,
            at,
            before: Vec::new(),
        })
    }

    /// Where a role is described: in the manifest, or in its entry.
    fn described(&self, role: &RoleName) -> (PathBuf, u32) {
        let in_manifest = || {
            let workspace = self.workspace?;
            let spec = workspace.description.as_ref()?.role(role)?;
            Some((workspace.manifest.clone(), spec.line))
        };
        in_manifest().unwrap_or_else(|| (self.home.file(Area::Entry, role), 1))
    }
}
