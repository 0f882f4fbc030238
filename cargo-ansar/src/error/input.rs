//! Errors of values that the user gives.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::exit::Exit;
use crate::host::fs::Error as FilesError;
use crate::model::name::RoleName;

/// Errors of values that the user gives.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// An input file has invalid content.
    #[error("{path}:{reason}", path = path.display())]
    InputFile {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
        /// Example of a valid value, as JSON.
        example: Option<&'static str>,
    },
    /// An input file cannot be read.
    #[error(transparent)]
    Unreadable(FilesError),
    /// A property is to be set, but no value is on stdin.
    #[error("cannot set `{0}`: no value on stdin")]
    NoValue(&'static str),
    /// An edited text is invalid. It is saved for the next `edit`.
    #[error("{path}:{reason}", path = path.display())]
    Edited {
        /// Path of the saved text.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
        /// Name of the edited property.
        property: &'static str,
        /// Role of the property.
        role: RoleName,
    },
    /// The terminal interface has no terminal to draw on.
    #[error("the terminal interface needs a terminal at stdin and stdout")]
    NoScreen,
    /// The editor failed.
    #[error("editor `{editor}` {reason}", editor = editor.to_string_lossy())]
    Editor {
        /// The editor.
        editor: OsString,
        /// Reason.
        reason: String,
    },
}

impl InputError {
    /// Returns a hint that says what to type next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::InputFile { example, .. } => {
                example.map(|example| format!("an example is `{{\"value\": {example}}}`"))
            }
            Self::NoValue(property) => Some(format!(
                "name a file with `--encoding-file`, or type it with `cargo ansar edit {property} ROLE`"
            )),
            Self::Edited { property, role, .. } => Some(format!(
                "the text is saved: correct it with `cargo ansar edit {property} {role}`"
            )),
            Self::NoScreen => Some("see the roles with `cargo ansar status`".to_owned()),
            Self::Editor { .. } => {
                Some("choose another with the variable `VISUAL` or `EDITOR`".to_owned())
            }
            Self::Unreadable(_) => None,
        }
    }

    /// Returns the exit of a command that fails so.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::InputFile { .. }
            | Self::Unreadable(_)
            | Self::NoValue(_)
            | Self::Edited { .. } => Exit::Usage,
            Self::NoScreen | Self::Editor { .. } => Exit::Setup,
        }
    }
}
