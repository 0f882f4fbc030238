//! `cargo ansar with`: run a command while the operational roles run.
//!
//! The run is kept as the last one, with the panics and the failed tests in the
//! command's output.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use ansar_contract::envelope::Envelope;
use ansar_contract::launch;
use ansar_contract::layout::Area;
use ansar_contract::lifecycle::Aborted;
use ansar_contract::line::Level;
use ansar_contract::test::{Check, TestReport};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::deploy::prepare::{Prepared, prepare};
use crate::deploy::restart_affected::Running;
use crate::error::{Error, RunError};
use crate::events::Events;
use crate::harness::foreign::{FailedTest, FailedTests};
use crate::home::history;
use crate::home::last_run::Recorder;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, read_json};
use crate::host::net::own_network::in_network;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::process::relay::Reading;
use crate::host::process::{Exit, Program, signal};
use crate::host::{clock, environment};
use crate::model::name::RoleName;
use crate::model::name_template::TemplateError;
use crate::model::outcome::{Cause, RoleOutcome};
use crate::model::role_properties::NetworkKind;
use crate::model::role_search::RoleSearch;
use crate::protocol::RunOptions;
use crate::supervisor::background::wait_ready;
use crate::supervisor::engine::Ended;
use crate::supervisor::judge;
use crate::supervisor::last_output::Panic;
use crate::supervisor::launch::{Conduct, Launch, Start};
use crate::supervisor::lock_roles::stop_running;
use crate::supervisor::one_shot;
use crate::supervisor::output_panics::OutputPanics;
use crate::supervisor::restart::Restarting;
use crate::supervisor::role_environment::{configured, of_cargo, of_description};
use crate::supervisor::scheduler::RoleKind;
use crate::testing::runner::Runner;
use crate::testing::source_paths::Sources;
use crate::testing::verdict::{RoleRun, Verdict};
use crate::testing::{CompletedRun, excerpts, log_context};
use crate::workspace::build;
use crate::workspace::roles::{check_operational, test_pattern};
use crate::workspace::{Places, Workspace, description_of};

/// Options of `with`.
#[derive(Debug)]
pub struct Options {
    /// Build options.
    pub build: build::Options,
    /// Operational roles to run.
    pub search: RoleSearch,
    /// Command and arguments.
    pub command: Vec<OsString>,
    /// True if running roles are stopped first.
    pub force: bool,
    /// Level up to which log lines become events.
    pub shown: Level,
}

/// The outcome of `with`.
#[derive(Debug)]
pub struct Outcome {
    /// Exit of the command; unset if it was not run.
    pub exit: Option<Exit>,
    /// Outcome of the roles.
    pub verdict: Verdict,
    /// The run to keep, with the command as a role; unset if the command itself
    /// has left a run.
    pub ran: Option<Box<CompletedRun>>,
    /// Interrupt that ended it, if one did.
    pub interrupted: Option<Interrupt>,
}

/// Starts the operational roles, runs the command in the foreground once they
/// are ready, and stops them when it has ended.
pub async fn with(
    places: &Places,
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let recorder = Recorder::default();
    let events = &recorder.reading(events);
    let Prepared {
        workspace,
        home,
        entries,
        artifacts,
        compiled,
        leaving,
        lock,
        ..
    } = prepare(
        places,
        &options.build,
        Running::implied(options.force),
        |workspace, entries| check_operational(&options.search, workspace, entries),
        interrupts,
        events,
    )
    .await?;
    // The command may run Cargo, which would wait for the lock of this one.
    build::wait_exit_after_use(leaving, interrupts).await?;
    // The command may itself run `cargo ansar` in this home.
    drop(lock);
    let entries = choose(options, &home, workspace.as_ref(), entries)?;
    let begun = (clock::instant(), clock::now());
    let before = home.last_run_stat()?;
    let artifacts: Vec<PathBuf> = artifacts.into_values().collect();
    let group = Group {
        folder: &places.folder,
        home: &home,
        workspace: workspace.as_ref(),
        chosen: &entries,
        artifacts: &artifacts,
    };
    let mut done = group.run(options, interrupts, events).await?;
    let verdict = Verdict::of(&done.roles, &mut done.sources);
    let has_own_run = home.last_run_stat()? != before;
    let ran = (!has_own_run).then(|| {
        done.roles.push(done.command);
        let mut verdict = Verdict::of(&done.roles, &mut done.sources);
        let failures = verdict.report.all_failures();
        log_context::attach(&home, entries.keys(), failures, recorder.stopping());
        verdict.report.excerpts = excerpts::around(&home, &verdict, entries.keys(), begun.1);
        verdict.report.elapsed = (clock::instant() - begun.0).as_secs_f64();
        Box::new(CompletedRun {
            verdict,
            analysis: None,
            narrowed: false,
            interrupted: done.interrupted,
            artifacts,
            compiled,
            home,
            recorder,
            note: None,
        })
    });
    Ok(Outcome {
        exit: done.exit,
        verdict,
        ran,
        interrupted: done.interrupted,
    })
}

