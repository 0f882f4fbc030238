//! Errors of executables and materials, and of what a component accepts.

use std::path::{Path, PathBuf};

use crate::error::exit::Exit;
use crate::error::text::LIST_EXECUTABLES;
use crate::home::shell_quoted;
use crate::model::name::{ExecutableName, RoleName};

/// Errors of executables and materials, and of what a component accepts.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// An executable is neither built by the workspace nor deployed in the
    /// home.
    #[error(
        "executable `{name}` not found: not a binary of this workspace, and not deployed in this home"
    )]
    NoExecutable {
        /// Requested name.
        name: ExecutableName,
        /// Similar name, as a suggestion.
        meant: Option<String>,
    },
    /// A file or folder could not be deployed.
    #[error("failed to deploy `{what}`")]
    Failed {
        /// Name of the executable or material.
        what: String,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A named folder does not exist, or is not a folder.
    #[error("no folder `{}`", .0.display())]
    NoFolder(PathBuf),
    /// A folder of executables contains none.
    #[error("no executables in `{}`", folder.display())]
    NoExecutables {
        /// The folder.
        folder: PathBuf,
        /// True if the folder has the layout of a snapshot.
        is_snapshot: bool,
    },
    /// The source of a copy is inside its target, or the reverse.
    #[error("cannot copy between `{}` and `{}`: one is inside the other", inner.display(), outer.display())]
    Nested {
        /// The inner folder.
        inner: PathBuf,
        /// The outer one.
        outer: PathBuf,
    },
    /// A flag has no effect.
    #[error("`{flag}` has no effect: {why}")]
    NoEffect {
        /// The flag.
        flag: &'static str,
        /// Reason.
        why: &'static str,
    },
    /// A material could not be copied to the snapshot.
    #[error("failed to copy `{what}` to the snapshot")]
    Snapshot {
        /// Name of the material.
        what: String,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A component rejected its settings or input.
    #[error("role `{role}`{place}: {reason}")]
    Rejected {
        /// The role.
        role: RoleName,
        /// Position of its description, as ` (FILE:LINE)`.
        place: String,
        /// Reason that the component states.
        reason: String,
        /// Hint of the component.
        tip: Option<String>,
    },
    /// An executable does not link ansar-runtime.
    #[error(
        "{subject}executable `{executable}` is not a component: it does not link ansar-runtime"
    )]
    NotAComponent {
        /// Role that runs it, as `role ROLE: `.
        subject: String,
        /// The executable, by its name or its path.
        executable: String,
        /// True if it is a script.
        is_script: bool,
    },
    /// An executable wraps its own `main`, and reads no settings.
    #[error(
        "{subject}executable `{executable}` wraps its own `main`, and takes no settings or input"
    )]
    WrapsItsMain {
        /// Role that runs it, as `role ROLE: `.
        subject: String,
        /// The executable, by its name or its path.
        executable: String,
    },
    /// A path was passed, but the name of an executable is expected.
    #[error("expected the name of an executable, found the path `{}`", .0.display())]
    ExecutablePath(PathBuf),
    /// An executable uses another version of the contract.
    #[error(
        "{subject}executable `{executable}` was built for contract version {version}; \
         this `cargo ansar` supports {}",
        ansar_contract::VERSION
    )]
    OtherContract {
        /// Role that runs it, as `role ROLE: `.
        subject: String,
        /// The executable.
        executable: ExecutableName,
        /// Version that the executable uses.
        version: u32,
    },
}

impl DeployError {
    /// Returns a hint that says what to type next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoExecutable { meant, .. } => Some(match meant {
                Some(name) => format!("did you mean `{name}`?"),
                None => LIST_EXECUTABLES.to_owned(),
            }),
            Self::NoExecutables {
                folder,
                is_snapshot: true,
            } => Some(deploy_snapshot(folder)),
            Self::Nested { .. } => Some("name a folder outside of the home".to_owned()),
            Self::Rejected { tip, .. } => tip.clone(),
            Self::NotAComponent { is_script, .. } => {
                Some(how_to_be_a_component(*is_script).to_owned())
            }
            Self::WrapsItsMain { .. } => Some("use `args` and `env`".to_owned()),
            Self::OtherContract { .. } => {
                Some("build it with this version of ansar-runtime".to_owned())
            }
            Self::ExecutablePath(path) => {
                path.parent().zip(path.file_name()).map(|(folder, name)| {
                    format!(
                        "copy the executables of its folder into the home with \
                     `cargo ansar deploy {}`, then name it `{}`",
                        shell_quoted(folder),
                        name.to_string_lossy()
                    )
                })
            }
            Self::Failed { .. }
            | Self::NoFolder(_)
            | Self::NoEffect { .. }
            | Self::Snapshot { .. }
            | Self::NoExecutables { .. } => None,
        }
    }

    /// Returns the exit of a command that fails so.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NoExecutable { .. }
            | Self::NoFolder(_)
            | Self::NoExecutables { .. }
            | Self::Nested { .. }
            | Self::NoEffect { .. }
            | Self::ExecutablePath(_) => Exit::Usage,
            Self::Failed { .. }
            | Self::Snapshot { .. }
            | Self::Rejected { .. }
            | Self::NotAComponent { .. }
            | Self::WrapsItsMain { .. }
            | Self::OtherContract { .. } => Exit::DeployFailed,
        }
    }
}

/// Returns a hint that tells what makes an executable a component.
fn how_to_be_a_component(is_script: bool) -> &'static str {
    if is_script {
        "a script component has the line `# ansar-component: 1` among its first 16 lines"
    } else {
        "call `ansar_runtime::main` in its `main`, and rebuild it if it was linked with \
         an older ansar-runtime"
    }
}

/// Returns the hint for a snapshot that was passed as a folder of executables.
fn deploy_snapshot(folder: &Path) -> String {
    format!(
        "the folder looks like a snapshot: deploy it with `cargo ansar deploy --storage-path {}`",
        folder.display()
    )
}
