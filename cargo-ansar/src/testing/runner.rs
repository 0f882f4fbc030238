//! Running roles of a home in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ansar_contract::layout::Area;
use ansar_contract::line::Level;
use jiff::Timestamp;

use crate::deploy::ports::allocate_instances;
use crate::error::{EngineError, Error};
use crate::events::{Events, Kind, RunEvent};
use crate::home::Home;
use crate::home::current_run::{CurrentRole, CurrentRun};
use crate::home::history;
use crate::home::role::Entry;
use crate::host::fs::lock::Lock;
use crate::host::process::interrupts::Interrupts;
use crate::host::process::orphans;
use crate::model::instance::instance_name;
use crate::model::name::RoleName;
use crate::model::outcome::RoleOutcome;
use crate::model::role_properties::READY_LIMIT;
use crate::protocol::Host;
use crate::supervisor::cleanup::clean_and_mark;
use crate::supervisor::engine;
use crate::supervisor::engine::{Ended, RunResult};
use crate::supervisor::executable_kind::check_all;
use crate::supervisor::judge;
use crate::supervisor::launch::Launch;
use crate::supervisor::launcher::{LaunchContext, ensure_descriptors};
use crate::supervisor::lock_roles::acquire;
use crate::supervisor::role_environment::{Variables, of_roles};
use crate::supervisor::scheduler::{Policy, RoleKind};
use crate::supervisor::server::{Control, Service};
use crate::supervisor::test_options::TestOptions;
use crate::testing::early_failures;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::RoleRun;
use crate::workspace::roles::check_start_order;
use crate::workspace::{Workspace, description_of, place_of};

/// Facts about the workspace for an agent on another machine.
#[derive(Debug)]
pub struct RemoteWorkspace {
    /// Files and lines that describe the roles.
    pub described: BTreeMap<RoleName, (PathBuf, u32)>,
    /// Environment variables of all roles.
    pub variables: Vec<(String, String)>,
    /// Roles that wait for roles on other machines.
    pub held: BTreeSet<RoleName>,
}

/// Runs roles of a home.
#[derive(Debug, Clone, Copy)]
pub struct Runner<'a> {
    /// The home.
    pub home: &'a Home,
    /// The workspace, if there is one.
    pub workspace: Option<&'a Workspace>,
    /// Minimum level of log lines that become events.
    pub shown: Level,
    /// Kind of run recorded in the history.
    pub kind: history::Kind,
    /// Bytes that every role receives on stdin instead of its own input.
    pub given: Option<&'a [u8]>,
    /// Settings for this run, by name. In a test run only the test roles
    /// receive them.
    pub settings: &'a [(String, String)],
    /// Options for roles that run tests.
    pub tests: &'a TestOptions,
    /// Number of the role whose exit stops all others, among those that run.
    pub main: Option<usize>,
    /// Roles that start first where the dependency order allows it.
    pub first: Option<&'a BTreeSet<RoleName>>,
    /// Role that gets the terminal and stdin of this command.
    pub interactive: Option<&'a RoleName>,
    /// Facts about a workspace on another machine.
    pub elsewhere: Option<&'a RemoteWorkspace>,
    /// Event that is emitted once the roles are about to start.
    pub begun: Option<&'a Kind>,
}

impl<'a> Runner<'a> {
    /// Returns a runner without options, which shows no log lines and passes
    /// nothing to the roles.
    pub fn new(home: &'a Home, workspace: Option<&'a Workspace>, kind: history::Kind) -> Self {
        Self {
            home,
            workspace,
            shown: Level::None,
            kind,
            given: None,
            settings: &[],
            tests: TestOptions::NONE,
            main: None,
            first: None,
            interactive: None,
            elsewhere: None,
            begun: None,
        }
    }

