//! A Cargo workspace to edit and build, whose dependencies are compiled
//! already.
//!
//! A *template* is kept in the target folder of the workspace under test: the
//! sources of `ansar-runtime` and `test-fixtures`, and a target folder in which
//! they are built. It is updated once per test process: the first time, this
//! compiles the dependencies; later, it costs a `cargo build` without work. A
//! [`Workspace`] is a copy of it that cargo considers fresh. `examples/orders`
//! and `examples/servers` have templates as well.
//!
//! Libraries and executables are hard-linked, since every tool that writes one
//! creates a new file. All else is copied: cargo rewrites fingerprints in
//! place, also those of dependencies if a test builds them differently. Through
//! a link, that would change the template and every other test.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Write};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use cargo_metadata::MetadataCommand;
use nix::fcntl::{Flock, FlockArg};

use crate::deadline::eventually;
use crate::executables::{cargo, repository};
use crate::program::Program;
use crate::sandbox::{Sandbox, toolchain};

/// Members of a scratch workspace.
const MEMBERS: [&str; 2] = ["ansar-runtime", "test-fixtures"];

/// A sandbox whose working folder is a Cargo workspace that is built: either one
/// with the members `ansar-runtime` and `test-fixtures`, or a copy of an example.
/// Changes are not visible to other tests.
pub struct Workspace(Sandbox);

impl Deref for Workspace {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// Creates a workspace with the members `ansar-runtime` and `test-fixtures`.
    pub fn new() -> Self {
        Self::copy_of(&TEMPLATE)
    }

    /// Creates a copy of `examples/orders`, whose tests are built as well.
    pub fn orders() -> Self {
        Self::copy_of(&ORDERS)
    }

    /// Creates a copy of `examples/servers`.
    pub fn servers() -> Self {
        Self::copy_of(&SERVERS)
    }

    fn copy_of(template: &Path) -> Self {
        // Hard links need one file system.
        let sandbox = Sandbox::among(folder());
        copy(template, &sandbox.path()).expect("the template is copied");
        Self(sandbox)
    }

    /// Replaces the single `from` in a file by `to`, and updates the file's
    /// time as an editor does.
    ///
    /// # Panics
    ///
    /// If the file does not contain `from` exactly once.
    #[track_caller]
    pub fn edit(&self, path: impl AsRef<Path>, from: &str, to: &str) {
        let path = path.as_ref();
        let text = self.read(path);
        let count = text.matches(from).count();
        assert_eq!(count, 1, "`{from}` in `{}`", path.display());
        self.write(path, &text.replace(from, to));
    }

    /// Removes a file or a folder.
    #[track_caller]
    pub fn remove(&self, path: impl AsRef<Path>) {
        let path = self.path().join(path);
        let removed = if path.is_dir() {
            // An engine that runs there may create a log again meanwhile.
            let removed = eventually(|| match fs::remove_dir_all(&path) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => None,
                removed => Some(removed),
            });
            removed.unwrap_or_else(|| Err(io::ErrorKind::DirectoryNotEmpty.into()))
        } else {
            fs::remove_file(&path)
        };
        if let Err(error) = removed {
            panic!("`{}` is not removed: {error}", path.display());
        }
    }

    /// Sets the part of the root manifest after the template's own tables:
    /// `[workspace.metadata.ansar]` and what follows it.
    pub fn manifest(&self, tables: &str) {
        let own = fs::read_to_string(TEMPLATE.join("Cargo.toml"));
        let own = own.expect("the template has a manifest");
        self.write("Cargo.toml", &format!("{own}\n{tables}"));
    }

    /// `cargo build`, offline, in the workspace.
    pub fn cargo_build(&self) -> Program<'_> {
        self.program(cargo()).arg("build").envs(toolchain())
    }
}

/// The updated template of the members.
static TEMPLATE: LazyLock<PathBuf> =
    LazyLock::new(|| updated("template", bring_members_up_to_date));

/// The updated template of `examples/orders`.
static ORDERS: LazyLock<PathBuf> = LazyLock::new(|| updated("orders", bring_orders_up_to_date));

/// The updated template of `examples/servers`.
static SERVERS: LazyLock<PathBuf> = LazyLock::new(|| updated("servers", bring_servers_up_to_date));

/// Returns the template `name`, which `update` brings up to date.
fn updated(name: &str, update: fn(&Path) -> io::Result<()>) -> PathBuf {
    let template = folder().join(name);
    fs::create_dir_all(&template).expect("the target folder can be written");
    // Two concurrent `cargo test` share it.
    let lock = folder().join(format!("{name}.lock"));
    let lock = File::create(lock).expect("the lock is made");
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).expect("the lock is taken");
    update(&template).expect("the template is brought up to date");
    template
}

/// Folder of the template and the scratch workspaces, on the file system of the
/// target folder.
fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let metadata = MetadataCommand::new()
            .cargo_path(cargo())
            .current_dir(repository())
            .no_deps()
            .exec()
            .expect("cargo describes the workspace");
        let folder = metadata.target_directory.join("tmp/whole-program");
        fs::create_dir_all(&folder).expect("the target folder can be written");
        folder.into_std_path_buf()
    });
    &FOLDER
}

