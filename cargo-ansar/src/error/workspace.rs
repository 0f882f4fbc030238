//! Errors of a workspace, its manifest and its targets.

use std::path::PathBuf;

use crate::error::exit::{Exit, of_cargo};
use crate::host::cargo::CargoError;
use crate::manifest::import::ImportError;
use crate::manifest::init::ProposalError;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::test_target::TestTarget;

/// Errors of a workspace, its manifest and its targets.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// No workspace was found, but one is needed.
    #[error("no `Cargo.toml` in `{folder}` or any folder above", folder = .0.display())]
    NoWorkspace(PathBuf),
    /// The workspace describes no roles, but some are needed.
    #[error("`{manifest}` describes no roles", manifest = .0.display())]
    NotDescribed(PathBuf),
    /// The manifest is not valid TOML.
    #[error("{manifest}: {reason}", manifest = manifest.display())]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// Position and reason.
        reason: String,
    },
    /// `init` found nothing to propose.
    #[error("{manifest}: {error}", manifest = manifest.display())]
    Proposal {
        /// The manifest.
        manifest: PathBuf,
        /// Reason.
        error: ProposalError,
    },
    /// `init --from` cannot translate a file.
    #[error("{file}:{line}: {reason}", file = file.display(), line = error.line, reason = error.reason)]
    Import {
        /// The file.
        file: PathBuf,
        /// Line and reason.
        error: ImportError,
    },
    /// A variable of Cargo refers to a value that does not exist yet.
    #[error("variable `{variable}` of the build needs `{placeholder}`, which has no value yet")]
    NoBuildValue {
        /// The variable.
        variable: String,
        /// The placeholder.
        placeholder: String,
    },
    /// Cargo failed after it had reported all artifacts as built, and after
    /// they were used.
    #[error("cargo failed after it had built everything: {0}")]
    CargoAfterwards(CargoError),
    /// A binary exists in several packages.
    #[error("executable `{executable}` is a binary of {}", packages.join(" and of "))]
    Ambiguous {
        /// The executable.
        executable: ExecutableName,
        /// The packages, in back-quotes.
        packages: Vec<String>,
    },
    /// The manifest names an executable that its package does not have.
    #[error("package `{package}` has no binary `{executable}`")]
    NotInPackage {
        /// The executable.
        executable: ExecutableName,
        /// The package.
        package: String,
    },
    /// A described role runs an executable that is neither a binary of the
    /// workspace nor deployed in the home, and is probably misspelt.
    #[error(
        "role `{role}`{place}: executable `{executable}` not found: not a binary of this workspace, \
         and not deployed in this home"
    )]
    NoBinary {
        /// The role.
        role: RoleName,
        /// Position of its description, as ` (FILE:LINE)`.
        place: String,
        /// The executable.
        executable: ExecutableName,
        /// Similar binary of the workspace, as a suggestion.
        meant: String,
    },
    /// The workspace has no such test target.
    #[error("test target not found: no {test} in this workspace")]
    NoTestTarget {
        /// The target.
        test: TestTarget,
        /// Similar name, as a suggestion.
        meant: Option<String>,
    },
    /// Several packages have a test target.
    #[error("{test} is in several packages: {}", packages.join(", "))]
    AmbiguousTest {
        /// The target.
        test: TestTarget,
        /// The packages.
        packages: Vec<String>,
    },
}

impl WorkspaceError {
    /// Returns a hint that says what to type next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoWorkspace(_) => {
                Some("go to the workspace, or name it with `--manifest-path`".to_owned())
            }
            Self::NotDescribed(_) => Some("describe roles with `cargo ansar init`".to_owned()),
            Self::Proposal { error, .. } => error.hint(),
            Self::Ambiguous { packages, .. } => packages.first().map(|package| {
                format!(
                    "choose one with `package = \"{}\"` beside `executable` in `Cargo.toml`",
                    package.trim_matches('`')
                )
            }),
            Self::NoTestTarget { meant, .. } => {
                meant.as_ref().map(|name| format!("did you mean `{name}`?"))
            }
            Self::NoBinary { meant, .. } => Some(format!("did you mean `{meant}`?")),
            Self::AmbiguousTest { packages, .. } => packages
                .first()
                .map(|package| format!("set `package = \"{package}\"`")),
            Self::NoBuildValue { .. } => {
                Some("deploy the roles first with `cargo ansar deploy`".to_owned())
            }
            Self::Manifest { .. }
            | Self::Import { .. }
            | Self::CargoAfterwards(_)
            | Self::NotInPackage { .. } => None,
        }
    }

    /// Returns the exit of a command that fails so.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NoWorkspace(_)
            | Self::NotDescribed(_)
            | Self::Manifest { .. }
            | Self::Proposal { .. }
            | Self::Import { .. }
            | Self::NoBuildValue { .. }
            | Self::Ambiguous { .. }
            | Self::NotInPackage { .. }
            | Self::NoBinary { .. }
            | Self::NoTestTarget { .. }
            | Self::AmbiguousTest { .. } => Exit::Setup,
            Self::CargoAfterwards(error) => of_cargo(error),
        }
    }
}