    /// Runs roles until all of them have exited, together with `errand`, which
    /// is not a role.
    ///
    /// # Errors
    ///
    /// Starts nothing and returns an error if one of the roles runs already.
    pub async fn run(
        &self,
        entries: &BTreeMap<RoleName, Entry>,
        kind_of: impl Fn(&RoleName) -> RoleKind,
        errand: Option<Launch>,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<RunResult, Error> {
        self.run_in(entries, kind_of, (errand, None), interrupts, events)
            .await
    }

    /// Runs roles as an agent: tests start, and operational roles are stopped
    /// after them, when the launcher says so.
    ///
    /// # Errors
    ///
    /// Starts nothing and returns an error if one of the roles runs already.
    pub async fn run_held(
        &self,
        entries: &BTreeMap<RoleName, Entry>,
        kind_of: impl Fn(&RoleName) -> RoleKind,
        control: Control,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<RunResult, Error> {
        self.run_in(entries, kind_of, (None, Some(control)), interrupts, events)
            .await
    }

    async fn run_in(
        &self,
        entries: &BTreeMap<RoleName, Entry>,
        kind_of: impl Fn(&RoleName) -> RoleKind,
        (errand, control): (Option<Launch>, Option<Control>),
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<RunResult, Error> {
        // The order combines the manifest and values set by hand.
        check_start_order(entries)?;
        let mut environment = of_roles(self.home);
        for (name, value) in self.elsewhere.iter().flat_map(|it| &it.variables) {
            environment.retain(|(known, _)| known != name.as_str());
            environment.push((name.into(), value.into()));
        }
        check_all(self.home, entries, &environment, |role| {
            place_of(self.workspace, role)
        })?;
        let _mark = clean_and_mark(self.home, events)?;
        ensure_descriptors(entries.len())?;
        let locks = acquire(self.home, entries.keys(), events)?;
        let notices = self.home.listen_notify()?;
        let launching = self.launching(entries, environment, notices.address())?;
        let mut launches = self.launches(entries.iter().zip(locks), kind_of, &launching)?;
        if let Some(begun) = self.begun {
            events.emit(begun.clone());
        }
        launches.extend(errand);
        let options = engine::Options {
            policy: Policy {
                main: self.main,
                is_held: control.is_some(),
                ..self.tests.policy()
            },
            shown: self.shown,
        };
        let service = Service {
            listener: self.home.listen()?,
            host: match control {
                Some(_) => Host::Agent,
                None => Host::Foreground,
            },
            control,
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
        for (role, _) in instances(entries) {
            self.home.clear_instance(role)?;
            self.home.remove_lock(role)?;
        }
        let count = orphans::end_orphans().ended;
        if count > 0 {
            events.emit(RunEvent::Orphans { count });
        }
        match ran.refused {
            Some(reason) => Err(Error::Engine(EngineError::Processes(reason))),
            None => Ok(ran),
        }
    }

    /// Returns the context of the launches of roles, whose notifications go to the
    /// socket `notices`.
    fn launching(
        &self,
        entries: &BTreeMap<RoleName, Entry>,
        environment: Variables,
        notices: &Path,
    ) -> Result<Rc<LaunchContext>, Error> {
        let launching =
            LaunchContext::new(self.home, self.kind, environment, notices, READY_LIMIT)?
                .with_input(self.given)
                .with_terminal(self.interactive);
        let own = instances(entries).map(|(role, entry)| (role.clone(), entry.clone()));
        let own: BTreeMap<RoleName, Entry> = own.collect();
        Ok(if own.is_empty() {
            launching
        } else {
            launching.with_ports(allocate_instances(self.home, &own)?)
        })
    }

    /// Returns the launches of roles, each with its lock.
    fn launches<'r>(
        &self,
        roles: impl Iterator<Item = ((&'r RoleName, &'r Entry), Lock)>,
        kind_of: impl Fn(&RoleName) -> RoleKind,
        launching: &Rc<LaunchContext>,
    ) -> Result<Vec<Launch>, Error> {
        let told = launching.clone();
        let told = told.with_settings(self.settings).with_tests(self.tests);
        let launches = roles.map(|((role, entry), lock)| {
            let kind = kind_of(role);
            let is_told = self.kind != history::Kind::Test || kind == RoleKind::Test;
            let launching = if is_told { &told } else { launching };
            let mut launch = launching.launch(role, entry, kind, lock)?;
            launch.described = Some(self.described(role));
            launch.is_held = self.elsewhere.is_some_and(|it| it.held.contains(role));
            Ok(launch)
        });
        let mut launches = launches.collect::<Result<Vec<_>, Error>>()?;
        if let Some(first) = self.first {
            launches.sort_by_key(|launch| !first.contains(&launch.role));
        }
        Ok(launches)
    }

    /// Returns a resolver of source paths: it searches `folders`, then the
    /// workspace, then the sources of `artifacts`.
    pub fn sources(&self, mut folders: Vec<PathBuf>, artifacts: Vec<PathBuf>) -> Sources {
        folders.extend(self.workspace.map(|workspace| workspace.root.clone()));
        folders.extend(self.home.workspace().map(Path::to_owned));
        Sources::new(folders, artifacts)
    }

    /// Returns the runs of roles for a verdict.
    pub fn role_runs(&self, ended: &[Ended], is_test: impl Fn(&RoleName) -> bool) -> Vec<RoleRun> {
        let ended = ended.iter();
        ended
            .map(|ended| RoleRun {
                role: ended.role.clone(),
                is_test: is_test(&ended.role),
                is_target: self.is_target(&ended.role),
                outcome: ended.outcome.clone(),
                at: ended.at,
                before: ended.before.clone(),
                described: self.described(&ended.role),
            })
            .collect()
    }

    /// Returns the note of a run of these roles, which begins at `at`.
    pub(crate) fn current(
        &self,
        entries: &BTreeMap<RoleName, Entry>,
        is_test: impl Fn(&RoleName) -> bool,
        artifacts: &[PathBuf],
        at: Timestamp,
    ) -> CurrentRun {
        let roles = entries.iter().map(|(role, entry)| CurrentRole {
            role: role.clone(),
            executable: entry.executable.clone(),
            is_test: is_test(role),
            is_target: self.is_target(role),
            described: self.described(role),
        });
        CurrentRun {
            at,
            roles: roles.collect(),
            artifacts: artifacts.to_vec(),
        }
    }

    /// Returns a stream of `events` with each failure of `roles` as soon as it
    /// is known. `artifacts` are executables whose sources are searched.
    pub(crate) fn with_early_failures<'r>(
        &self,
        events: &Events,
        roles: impl Iterator<Item = &'r RoleName>,
        is_test: impl Fn(&RoleName) -> bool,
        artifacts: &[PathBuf],
    ) -> Events {
        let runs = roles.map(|role| RoleRun {
            role: role.clone(),
            is_test: is_test(role),
            is_target: self.is_target(role),
            outcome: judge::skipped(),
            at: Timestamp::UNIX_EPOCH,
            before: Vec::new(),
            described: self.described(role),
        });
        let sources = self.sources(Vec::new(), artifacts.to_vec());
        early_failures::with_early_failures(events, runs.collect(), sources)
    }

    /// Returns the runs of background roles that failed, for a verdict.
    pub(crate) fn failed_in_background(
        &self,
        failed: Vec<(RoleName, RoleOutcome, Timestamp)>,
    ) -> impl Iterator<Item = RoleRun> {
        failed.into_iter().map(|(role, outcome, at)| RoleRun {
            is_test: false,
            is_target: false,
            described: self.described(&role),
            role,
            outcome,
            at,
            before: Vec::new(),
        })
    }

    /// Returns true if a role runs a test target.
    fn is_target(&self, role: &RoleName) -> bool {
        let description = description_of(self.workspace);
        let spec = description.and_then(|description| description.role(role));
        spec.is_some_and(|spec| spec.properties.test.is_some())
    }

    /// Returns the file and line that describe a role: in the manifest, or its
    /// entry.
    pub(crate) fn described(&self, role: &RoleName) -> (PathBuf, u32) {
        if let Some(place) = self.elsewhere.and_then(|it| it.described.get(role)) {
            return place.clone();
        }
        let in_manifest = || {
            let workspace = self.workspace?;
            let description = workspace.description.as_ref()?;
            let spec = description.role(role).or_else(|| {
                let mut fresh = description.roles.iter().flat_map(|test| {
                    let fresh = test.properties.fresh.iter();
                    fresh.map(|of| (of, instance_name(&test.name, of)))
                });
                let (of, _) = fresh.find(|(_, name)| name.as_ref() == Ok(role))?;
                description.role(of)
            })?;
            Some((workspace.manifest.clone(), spec.line))
        };
        in_manifest().unwrap_or_else(|| (self.home.file(Area::Entry, role), 1))
    }
}

/// Returns the roles that are instances of others.
fn instances(entries: &BTreeMap<RoleName, Entry>) -> impl Iterator<Item = (&RoleName, &Entry)> {
    entries.iter().filter(|(_, entry)| entry.instance.is_some())
}
