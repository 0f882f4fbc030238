//! The place of measurement: a built scratch workspace, with one home per row
//! and the same environment for both sides.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{Screen, Workspace, executable, loopback};

use crate::bare::children;

/// Environment variables that both sides inherit; all others are removed.
const KEPT: [&str; 5] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
];

/// A scratch workspace and the paths needed to use it.
pub(crate) struct World {
    workspace: Workspace,
    environment: Vec<(OsString, OsString)>,
    tool: &'static Path,
    cargo: PathBuf,
    host: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let cargo = std::env::var_os("CARGO").expect("cargo runs this");
        let kept = KEPT
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let told = [
            ("CARGO", cargo.clone()),
            ("CARGO_NET_OFFLINE", "true".into()),
        ];
        Self {
            environment: kept
                .chain(told)
                .map(|(name, value)| (name.into(), value))
                .collect(),
            tool: executable("cargo-ansar"),
            workspace: Workspace::new(),
            cargo: cargo.into(),
            host: loopback().to_string(),
        }
    }

    /// Path of cargo itself, not of rustup's proxy.
    pub(crate) fn cargo(&self) -> &Path {
        &self.cargo
    }

    /// Root of the workspace.
    pub(crate) fn root(&self) -> PathBuf {
        self.workspace.path()
    }

    /// Path of an executable of the workspace: the file that a home links to.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.root().join("target").join(profile()).join(name)
    }

    /// Home of a row.
    pub(crate) fn home(&self, row: &str) -> PathBuf {
        self.root().join("homes").join(row)
    }

    /// Any program: in the workspace, its output read, its stdin empty.
    pub(crate) fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `cargo-ansar`, as cargo starts it.
    pub(crate) fn ansar(&self, home: &Path) -> Command {
        let mut command = self.program(self.tool);
        command.env("ANSAR_HOME", home).arg("ansar");
        command
    }

    /// `cargo-ansar` in a terminal of this number of columns and rows.
    pub(crate) fn screen(&self, home: &Path, words: &[&str], size: (u16, u16)) -> Screen<'_> {
        let make = |script: &str| {
            let shell = self.workspace.shell(script).arg(self.tool);
            shell.arg("ansar").args(words).env("ANSAR_HOME", home)
        };
        Screen::start(make, size)
    }

    /// Process id of the process that draws the terminal interface, if it runs.
    pub(crate) fn draws(&self) -> Option<u32> {
        let name = format!("{} ansar ui ", self.tool.display());
        let processes = self.workspace.processes().into_iter();
        let ours = processes.filter(|(_, command)| *command == name);
        let ours: Vec<u32> = ours.map(|(pid, _)| pid.unsigned_abs()).collect();
        let below = ours.iter().flat_map(|keeper| children(*keeper));
        below.into_iter().find(|child| ours.contains(child))
    }

    /// `cargo-ansar test`.
    pub(crate) fn ansar_test(&self, home: &Path) -> Command {
        let mut command = self.ansar(home);
        command.arg("test").args(profile_flag());
        command
    }

    /// `cargo-ansar watch`.
    pub(crate) fn ansar_watch(&self, home: &Path) -> Command {
        let mut command = self.ansar(home);
        command.arg("watch").args(profile_flag());
        command
    }

    /// `cargo build` of some bins, with the arguments that the tool uses.
    pub(crate) fn cargo_build(&self, bins: &[&str]) -> Command {
        let mut command = self.program(&self.cargo);
        command
            .args([
                "build",
                "--message-format=json-render-diagnostics",
                "--color=auto",
            ])
            .args(profile_flag())
            .arg("--workspace")
            .args(bins.iter().flat_map(|bin| ["--bin", bin]));
        command
    }

    /// Writes roles into the manifest.
    pub(crate) fn describe(&self, roles: &str) {
        let roles = roles.replace("HOST", &self.host);
        self.workspace
            .manifest(&format!("[workspace.metadata.ansar]\n{roles}"));
    }

    /// Creates a home with these roles deployed, and returns its path.
    pub(crate) fn make_home(&self, row: &str, roles: &str) -> PathBuf {
        self.describe(roles);
        let home = self.home(row);
        fs::create_dir_all(self.root().join("homes")).expect("the workspace can be written");
        // The second run uses the state that the first one saved.
        for _ in 0..2 {
            run(self.ansar_test(&home).arg("--no-run"));
        }
        home
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Name of the folder of the profile in a target folder.
pub(crate) fn profile() -> &'static str {
    if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    }
}

/// Flag of Cargo for the profile.
pub(crate) fn profile_flag() -> Option<&'static str> {
    (!cfg!(debug_assertions)).then_some("--release")
}

/// Load of the machine.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
