//! Running Cargo: builds, checks and metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cargo_metadata::{Artifact, Message, Metadata, TargetKind};

use crate::host::process::{Exit, Process, Program, StderrMode};
use crate::host::{cargo_config, environment, fs};

/// A failure of Cargo.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// Cargo could not be started.
    #[error("failed to run `{program}`")]
    Start {
        /// The program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Cargo failed and has explained it on the terminal.
    #[error("{}", build_failed(*exit))]
    Failed {
        /// Its exit.
        exit: Exit,
    },
    /// Cargo succeeded without building a requested bin.
    #[error("cargo did not build binary `{bin}`: the features that it requires are not enabled")]
    NotBuilt {
        /// The bin.
        bin: String,
    },
    /// Cargo failed, and its explanation was captured.
    #[error("`cargo metadata` failed: {explanation}")]
    Metadata {
        /// Its stderr.
        explanation: String,
    },
    /// The output of Cargo is malformed.
    #[error("failed to understand the output of `cargo {command}`")]
    Output {
        /// The command.
        command: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
}

fn build_failed(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("the build failed with exit code {code}"),
        Exit::Signal(signal) => format!("the build was ended by signal {signal}"),
    }
}

/// The outcome of builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// Executables by bin name. Two packages may have bins of one name.
    pub made: BTreeMap<String, Vec<Made>>,
    /// Executables of test targets.
    pub tests: Vec<MadeTest>,
    /// Libraries of local packages. The path has no extension: beside it is the
    /// list of the sources.
    pub libraries: Vec<PathBuf>,
    /// Names of the crates that Cargo compiled.
    pub compiled: BTreeSet<String>,
    /// Manifests of the packages of these crates.
    pub packages: BTreeSet<PathBuf>,
}

/// An executable that Cargo built or found up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The file.
    pub path: PathBuf,
    /// The manifest of its package.
    pub manifest: PathBuf,
}

/// The executable of a test target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeTest {
    /// The name of the target.
    pub name: String,
    /// The kind of code that it tests.
    pub kind: Vec<TargetKind>,
    /// The name of its package.
    pub package: String,
    /// The executable.
    pub made: Made,
}

/// A run of Cargo that builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// True if the tests of libraries and binaries are built instead of these.
    pub is_test: bool,
    /// The arguments.
    pub arguments: Vec<OsString>,
}

/// A listener for Cargo's messages, each a line of JSON without its line feed.
#[derive(Clone)]
pub struct Messages(Arc<Listener>);

type Listener = dyn Fn(&[u8]) + Send + Sync;

impl Messages {
    /// Passes each message to `listener`.
    pub fn new(listener: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    fn tell(&self, output: &[u8]) {
        for line in output.split(|byte| *byte == b'\n') {
            (self.0)(line);
        }
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Messages")
    }
}

/// Working directory of Cargo, and its environment variables in addition to
/// those of this process.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The working directory.
    pub folder: &'a Path,
    /// The variables.
    pub variables: &'a [(String, String)],
}

impl<'a> Surroundings<'a> {
    /// Returns surroundings without additional variables.
    pub fn of(folder: &'a Path) -> Self {
        Self {
            folder,
            variables: &[],
        }
    }
}

/// Runs `cargo check`. Diagnostics go to stderr, or to `messages` if given.
/// Dropping the future ends Cargo and its compilers.
pub async fn check(
    arguments: &[OsString],
    at: Surroundings<'_>,
    messages: Option<&Messages>,
) -> Result<(), CargoError> {
    let mut all = vec![OsString::from("check")];
    if messages.is_some() {
        all.push("--message-format=json".into());
    }
    all.extend_from_slice(arguments);
    let (exit, output, _) = run(all, at, StderrMode::Inherited).await?;
    if let Some(messages) = messages {
        messages.tell(&output);
    }
    if exit == Exit::Code(0) {
        Ok(())
    } else {
        Err(CargoError::Failed { exit })
    }
}

