//! The error that every command returns.
//!
//! It wraps the errors of the features below. [`Error::hint`] returns the
//! command to type next, and `cli::exit` maps every error to an exit code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::envelope::Envelope;
use serde::de::DeserializeOwned;

use crate::home::history::LARGEST_RESULT;
use crate::home::program::ProgramError;
use crate::home::{HomeError, from_json, word};
use crate::host::cargo::CargoError;
use crate::host::fs::Error as FilesError;
use crate::host::process::interrupts::{Interrupt, Interrupted};
use crate::logs::query::QueryError;
use crate::manifest::DescriptionError;
use crate::manifest::import::ImportError;
use crate::manifest::init::ProposalError;
use crate::model::duration::ShortDuration;
use crate::model::merge::MergeError;
use crate::model::name::{ExecutableName, Kind, NameError, RoleName};
use crate::model::name_template::TemplateError;
use crate::model::role_search::{RolePattern, RoleSearch, SearchError};
use crate::model::test_target::TestTarget;
use crate::protocol::{Refusal, RefusalKind};

/// Reason why an operation failed. A failed operation changes nothing, unless
/// its documentation says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No workspace was found, but one is needed.
    #[error("no `Cargo.toml` in `{folder}` or any folder above", folder = .0.display())]
    NoWorkspace(PathBuf),
    /// The workspace describes no roles, but some are needed.
    #[error("`{manifest}` describes no roles", manifest = .0.display())]
    NotDescribed(PathBuf),
    /// `[workspace.metadata.ansar]` is invalid.
    #[error(transparent)]
    Description(#[from] Box<DescriptionError>),
    /// The manifest is not valid TOML.
    #[error("{manifest}: {reason}", manifest = manifest.display())]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// Position and reason.
        reason: String,
    },
    /// `init` found nothing to propose.
    #[error("{manifest}: {error}", manifest = manifest.display())]
    Proposal {
        /// The manifest.
        manifest: PathBuf,
        /// Reason.
        error: ProposalError,
    },
    /// `init --from` cannot translate a file.
    #[error("{file}:{line}: {reason}", file = file.display(), line = error.line, reason = error.reason)]
    Import {
        /// The file.
        file: PathBuf,
        /// Line and reason.
        error: ImportError,
    },
    /// A role that must run while Cargo does could not be started.
    #[error("role `{role}`, which the build needs, failed: {reason}")]
    NeedFailed {
        /// The role.
        role: RoleName,
        /// The reason.
        reason: String,
    },
    /// A variable of Cargo refers to a value that does not exist yet.
    #[error("variable `{variable}` of the build needs `{placeholder}`, which has no value yet")]
    NoBuildValue {
        /// The variable.
        variable: String,
        /// The placeholder.
        placeholder: String,
    },
    /// The home, or a file in it, is invalid.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The home does not exist, but one is needed.
    #[error("no home at `{home}`", home = home.display())]
    NoHome {
        /// Path of the missing home.
        home: PathBuf,
        /// True if the workspace describes roles; unset without a workspace.
        is_described: Option<bool>,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Cargo failed.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// Cargo failed after it had reported all artifacts as built, and after
    /// they were used.
    #[error("cargo failed after it had built everything: {0}")]
    CargoAfterwards(CargoError),
    /// A binary exists in several packages.
    #[error("executable `{executable}` is a binary of {}", packages.join(" and of "))]
    Ambiguous {
        /// The executable.
        executable: ExecutableName,
        /// The packages, in back-quotes.
        packages: Vec<String>,
    },
    /// The manifest names an executable that its package does not have.
    #[error("package `{package}` has no binary `{executable}`")]
    NotInPackage {
        /// The executable.
        executable: ExecutableName,
        /// The package.
        package: String,
    },
    /// A described role runs an executable that is neither a binary of the
    /// workspace nor deployed in the home.
    #[error(
        "role `{role}`{place}: executable `{executable}` not found: not a binary of this workspace, \
         and not deployed in this home"
    )]
    NoBinary {
        /// The role.
        role: RoleName,
        /// Position of its description, as ` (FILE:LINE)`.
        place: String,
        /// The executable.
        executable: ExecutableName,
        /// Similar binary of the workspace, as a suggestion.
        meant: Option<String>,
    },
    /// The workspace has no such test target.
    #[error("test target not found: no {test} in this workspace")]
    NoTestTarget {
        /// The target.
        test: TestTarget,
        /// Similar name, as a suggestion.
        meant: Option<String>,
    },
    /// Several packages have a test target.
    #[error("{test} is in several packages: {}", packages.join(", "))]
    AmbiguousTest {
        /// The target.
        test: TestTarget,
        /// The packages.
        packages: Vec<String>,
    },
    /// An executable is neither built by the workspace nor deployed in the
    /// home.
    #[error(
        "executable `{name}` not found: not a binary of this workspace, and not deployed in this home"
    )]
    NoExecutable {
        /// Requested name.
        name: ExecutableName,
        /// Similar name, as a suggestion.
        meant: Option<String>,
    },
    /// A file or folder could not be deployed.
    #[error("failed to deploy `{what}`")]
    Deploy {
        /// Name of the executable or material.
        what: String,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A named folder does not exist, or is not a folder.
    #[error("no folder `{}`", .0.display())]
    NoFolder(PathBuf),
    /// A folder of executables contains none.
    #[error("no executables in `{}`", folder.display())]
    NoExecutables {
        /// The folder.
        folder: PathBuf,
        /// True if the folder has the layout of a snapshot.
        is_snapshot: bool,
    },
    /// The source of a copy is inside its target, or the reverse.
    #[error("cannot copy between `{}` and `{}`: one is inside the other", inner.display(), outer.display())]
    Nested {
        /// The inner folder.
        inner: PathBuf,
        /// The outer one.
        outer: PathBuf,
    },
    /// A flag has no effect.
    #[error("`{flag}` has no effect: {why}")]
    NoEffect {
        /// The flag.
        flag: &'static str,
        /// Reason.
        why: &'static str,
    },
    /// A material could not be copied to the snapshot.
    #[error("failed to copy `{what}` to the snapshot")]
    Snapshot {
        /// Name of the material.
        what: String,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A component rejected its settings or input.
    #[error("role `{role}`{place}: {reason}")]
    Rejected {
        /// The role.
        role: RoleName,
        /// Position of its description, as ` (FILE:LINE)`.
        place: String,
        /// Reason that the component states.
        reason: String,
        /// Hint of the component.
        tip: Option<String>,
    },
    /// An executable does not link ansar-runtime.
    #[error(
        "{subject}executable `{executable}` is not a component: it does not link ansar-runtime"
    )]
    NotAComponent {
        /// Role that runs it, as `role ROLE: `.
        subject: String,
        /// The executable, by its name or its path.
        executable: String,
        /// True if it is a script.
        is_script: bool,
    },
    /// An executable wraps its own `main`, and reads no settings.
    #[error(
        "{subject}executable `{executable}` wraps its own `main`, and takes no settings or input"
    )]
    WrapsItsMain {
        /// Role that runs it, as `role ROLE: `.
        subject: String,
        /// The executable, by its name or its path.
        executable: String,
    },
    /// A path was passed, but the name of an executable is expected.
    #[error("expected the name of an executable, found the path `{}`", .0.display())]
    ExecutablePath(PathBuf),
    /// An executable uses another version of the contract.
    #[error(
        "{subject}executable `{executable}` was built for contract version {version}; \
         this `cargo ansar` supports {}",
        ansar_contract::VERSION
    )]
    OtherContract {
        /// Role that runs it, as `role ROLE: `.
        subject: String,
        /// The executable.
        executable: ExecutableName,
        /// Version that the executable uses.
        version: u32,
    },
    /// A program cannot be run as its role describes.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A template of role names is invalid.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A role search is invalid.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// An input file has invalid content.
    #[error("{path}:{reason}", path = path.display())]
    InputFile {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
        /// Example of a valid value, as JSON.
        example: Option<&'static str>,
    },
    /// An input file cannot be read.
    #[error(transparent)]
    Unreadable(FilesError),
    /// A text is not a valid name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A named role does not exist.
    #[error("no role `{role}`")]
    NoSuchRole {
        /// Requested role.
        role: RoleName,
        /// Similar role, as a suggestion.
        meant: Option<RoleName>,
    },
    /// The settings of a role have never been resolved.
    #[error("role `{0}` has no settings yet")]
    NoSettings(RoleName),
    /// A role takes no input.
    #[error("role `{0}` takes no input")]
    NoInput(RoleName),
    /// `update` was called without a setting.
    #[error("no setting to change, expected `--NAME=VALUE`")]
    NoSetting(RoleName),
    /// A property is to be set, but no value is on stdin.
    #[error("cannot set `{0}`: no value on stdin")]
    NoValue(&'static str),
    /// A start order of roles is impossible.
    #[error("role `{role}` cannot start after `{after}`: {reason}")]
    StartOrder {
        /// The role.
        role: RoleName,
        /// Role that it would wait for.
        after: RoleName,
        /// Reason.
        reason: String,
    },
    /// An edited text is invalid. It is saved for the next `edit`.
    #[error("{path}:{reason}", path = path.display())]
    Edited {
        /// Path of the saved text.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
        /// Name of the edited property.
        property: &'static str,
        /// Role of the property.
        role: RoleName,
    },
    /// The editor failed.
    #[error("editor `{editor}` {reason}", editor = editor.display())]
    Editor {
        /// The editor.
        editor: OsString,
        /// Reason.
        reason: String,
    },
    /// Terms of a search match no role.
    #[error("no {what} matches {search}")]
    NoRole {
        /// Kind of the searched roles.
        what: &'static str,
        /// The terms.
        search: RoleSearch,
        /// Similar names, as suggestions.
        meant: Vec<String>,
    },
    /// The home has no roles, but some are needed.
    #[error("home `{home}` has no roles", home = home.display())]
    NoRoles {
        /// The home.
        home: PathBuf,
        /// True if the workspace describes roles.
        is_described: bool,
    },
    /// Roles that the workspace describes are not deployed yet.
    #[error("{} not deployed yet", roles_are(.0))]
    NotDeployed(Vec<RoleName>),
    /// Roles are no longer described, and are not started.
    #[error("{} retired: no longer described in `Cargo.toml`", roles_are(.0))]
    Retired(Vec<RoleName>),
    /// The main role is not among the selected roles.
    #[error("main role `{0}` is not among the selected roles")]
    NoMainRole(RoleName),
    /// A role has never run.
    #[error("role `{0}` has not run yet")]
    NeverRan(RoleName),
    /// A role has no start of this index.
    #[error("role `{role}` has no start {index}; the latest is {last}")]
    NoStart {
        /// The role.
        role: RoleName,
        /// Requested index.
        index: usize,
        /// Index of the latest start.
        last: usize,
    },
    /// A role ended after its engine, so its returned value is lost.
    #[error("role `{0}` returned nothing: its engine was killed")]
    NothingReturned(RoleName),
    /// A returned value was too large to store.
    #[error(
        "result of role `{role}` was not stored: {size} bytes exceed the limit of {LARGEST_RESULT}"
    )]
    TooLarge {
        /// The role.
        role: RoleName,
        /// Size in bytes.
        size: usize,
    },
    /// A role did not end in time.
    #[error("role `{role}` did not end within {}", ShortDuration(*after))]
    NotEnded {
        /// The role.
        role: RoleName,
        /// Time limit.
        after: Duration,
    },
    /// A flag requires one role, but several are selected.
    #[error("`{flag}` requires a search that selects one role")]
    OneRole {
        /// The flag.
        flag: &'static str,
    },
    /// A log query has no valid range.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// No run is recorded in the home.
    #[error("no last run in home `{home}`", home = .0.display())]
    NoRun(PathBuf),
    /// Results of several machines cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// No test role matches any term of a search.
    #[error("no test role matches {search}")]
    NoTestRole {
        /// The terms.
        search: RoleSearch,
        /// Similar names, as suggestions.
        meant: Vec<String>,
        /// Term that chooses tests of test targets instead, as a suggestion.
        of_tests: Option<String>,
    },
    /// No role is a test.
    #[error("no test roles: no role name matches `{}`", pattern.as_str())]
    NoTests {
        /// Pattern of names of test roles.
        pattern: RolePattern,
        /// True if the workspace describes roles.
        is_described: bool,
        /// Name for the role of a test target of the workspace.
        proposed: Option<RoleName>,
    },
    /// The command of `with` cannot be run.
    #[error("failed to run `{command}`: {reason}", command = command.display())]
    Command {
        /// The command.
        command: OsString,
        /// Reason.
        reason: String,
    },
    /// Some of the roles to start run already.
    #[error("{running}")]
    SomeRunning {
        /// The roles that run.
        running: HomeError,
        /// The others.
        idle: Vec<RoleName>,
    },
    /// Roles that must run do not run.
    #[error("{} not running", roles_are(.0))]
    NotRunning(Vec<RoleName>),
    /// Some of the roles to stop do not run. `-f` skips them.
    #[error("{} not running", roles_are(.0))]
    NotAllRunning(Vec<RoleName>),
    /// Roles run in a foreground command, so they cannot be restarted in the
    /// background.
    #[error("cannot restart {}", in_foreground(.0))]
    InForeground(Vec<(RoleName, String)>),
    /// Roles continue to run although they were killed.
    #[error("cannot kill {}", reasons(.0))]
    Unkillable(Vec<(RoleName, String)>),
    /// An engine does not answer, and killing it would stop other roles.
    #[error(
        "the engine of {} (process {engine}) does not answer; ending it would also stop {}",
        names(roles),
        names(others)
    )]
    EngineSilent {
        /// Process id of the engine.
        engine: u32,
        /// Roles to stop.
        roles: Vec<RoleName>,
        /// Other roles that it may run.
        others: Vec<RoleName>,
    },
    /// An engine could not be killed.
    #[error("cannot kill the engine of {} (process {engine})", names(roles))]
    EngineUnkillable {
        /// Process id of the engine.
        engine: u32,
        /// Roles to stop.
        roles: Vec<RoleName>,
    },
    /// A wait timed out.
    #[error(
        "timed out after {} waiting for roles to {what}{}",
        ShortDuration(*limit),
        after_colon(roles)
    )]
    TimedOut {
        /// State that was waited for, as a verb.
        what: &'static str,
        /// Roles that have not reached it.
        roles: Vec<RoleName>,
        /// Time limit.
        limit: Duration,
    },
    /// No background engine runs, and none could be started.
    #[error("the background engine did not start")]
    NoBackgroundEngine,
    /// An engine refused a request.
    #[error("{}{}", refusal_prefix(.0), .0.reason)]
    Refused(Refusal),
    /// The command was interrupted.
    #[error("interrupted")]
    Interrupted(Interrupt),
    /// The limit of file descriptors is too low for the roles.
    #[error("{roles} roles need {needed} file descriptors, but the limit is {most}")]
    Descriptors {
        /// Number of roles.
        roles: usize,
        /// Number of descriptors that they need.
        needed: u64,
        /// Limit of descriptors.
        most: u64,
    },
    /// The limit of processes is too low.
    #[error("failed to start another process: {0}")]
    Processes(String),
    /// Orphans of a killed command cannot be killed.
    #[error("cannot end orphaned processes of a killed command: {}", pids(.0))]
    Orphans(Vec<u32>),
    /// A system call failed.
    #[error("failed to {what}")]
    System {
        /// Failed action.
        what: &'static str,
        /// Cause.
        source: std::io::Error,
    },
}

