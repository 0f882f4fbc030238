//! `cargo ansar test --on`: roles that are divided over agents.

mod cluster;
mod drivers;
mod faults;
mod frames;
mod hosts;
mod kubernetes;
mod orders;
mod refusals;
mod runs;
mod slurm;
mod slurm_faults;
mod streams;
mod targets;

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tests::{Program, Sandbox, executable};

use super::test::Group;

/// A role that runs until it is stopped.
const SLEEPS: &str = r#"test-sleep = { program = "sleep", args = ["600"] }"#;

/// A workspace whose agents have a folder of their own, and a store that all
/// tests share: the tool is large.
struct Remote {
    group: Group,
    scratch: PathBuf,
}

impl Deref for Remote {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl Remote {
    /// Creates a workspace that describes `roles`, each a line of TOML.
    fn of(roles: &[&str]) -> Self {
        let group = Group::of(roles);
        let scratch = scratch(&group);
        Self { group, scratch }
    }

    /// Adds the options of a driver to the manifest.
    fn describe_driver(&self, options: &str) {
        let manifest = self.read("Cargo.toml");
        self.write(
            "Cargo.toml",
            &format!("{manifest}\n[workspace.metadata.ansar.on.{options}\n"),
        );
    }

    /// `cargo ansar test --on local ARGUMENTS`.
    fn local<const N: usize>(&self, arguments: [&str; N]) -> Program<'_> {
        self.on("local", arguments)
    }

    /// `cargo ansar test --on DRIVER ARGUMENTS`.
    fn on<const N: usize>(&self, driver: &str, arguments: [&str; N]) -> Program<'_> {
        let program = self.test(["--on", driver]).args(arguments);
        program.env("ANSAR_SCRATCH", &self.scratch)
    }

    /// Returns the folders of runs that are left behind.
    fn runs(&self) -> Vec<PathBuf> {
        runs(&self.scratch)
    }

    /// Asserts that no process and no folder of a run is left behind.
    #[track_caller]
    fn nothing_is_left(&self) {
        self.is_still();
        assert!(self.runs().is_empty(), "{:?}", self.runs());
    }
}

/// Creates the folder of the agents of a test, whose store has the tool already.
fn scratch(sandbox: &Sandbox) -> PathBuf {
    let scratch = sandbox.path().join("agents");
    fs::create_dir_all(scratch.join("store")).expect("the folder is made");
    let name = STORED.file_name().expect("it is a file");
    let stored = scratch.join("store").join(name);
    // Another file system has no link to it.
    let linked = fs::hard_link(&*STORED, &stored);
    linked
        .or_else(|_| fs::copy(&*STORED, &stored).map(drop))
        .expect("the tool is stored");
    scratch
}

/// Returns the folders of runs in a folder of agents.
fn runs(scratch: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(scratch).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_run = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("run-")
    };
    paths.filter(is_run).collect()
}

/// A copy of the tool, named by its hash as in a store.
static STORED: LazyLock<PathBuf> = LazyLock::new(|| {
    let tool = executable("cargo-ansar");
    let bytes = fs::read(tool).expect("the tool is read");
    let folder = tool.with_file_name("agents-store");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let stored = folder.join(blake3::hash(&bytes).to_hex().as_str());
    if !stored.exists() {
        // Those of earlier builds are not used again.
        for old in fs::read_dir(&folder).expect("it is read").flatten() {
            let _ = fs::remove_file(old.path());
        }
        let part = folder.join(format!("{}.part", std::process::id()));
        fs::write(&part, bytes).expect("the target folder can be written");
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&part, mode).expect("it is ours");
        fs::rename(&part, &stored).expect("both are in one folder");
    }
    stored
});
