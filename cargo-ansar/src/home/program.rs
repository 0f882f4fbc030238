//! Programs that are no components: finding them, and errors about them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::home::Home;
use crate::home::role::Entry;
use crate::host::net::sockets::Owner;
use crate::host::{environment, fs};
use crate::model::name::RoleName;
use crate::model::placeholder::Placeholder;
use crate::model::quoted::{escaped, quoted_list};

/// An error about the program of a role, or about properties that do not fit
/// it. `place` is the position of the role's description, as ` (FILE:LINE)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// None of the candidates exists.
    #[error("role `{role}`{place}: program {} not found", or(candidates))]
    NotFound {
        /// The role.
        role: RoleName,
        /// Position of its description.
        place: String,
        /// The candidates.
        candidates: Vec<String>,
    },
    /// A command that the role needs does not exist.
    #[error(
        "role `{role}`{place}: program `{}` not found, needed by its {user}",
        escaped(program)
    )]
    CommandNotFound {
        /// The role.
        role: RoleName,
        /// Position of its description.
        place: String,
        /// The command.
        program: String,
        /// The property that names it: `setup`, `ready` or `health`.
        user: &'static str,
        /// The program of the role, beside which commands are found.
        beside: Option<PathBuf>,
    },
    /// A property of components belongs to a role that is none.
    #[error(
        "role `{role}`{place}: `{property}` is for components, and `{executable}` {}",
        if *wraps { "wraps its own `main`" } else { "does not link ansar-runtime" }
    )]
    ComponentOnly {
        /// The role.
        role: RoleName,
        /// Position of its description.
        place: String,
        /// The property.
        property: &'static str,
        /// The executable of the role.
        executable: String,
        /// True if it links ansar-runtime only to wrap its own `main`.
        wraps: bool,
    },
    /// A property of programs belongs to a component.
    #[error("role `{role}`{place}: `{property}` is not for components, and `{executable}` is one")]
    ProgramOnly {
        /// The role.
        role: RoleName,
        /// Position of its description.
        place: String,
        /// The property.
        property: &'static str,
        /// The executable of the role.
        executable: String,
    },
    /// A file with environment variables cannot be used.
    #[error("role `{role}`: environment file `{}`: {reason}", path.display())]
    EnvFile {
        /// The role.
        role: RoleName,
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A file with environment variables of all roles cannot be used.
    #[error("environment file `{}`: {reason}", path.display())]
    SharedEnvFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Another program has the port of a role.
    #[error("role `{role}`: port {port} is in use{}", by(owner.as_ref()))]
    PortTaken {
        /// The role.
        role: RoleName,
        /// The port.
        port: u16,
        /// True if the description of the role asks for this port.
        is_fixed: bool,
        /// The process that listens on it, if it is known.
        owner: Option<Owner>,
    },
    /// The system does not let a role have its port.
    #[error("role `{role}`: port {port} cannot be used: {reason}")]
    PortRefused {
        /// The role.
        role: RoleName,
        /// The port.
        port: u16,
        /// The reason.
        reason: String,
    },
    /// A program that refuses to run as root would be started by root.
    #[error("role `{role}`{place}: `{program}` refuses to run as root")]
    RefusesRoot {
        /// The role.
        role: RoleName,
        /// Position of its description.
        place: String,
        /// The name of the program.
        program: String,
    },
    /// A component was replaced by another program, or the reverse, while its
    /// role ran.
    #[error("role `{role}`: executable `{executable}` was replaced by one of another kind")]
    OtherKind {
        /// The role.
        role: RoleName,
        /// The executable.
        executable: String,
    },
    /// A test role cannot have its own instance of a role.
    #[error("role `{test}` cannot have its own `{role}`: {reason}")]
    Fresh {
        /// The test role.
        test: RoleName,
        /// The role.
        role: RoleName,
        /// The reason.
        reason: String,
    },
    /// A role has no port of this name.
    #[error("role `{role}` has no port `{port}`")]
    NoPort {
        /// The role.
        role: RoleName,
        /// The name of the port.
        port: String,
        /// The ports that it has.
        others: Vec<String>,
    },
    /// A placeholder has no value.
    #[error(transparent)]
    NoValue(#[from] NoValue),
}

/// A placeholder that has no value for a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("role `{role}`: `{placeholder}` has no value: {reason}")]
pub struct NoValue {
    /// The role whose text has the placeholder.
    pub role: RoleName,
    /// The placeholder.
    pub placeholder: Placeholder,
    /// The reason.
    pub reason: String,
}

impl ProgramError {
    /// Returns the error with the position of the role's description.
    #[must_use]
    pub fn at(mut self, described: &str) -> Self {
        match &mut self {
            Self::NotFound { place, .. }
            | Self::CommandNotFound { place, .. }
            | Self::ComponentOnly { place, .. }
            | Self::ProgramOnly { place, .. }
            | Self::RefusesRoot { place, .. } => described.clone_into(place),
            _ => {}
        }
        self
    }

    /// Returns the step that resolves the error.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => {
                "install it, add it to PATH, or name its path from the workspace root".to_owned()
            }
            Self::CommandNotFound { beside, .. } => match beside {
                Some(program) => format!(
                    "install it or add it to PATH (looked beside {} and on PATH)",
                    program.display()
                ),
                None => "install it or add it to PATH".to_owned(),
            },
            Self::ComponentOnly { .. } => "use `args` and `env`".to_owned(),
            Self::ProgramOnly { .. } => "use `settings` and `env`".to_owned(),
            Self::EnvFile { .. } | Self::SharedEnvFile { .. } => {
                "create it, or write `{ path = \"…\", optional = true }`".to_owned()
            }
            Self::PortTaken { is_fixed: true, .. } => {
                "end that process, or change the port in `ports`".to_owned()
            }
            Self::PortTaken { role, .. } => format!(
                "end that process, or let a deploy choose another port: `cargo ansar deploy` \
                 and `cargo ansar start {role}`"
            ),
            Self::PortRefused { .. } => "choose a port above 1023 in `ports`".to_owned(),
            Self::NoPort { role, others, .. } => match others.first() {
                Some(port) => format!("name one that it has: `cargo ansar address {role}/{port}`"),
                None => "use `{port}` in its arguments or environment, and deploy".to_owned(),
            },
            Self::RefusesRoot { .. } => {
                "set `unprivileged = true`, or run as another user".to_owned()
            }
            Self::Fresh { test, .. } => {
                format!("change the property with `cargo ansar edit fresh {test}`")
            }
            Self::OtherKind { role, .. } => format!("run `cargo ansar start {role}` again"),
            Self::NoValue(error) => {
                error.placeholder.port()?;
                "allocate ports with `cargo ansar deploy`".to_owned()
            }
        })
    }
}

