//! Finds the running components of a home, among them the processes that roles
//! called.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use ansar_contract::launch;

use crate::home::role::parent;
use crate::host::fs;
use crate::host::process::command_lines;
use crate::host::process::command_lines::Command;
use crate::model::name::{ExecutableName, RoleName};

/// A running process called by a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    /// The name of the call, `PARENT.NAME`.
    pub(crate) role: String,
    /// The role that called the process, directly or through other calls.
    pub(crate) parent: RoleName,
    /// The executable, if known.
    pub(crate) executable: Option<ExecutableName>,
    /// The process ID.
    pub(crate) pid: u32,
    /// Time since the process started.
    pub(crate) uptime: Duration,
}

/// A running component of a home: a role, or a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    /// The role, or the name of the call.
    pub(crate) role: String,
    /// The executable, if known.
    executable: Option<ExecutableName>,
    /// The process ID.
    pub(crate) pid: u32,
    /// Time since the process started.
    pub(crate) uptime: Duration,
}

/// Returns the running components of the home at `root`, by their command lines.
pub(crate) fn components(root: &Path) -> Vec<Component> {
    // The contract defines the command line of a call.
    let commands = command_lines::with_flag(&format!("--{}=", launch::ROLE_NAME));
    let is_of_home = |command: &Command| {
        let home = value(command, launch::HOME_PATH).map(Path::new);
        home.is_some_and(|home| home == root || fs::resolve(home).is_ok_and(|home| home == root))
    };
    let own = commands.into_iter().filter(is_of_home);
    own.filter_map(|command| {
        let role = value(&command, launch::ROLE_NAME)?.to_str()?.to_owned();
        let executable = Path::new(command.arguments.first()?).file_name();
        let executable = executable.and_then(OsStr::to_str);
        Some(Component {
            role,
            executable: executable.and_then(|name| name.parse().ok()),
            pid: command.pid,
            uptime: command.uptime,
        })
    })
    .collect()
}

/// Returns the running processes called by roles of the home at `root`.
pub(crate) fn called(root: &Path) -> Vec<Called> {
    let components = components(root).into_iter();
    components
        .filter_map(|it| {
            Some(Called {
                parent: parent(&it.role)?,
                role: it.role,
                executable: it.executable,
                pid: it.pid,
                uptime: it.uptime,
            })
        })
        .collect()
}

/// Returns the value of a flag.
fn value<'c>(command: &'c Command, flag: &str) -> Option<&'c OsStr> {
    let flag = format!("--{flag}=");
    let mut arguments = command.arguments.iter();
    let value = arguments.find_map(|word| word.as_bytes().strip_prefix(flag.as_bytes()));
    value.map(OsStr::from_bytes)
}
