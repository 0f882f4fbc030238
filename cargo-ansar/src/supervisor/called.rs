//! The processes that roles of a home called, as far as they run now.

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

/// A process that a role called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    /// Its name, `PARENT.NAME`.
    pub(crate) role: String,
    /// The role of the home that called it, or called what called it.
    pub(crate) parent: RoleName,
    /// What it runs, where that is known.
    pub(crate) executable: Option<ExecutableName>,
    /// Its process.
    pub(crate) pid: u32,
    /// For how long it has been running.
    pub(crate) uptime: Duration,
}

/// The processes that roles of the home at `root` called and that run.
pub(crate) fn called(root: &Path) -> Vec<Called> {
    // What tells it is the command line that the contract gives a call.
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
        Some(Called {
            parent: parent(&role)?,
            role,
            executable: executable.and_then(|name| name.parse().ok()),
            pid: command.pid,
            uptime: command.uptime,
        })
    })
    .collect()
}

/// The value of a flag among the arguments.
fn value<'c>(command: &'c Command, flag: &str) -> Option<&'c OsStr> {
    let flag = format!("--{flag}=");
    let mut arguments = command.arguments.iter();
    let value = arguments.find_map(|word| word.as_bytes().strip_prefix(flag.as_bytes()));
    value.map(OsStr::from_bytes)
}
