//! A Cargo workspace to edit and build, whose dependencies are compiled
//! already.
//!
//! A *template* stands in the target folder of the workspace under test: the
//! sources of `ansar-runtime` and `test-fixtures`, and a target folder in
//! which they are built. It is brought up to date once per test process, which
//! costs a compile of the dependencies the very first time, and what `cargo
//! build` costs where it has nothing to do after that. A [`Workspace`] is a
//! copy of it in which cargo finds everything fresh.
//!
//! Libraries and executables are linked, not copied, since every tool that
//! makes one makes a new file. All else is copied, for cargo writes fingerprints
//! in place, those of dependencies too where a test has them built otherwise:
//! through a link it would tell the template, and every other test, that what
//! was built here was built there.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Write};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use cargo_metadata::MetadataCommand;

use crate::deadline::eventually;
use crate::executables::{cargo, repository};
use crate::program::Program;
use crate::sandbox::{Sandbox, toolchain};

/// The members that a scratch workspace has.
const MEMBERS: [&str; 2] = ["ansar-runtime", "test-fixtures"];

/// A sandbox whose working folder is a Cargo workspace with the members
/// `ansar-runtime` and `test-fixtures`, both built. What a test changes in it
/// no other test sees.
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
    /// A workspace as the template has it.
    pub fn new() -> Self {
        // Links need one file system.
        let sandbox = Sandbox::among(folder());
        copy(&TEMPLATE, &sandbox.path()).expect("the template is copied");
        Self(sandbox)
    }

    /// Replaces the first `from` in a file by `to`. The file's time moves, as
    /// with any editor.
    ///
    /// # Panics
    ///
    /// Where the file does not hold `from` exactly once.
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
            // An engine that runs there may make a log again meanwhile.
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

    /// Sets what stands in the root manifest behind the template's own tables:
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

/// The template, up to date.
static TEMPLATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let template = folder().join("template");
    fs::create_dir_all(&template).expect("the target folder can be written");
    // Two `cargo test` at once share it.
    let lock = File::create(folder().join("template.lock")).expect("the lock is made");
    lock.lock().expect("the lock is taken");
    bring_up_to_date(&template).expect("the template is brought up to date");
    template
});

/// The folder of everything that is made here: on the file system of the
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

fn bring_up_to_date(template: &Path) -> io::Result<()> {
    for member in MEMBERS {
        mirror(&repository().join(member), &template.join(member))?;
    }
    let manifest = scratch_manifest(&fs::read_to_string(repository().join("Cargo.toml"))?);
    let unchanged = |path: &Path, text: &str| fs::read_to_string(path).is_ok_and(|t| t == text);
    if !unchanged(&template.join("Cargo.toml"), &manifest) {
        fs::write(template.join("Cargo.toml"), manifest)?;
    }
    // Cargo cuts the copied lock down to the members, so a second copy tells
    // what it was made from.
    let lock = fs::read_to_string(repository().join("Cargo.lock"))?;
    if !unchanged(&template.join("Cargo.lock.whole"), &lock) {
        fs::write(template.join("Cargo.lock"), &lock)?;
        fs::write(template.join("Cargo.lock.whole"), &lock)?;
    }
    build(template);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "tests start real processes")]
fn build(template: &Path) {
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--workspace", "--bins"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command
        .current_dir(template)
        // What a sandbox does not have would make other fingerprints.
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
        .envs(toolchain())
        .stdin(Stdio::null())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the template does not build: {status}");
}

/// The root manifest of the workspace under test, less the members that a
/// scratch workspace does not have, and with a profile that builds fast.
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

/// Makes `to` hold what `from` holds, with its times; what is the same already
/// is not touched.
fn mirror(from: &Path, to: &Path) -> io::Result<()> {
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
        let entry = entry?;
        let (original, path) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            mirror(&original, &path)?;
        } else if !fs::metadata(&path).is_ok_and(|there| is_same(&there, &metadata)) {
            copy_file(&original, &path, &metadata)?;
        }
    }
    Ok(())
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len() && one.modified().ok() == other.modified().ok()
}

/// Copies a folder; see the top of the file for what is linked.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (original, path) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
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

/// Whether tools that write this file make a new one.
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
