//! A component: a function that [`main`](run::main) runs, or an application that
//! [wraps](wrap::wrap) its own `main`.

#[cfg(feature = "main")]
mod arguments;
#[cfg(feature = "main")]
mod attempt;
#[cfg(feature = "main")]
pub(crate) mod call;
#[cfg(feature = "cli")]
mod command_line;
pub(crate) mod context;
#[cfg(feature = "main")]
pub(crate) mod declaration;
#[cfg(feature = "main")]
pub(crate) mod fault;
pub(crate) mod free;
mod identity;
#[cfg(all(feature = "main", not(feature = "cli")))]
mod launch_flags;
mod marker;
#[cfg(feature = "main")]
mod panics;
#[cfg(feature = "main")]
pub(crate) mod parameter;
#[cfg(feature = "main")]
mod role_files;
#[cfg(feature = "main")]
pub(crate) mod run;
pub(crate) mod stop;
mod sub_role;
pub(crate) mod wrap;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ansar_contract::lifecycle::Faulted;

use self::context::Context;
use crate::host::{environment, files, streams};

/// The exit code of a component that cannot accept its arguments, settings or
/// input.
const USAGE: u8 = 2;
/// The exit code of a fault without one of its own.
const FAULT: u8 = 1;
/// Returns the result of a failure before there is a log.
type Prepared<T> = Result<T, Faulted>;

impl From<files::FileError> for Faulted {
    fn from(error: files::FileError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let mut faulted = Self::new(error.to_string(), cause.unwrap_or_default());
        faulted.exit_code = Some(USAGE);
        faulted
    }
}

fn refuse(faulted: &Faulted) -> ExitCode {
    streams::complain(&format!("error: {faulted}"));
    ExitCode::from(faulted.exit_code.unwrap_or(FAULT))
}

fn introduce(starter: &Context, name: &str) {
    let path = |path: Option<PathBuf>| path.unwrap_or_default().display().to_string();
    starter.trace(format_args!(
        "Executable \"{}\" as process ({})",
        path(environment::executable()),
        std::process::id()
    ));
    starter.trace(format_args!(
        "Working folder \"{}\"",
        path(environment::working_folder())
    ));
    starter.trace(format_args!("Running object \"{name}\""));
}

/// Returns the name of the executable, from the command line.
fn executable_name(arguments: &[OsString]) -> String {
    arguments
        .first()
        .and_then(|path| Path::new(path).file_stem())
        .map_or_else(
            || "component".to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        )
}