/// A Cargo that has finished its build and not yet exited, which takes it
/// longer than a build without changes.
///
/// Dropping it ends Cargo.
#[derive(Debug)]
pub struct ExitingCargo(Process);

impl ExitingCargo {
    /// Waits until it has exited. The error is that it failed after all.
    pub async fn gone(mut self) -> Result<(), CargoError> {
        let ended = async {
            self.0.stdout_closed().await?;
            self.0.end().await
        };
        match ended.await {
            Ok(Exit::Code(0)) => Ok(()),
            Ok(exit) => Err(CargoError::Failed { exit }),
            Err(source) => Err(CargoError::Start {
                program: environment::cargo(),
                source,
            }),
        }
    }
}

/// Runs one `cargo build` for each invocation, in turn. Diagnostics go
/// to stderr, or with all other messages to `messages` if given. Dropping the
/// future ends Cargo and its compilers.
///
/// If nothing was compiled, the last Cargo may still be running: the dep-info
/// files that it writes beside the executables are unchanged.
pub async fn build(
    invocations: &[Invocation],
    at: Surroundings<'_>,
    messages: Option<&Messages>,
) -> Result<(Artifacts, Option<ExitingCargo>), CargoError> {
    let format = match messages {
        None => "--message-format=json-render-diagnostics",
        Some(_) => "--message-format=json",
    };
    let mut artifacts = Artifacts::default();
    let mut last: Option<ExitingCargo> = None;
    for invocation in invocations {
        if let Some(last) = last.take() {
            last.gone().await?;
        }
        let program = program(invocation.words(format), at);
        let failed = |source| CargoError::Start {
            program: program.path.clone(),
            source,
        };
        let process = Process::start(&program, StderrMode::Inherited).await;
        let mut process = process.map_err(failed)?;
        let mut output = Vec::new();
        let known = process
            .read_until(&mut output, has_built)
            .await
            .map_err(failed)?;
        if let Some(messages) = messages {
            messages.tell(&output);
        }
        let leaving = ExitingCargo(process);
        if known {
            last = Some(leaving);
        } else {
            leaving.gone().await?;
        }
        for line in output.split(|byte| *byte == b'\n') {
            if let Some(artifact) = told(line)? {
                if !artifact.fresh {
                    artifacts.compiled.insert(artifact.target.name.clone());
                    let manifest = artifact.manifest_path.clone();
                    artifacts.packages.insert(manifest.into_std_path_buf());
                }
                artifacts.add(artifact);
            }
        }
    }
    if !artifacts.compiled.is_empty() {
        if let Some(last) = last.take() {
            last.gone().await?;
        }
    }
    Ok((artifacts, last))
}

impl Invocation {
    /// Returns the words after `cargo`.
    fn words(&self, format: &str) -> Vec<OsString> {
        let command: &[&str] = if self.is_test {
            &["test", "--no-run"]
        } else {
            &["build"]
        };
        let command = command.iter().chain([&format]).map(OsString::from);
        command.chain(self.arguments.iter().cloned()).collect()
    }
}

impl Artifacts {
    /// Adds an artifact that is an executable, or a library of a local package.
    fn add(&mut self, artifact: Artifact) {
        let Some(path) = artifact.executable else {
            let is_local = artifact.package_id.repr.starts_with(LOCAL);
            let mut files = artifact.filenames.iter().filter(|_| is_local);
            let library = files.find(|file| file.extension() == Some("rlib"));
            self.libraries
                .extend(library.map(|file| sources_of(file.as_std_path())));
            return;
        };
        let made = Made {
            path: path.into_std_path_buf(),
            manifest: artifact.manifest_path.into_std_path_buf(),
        };
        if artifact.profile.test {
            self.tests.push(MadeTest {
                name: artifact.target.name,
                kind: artifact.target.kind,
                package: package_name(&artifact.package_id.repr),
                made,
            });
        } else {
            let same = self.made.entry(artifact.target.name).or_default();
            same.push(made);
        }
    }
}