fn refusal_prefix(refusal: &Refusal) -> &'static str {
    match refusal.why {
        Some(RefusalKind::Running | RefusalKind::Missing) => "",
        _ => "the engine refused the request: ",
    }
}

fn pronoun(roles: &[RoleName]) -> &'static str {
    if roles.len() == 1 { "it" } else { "them" }
}

/// Hint for an unknown executable.
const LIST_EXECUTABLES: &str = "see the executables of the roles with `cargo ansar list -l`";

/// Hint for a workspace that describes no role.
const DESCRIBE: &str = "describe roles in `Cargo.toml`: remove the `# ` before those that \
                        `cargo ansar init` proposed in comments, or add \
                        `[workspace.metadata.ansar.role.NAME]` and below it `executable = \"NAME\"`";

/// Returns a hint that tells what makes an executable a component.
fn how_to_be_a_component(is_script: bool) -> &'static str {
    if is_script {
        "a script component has the line `# ansar-component: 1` among its first 16 lines"
    } else {
        "call `ansar_runtime::main` in its `main`, and rebuild it if it was linked with \
         an older ansar-runtime"
    }
}

fn names(roles: &[RoleName]) -> String {
    let names = roles.iter().map(|role| format!("`{role}`"));
    names.collect::<Vec<_>>().join(", ")
}

