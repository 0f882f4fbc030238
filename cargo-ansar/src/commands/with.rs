//! `cargo ansar with`: run a command while the operational roles run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use ansar_contract::envelope::Envelope;
use ansar_contract::launch;
use ansar_contract::layout::Area;
use ansar_contract::line::Level;
use serde_json::{Map, Value};

use crate::deploy::prepare::{Prepared, prepare};
use crate::deploy::restart_affected::Running;
use crate::error::Error;
use crate::events::Events;
use crate::home::history;
use crate::home::role::{Entry, Origin};
use crate::home::{Home, read_json};
use crate::host::environment;
use crate::host::process::interrupts::{Interrupt, Interrupts};
use crate::host::process::{Exit, Program};
use crate::model::name::RoleName;
use crate::model::name_template::TemplateError;
use crate::model::role_properties::RoleProperties;
use crate::model::role_search::RoleSearch;
use crate::protocol::RunOptions;
use crate::supervisor::background::wait_ready;
use crate::supervisor::engine::Ended;
use crate::supervisor::launch::{Conduct, Launch, Start};
use crate::supervisor::lock_roles::stop_running;
use crate::supervisor::one_shot;
use crate::supervisor::restart::Restarting;
use crate::supervisor::role_environment::{configured, of_cargo, of_description};
use crate::supervisor::scheduler::{Policy, RoleKind};
use crate::testing::run::Runner;
use crate::testing::tests as pattern_of_tests;
use crate::testing::verdict::Verdict;
use crate::workspace::build;
use crate::workspace::roles::{check_terms, or_retired, wanted};
use crate::workspace::{Places, Workspace};

/// Options of `with`.
#[derive(Debug)]
pub struct Options {
    /// Workspace and home.
    pub places: Places,
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
    /// Interrupt that ended it, if one did.
    pub interrupted: Option<Interrupt>,
}

/// Rejects a search with a term that matches no operational role, before
/// anything is built.
fn check_any(
    search: &RoleSearch,
    workspace: Option<&Workspace>,
    entries: &BTreeMap<RoleName, Entry>,
) -> Result<(), Error> {
    let pattern = pattern_of_tests(workspace)?;
    let roles = wanted(workspace, entries).filter(|(role, _)| !pattern.matches(role));
    let roles = roles.map(|(role, executable)| (role.as_str(), executable));
    check_terms("operational role", search, &roles).map_err(|error| or_retired(error, entries))
}

/// Starts the operational roles, runs the command in the foreground once they
/// are ready, and stops them when it has ended.
pub async fn with(
    options: &Options,
    interrupts: &mut Interrupts,
    events: &Events,
) -> Result<Outcome, Error> {
    let Prepared {
        workspace,
        home,
        entries: mut chosen,
        artifacts,
        leaving,
        lock,
        ..
    } = prepare(
        &options.places,
        &options.build,
        Running::implied(options.force),
        |workspace, entries| check_any(&options.search, workspace, entries),
        interrupts,
        events,
    )
    .await?;
    // The command may run Cargo, which would wait for the lock of this one.
    build::wait_exit_after_use(leaving, interrupts).await?;
    let pattern = pattern_of_tests(workspace.as_ref())?;
    let finished = one_shot::finished(&home, &chosen)?;
    chosen.retain(|role, entry| {
        entry.origin != Origin::Retired
            && !finished.contains(role)
            && !pattern.matches(role)
            && options.search.matches(role, &entry.executable)
    });
    let services = chosen.values_mut();
    for entry in services.filter(|entry| !entry.properties.ready.is_done()) {
        // Operational roles run as long as the command.
        entry.properties.timeout = None;
    }
    // The command may itself run `cargo ansar` in this home.
    drop(lock);
    let runner = Runner {
        home: &home,
        workspace: workspace.as_ref(),
        shown: options.shown,
        kind: history::Kind::With,
        policy: Policy::default(),
        given: None,
        settings: &[],
        first: None,
        begun: None,
    };
    let background = wait_ready(&home, chosen.iter(), interrupts, events).await?;
    let command = command(options, &home, workspace.as_ref(), &chosen)?;
    let mut launched = chosen;
    launched.retain(|role, _| !background.has(role));
    if options.force {
        stop_running(&home, launched.keys(), interrupts, events).await?;
    }
    let ran = runner
        .run(
            &launched,
            |_| RoleKind::Operational,
            Some(command),
            interrupts,
            events,
        )
        .await?;
    let (commands, roles): (Vec<Ended>, Vec<Ended>) = ran
        .ended
        .into_iter()
        .partition(|ended| ended.kind == RoleKind::Test);
    let refused = commands.iter().find(|ended| ended.exit.is_none());
    if let Some(fault) = refused.and_then(|ended| ended.outcome.fault()) {
        return Err(Error::Command {
            command: options.command.first().cloned().unwrap_or_default(),
            reason: fault.explanation,
        });
    }
    let mut role_runs = runner.role_runs(&roles, |_| false);
    let exit = commands.iter().find_map(|ended| ended.exit);
    let has_failed = exit != Some(Exit::Code(0));
    let failed = background.failed_since(&home, has_failed).await?;
    role_runs.extend(runner.failed_in_background(failed));
    let mut sources = runner.sources(Vec::new(), artifacts.into_values().collect());
    Ok(Outcome {
        exit,
        verdict: Verdict::of(&role_runs, &mut sources),
        interrupted: ran.interrupted,
    })
}

/// Returns the launch of the command, which starts like a test: once all
/// operational roles are ready.
fn command(
    options: &Options,
    home: &Home,
    workspace: Option<&Workspace>,
    roles: &BTreeMap<RoleName, Entry>,
) -> Result<Launch, Error> {
    let mut words = options.command.iter().cloned();
    let path = PathBuf::from(words.next().unwrap_or_default());
    let mut environment = configured(environment::all(), &of_cargo(home));
    environment.push((HOME.into(), home.root().into()));
    let ports = home.ports()?;
    let described = workspace.and_then(|workspace| workspace.description.as_ref());
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
    for role in roles.keys() {
        let settings = read_json::<Envelope<Map<String, Value>>>(&home.file(Area::Settings, role))?;
        let settings = settings.map(|envelope| envelope.value).unwrap_or_default();
        environment.extend(variables(role, &settings));
    }
    let program = Program {
        path,
        arguments: words.collect(),
        environment: Some(environment),
        folder: Some(options.places.folder.clone()),
        stdin: None,
    };
    Ok(Launch {
        role: COMMAND.parse().map_err(TemplateError::Name)?,
        executable: COMMAND.parse().map_err(TemplateError::Name)?,
        prepare: Box::new(move || Ok(Start::of(program.clone()))),
        kind: RoleKind::Test,
        conduct: Conduct::default(),
        properties: RoleProperties::default(),
        ready_limit: None,
        notices: None,
        ports: Vec::new(),
        succeeded: None,
        options: RunOptions::default(),
        restarting: Restarting::default(),
        lock: None,
        log: PathBuf::new(),
        history: None,
        described: None,
        foreground: true,
    })
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
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
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
