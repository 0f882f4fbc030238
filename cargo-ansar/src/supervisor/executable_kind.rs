//! The kind of an executable: a component or any other program. It is read from
//! the marker of the file, never found out by running it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ansar_contract::VERSION;
use ansar_contract::marker::Kind;

use crate::error::{DeployError, Error};
use crate::home::Home;
use crate::home::program::{ProgramError, ProgramSearch, base};
use crate::home::role::Entry;
use crate::host::fs;
use crate::host::process::unprivileged;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::Template;
use crate::model::readiness::Probe;

/// The kind of an executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExecutableKind {
    /// It follows the contract of components.
    Component {
        /// True if it is a script, which may know only a part of the contract.
        is_script: bool,
    },
    /// It wraps its own `main`: a program whose stdout is a part of the log up to
    /// a message, and which is told its role.
    Wrapped {
        /// True if it announces that it is ready.
        announces: bool,
    },
    /// Any other program.
    Program,
    /// A test target, which a process of this tool runs.
    Tests,
}

impl ExecutableKind {
    /// Returns true if the executable follows the contract of components.
    pub(crate) fn is_component(self) -> bool {
        matches!(self, Self::Component { .. })
    }
}

/// Returns an error if the file of an executable is not a component of this
/// contract version. `subject` begins the message and names the role.
pub(crate) fn recognize(subject: String, name: &ExecutableName, path: &Path) -> Result<(), Error> {
    match fs::marker(path)? {
        Kind::Component(VERSION) => Ok(()),
        Kind::Component(version) => Err(Error::Deploy(DeployError::OtherContract {
            subject,
            executable: name.clone(),
            version,
        })),
        Kind::Wrapped { .. } => Err(Error::Deploy(DeployError::WrapsItsMain {
            subject,
            executable: name.to_string(),
        })),
        kind => Err(Error::Deploy(DeployError::NotAComponent {
            subject,
            executable: name.to_string(),
            is_script: kind == Kind::Script,
        })),
    }
}

/// Returns the kind of the executable of a role, whose file is at `path`.
/// `subject` begins the message of an error and names the role.
pub(crate) fn kind_of(
    subject: String,
    entry: &Entry,
    path: &Path,
) -> Result<ExecutableKind, Error> {
    if entry.properties.test.is_some() {
        return Ok(ExecutableKind::Tests);
    }
    if entry.properties.is_program() || entry.properties.component == Some(false) {
        return Ok(ExecutableKind::Program);
    }
    let component = || ExecutableKind::Component {
        is_script: fs::is_script(path),
    };
    if entry.properties.component == Some(true) {
        return Ok(component());
    }
    match fs::marker(path)? {
        Kind::Component(VERSION) => Ok(component()),
        Kind::Wrapped {
            version: VERSION,
            announces,
        } => Ok(ExecutableKind::Wrapped { announces }),
        Kind::Component(version) | Kind::Wrapped { version, .. } => {
            Err(Error::Deploy(DeployError::OtherContract {
                subject,
                executable: entry.executable.clone(),
                version,
            }))
        }
        Kind::Script | Kind::Other => Ok(ExecutableKind::Program),
    }
}

/// Returns the path of the program of a role, which may not exist if it is an
/// executable of the home.
pub(crate) fn path_of(
    home: &Home,
    role: &RoleName,
    entry: &Entry,
    environment: &[(OsString, OsString)],
) -> Result<PathBuf, Error> {
    if entry.properties.is_program() {
        let search = ProgramSearch {
            base: base(home),
            environment,
        };
        return Ok(search.program(role, entry)?);
    }
    Ok(home.runnable(&entry.executable)?)
}

