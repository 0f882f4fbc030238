//! The arguments, environment variables and folders of the process.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment"
)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
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

/// Returns the launch of this process as an application that wraps its `main`: the number
/// of its origin, and its home.
///
/// `None` outside of a home, and in a process that has only inherited the variable.
pub(crate) fn launch() -> Option<(String, PathBuf)> {
    let launch = env::var_os(launch::LAUNCH)?;
    let launch = launch.as_bytes();
    let colon = launch.iter().position(|byte| *byte == b':')?;
    let (origin, home) = (&launch[..colon], &launch[colon + 1..]);
    let is_meant = parent()? == std::os::unix::process::parent_id();
    let origin = String::from_utf8(origin.to_vec()).ok()?;
    is_meant.then(|| (origin, OsStr::from_bytes(home).into()))
}

/// Returns the role of this process, or of the one that it was started by.
pub(crate) fn role() -> Option<String> {
    env::var(launch::ROLE).ok()
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