fn pids(pids: &[u32]) -> String {
    let texts: Vec<String> = pids.iter().map(u32::to_string).collect();
    texts.join(", ")
}

/// Returns roles as the subject of a sentence, with its verb.
fn roles_are(roles: &[RoleName]) -> String {
    let (noun, verb) = match roles {
        [_] => ("role", "is"),
        _ => ("roles", "are"),
    };
    format!("{noun} {} {verb}", names(roles))
}

fn after_colon(roles: &[RoleName]) -> String {
    if roles.is_empty() {
        return String::new();
    }
    format!(": {}", names(roles))
}

fn reasons(roles: &[(RoleName, String)]) -> String {
    let each = roles.iter();
    let each = each.map(|(role, why)| format!("role `{role}`: {why}"));
    each.collect::<Vec<_>>().join("; ")
}

fn in_foreground(roles: &[(RoleName, String)]) -> String {
    if let [(role, pid)] = roles {
        return format!("role `{role}`: it runs in the foreground (process {pid})");
    }
    let each = roles.iter();
    let each = each.map(|(role, pid)| format!("`{role}` (process {pid})"));
    let each: Vec<_> = each.collect();
    format!("roles {}: they run in the foreground", each.join(", "))
}

/// Returns the texts of an error and its causes in one line.
pub(crate) fn full(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| {
        cause.source()
    });
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Decodes an input file. Unlike an invalid file of the home, an invalid input
/// file is a usage error.
pub(crate) fn decode_input_file<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
) -> Result<T, Error> {
    from_json::<Envelope<T>>(path, bytes)
        .map(|envelope| envelope.value)
        .map_err(|error| in_input_file(error, None))
}