/// Beginning of the ids of local packages.
const LOCAL: &str = "path+";

/// Returns the path of a library without its extension. In the folder `deps`, the
/// list of its sources has no prefix.
fn sources_of(library: &Path) -> PathBuf {
    let path = library.with_extension("");
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| name.strip_prefix("lib"));
    match name.filter(|_| is_in_deps(library)) {
        Some(name) => path.with_file_name(name),
        None => path,
    }
}

/// Returns true if the compiler put a file into Cargo's folder of dependencies.
fn is_in_deps(artifact: &Path) -> bool {
    artifact.parent().is_some_and(|it| it.ends_with("deps"))
}

/// Returns the name of a package from its id: `path+file:///FOLDER#0.1.0`, or
/// with `#NAME@0.1.0` if the folder has another name.
fn package_name(id: &str) -> String {
    let (url, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    let name = match fragment.rsplit_once('@') {
        Some((name, _)) => name,
        None => url.rsplit('/').next().unwrap_or(url),
    };
    name.to_owned()
}

/// Returns true if the output ends with Cargo's message that the build
/// succeeded.
fn has_built(output: &[u8]) -> bool {
    const BUILT: &[u8] = br#"{"reason":"build-finished","success":true}"#;
    let output = output.strip_suffix(b"\n").unwrap_or_default();
    let begin = memchr::memrchr(b'\n', output).map_or(0, |end| end + 1);
    output[begin..] == *BUILT
}

/// Parses a line of output, and returns the artifact if it is an executable,
/// was just compiled, or belongs to a local package.
///
/// Build scripts and procedural macros may print to stdout too, so only lines
/// that begin like a message are parsed.
fn told(line: &[u8]) -> Result<Option<Artifact>, CargoError> {
    const ARTIFACT: &[u8] = br#"{"reason":"compiler-artifact""#;
    const LIBRARY: &[u8] = br#""executable":null"#;
    const FRESH: &[u8] = br#""fresh":true"#;
    const OF_LOCAL: &[u8] = br#""package_id":"path+"#;
    let holds = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    if !line.starts_with(ARTIFACT) || (holds(LIBRARY) && holds(FRESH) && !holds(OF_LOCAL)) {
        return Ok(None);
    }
    let message = serde_json::from_slice(line).map_err(|source| CargoError::Output {
        command: "build",
        source,
    })?;
    Ok(match message {
        Message::CompilerArtifact(artifact) => Some(artifact),
        _ => None,
    })
}

/// Returns the files that an artifact was built from, according to the dep-info
/// file beside it; `None` if there is none.
///
/// The paths are absolute, even if Cargo is configured to write relative ones.
pub fn dependencies(artifact: &Path) -> Option<Vec<PathBuf>> {
    let account = fs::read_followed(&artifact.with_extension("d")).ok()?;
    let account = String::from_utf8_lossy(&account);
    let mut paths: Vec<PathBuf> = account.lines().flat_map(prerequisites).collect();
    let relative = paths.iter().find(|path| path.is_relative());
    if let Some(base) = relative.and_then(|first| base_of(artifact, first)) {
        for path in &mut paths {
            *path = base.join(&*path);
        }
    }
    Some(paths)
}

/// Returns the folder that the relative names in a dep-info file begin at.
/// `first` is one of these names.
fn base_of(artifact: &Path, first: &Path) -> Option<PathBuf> {
    let folder = environment::working_folder().ok()?;
    if is_in_deps(artifact) {
        // The compiler names files from the workspace root. The target folder
        // is usually in it, and so is the working folder.
        let above = artifact.ancestors().skip(1).chain(folder.ancestors());
        let mut roots = above.filter(|root| fs::is_file(&root.join(first)));
        return roots.next().map(Path::to_owned);
    }
    Some(cargo_config::dep_info_basedir(&folder).unwrap_or(folder))
}

/// Returns the names after the colon of a `make` rule, where spaces in names
/// are escaped.
fn prerequisites(rule: &str) -> Vec<PathBuf> {
    let Some((_, names)) = rule.split_once(": ") else {
        return Vec::new();
    };
    let names = names.replace("\\ ", "\0");
    let names = names.split(' ').filter(|name| !name.is_empty());
    names
        .map(|name| PathBuf::from(name.replace('\0', " ")))
        .collect()
}

/// Runs `cargo metadata`, without dependencies.
pub async fn metadata(
    arguments: &[OsString],
    at: Surroundings<'_>,
) -> Result<Metadata, CargoError> {
    let mut all: Vec<OsString> = ["metadata", "--no-deps", "--format-version=1"]
        .map(OsString::from)
        .to_vec();
    all.extend_from_slice(arguments);
    let (exit, output, errors) = run(all, at, StderrMode::Piped).await?;
    if exit != Exit::Code(0) {
        let explanation = String::from_utf8_lossy(&errors);
        let explanation = explanation.trim();
        return Err(CargoError::Metadata {
            explanation: explanation
                .strip_prefix("error: ")
                .unwrap_or(explanation)
                .to_owned(),
        });
    }
    serde_json::from_slice(&output).map_err(|source| CargoError::Output {
        command: "metadata",
        source,
    })
}

async fn run(
    arguments: Vec<OsString>,
    at: Surroundings<'_>,
    stderr: StderrMode,
) -> Result<(Exit, Vec<u8>, Vec<u8>), CargoError> {
    let program = program(arguments, at);
    let ended = program.run(stderr).await;
    ended.map_err(|source| CargoError::Start {
        program: program.path,
        source,
    })
}

fn program(arguments: Vec<OsString>, at: Surroundings<'_>) -> Program {
    let mut environment = environment::for_cargo();
    for (name, value) in at.variables {
        environment.retain(|(other, _)| other.to_str() != Some(name));
        environment.push((name.into(), value.into()));
    }
    Program {
        path: environment::cargo(),
        arguments,
        environment: Some(environment),
        folder: Some(at.folder.to_owned()),
        stdin: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_names_may_contain_spaces() {
        assert_eq!(
            prerequisites("/t/debug/x: /w/a\\ b/src/x.rs /w/y.rs"),
            [PathBuf::from("/w/a b/src/x.rs"), PathBuf::from("/w/y.rs")]
        );
        for rule in ["# comment", "", "/w/lib.rs:", ":: "] {
            assert_eq!(prerequisites(rule), Vec::<PathBuf>::new(), "{rule}");
        }
    }

    #[test]
    fn sources_of_libraries_are_beside_them() {
        for (library, sources) in [
            ("/t/debug/deps/libshop-12ab.rlib", "/t/debug/deps/shop-12ab"),
            ("/t/debug/libshop.rlib", "/t/debug/libshop"),
        ] {
            assert_eq!(sources_of(Path::new(library)), Path::new(sources));
        }
    }

    #[test]
    fn packages_are_named_by_their_ids() {
        for (id, name) in [
            ("path+file:///w/api#0.1.0", "api"),
            ("path+file:///w/x#shop-api@0.1.0", "shop-api"),
            ("odd", "odd"),
        ] {
            assert_eq!(package_name(id), name);
        }
    }

    #[test]
    fn only_the_final_message_ends_a_build() {
        const BUILT: &str = r#"{"reason":"build-finished","success":true}"#;
        assert!(has_built(format!("{{}}\n{BUILT}\n").as_bytes()));
        assert!(has_built(format!("{BUILT}\n").as_bytes()));
        for said in [
            "",
            "\n",
            BUILT,
            r#"{"reason":"build-finished","success":false}"#,
        ] {
            assert!(!has_built(said.as_bytes()), "{said}");
        }
        let more = format!("{BUILT}\n{{}}\n");
        assert!(!has_built(more.as_bytes()), "it goes on");
    }
}