fn by(owner: Option<&Owner>) -> String {
    let text = owner.map(|owner| format!(" by process {} <{}>", escaped(&owner.name), owner.pid));
    text.unwrap_or_default()
}

fn or(candidates: &[String]) -> String {
    quoted_list(candidates).replace(", ", " or ")
}

/// Returns the folder that relative paths of a role's properties begin at: the
/// root of the workspace, or the home without one.
pub fn base(home: &Home) -> &Path {
    home.workspace().unwrap_or_else(|| home.root())
}

/// The folders and the environment that a search for programs uses.
#[derive(Debug, Clone, Copy)]
pub struct ProgramSearch<'a> {
    /// The folder that paths begin at.
    pub base: &'a Path,
    /// The environment of roles, with `PATH`.
    pub environment: &'a [(OsString, OsString)],
}

impl ProgramSearch<'_> {
    /// Finds the program of a role: the first candidate that is an executable
    /// file. A name without `/` is looked for on `PATH`, a path from the
    /// workspace root.
    pub fn program(&self, role: &RoleName, entry: &Entry) -> Result<PathBuf, ProgramError> {
        let candidates = &entry.properties.program;
        let found = candidates.iter().find_map(|name| self.locate(name));
        found.ok_or_else(|| ProgramError::NotFound {
            role: role.clone(),
            place: String::new(),
            candidates: candidates.clone(),
        })
    }

    /// Finds a command that a role needs: beside its program, with links
    /// resolved, then as [`program`](Self::program) does.
    pub fn command(&self, program: Option<&Path>, name: &str) -> Option<PathBuf> {
        let beside = program
            .filter(|_| !name.contains('/'))
            .and_then(|program| fs::resolve(program).ok())
            .and_then(|program| Some(program.parent()?.join(name)))
            .filter(|path| fs::is_executable(path));
        beside.or_else(|| self.locate(name))
    }

    /// Finds a program on `PATH`, or below the base if its name has a `/`,
    /// where `*` matches any part of a name and the last match counts.
    fn locate(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            let mut matches = fs::matching(self.base, name);
            matches.retain(|path| fs::is_executable(path));
            return matches.pop();
        }
        let mut variables = self.environment.iter();
        let (_, folders) = variables.find(|(variable, _)| variable == "PATH")?;
        environment::split_paths(folders)
            .map(|folder| self.base.join(folder).join(name))
            .find(|path| fs::is_executable(path))
    }
}