fn bring_members_up_to_date(template: &Path) -> io::Result<()> {
    for member in MEMBERS {
        mirror(&repository().join(member), &template.join(member))?;
    }
    let manifest = scratch_manifest(&fs::read_to_string(repository().join("Cargo.toml"))?);
    let unchanged = |path: &Path, text: &str| fs::read_to_string(path).is_ok_and(|t| t == text);
    if !unchanged(&template.join("Cargo.toml"), &manifest) {
        fs::write(template.join("Cargo.toml"), manifest)?;
    }
    // Cargo reduces the copied lock file to the members, so a second copy
    // records its origin.
    let lock = fs::read_to_string(repository().join("Cargo.lock"))?;
    if !unchanged(&template.join("Cargo.lock.whole"), &lock) {
        fs::write(template.join("Cargo.lock"), &lock)?;
        fs::write(template.join("Cargo.lock.whole"), &lock)?;
    }
    let mut arguments = vec!["build", "--quiet", "--workspace", "--bins"];
    if !cfg!(debug_assertions) {
        arguments.push("--release");
    }
    build(template, &arguments, true);
    Ok(())
}

fn bring_orders_up_to_date(template: &Path) -> io::Result<()> {
    mirror_example("orders", template)?;
    // Each build downloads the dependencies that it needs, once. The first one
    // leaves out tests, and the second one bins of packages without.
    build(template, &["build", "--quiet", "--locked"], false);
    let tests = ["test", "--quiet", "--workspace", "--locked", "--no-run"];
    build(template, &tests, false);
    Ok(())
}

fn bring_servers_up_to_date(template: &Path) -> io::Result<()> {
    mirror_example("servers", template)?;
    build(template, &["build", "--quiet", "--locked"], false);
    Ok(())
}

fn mirror_example(name: &str, template: &Path) -> io::Result<()> {
    let example = repository().join("examples").join(name);
    for entry in fs::read_dir(&example)? {
        let name = entry?.file_name();
        // A developer's own build and home stay where they are.
        if name != "target" && name != ".ansar-home" {
            mirror(&example.join(&name), &template.join(&name))?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "tests start real processes")]
fn build(template: &Path, arguments: &[&str], is_offline: bool) {
    let status = Command::new(cargo())
        .args(arguments)
        .current_dir(template)
        // Other variables than a sandbox has would change fingerprints.
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
        .envs(toolchain())
        .env("CARGO_NET_OFFLINE", is_offline.to_string())
        .stdin(Stdio::null())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the template does not build: {status}");
}

/// Returns the root manifest of the workspace under test, without the members
/// that a scratch workspace lacks, and with a profile that builds fast.
fn scratch_manifest(text: &str) -> String {
    let members = format!("members = {MEMBERS:?}");
    let mut is_left_out = false;
    let mut scratch = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            let left_out = ["[profile.", "[workspace.metadata."];
            is_left_out = left_out.iter().any(|table| line.starts_with(table));
        }
        if line.starts_with("members =") {
            scratch.push(members.as_str());
        } else if !is_left_out {
            scratch.push(line);
        }
    }
    scratch.push("[profile.dev]\ndebug = false\nincremental = false\n");
    scratch.join("\n")
}

/// Makes the folder or file `to` equal to `from`, file times included; equal
/// files are not touched.
fn mirror(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    if !metadata.is_dir() {
        let is_there = fs::metadata(to).is_ok_and(|there| is_same(&there, &metadata));
        return if is_there {
            Ok(())
        } else {
            copy_file(from, to, &metadata)
        };
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let path = entry?.path();
        let original = from.join(path.file_name().unwrap_or_default());
        match (path.is_dir(), original.is_dir(), original.exists()) {
            (true, false, _) => fs::remove_dir_all(&path)?,
            (false, is_dir, exists) if is_dir || !exists => fs::remove_file(&path)?,
            _ => {}
        }
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        mirror(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len() && one.modified().ok() == other.modified().ok()
}

/// Copies a folder; the module documentation says which files are linked.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (original, path) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        if entry.file_name() == "incremental" {
            // Large, and the compiler does without it.
        } else if metadata.is_dir() {
            copy(&original, &path)?;
        } else if entry.file_name() == "Cargo.lock.whole" || entry.file_name() == ".cargo-lock" {
            // Neither belongs to the workspace.
        } else if is_made_anew(&original, &metadata) {
            fs::hard_link(&original, &path)?;
        } else {
            copy_file(&original, &path, &metadata)?;
        }
    }
    Ok(())
}

/// Returns true if tools replace this file instead of writing to it.
fn is_made_anew(path: &Path, metadata: &Metadata) -> bool {
    let extension = path.extension().unwrap_or_default();
    let is_library = ["rlib", "rmeta", "so"].iter().any(|it| extension == *it);
    let is_executable = metadata.permissions().mode() & 0o111 != 0;
    is_library || is_executable
}

fn copy_file(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    let mut copy = File::create(to)?;
    copy.write_all(&fs::read(from)?)?;
    copy.set_permissions(metadata.permissions())?;
    copy.set_times(FileTimes::new().set_modified(metadata.modified()?))
}
