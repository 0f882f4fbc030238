//! The environment of this process, and the environments of its children.

#![expect(
    clippy::disallowed_methods,
    reason = "the only module that accesses the environment"
)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use ansar_contract::launch;

use crate::host::process::orphans;

/// Returns the arguments, starting with the executable's name.
pub fn arguments() -> Vec<OsString> {
    env::args_os().collect()
}

/// Returns the working directory.
pub fn working_folder() -> io::Result<PathBuf> {
    env::current_dir()
}

/// Variable that names the home.
pub const HOME: &str = "ANSAR_HOME";

/// Returns the home that `ANSAR_HOME` names.
pub fn home() -> Option<PathBuf> {
    env::var_os(HOME)
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}

/// Returns the Cargo that runs this command, or else the one on `PATH`.
pub fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Returns Cargo's home, if it is known.
pub fn cargo_home() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|folder| !folder.is_empty());
    let own = set("CARGO_HOME").map(PathBuf::from);
    own.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cargo")))
}

/// Returns the process id of this command.
pub fn pid() -> u32 {
    std::process::id()
}

/// Returns the process id of this command's parent.
pub fn parent() -> u32 {
    nix::unistd::getppid().as_raw().unsigned_abs()
}

/// Returns the name of this machine: that by which the engine of a cluster knows
/// it, else its host name.
pub fn host_name() -> String {
    let of_engine = variable("SLURMD_NODENAME").or_else(|| variable("ANSAR_NODE"));
    of_engine.unwrap_or_else(|| {
        let name = rustix::system::uname().nodename().to_owned();
        name.to_string_lossy().into_owned()
    })
}

/// Returns the number of processors that this command may use.
pub fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Returns a new UUID.
pub fn unique() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Returns a random number from 0 to `most`, inclusive.
pub fn random_up_to(most: u64) -> u64 {
    fastrand::u64(0..=most)
}

/// Returns an environment variable, if it is set and valid UTF-8.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Returns the environment of this command.
pub fn all() -> Vec<(OsString, OsString)> {
    env::vars_os().collect()
}

/// Returns the environment for Cargo: this command's, with a mark that
/// identifies the processes that Cargo leaves running.
pub fn for_cargo() -> Vec<(OsString, OsString)> {
    let mark = (OsString::from(orphans::BUILD), pid().to_string().into());
    env::vars_os().chain([mark]).collect()
}

/// Returns a path of this program, which is valid as long as this process runs, also
/// if the file was removed or replaced by another version.
pub fn own_executable() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    let is_gone = cfg!(target_os = "linux") && !path.exists();
    Ok(if is_gone {
        format!("/proc/{}/exe", pid()).into()
    } else {
        path
    })
}

/// Returns the environment for a background engine: this command's, with a mark
/// that identifies the engine, and without the variables that assign a process
/// to a role.
pub fn for_background() -> Vec<(OsString, OsString)> {
    let mark = (
        OsString::from(orphans::BACKGROUND),
        pid().to_string().into(),
    );
    let own = env::vars_os().filter(|(name, _)| !is_mark(name));
    own.chain([mark]).collect()
}

fn is_mark(name: &OsStr) -> bool {
    let marks = [
        launch::PARENT,
        launch::TOKEN,
        launch::ROLE,
        launch::NOTIFY_SOCKET,
    ];
    let ours = [orphans::BUILD, orphans::BACKGROUND];
    marks.iter().chain(&ours).any(|mark| name == *mark)
}

/// Returns the environment for roles: this command's, without what rustup added
/// for Cargo and without the variables that assign a process to a role.
pub fn for_roles() -> Vec<(OsString, OsString)> {
    let toolchain = cargo().parent().and_then(Path::parent).map(Path::to_owned);
    env::vars_os()
        .filter(|(name, _)| !is_mark(name))
        .filter_map(|(name, value)| {
            let kept = without_rustup(&name, value, toolchain.as_deref())?;
            Some((name, kept))
        })
        .collect()
}

/// The library search paths of the dynamic loader.
const LIBRARY_PATHS: [&str; 2] = ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];

fn without_rustup(name: &OsStr, value: OsString, toolchain: Option<&Path>) -> Option<OsString> {
    const RUSTUP: [&str; 3] = [
        "RUSTUP_TOOLCHAIN",
        "RUSTUP_TOOLCHAIN_SOURCE",
        "RUST_RECURSION_COUNT",
    ];
    if RUSTUP.iter().any(|rustup| name == *rustup) {
        return None;
    }
    let Some(toolchain) = toolchain.filter(|_| LIBRARY_PATHS.iter().any(|path| name == *path))
    else {
        return Some(value);
    };
    let kept: Vec<_> = env::split_paths(&value)
        .filter(|path| !path.starts_with(toolchain))
        .collect();
    if kept.is_empty() {
        return None;
    }
    env::join_paths(kept).ok()
}

/// Returns the folders in the value of `PATH`.
pub fn split_paths(paths: &OsStr) -> impl Iterator<Item = PathBuf> {
    env::split_paths(paths).filter(|folder| !folder.as_os_str().is_empty())
}

/// Parses the text of a `.env` file: names and values.
pub fn parse_env_file(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    dotenvy::Iter::new(bytes)
        .map(|variable| variable.map_err(|error| error.to_string()))
        .collect()
}

/// Returns the files that stdout and stderr are redirected to.
pub fn output_files() -> Vec<PathBuf> {
    let streams = ["/dev/fd/1", "/dev/fd/2"].into_iter();
    let files = streams.filter_map(|stream| std::fs::read_link(stream).ok());
    files.filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, value: &str) -> Option<OsString> {
        without_rustup(
            OsStr::new(name),
            value.into(),
            Some(Path::new("/tools/stable")),
        )
    }

    #[test]
    fn only_what_rustup_added_is_removed() {
        assert_eq!(kept("RUSTUP_TOOLCHAIN", "stable"), None);
        assert_eq!(kept("LD_LIBRARY_PATH", "/tools/stable/lib"), None);
        assert_eq!(
            kept("LD_LIBRARY_PATH", "/mine:/tools/stable/lib"),
            Some("/mine".into())
        );
        assert_eq!(
            kept("PATH", "/tools/stable/bin"),
            Some("/tools/stable/bin".into())
        );
    }
}