/// Turns invalid content into an error of an input file. `example` is a valid
/// value.
pub(crate) fn in_input_file(error: HomeError, example: Option<&'static str>) -> Error {
    match error {
        HomeError::Content { path, reason } => Error::InputFile {
            path,
            reason,
            example,
        },
        error => error.into(),
    }
}

/// Joins role names as shell words.
fn words<'r>(roles: impl IntoIterator<Item = &'r RoleName>) -> String {
    let words: Vec<&str> = roles.into_iter().map(RoleName::as_str).collect();
    words.join(" ")
}

/// Returns a hint that suggests names, and the command that lists all.
fn suggest(meant: &[String], command: &str) -> String {
    if meant.is_empty() {
        return format!("list the roles with `cargo ansar {command}`");
    }
    let meant: Vec<_> = meant.iter().map(|name| format!("`{name}`")).collect();
    let meant = meant.join(", ");
    format!("did you mean {meant}? see all with `cargo ansar {command}`")
}

/// Returns the hint for a snapshot that was passed as a folder of executables.
fn deploy_snapshot(folder: &Path) -> String {
    format!(
        "the folder looks like a snapshot: deploy it with `cargo ansar deploy --storage-path {}`",
        folder.display()
    )
}

impl From<DescriptionError> for Error {
    fn from(error: DescriptionError) -> Self {
        Self::Description(Box::new(error))
    }
}

