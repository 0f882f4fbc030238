//! Cargo: builds, and what it says about a workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cargo_metadata::{Artifact, Message, Metadata};

use crate::host::process::{Exit, Process, Program, StderrMode};
use crate::host::{cargo_config, environment, fs};

/// What went wrong with Cargo.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// It could not be started.
    #[error("failed to run `{program}`")]
    Start {
        /// What was run.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It failed, and has said why.
    #[error("{}", build_failed(*exit))]
    Failed {
        /// How it ended.
        exit: Exit,
    },
    /// It built without an error, and not what it was asked for.
    #[error("cargo did not build bin `{bin}`: the features that it requires are not enabled")]
    NotBuilt {
        /// The bin.
        bin: String,
    },
    /// It failed without an explanation on the terminal.
    #[error("`cargo metadata` failed: {explanation}")]
    Metadata {
        /// What it wrote.
        explanation: String,
    },
    /// Its output is not what it promises.
    #[error("failed to understand the output of `cargo {command}`")]
    Output {
        /// The command.
        command: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

fn build_failed(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("the build failed with exit code {code}"),
        Exit::Signal(signal) => format!("the build was ended by signal {signal}"),
    }
}

/// What came of one build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// The executables, by the names of their bins. Two packages may have a bin
    /// of one name.
    pub made: BTreeMap<String, Vec<Made>>,
    /// The names of the crates that were compiled for it, by Cargo's account.
    pub compiled: BTreeSet<String>,
    /// The manifests of the packages of these crates.
    pub packages: BTreeSet<PathBuf>,
}

/// An executable that Cargo made, or found as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The file.
    pub path: PathBuf,
    /// The manifest of its package.
    pub manifest: PathBuf,
}

/// Who is told the messages of Cargo, each a line of JSON without its end.
#[derive(Clone)]
pub struct Messages(Arc<Listener>);

type Listener = dyn Fn(&[u8]) + Send + Sync;

impl Messages {
    /// Hands each message to `listener`.
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

/// Runs `cargo check`: diagnostics go straight to stderr, or to `messages`
/// where there are some. Dropping it ends Cargo and its compilers.
pub async fn check(
    arguments: &[OsString],
    folder: &Path,
    messages: Option<&Messages>,
) -> Result<(), CargoError> {
    let mut all = vec![OsString::from("check")];
    if messages.is_some() {
        all.push("--message-format=json".into());
    }
    all.extend_from_slice(arguments);
    let (exit, output, _) = run(all, folder, StderrMode::Inherited).await?;
    if let Some(messages) = messages {
        messages.tell(&output);
    }
    if exit == Exit::Code(0) {
        Ok(())
    } else {
        Err(CargoError::Failed { exit })
    }
}

/// A Cargo that has said what came of its build, and has only itself to tidy
/// up, which takes it longer than to find that there is nothing to do.
///
/// Dropped, it is ended.
#[derive(Debug)]
pub struct Leaving(Process);

impl Leaving {
    /// Waits until it is gone. The error is that it failed after all.
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

/// Runs one `cargo build` for each list of arguments, in turn; diagnostics go
/// straight to stderr, or with all other messages to `messages` where there
/// are some. Dropping it ends Cargo and its compilers.
///
/// Where nothing had to be compiled, the last one may not be gone yet: whatever
/// it leaves beside what it builds was there before.
pub async fn build(
    invocations: &[Vec<OsString>],
    folder: &Path,
    messages: Option<&Messages>,
) -> Result<(Artifacts, Option<Leaving>), CargoError> {
    let format = match messages {
        None => "--message-format=json-render-diagnostics",
        Some(_) => "--message-format=json",
    };
    let mut artifacts = Artifacts::default();
    let mut last: Option<Leaving> = None;
    for arguments in invocations {
        if let Some(last) = last.take() {
            last.gone().await?;
        }
        let mut all = vec![OsString::from("build"), format.into()];
        all.extend_from_slice(arguments);
        let program = program(all, folder);
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
        let leaving = Leaving(process);
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
                if artifact.executable.is_none() {
                    continue;
                }
                let path = artifact.executable.clone().unwrap_or_default();
                let made = Made {
                    path: path.into_std_path_buf(),
                    manifest: artifact.manifest_path.into_std_path_buf(),
                };
                artifacts
                    .made
                    .entry(artifact.target.name)
                    .or_default()
                    .push(made);
            }
        }
    }
    if !artifacts.compiled.is_empty()
        && let Some(last) = last.take()
    {
        last.gone().await?;
    }
    Ok((artifacts, last))
}