/// Returns the roles that run together with the command.
fn choose(
    options: &Options,
    home: &Home,
    workspace: Option<&Workspace>,
    mut entries: BTreeMap<RoleName, Entry>,
) -> Result<BTreeMap<RoleName, Entry>, Error> {
    let pattern = test_pattern(workspace)?;
    let finished = one_shot::finished(home, &entries)?;
    entries.retain(|role, entry| {
        entry.origin != Origin::Retired
            && !finished.contains(role)
            && !pattern.matches(role)
            && options.search.matches(role, &entry.executable)
    });
    let services = entries.values_mut();
    for entry in services.filter(|entry| !entry.properties.ready.is_done()) {
        // Operational roles run as long as the command.
        entry.properties.timeout = None;
    }
    Ok(entries)
}

/// The roles that a command needs.
struct Group<'a> {
    /// Working directory of the command.
    folder: &'a Path,
    home: &'a Home,
    workspace: Option<&'a Workspace>,
    chosen: &'a BTreeMap<RoleName, Entry>,
    artifacts: &'a [PathBuf],
}

/// The run of a command, with its roles.
struct Done {
    /// The operational roles that ran.
    roles: Vec<RoleRun>,
    /// The command.
    command: RoleRun,
    /// Exit of the command; unset if it was not run.
    exit: Option<Exit>,
    interrupted: Option<Interrupt>,
    sources: Sources,
}

