//! The errors that commands return: an enum for each feature, with its hints and
//! exits beside its variants, and [`Error`], which wraps them.

mod deploy;
mod engine;
mod exit;
mod input;
mod role;
mod run;
mod text;
mod workspace;

use std::path::Path;

use ansar_contract::envelope::Envelope;
use serde::de::DeserializeOwned;

use crate::error::exit::of_cargo;
use crate::error::text::LIST_EXECUTABLES;
use crate::home::program::ProgramError;
use crate::home::{HomeError, from_json};
use crate::host::cargo::CargoError;
use crate::host::fs::Error as FilesError;
use crate::host::process::interrupts::{Interrupt, Interrupted};
use crate::logs::query::QueryError;
use crate::manifest::DescriptionError;
use crate::model::merge::MergeError;
use crate::model::name::{Kind, NameError};
use crate::model::name_template::TemplateError;
use crate::model::remote::RemoteError;
use crate::model::role_search::SearchError;

pub use crate::error::deploy::DeployError;
pub use crate::error::engine::EngineError;
pub use crate::error::exit::Exit;
pub use crate::error::input::InputError;
pub use crate::error::role::RoleError;
pub use crate::error::run::RunError;
pub use crate::error::workspace::WorkspaceError;

/// Reason why an operation failed. A failed operation changes nothing, unless
/// its documentation says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Errors of a workspace, its manifest and its targets.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// Errors of executables and materials, and of what a component accepts.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// Errors of a home and of the roles that a command names.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Errors of values that the user gives.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Errors of runs of roles, of tests and of a command.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Errors of engines and of the processes that they run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// `[workspace.metadata.ansar]` is invalid.
    #[error(transparent)]
    Description(#[from] Box<DescriptionError>),
    /// The home, or a file in it, is invalid.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Cargo failed.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// A program cannot be run as its role describes.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A template of role names is invalid.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A role search is invalid.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A text is not a valid name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A log query has no valid range.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Roles cannot run on other machines.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Results of several machines cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The command was interrupted.
    #[error("interrupted")]
    Interrupted(Interrupt),
    /// A system call failed.
    #[error("failed to {what}")]
    System {
        /// Failed action.
        what: &'static str,
        /// Cause.
        source: std::io::Error,
    },
}

/// Returns the texts of an error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Decodes an input file. Unlike an invalid file of the home, an invalid input
/// file is a usage error.
pub(crate) fn decode_input_file<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
) -> Result<T, Error> {
    from_json::<Envelope<T>>(path, bytes)
        .map(|envelope| envelope.value)
        .map_err(|error| in_input_file(error, None))
}

/// Turns invalid content into an error of an input file. `example` is a valid
/// value.
pub(crate) fn in_input_file(error: HomeError, example: Option<&'static str>) -> Error {
    match error {
        HomeError::Content { path, reason } => InputError::InputFile {
            path,
            reason,
            example,
        }
        .into(),
        error => error.into(),
    }
}

impl From<DescriptionError> for Error {
    fn from(error: DescriptionError) -> Self {
        Self::Description(Box::new(error))
    }
}

impl Error {
    /// Returns the interrupt that ended the operation, during a wait or in the
    /// middle of a long step.
    pub fn interrupt(&self) -> Option<Interrupt> {
        match self {
            Self::Interrupted(interrupt) => Some(*interrupt),
            error => Interrupted::cause_of(error),
        }
    }

    /// Returns a function that makes the error of a checkpoint. `what` is the
    /// operation that failed.
    pub(crate) fn stopped(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }.or_interrupted()
    }

    /// Returns [`Error::Interrupted`] if an interrupt is among the causes, else
    /// the error itself.
    pub(crate) fn or_interrupted(self) -> Self {
        self.interrupt().map_or(self, Self::Interrupted)
    }

    /// Returns a hint that says what to type next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Workspace(error) => error.hint(),
            Self::Deploy(error) => error.hint(),
            Self::Role(error) => error.hint(),
            Self::Input(error) => error.hint(),
            Self::Run(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Home(error) => error.hint(),
            Self::Program(error) => error.hint(),
            Self::Remote(error) => error.hint(),
            Self::Merge(error) => error.hint(),
            Self::Template(error) => error.hint(),
            Self::Name(error) => Some(match (error.kind(), error.similar()) {
                (Kind::Executable, _) => LIST_EXECUTABLES.to_owned(),
                (Kind::Role, None) => "list the roles with `cargo ansar list`".to_owned(),
                (Kind::Role, Some(meant)) => {
                    format!("did you mean `{meant}`? see all with `cargo ansar list`")
                }
            }),
            Self::Description(_)
            | Self::Files(_)
            | Self::Cargo(_)
            | Self::Search(_)
            | Self::Query(_)
            | Self::Interrupted(_)
            | Self::System { .. } => None,
        }
    }

    /// Returns the exit of a command that fails so.
    pub fn exit(&self) -> Exit {
        if let Some(interrupt) = self.interrupt() {
            return Exit::Interrupted(interrupt);
        }
        match self {
            Self::Workspace(error) => error.exit(),
            Self::Deploy(error) => error.exit(),
            Self::Role(error) => error.exit(),
            Self::Input(error) => error.exit(),
            Self::Run(error) => error.exit(),
            Self::Engine(error) => error.exit(),
            Self::Description(_) | Self::Files(_) | Self::System { .. } => Exit::Setup,
            Self::Home(error) => match error {
                HomeError::Running(_) => Exit::Running,
                HomeError::RoleExists(_) => Exit::Usage,
                _ => Exit::Setup,
            },
            Self::Cargo(error) => of_cargo(error),
            Self::Program(_) => Exit::DeployFailed,
            Self::Template(_) | Self::Search(_) | Self::Name(_) | Self::Query(_) => Exit::Usage,
            Self::Remote(error) => match error {
                RemoteError::NotPlaced { .. } => Exit::TimedOut,
                RemoteError::NotWith(_) | RemoteError::NoArguments => Exit::Usage,
                RemoteError::NoCommand
                | RemoteError::CannotPlace { .. }
                | RemoteError::Unplaced { .. }
                | RemoteError::Role { .. }
                | RemoteError::NoShard { .. }
                | RemoteError::Loopback { .. }
                | RemoteError::Setting { .. }
                | RemoteError::Pod { .. }
                | RemoteError::Agent(_) => Exit::Setup,
            },
            Self::Merge(error) => match error {
                MergeError::NoFile(_)
                | MergeError::NoVerdict(_)
                | MergeError::OtherDivision { .. }
                | MergeError::Twice { .. } => Exit::Usage,
                MergeError::Missing { .. } => Exit::TestsFailed,
            },
            Self::Interrupted(interrupt) => Exit::Interrupted(*interrupt),
        }
    }
}