impl Error {
    /// Returns the interrupt that ended the operation, during a wait or in the
    /// middle of a long step.
    pub fn interrupt(&self) -> Option<Interrupt> {
        match self {
            Self::Interrupted(interrupt) => Some(*interrupt),
            error => Interrupted::cause_of(error),
        }
    }

    /// Returns a function that makes the error of a checkpoint. `what` is the
    /// operation that failed.
    pub(crate) fn stopped(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }.or_interrupted()
    }

    /// Returns [`Error::Interrupted`] if an interrupt is among the causes, else
    /// the error itself.
    pub(crate) fn or_interrupted(self) -> Self {
        self.interrupt().map_or(self, Self::Interrupted)
    }

    /// Returns a hint that says what to type next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoWorkspace(_) => {
                Some("go to the workspace, or name it with `--manifest-path`".to_owned())
            }
            Self::NotDescribed(_) => Some("describe roles with `cargo ansar init`".to_owned()),
            Self::Proposal { error, .. } => error.hint(),
            Self::NoExecutable { meant, .. } => Some(match meant {
                Some(name) => format!("did you mean `{name}`?"),
                None => LIST_EXECUTABLES.to_owned(),
            }),
            Self::NoExecutables {
                folder,
                is_snapshot: true,
            } => Some(deploy_snapshot(folder)),
            Self::Nested { .. } => Some("name a folder outside of the home".to_owned()),
            Self::Rejected { tip, .. } => tip.clone(),
            Self::Orphans(left) => Some(format!(
                "kill the processes with `sudo kill -9 {}`",
                pids(left).replace(',', "")
            )),
            Self::NotAComponent { is_script, .. } => {
                Some(how_to_be_a_component(*is_script).to_owned())
            }
            Self::WrapsItsMain { .. } => Some("use `args` and `env`".to_owned()),
            Self::OtherContract { .. } => {
                Some("build it with this version of ansar-runtime".to_owned())
            }
            Self::Home(error) => error.hint(),
            Self::Program(error) => error.hint(),
            Self::NoHome { home, is_described } => match is_described {
                Some(true) => Some(
                    "build and deploy the roles of `Cargo.toml` with `cargo ansar deploy`"
                        .to_owned(),
                ),
                Some(false) => Some(format!(
                    "{DESCRIBE}, or make an empty home with `cargo ansar create {}`",
                    word(home)
                )),
                None => HomeError::NotThere(home.clone()).hint(),
            },
            Self::Ambiguous { packages, .. } => packages.first().map(|package| {
                format!(
                    "choose one with `package = \"{}\"` beside `executable` in `Cargo.toml`",
                    package.trim_matches('`')
                )
            }),
            Self::Merge(error) => error.hint(),
            Self::NoRun(_) => Some("run the tests with `cargo ansar test`".to_owned()),
            Self::Template(error) => error.hint(),
            Self::ExecutablePath(path) => {
                path.parent().zip(path.file_name()).map(|(folder, name)| {
                    format!(
                        "copy the executables of its folder into the home with \
                     `cargo ansar deploy {}`, then name it `{}`",
                        word(folder),
                        name.to_string_lossy()
                    )
                })
            }
            Self::Name(error) => Some(match (error.kind(), error.similar()) {
                (Kind::Executable, _) => LIST_EXECUTABLES.to_owned(),
                (Kind::Role, None) => "list the roles with `cargo ansar list`".to_owned(),
                (Kind::Role, Some(meant)) => {
                    format!("did you mean `{meant}`? see all with `cargo ansar list`")
                }
            }),
            Self::InputFile { example, .. } => {
                example.map(|example| format!("an example is `{{\"value\": {example}}}`"))
            }
            Self::NoSettings(_) => {
                Some("build and deploy what it runs with `cargo ansar deploy`".to_owned())
            }
            Self::NoInput(role) | Self::NoSetting(role) => Some(format!(
                "see its settings with `cargo ansar settings {role}`"
            )),
            Self::NoValue(property) => Some(format!(
                "name a file with `--encoding-file`, or type it with `cargo ansar edit {property} ROLE`"
            )),
            Self::StartOrder { .. } => Some("list the roles with `cargo ansar list`".to_owned()),
            Self::Edited { property, role, .. } => Some(format!(
                "the text is saved: correct it with `cargo ansar edit {property} {role}`"
            )),
            Self::Editor { .. } => {
                Some("choose another with the variable `VISUAL` or `EDITOR`".to_owned())
            }
            Self::Descriptors { needed, .. } => {
                Some(format!("allow more with `ulimit -n {needed}`"))
            }
            Self::Processes(_) => Some("see how many are allowed with `ulimit -u`".to_owned()),
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::NeverRan(role) => Some(format!("run it with `cargo ansar run {role}`")),
            Self::NoStart { role, .. } => {
                Some(format!("list its starts with `cargo ansar history {role}`"))
            }
            Self::NothingReturned(role) => Some(format!(
                "see its last lines with `cargo ansar log {role} --last=DAY`"
            )),
            _ => self.hint_about_roles(),
        }
    }

    /// Returns the hint of an error about the state of roles.
    fn hint_about_roles(&self) -> Option<String> {
        match self {
            Self::NoRoles { is_described, .. } => Some(if *is_described {
                "build and deploy the roles of `Cargo.toml` with `cargo ansar deploy`".to_owned()
            } else {
                "add one with `cargo ansar add EXECUTABLE`".to_owned()
            }),
            Self::NoTestTarget { meant, .. } => {
                meant.as_ref().map(|name| format!("did you mean `{name}`?"))
            }
            Self::NoBinary {
                meant: Some(meant), ..
            } => Some(format!("did you mean `{meant}`?")),
            Self::NoBinary { meant: None, .. } => Some(
                "name a binary of the workspace, or use `program` for one from elsewhere"
                    .to_owned(),
            ),
            Self::AmbiguousTest { packages, .. } => packages
                .first()
                .map(|package| format!("set `package = \"{package}\"`")),
            Self::NeedFailed { role, .. } => {
                Some(format!("see what it printed with `cargo ansar log {role}`"))
            }
            Self::NoBuildValue { .. } => {
                Some("deploy the roles first with `cargo ansar deploy`".to_owned())
            }
            Self::NotDeployed(roles) => Some(format!(
                "build and deploy {} with `cargo ansar deploy`",
                pronoun(roles)
            )),
            Self::Retired(roles) => Some(format!(
                "describe {0} again and run `cargo ansar deploy`, \
                 or remove {0} with `cargo ansar delete {1}`",
                pronoun(roles),
                words(roles)
            )),
            Self::NoSuchRole { meant, .. } => Some(match meant {
                Some(role) => format!("did you mean `{role}`? see all with `cargo ansar list`"),
                None => "list the roles with `cargo ansar list`".to_owned(),
            }),
            Self::NoRole { meant, .. } => Some(suggest(meant, "list")),
            Self::NoTestRole {
                meant,
                of_tests: Some(term),
                ..
            } if meant.is_empty() => Some(format!(
                "choose tests by their names with `cargo ansar test '{term}'`, \
                 or list the roles with `cargo ansar test --list`"
            )),
            Self::NoTestRole { meant, .. } => Some(suggest(meant, "test --list")),
            Self::SomeRunning { idle, .. } => Some(format!(
                "start only {} with `cargo ansar start {}`, or have the others stopped first with `-f`",
                match idle.len() {
                    1 => "the one that is not running",
                    _ => "those that are not running",
                },
                words(idle)
            )),
            Self::NotRunning(roles) => Some(format!(
                "start {} with `cargo ansar start {}`, or see what runs with `cargo ansar status`",
                pronoun(roles),
                words(roles)
            )),
            Self::NotAllRunning(roles) => Some(format!(
                "skip {} with `-f`, or see what runs with `cargo ansar status`",
                pronoun(roles)
            )),
            Self::InForeground(roles) => Some(format!(
                "end the command in the foreground, or stop its roles with `cargo ansar stop {}`",
                words(roles.iter().map(|(role, _)| role))
            )),
            Self::NoTests {
                proposed: Some(role),
                ..
            } => Some(format!(
                "describe one in `Cargo.toml`: `[workspace.metadata.ansar.role.{role}]`, \
                 and below it `test = \"{}\"`",
                role.as_str().strip_prefix("test-").unwrap_or_default()
            )),
            Self::NoTests { is_described, .. } => Some(if *is_described {
                "rename a role, or set the pattern of test names with `tests` in \
                 `[workspace.metadata.ansar]`"
                    .to_owned()
            } else {
                DESCRIBE.to_owned()
            }),
            Self::NoMainRole(role) => Some(format!(
                "select role `{role}` as well, or list the roles with `cargo ansar list`"
            )),
            Self::EngineSilent { .. } => {
                Some("wait until the engine answers, or stop all of its roles with `-f`".to_owned())
            }
            Self::Unkillable(_) | Self::EngineUnkillable { .. } | Self::TimedOut { .. } => {
                Some("see what runs with `cargo ansar status -l`".to_owned())
            }
            _ => None,
        }
    }
}