impl Group<'_> {
    /// Runs the roles that do not run yet, and the command.
    async fn run(
        &self,
        options: &Options,
        interrupts: &mut Interrupts,
        events: &Events,
    ) -> Result<Done, Error> {
        let &Self {
            home,
            workspace,
            chosen,
            artifacts,
            ..
        } = self;
        let runner = Runner {
            shown: options.shown,
            ..Runner::new(home, workspace, history::Kind::With)
        };
        let background = wait_ready(home, chosen.iter(), interrupts, events).await?;
        let panics = OutputPanics::default();
        let failed_tests = FailedTests::default();
        let told = failed_tests.clone();
        let reading = Reading {
            reader: panics.reader(move |stream, line| told.line(stream, line)),
            on_terminals: is_cargo(&options.command),
        };
        let command = self.command(options, reading)?;
        let role = command.role.clone();
        let mut launched = chosen.clone();
        launched.retain(|role, _| !background.has(role));
        if options.force {
            stop_running(home, launched.keys(), interrupts, events).await?;
        }
        let kind_of = |_: &RoleName| RoleKind::Operational;
        let reporting = runner.with_early_failures(events, launched.keys(), |_| false, artifacts);
        let ran = runner
            .run(&launched, kind_of, Some(command), interrupts, &reporting)
            .await?;
        let ended = ran.ended.into_iter();
        let (commands, roles): (Vec<Ended>, Vec<Ended>) =
            ended.partition(|ended| ended.kind == RoleKind::Test);
        check_started(&commands, options)?;
        let mut roles = runner.role_runs(&roles, |_| false);
        let exit = commands.iter().find_map(|ended| ended.exit);
        let has_failed = exit != Some(Exit::Code(0));
        let failed = background.failed_since(home, has_failed).await?;
        roles.extend(runner.failed_in_background(failed));
        let manifest = workspace.map(|workspace| &*workspace.manifest);
        let root = workspace.map_or(self.folder, |it| &*it.root);
        Ok(Done {
            roles,
            command: RoleRun {
                role,
                is_test: true,
                is_target: false,
                outcome: of_command(
                    &text(&options.command),
                    exit,
                    panics.take(),
                    &failed_tests.take(root),
                    manifest,
                ),
                at: clock::now(),
                before: Vec::new(),
                described: (PathBuf::new(), 1),
            },
            exit,
            interrupted: ran.interrupted,
            sources: runner.sources(vec![self.folder.to_owned()], artifacts.to_vec()),
        })
    }

    /// Returns the launch of the command, which starts like a test: once all
    /// operational roles are ready.
    fn command(&self, options: &Options, reading: Reading) -> Result<Launch, Error> {
        let home = self.home;
        let mut words = options.command.iter().cloned();
        let path = PathBuf::from(words.next().unwrap_or_default());
        let mut environment = configured(environment::all(), &of_cargo(home));
        environment.push((HOME.into(), home.root().into()));
        let ports = home.ports()?;
        let described = description_of(self.workspace);
        if let Some(description) = described {
            let own = of_description(home, description, &ports)?;
            environment.extend(
                own.into_iter()
                    .map(|(name, value)| (name.into(), value.into())),
            );
        }
        let ports = ports.variables().into_iter();
        environment.extend(ports.map(|(name, value)| (name.into(), value.into())));
        environment.push((launch::TOKEN.into(), home.token(environment::pid()).into()));
        for role in self.chosen.keys() {
            let settings =
                read_json::<Envelope<Map<String, Value>>>(&home.file(Area::Settings, role))?;
            let settings = settings.map(|envelope| envelope.value).unwrap_or_default();
            environment.extend(variables(role, &settings));
        }
        let program = Program {
            path,
            arguments: words.collect(),
            environment: Some(environment),
            folder: Some(self.folder.to_owned()),
            stdin: None,
        };
        let is_apart = described.is_some_and(|it| it.network == Some(NetworkKind::Own));
        let network = is_apart.then(|| home.network()).transpose()?;
        Ok(Launch {
            is_held: false,
            role: COMMAND.parse().map_err(TemplateError::Name)?,
            executable: COMMAND.parse().map_err(TemplateError::Name)?,
            prepare: Box::new(move || {
                let program = in_network(program.clone(), network.as_deref());
                program.map(Start::of).map_err(|error| error.to_string())
            }),
            kind: RoleKind::Test,
            conduct: Conduct::default(),
            properties: Box::default(),
            ready_limit: None,
            notices: None,
            ports: Vec::new(),
            owner: None,
            setup: None,
            succeeded: None,
            options: RunOptions::default(),
            restarting: Restarting::default(),
            lock: None,
            log: PathBuf::new(),
            history: None,
            described: None,
            foreground: true,
            reading: Some(reading),
        })
    }
}

/// Checks that the command was started.
fn check_started(commands: &[Ended], options: &Options) -> Result<(), Error> {
    let refused = commands.iter().find(|ended| ended.exit.is_none());
    match refused.and_then(|ended| ended.outcome.fault()) {
        None => Ok(()),
        Some(fault) => Err(Error::Run(RunError::Command {
            command: options.command.first().cloned().unwrap_or_default(),
            reason: fault.explanation,
        })),
    }
}

/// Returns true if a command is Cargo, or a program for it. These change no
/// terminal, so their output can be read on the way to one.
fn is_cargo(command: &[OsString]) -> bool {
    let name = command.first().map(Path::new).and_then(Path::file_name);
    let name = name.and_then(OsStr::to_str).unwrap_or_default();
    name == "cargo" || name.starts_with("cargo-")
}

/// Returns a command as one line.
pub fn text(command: &[OsString]) -> String {
    let words = command.iter().map(|word| word.to_string_lossy());
    shell_words::join(words)
}