/// Checks, before any of the roles starts, that their programs and the commands
/// that they need exist, and that their properties fit their kinds. `place`
/// returns the position of a role's description, as ` (FILE:LINE)`.
///
/// Executables that are missing in the home are reported by the launch.
pub(crate) fn check_all(
    home: &Home,
    entries: &BTreeMap<RoleName, Entry>,
    environment: &[(OsString, OsString)],
    place: impl Fn(&RoleName) -> String,
) -> Result<(), Error> {
    for (role, entry) in entries {
        let checked = check(home, role, entry, environment, &place);
        checked.map_err(|error| match error {
            Error::Program(error) => error.at(&place(role)).into(),
            other => other,
        })?;
    }
    Ok(())
}

fn check(
    home: &Home,
    role: &RoleName,
    entry: &Entry,
    environment: &[(OsString, OsString)],
    place: &impl Fn(&RoleName) -> String,
) -> Result<(), Error> {
    let path = path_of(home, role, entry, environment)?;
    if !fs::is_file(&path) {
        return Ok(());
    }
    let subject = format!("role `{role}`{}: ", place(role));
    let kind = kind_of(subject, entry, &path)?;
    if kind.is_component() {
        if let Some(property) = of_programs(entry) {
            return Err(ProgramError::ProgramOnly {
                role: role.clone(),
                place: String::new(),
                property,
                executable: entry.executable.to_string(),
            }
            .into());
        }
    }
    if let Some(program) = refusing_root(entry, &path) {
        return Err(ProgramError::RefusesRoot {
            role: role.clone(),
            place: String::new(),
            program,
        }
        .into());
    }
    let search = ProgramSearch {
        base: base(home),
        environment,
    };
    for (user, name) in commands(entry) {
        // A placeholder is resolved only at the start.
        if name.uses().next().is_none() && search.command(Some(&path), name.text()).is_none() {
            return Err(ProgramError::CommandNotFound {
                role: role.clone(),
                place: String::new(),
                program: name.text().to_owned(),
                user,
                beside: entry.properties.is_program().then_some(path),
            }
            .into());
        }
    }
    Ok(())
}

/// Returns the program of a role, at `path`, or of its setup, if it would be
/// started by root and is known to refuse that.
fn refusing_root(entry: &Entry, path: &Path) -> Option<String> {
    const REFUSING: [&str; 3] = ["postgres", "initdb", "pg_ctl"];
    let properties = &entry.properties;
    if properties.unprivileged || !properties.is_program() || !unprivileged::is_root() {
        return None;
    }
    let setup = properties.setup.iter().filter_map(|words| words.first());
    let paths = setup.map(|word| Path::new(word.text()));
    std::iter::once(path)
        .chain(paths)
        .filter_map(|path| path.file_name()?.to_str())
        .find(|name| REFUSING.contains(name))
        .map(str::to_owned)
}

/// Returns the first property of a role that components do not have.
fn of_programs(entry: &Entry) -> Option<&'static str> {
    let properties = &entry.properties;
    let set = [
        ("args", !properties.args.is_empty()),
        ("setup", !properties.setup.is_empty()),
        ("unprivileged", properties.unprivileged),
    ];
    set.into_iter().find_map(|(name, set)| set.then_some(name))
}

/// Returns the commands of a role, each with the property that names it.
pub(crate) fn commands(entry: &Entry) -> impl Iterator<Item = (&'static str, &Template)> {
    let properties = &entry.properties;
    let own = [
        ("setup", &properties.setup),
        ("before", &properties.before),
        ("after-all", &properties.after_all),
    ];
    let own = own.into_iter().flat_map(|(property, commands)| {
        let names = commands.iter().filter_map(|command| command.first());
        names.map(move |name| (property, name))
    });
    let ready = properties.ready.0.iter().filter_map(command_of);
    let health = properties.health.iter();
    let health = health.filter_map(|health| command_of(&health.probe));
    own.chain(ready.map(|name| ("readiness probe", name)))
        .chain(health.map(|name| ("health probe", name)))
}

fn command_of(probe: &Probe<Template>) -> Option<&Template> {
    match probe {
        Probe::Command { command, .. } => command.first(),
        _ => None,
    }
}