/// Whether Cargo says at the end of this output that it has built everything.
fn has_built(output: &[u8]) -> bool {
    const BUILT: &[u8] = br#"{"reason":"build-finished","success":true}"#;
    let output = output.strip_suffix(b"\n").unwrap_or_default();
    let begin = memchr::memrchr(b'\n', output).map_or(0, |end| end + 1);
    output[begin..] == *BUILT
}

/// The artifact that a line of the output tells of, where it is an executable,
/// or was compiled just now.
///
/// A build script or a procedural macro may print on stdout, too: only what
/// begins as a message is read as one.
fn told(line: &[u8]) -> Result<Option<Artifact>, CargoError> {
    const ARTIFACT: &[u8] = br#"{"reason":"compiler-artifact""#;
    const LIBRARY: &[u8] = br#""executable":null"#;
    const FRESH: &[u8] = br#""fresh":true"#;
    let holds = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    if !line.starts_with(ARTIFACT) || (holds(LIBRARY) && holds(FRESH)) {
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

/// The files that an artifact was built from, by the account that Cargo leaves
/// beside it; none where there is no account.
///
/// Their paths are absolute, also where Cargo is configured to write them
/// relative to a folder.
pub fn dependencies(artifact: &Path) -> Option<Vec<PathBuf>> {
    let account = fs::read_followed(&artifact.with_extension("d")).ok()?;
    let account = String::from_utf8_lossy(&account);
    let mut paths: Vec<PathBuf> = account.lines().flat_map(prerequisites).collect();
    if paths.iter().any(|path| path.is_relative())
        && let Ok(folder) = environment::working_folder()
    {
        let basedir = cargo_config::dep_info_basedir(&folder).unwrap_or(folder);
        for path in &mut paths {
            *path = basedir.join(&*path);
        }
    }
    Some(paths)
}

/// What stands behind the colon of a rule of `make`; a space in a name is
/// escaped.
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

/// What the workspace holds, without its dependencies.
pub async fn metadata(arguments: &[OsString], folder: &Path) -> Result<Metadata, CargoError> {
    let mut all: Vec<OsString> = ["metadata", "--no-deps", "--format-version=1"]
        .map(OsString::from)
        .to_vec();
    all.extend_from_slice(arguments);
    let (exit, output, errors) = run(all, folder, StderrMode::Piped).await?;
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
    folder: &Path,
    stderr: StderrMode,
) -> Result<(Exit, Vec<u8>, Vec<u8>), CargoError> {
    let program = program(arguments, folder);
    let ended = program.run(stderr).await;
    ended.map_err(|source| CargoError::Start {
        program: program.path,
        source,
    })
}

fn program(arguments: Vec<OsString>, folder: &Path) -> Program {
    Program {
        path: environment::cargo(),
        arguments,
        environment: Some(environment::for_cargo()),
        folder: Some(folder.to_owned()),
        stdin: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_are_read_from_what_cargo_leaves() {
        assert_eq!(
            prerequisites("/t/debug/x: /w/a\\ b/src/x.rs /w/y.rs"),
            [PathBuf::from("/w/a b/src/x.rs"), PathBuf::from("/w/y.rs")]
        );
        for rule in ["# comment", "", "/w/lib.rs:", ":: "] {
            assert_eq!(prerequisites(rule), Vec::<PathBuf>::new(), "{rule}");
        }
    }

    #[test]
    fn only_what_cargo_says_itself_ends_a_build() {
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