/// Returns the outcome of the command `text`: one passed check if it exited with
/// 0, and else a failed check for each panic, and for each test that has failed
/// without one. If there is none, the check fails in the manifest.
fn of_command(
    text: &str,
    exit: Option<Exit>,
    (panics, last_line): (Vec<(Panic, Timestamp)>, String),
    failed: &[FailedTest],
    manifest: Option<&Path>,
) -> RoleOutcome {
    let now = clock::now();
    let tested: Vec<Check> = match exit {
        None => return judge::skipped(),
        Some(Exit::Code(0)) => Vec::new(),
        Some(_) if !(panics.is_empty() && failed.is_empty()) => {
            let has_panicked = |name: &String| panics.iter().any(|(it, _)| it.thread == *name);
            let failed = failed.iter().filter(|it| !has_panicked(&it.name));
            let failed = failed.map(|it| check_of_test(it, manifest));
            panics.iter().map(check_of_panic).chain(failed).collect()
        }
        Some(Exit::Signal(number)) if signal::means_stop(number) => {
            return RoleOutcome::of(&Aborted {}, Cause::Stopped);
        }
        Some(exit) => {
            let exited = judge::exit_text(exit, false, &last_line);
            let manifest = manifest.into_iter();
            let check = |manifest: &Path| Check {
                condition: false,
                line: 1,
                column: None,
                name: COMMAND.to_owned(),
                source: manifest.display().to_string(),
                stamp: judge::stamp(now),
                text: format!("`{text}` {exited}"),
                elapsed_us: None,
            };
            manifest.map(check).collect()
        }
    };
    let passed = exit == Some(Exit::Code(0));
    let failed = if passed { 0 } else { tested.len().max(1) };
    let report = TestReport {
        passed: u64::from(passed),
        failed: failed as u64,
        tested,
        ..TestReport::default()
    };
    RoleOutcome::of(&report, Cause::Returned)
}

fn check_of_panic((panic, at): &(Panic, Timestamp)) -> Check {
    Check {
        condition: false,
        line: panic.line,
        column: Some(panic.column),
        name: panic.thread.clone(),
        source: panic.source.clone(),
        stamp: judge::stamp(*at),
        text: format!("{}: {}", panic.thread, panic.message),
        elapsed_us: None,
    }
}

/// Returns the check of a failed test. Without a place, it fails in the manifest.
fn check_of_test(test: &FailedTest, manifest: Option<&Path>) -> Check {
    let in_manifest = || Some((manifest?.display().to_string(), 1, 1));
    let place = test.place.clone().or_else(in_manifest);
    let (source, line, column) = place.unwrap_or_default();
    Check {
        condition: false,
        line,
        column: Some(column).filter(|column| *column > 0),
        name: test.name.clone(),
        source,
        stamp: judge::stamp(test.at),
        text: format!("{}: {}", test.name, test.text),
        elapsed_us: None,
    }
}

/// Role name of the command in events.
const COMMAND: &str = "command";
/// Environment variable that names the home for the command.
const HOME: &str = "ANSAR_HOME_PATH";

/// Returns the scalar settings of a role as environment variables, such as
/// `ANSAR_SERVER_0_PORT`.
fn variables(role: &RoleName, settings: &Map<String, Value>) -> Vec<(OsString, OsString)> {
    let settings = settings.iter();
    settings
        .filter_map(|(setting, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            };
            let name = format!("ANSAR_{role}_{setting}");
            let name = name.to_ascii_uppercase().replace('-', "_");
            Some((name.into(), value.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_variables_and_the_rest_is_not() {
        let settings = json!({"port": 7, "host": "h", "ready": true, "list": [1], "none": null});
        let role = "server-0".parse().unwrap();
        let variables = variables(&role, settings.as_object().unwrap());
        let lines: Vec<String> = variables
            .iter()
            .map(|(name, value)| [name.to_str().unwrap(), value.to_str().unwrap()].join("="))
            .collect();
        assert_eq!(
            lines,
            [
                "ANSAR_SERVER_0_PORT=7",
                "ANSAR_SERVER_0_HOST=h",
                "ANSAR_SERVER_0_READY=true"
            ]
        );
    }
}
