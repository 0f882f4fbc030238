//! What the process was started with: arguments, variables, folders.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use ansar_contract::launch;

/// The command line, the executable's name first.
pub(crate) fn arguments() -> Vec<OsString> {
    env::args_os().collect()
}

/// The process id of the parent that started this process as its component.
pub(crate) fn parent() -> Option<u32> {
    env::var(launch::PARENT).ok()?.parse().ok()
}

/// Where state notices go.
pub(crate) fn notify_socket() -> Option<PathBuf> {
    env::var_os(launch::NOTIFY_SOCKET).map(PathBuf::from)
}

/// The filter of `tracing` events, as `RUST_LOG` has it.
pub(crate) fn rust_log() -> Option<String> {
    env::var("RUST_LOG").ok()
}

/// The user's configuration folder.
pub(crate) fn config_folder() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}

/// The folder the process works in.
pub(crate) fn working_folder() -> Option<PathBuf> {
    env::current_dir().ok()
}

/// The file that the process runs.
pub(crate) fn executable() -> Option<PathBuf> {
    env::current_exe().ok()
}
