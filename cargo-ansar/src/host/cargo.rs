//! Cargo: builds, and what it says about a workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cargo_metadata::{Artifact, Message, Metadata};

use super::environment;
use super::process::{Exit, Narrative, Program};

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
pub struct Artefacts {
    /// The executables, by the names of their bins. Two packages may have a bin
    /// of one name.
    pub made: BTreeMap<String, Vec<Made>>,
    /// The names of the crates that were compiled for it, by Cargo's account.
    pub compiled: BTreeSet<String>,
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
    let (exit, output, _) = run(all, folder, Narrative::Inherited).await?;
    if let Some(messages) = messages {
        messages.tell(&output);
    }
    if exit == Exit::Code(0) {
        Ok(())
    } else {
        Err(CargoError::Failed { exit })
    }
}

/// Runs one `cargo build` for each list of arguments, in turn; diagnostics go
/// straight to stderr, or with all other messages to `messages` where there
/// are some. Dropping it ends Cargo and its compilers.
pub async fn build(
    invocations: &[Vec<OsString>],
    folder: &Path,
    messages: Option<&Messages>,
) -> Result<Artefacts, CargoError> {
    let format = match messages {
        None => "--message-format=json-render-diagnostics",
        Some(_) => "--message-format=json",
    };
    let mut artefacts = Artefacts::default();
    for arguments in invocations {
        let mut all = vec![OsString::from("build"), format.into()];
        all.extend_from_slice(arguments);
        let (exit, output, _) = run(all, folder, Narrative::Inherited).await?;
        if let Some(messages) = messages {
            messages.tell(&output);
        }
        if exit != Exit::Code(0) {
            return Err(CargoError::Failed { exit });
        }
        for line in output.split(|byte| *byte == b'\n') {
            if let Some(artefact) = told(line)? {
                if !artefact.fresh {
                    artefacts.compiled.insert(artefact.target.name.clone());
                }
                if artefact.executable.is_none() {
                    continue;
                }
                let path = artefact.executable.clone().unwrap_or_default();
                let made = Made {
                    path: path.into_std_path_buf(),
                    manifest: artefact.manifest_path.into_std_path_buf(),
                };
                artefacts
                    .made
                    .entry(artefact.target.name)
                    .or_default()
                    .push(made);
            }
        }
    }
    Ok(artefacts)
}

/// The artefact that a line of the output tells of, where it is an executable,
/// or was compiled just now.
///
/// A build script or a procedural macro may print on stdout, too: only what
/// begins as a message is read as one.
fn told(line: &[u8]) -> Result<Option<Artifact>, CargoError> {
    const ARTEFACT: &[u8] = br#"{"reason":"compiler-artifact""#;
    const LIBRARY: &[u8] = br#""executable":null"#;
    const FRESH: &[u8] = br#""fresh":true"#;
    let holds = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    if !line.starts_with(ARTEFACT) || (holds(LIBRARY) && holds(FRESH)) {
        return Ok(None);
    }
    let message = serde_json::from_slice(line).map_err(|source| CargoError::Output {
        command: "build",
        source,
    })?;
    Ok(match message {
        Message::CompilerArtifact(artefact) => Some(artefact),
        _ => None,
    })
}

/// What the workspace holds, without its dependencies.
pub async fn metadata(arguments: &[OsString], folder: &Path) -> Result<Metadata, CargoError> {
    let mut all: Vec<OsString> = ["metadata", "--no-deps", "--format-version=1"]
        .map(OsString::from)
        .to_vec();
    all.extend_from_slice(arguments);
    let (exit, output, narrative) = run(all, folder, Narrative::Piped).await?;
    if exit != Exit::Code(0) {
        let explanation = String::from_utf8_lossy(&narrative);
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
    narrative: Narrative,
) -> Result<(Exit, Vec<u8>, Vec<u8>), CargoError> {
    let program = Program {
        path: environment::cargo(),
        arguments,
        environment: Some(environment::for_cargo()),
        folder: Some(folder.to_owned()),
        stdin: None,
    };
    let ended = program.run(narrative).await;
    ended.map_err(|source| CargoError::Start {
        program: program.path,
        source,
    })
}
