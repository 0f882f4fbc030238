//! The executables of this workspace, as cargo builds them.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use cargo_metadata::Message;

/// One executable.
struct Bin {
    package: String,
    path: PathBuf,
}

/// The executables, built once per test process. `cargo test` holds no lock
/// while tests run, so this build cannot block on it.
static BINS: LazyLock<BTreeMap<String, Bin>> = LazyLock::new(build);

/// Returns the path of the executable `name`.
///
/// # Panics
///
/// If no member of the workspace has such a bin.
#[track_caller]
pub fn executable(name: &str) -> &'static Path {
    match BINS.get(name) {
        Some(bin) => &bin.path,
        None => panic!("no bin `{name}` among {:?}", BINS.keys()),
    }
}

/// Returns the names of the bins of the member `package`, sorted.
pub fn bins_of(package: &str) -> Vec<&'static str> {
    let of_package = BINS.iter().filter(|(_, bin)| bin.package == package);
    of_package.map(|(name, _)| name.as_str()).collect()
}

/// Returns the root of the workspace under test.
pub fn repository() -> &'static Path {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member)
}

/// Returns the cargo that runs these tests, not rustup's proxy.
#[expect(
    clippy::disallowed_methods,
    reason = "cargo says in the environment where it is"
)]
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Builds all executables, and returns them by name.
fn build() -> BTreeMap<String, Bin> {
    if cfg!(debug_assertions) {
        // With a test, which is there, the libraries have the features that they have
        // in `cargo test`, and are not compiled again without those.
        return build_with(&["--workspace", "--bins", "--test", "whole"]);
    }
    // What is measured has the features that users get, and no others.
    let packages = ["cargo-ansar", "test-fixtures", "tests"];
    let bins = packages.map(|name| build_with(&["--release", "--package", name, "--bins"]));
    bins.into_iter().flatten().collect()
}

#[expect(clippy::disallowed_methods, reason = "tests start real processes")]
fn build_with(arguments: &[&str]) -> BTreeMap<String, Bin> {
    let mut command = Command::new(cargo());
    command
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .current_dir(repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("cargo starts");
    let messages = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let bins = Message::parse_stream(messages)
        .filter_map(
            |message| match message.expect("cargo's messages are read") {
                Message::CompilerArtifact(artifact) if !artifact.profile.test => {
                    let package = artifact.manifest_path.parent()?.file_name()?.to_owned();
                    let path = artifact.executable?.into_std_path_buf();
                    Some((artifact.target.name, Bin { package, path }))
                }
                _ => None,
            },
        )
        .collect();
    let status = child.wait().expect("cargo ends");
    assert!(status.success(), "the executables do not build: {status}");
    bins
}
