//! Servers of the distribution, which tests run as roles.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::sandbox::variable;

/// Returns the path of the program `name`: one on `PATH`, or where Debian keeps
/// its servers. Where it is missing, prints a line and returns `None`, so that
/// the test is skipped.
///
/// # Panics
///
/// If it is missing and `CI=true`: `tests/services/install` installs it there.
#[track_caller]
pub fn server(name: &str) -> Option<PathBuf> {
    first_server(&[name])
}

/// Returns the path of the first program of `names` that there is; see
/// [`server`].
#[track_caller]
pub(crate) fn first_server(names: &[&str]) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(elsewhere()).collect();
    let paths = names.iter();
    let mut paths = paths.flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = paths.find(|path| path.is_file());
    let name = names[0];
    if found.is_none() {
        let is_ci = variable("CI").is_some_and(|value| value == "true");
        assert!(!is_ci, "`{name}` not found; run tests/services/install");
        // Written directly, since a passing test's output is captured.
        let _ = writeln!(
            std::io::stderr(),
            "warning: a test is skipped: `{name}` not found; run tests/services/install"
        );
    }
    found
}

/// Returns the folders of servers that are usually not on a user's `PATH`.
fn elsewhere() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let versions = versions.into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.push(Path::new("/usr/sbin").to_owned());
    folders
}
