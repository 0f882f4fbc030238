//! The arguments, environment variables and folders of the process.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use ansar_contract::launch;

/// Returns the command line, with the name of the executable first.
pub(crate) fn arguments() -> Vec<OsString> {
    env::args_os().collect()
}

/// Returns the process id of the parent that started this component.
pub(crate) fn parent() -> Option<u32> {
    env::var(launch::PARENT).ok()?.parse().ok()
}

/// Returns the socket for notifications.
pub(crate) fn notify_socket() -> Option<PathBuf> {
    env::var_os(launch::NOTIFY_SOCKET).map(PathBuf::from)
}

/// Returns the value of `RUST_LOG`.
pub(crate) fn rust_log() -> Option<String> {
    env::var("RUST_LOG").ok()
}

/// Returns the configuration folder of the user.
pub(crate) fn config_folder() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}

/// Returns the working directory of the process.
pub(crate) fn working_folder() -> Option<PathBuf> {
    env::current_dir().ok()
}

/// Returns the executable of the process.
pub(crate) fn executable() -> Option<PathBuf> {
    env::current_exe().ok()
}
