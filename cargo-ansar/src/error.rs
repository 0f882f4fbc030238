//! The error that every command returns.
//!
//! Rooms below this one have errors of their own, which it wraps; each has its
//! hint ([`Error::hint`]). `cli::exit` maps every error to an exit code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::envelope::Envelope;
use serde::de::DeserializeOwned;

use crate::home::{HomeError, from_json, word};
use crate::host::cargo::CargoError;
use crate::host::fs::Error as FilesError;
use crate::host::process::interrupts::{Interrupt, Interrupted};
use crate::logs::query::QueryError;
use crate::manifest::DescriptionError;
use crate::manifest::init::ProposalError;
use crate::model::duration::ShortDuration;
use crate::model::name::{ExecutableName, Kind, NameError, RoleName};
use crate::model::name_template::TemplateError;
use crate::model::role_search::{RolePattern, RoleSearch, SearchError};
use crate::protocol::{Refusal, Why};

/// Why an operation was not done. Nothing is half done, beyond what its
/// documentation says.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no workspace, where one is needed.
    #[error("no `Cargo.toml` in `{folder}` or any folder above", folder = .0.display())]
    NoWorkspace(PathBuf),
    /// The workspace describes no roles, where some are needed.
    #[error("`{manifest}` describes no roles", manifest = .0.display())]
    NotDescribed(PathBuf),
    /// The description is wrong.
    #[error(transparent)]
    Description(#[from] Box<DescriptionError>),
    /// The manifest cannot be read as TOML.
    #[error("{manifest}: {reason}", manifest = manifest.display())]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// Nothing can be proposed.
    #[error("{manifest}: {error}", manifest = manifest.display())]
    Proposal {
        /// The manifest.
        manifest: PathBuf,
        /// Why.
        error: ProposalError,
    },
    /// The home, or a file in it, is wrong.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// There is no home, where one is needed.
    #[error("no home at `{home}`", home = home.display())]
    NoHome {
        /// Where it would be.
        home: PathBuf,
        /// True if the workspace describes roles; unset where there is none.
        is_described: Option<bool>,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Cargo failed.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// Cargo failed after it had said that everything is built, and that was
    /// used.
    #[error("cargo failed after it had built everything: {0}")]
    CargoAfterwards(CargoError),
    /// A bin is in several packages.
    #[error("executable `{executable}` is a bin of {}", packages.join(" and of "))]
    Ambiguous {
        /// The executable.
        executable: ExecutableName,
        /// The packages, in back-quotes.
        packages: Vec<String>,
    },
    /// A manifest of roles gives an executable that its package does not have.
    #[error("package `{package}` has no bin `{executable}`")]
    NotInPackage {
        /// The executable.
        executable: ExecutableName,
        /// The package.
        package: String,
    },
    /// Neither the workspace builds it nor the home holds it.
    #[error("no executable `{name}`: neither is it a bin of the workspace nor in the home")]
    NoExecutable {
        /// What was asked for.
        name: ExecutableName,
        /// What was meant, perhaps.
        meant: Option<String>,
    },
    /// Something could not be deployed.
    #[error("failed to deploy `{what}`")]
    Deploy {
        /// What.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A folder that was named is none.
    #[error("no folder `{}`", .0.display())]
    NoFolder(PathBuf),
    /// A folder of executables has none.
    #[error("no executables in `{}`", folder.display())]
    NoExecutables {
        /// The folder.
        folder: PathBuf,
        /// Whether it is arranged like a snapshot.
        is_snapshot: bool,
    },
    /// What is copied is inside of where it is copied to, or the other way round.
    #[error("`{}` is inside of `{}`, and is not copied to or from there", inner.display(), outer.display())]
    Within {
        /// The inner folder.
        inner: PathBuf,
        /// The outer one.
        outer: PathBuf,
    },
    /// A flag was given that changes nothing.
    #[error("`{flag}` has no effect: {why}")]
    Useless {
        /// The flag.
        flag: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Something could not be copied out of the home.
    #[error("failed to take `{what}` into the snapshot")]
    Snapshot {
        /// What.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A component does not accept its settings or input.
    #[error("role `{role}`{place}: {reason}")]
    Unaccepted {
        /// The role.
        role: RoleName,
        /// Where it is described, ` (FILE:LINE)`.
        place: String,
        /// What the component says.
        reason: String,
        /// What it says to do about it.
        tip: Option<String>,
    },
    /// An executable does not link ansar-runtime.
    #[error(
        "{subject}executable `{executable}` is not a component: it does not link ansar-runtime"
    )]
    NotAComponent {
        /// The role that runs it, `role ROLE: `.
        subject: String,
        /// The executable, by its name or its path.
        executable: String,
        /// True if it is a script.
        is_script: bool,
    },
    /// The path of a component was given where a name is expected.
    #[error("expected the name of an executable, found the path `{}`", .0.display())]
    ExecutablePath(PathBuf),
    /// An executable speaks another version of the contract.
    #[error(
        "{subject}executable `{executable}` speaks contract version {version}, \
         and this `cargo ansar` speaks {}",
        ansar_contract::VERSION
    )]
    OtherContract {
        /// The role that runs it, `role ROLE: `.
        subject: String,
        /// The executable.
        executable: ExecutableName,
        /// The version that it speaks.
        version: u32,
    },
    /// A template of role names is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A role search is wrong.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A file that was named does not hold what it should.
    #[error("{path}:{reason}", path = path.display())]
    Given {
        /// The file.
        path: PathBuf,
        /// Line, column, and what is wrong there.
        reason: String,
        /// What it could hold, as JSON.
        example: Option<&'static str>,
    },
    /// A file that was named cannot be read.
    #[error(transparent)]
    Unreadable(FilesError),
    /// A text is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A role that was named does not exist.
    #[error("no role `{role}`")]
    NoSuchRole {
        /// What was asked for.
        role: RoleName,
        /// What was meant, perhaps.
        meant: Option<RoleName>,
    },
    /// A role has never been settled.
    #[error("role `{0}` has no settings yet")]
    Unsettled(RoleName),
    /// A role is asked for the input that it does not take.
    #[error("role `{0}` takes no input")]
    NoInput(RoleName),
    /// No setting was given.
    #[error("no setting to change, expected `--NAME=VALUE`")]
    NoSetting(RoleName),
    /// A property is to be set, and to what is not said.
    #[error("nothing to set `{0}` to, expected its value on stdin")]
    NothingGiven(&'static str),
    /// Roles would not start after others.
    #[error("role `{role}` cannot start after `{after}`: {reason}")]
    After {
        /// The role.
        role: RoleName,
        /// The role that it would wait for.
        after: RoleName,
        /// Why that cannot be.
        reason: String,
    },
    /// What was edited is wrong, and kept.
    #[error("{path}:{reason}", path = path.display())]
    Edited {
        /// Where it is kept.
        path: PathBuf,
        /// Line, column, and what is wrong there.
        reason: String,
        /// What is edited.
        property: &'static str,
        /// Of which role.
        role: RoleName,
    },
    /// The editor did not do what it was for.
    #[error("editor `{editor}` {reason}", editor = editor.display())]
    Editor {
        /// The editor.
        editor: OsString,
        /// Why.
        reason: String,
    },
    /// Terms of a search match no role.
    #[error("no {what} matches {search}")]
    NoRole {
        /// The kind of roles that were searched.
        what: &'static str,
        /// The terms.
        search: RoleSearch,
        /// The names that they probably stand for.
        meant: Vec<String>,
    },
    /// There are no roles, where some are needed.
    #[error("home `{home}` has no roles", home = home.display())]
    NoRoles {
        /// The home.
        home: PathBuf,
        /// True if the workspace describes roles.
        is_described: bool,
    },
    /// Roles are described by the workspace, and not in the home yet.
    #[error("not deployed yet: {}", names(.0))]
    NotDeployed(Vec<RoleName>),
    /// Roles are no longer described, and so are never started.
    #[error("retired, no longer described in `Cargo.toml`: {}", names(.0))]
    Retired(Vec<RoleName>),
    /// The main role is none of those that are to run.
    #[error("main role `{0}` is none of those that are to run")]
    NoMainRole(RoleName),
    /// A role that was to have run has not.
    #[error("role `{0}` has not run yet")]
    NeverRan(RoleName),
    /// A role has no start of this index.
    #[error("role `{role}` has no start {index}; the latest is {last}")]
    NoStart {
        /// The role.
        role: RoleName,
        /// What was asked for.
        index: usize,
        /// The index of its latest start.
        last: usize,
    },
    /// A role ended without anybody there to take what it returned.
    #[error("role `{0}` was lost with its engine, and returned nothing")]
    NothingReturned(RoleName),
    /// What a role returned was too large to be kept.
    #[error("role `{role}` returned {size} bytes, which is too much to be kept")]
    TooLarge {
        /// The role.
        role: RoleName,
        /// How much.
        size: usize,
    },
    /// A role was waited for long enough.
    #[error("role `{role}` has not ended in {}", ShortDuration(*after))]
    NotEnded {
        /// The role.
        role: RoleName,
        /// How long it was waited for.
        after: Duration,
    },
    /// A flag means one role, and there are several.
    #[error("`{flag}` is about one role")]
    OneRole {
        /// The flag.
        flag: &'static str,
    },
    /// A query has no range.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nothing was tested yet.
    #[error("no last run in home `{home}`", home = .0.display())]
    NoRun(PathBuf),
    /// No test role matches any term of a search.
    #[error("no test role matches {search}")]
    NoTestRole {
        /// The terms.
        search: RoleSearch,
        /// The names that they probably stand for.
        meant: Vec<String>,
    },
    /// No role is a test at all.
    #[error("no role is a test: none has a name that matches `{}`", pattern.as_str())]
    NoTests {
        /// What tests are called.
        pattern: RolePattern,
    },
    /// The command of `with` cannot be run.
    #[error("failed to run `{command}`: {reason}", command = command.display())]
    Command {
        /// The command.
        command: OsString,
        /// Why.
        reason: String,
    },
    /// Roles do not run that are to.
    #[error("not running: {}", names(.0))]
    NotRunning(Vec<RoleName>),
    /// Roles that are to be stopped do not run, and could be passed over.
    #[error("not running: {}", names(.0))]
    NotAllRunning(Vec<RoleName>),
    /// Roles run in a command in the foreground, which is not to be replaced.
    #[error("running in the foreground: {}", processes(.0))]
    InForeground(Vec<(RoleName, String)>),
    /// Roles were killed, and go on.
    #[error("cannot be killed: {}", reasons(.0))]
    Unkillable(Vec<(RoleName, String)>),
    /// An engine does not answer, and stopping it would stop other roles.
    #[error(
        "the engine of {} (process {engine}) does not answer; ending it would also stop {}",
        names(roles),
        names(others)
    )]
    Silent {
        /// Its process.
        engine: u32,
        /// The roles that were to stop.
        roles: Vec<RoleName>,
        /// The other roles that it may run.
        others: Vec<RoleName>,
    },
    /// An engine could not be ended.
    #[error("the engine of {} (process {engine}) does not end", names(roles))]
    Endless {
        /// Its process.
        engine: u32,
        /// The roles that were to stop.
        roles: Vec<RoleName>,
    },
    /// What was waited for did not come.
    #[error("not {what} after {}", ShortDuration(*limit))]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// There is no engine in the background, and none could be made.
    #[error("the engine in the background did not begin")]
    Background,
    /// An engine does not do what it was asked.
    #[error("{}{}", refusing(.0), .0.reason)]
    Refused(Refusal),
    /// The command was ended from outside before it was done.
    #[error("interrupted")]
    Interrupted(Interrupt),
    /// There is no room for as many roles.
    #[error("{roles} roles take {needed} descriptors, and there are {most} at most")]
    Descriptors {
        /// How many roles.
        roles: usize,
        /// How many descriptors.
        needed: u64,
        /// How many there can be.
        most: u64,
    },
    /// There is no room for as many processes.
    #[error("failed to start another process: {0}")]
    Processes(String),
    /// Processes that a killed command left cannot be ended.
    #[error("cannot end processes that a killed command left: {}", pids(.0))]
    Orphans(Vec<u32>),
    /// The system refuses something that every run needs.
    #[error("failed to {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

fn refusing(refusal: &Refusal) -> &'static str {
    match refusal.why {
        Some(Why::Running | Why::Missing) => "",
        _ => "the engine that runs the roles refuses: ",
    }
}

fn them(roles: &[RoleName]) -> &'static str {
    if roles.len() == 1 { "it" } else { "them" }
}

/// The hint where an executable is not known.
const WHAT_ROLES_RUN: &str = "see what the roles of the home run with `cargo ansar list -l`";

/// What makes an executable a component.
fn how_to_be_one(is_script: bool) -> &'static str {
    if is_script {
        "a script that is a component has the line `# ansar-component: 1` among its first 16"
    } else {
        "call `ansar_runtime::main` in its `main`; one that was linked with an older \
         ansar-runtime must be built again"
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

fn reasons(roles: &[(RoleName, String)]) -> String {
    let each = roles.iter();
    let each = each.map(|(role, why)| format!("role `{role}`, {why}"));
    each.collect::<Vec<_>>().join("; ")
}

fn processes(roles: &[(RoleName, String)]) -> String {
    let each = roles.iter();
    let each = each.map(|(role, pid)| format!("`{role}` (process {pid})"));
    each.collect::<Vec<_>>().join(", ")
}

/// What an error says, and what caused it, in one line.
pub(crate) fn full(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| {
        cause.source()
    });
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Decodes what the user gave: unlike in a file of the home's, what is wrong
/// in it is the user's to put right.
pub(crate) fn decode_given<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    from_json::<Envelope<T>>(path, bytes)
        .map(|envelope| envelope.value)
        .map_err(|error| of_the_user(error, None))
}

/// An error in what the user gave, where `example` could stand.
pub(crate) fn of_the_user(error: HomeError, example: Option<&'static str>) -> Error {
    match error {
        HomeError::Content { path, reason } => Error::Given {
            path,
            reason,
            example,
        },
        error => error.into(),
    }
}

/// Names of roles as words for the shell.
fn words<'r>(roles: impl IntoIterator<Item = &'r RoleName>) -> String {
    let words: Vec<&str> = roles.into_iter().map(RoleName::as_str).collect();
    words.join(" ")
}

/// Asks whether names were meant, and tells the command that shows all.
fn meant_or_seen(meant: &[String], command: &str) -> String {
    if meant.is_empty() {
        return format!("see them with `cargo ansar {command}`");
    }
    let meant: Vec<_> = meant.iter().map(|name| format!("`{name}`")).collect();
    let meant = meant.join(", ");
    format!("did you mean {meant}? see all with `cargo ansar {command}`")
}

/// The hint where a snapshot was taken for a folder of executables.
fn deploy_snapshot(folder: &Path) -> String {
    format!(
        "it looks like a snapshot, which is deployed with `cargo ansar deploy --storage-path {}`",
        folder.display()
    )
}

impl From<DescriptionError> for Error {
    fn from(error: DescriptionError) -> Self {
        Self::Description(Box::new(error))
    }
}

impl Error {
    /// The interrupt that ended the operation, where one did: while it waited, or
    /// in the middle of a step that takes long.
    pub fn interrupt(&self) -> Option<Interrupt> {
        match self {
            Self::Interrupted(interrupt) => Some(*interrupt),
            error => Interrupted::cause_of(error),
        }
    }

    /// An error of a checkpoint.
    pub(crate) fn stopped(source: std::io::Error) -> Self {
        Self::System {
            what: "go on",
            source,
        }
        .or_interrupted()
    }

    /// [`Error::Interrupted`] where an interrupt is the cause, however deep.
    pub(crate) fn or_interrupted(self) -> Self {
        self.interrupt().map_or(self, Self::Interrupted)
    }

    /// What to type next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoWorkspace(_) => {
                Some("go to the workspace, or name it with `--manifest-path`".to_owned())
            }
            Self::NotDescribed(_) => Some("describe them with `cargo ansar init`".to_owned()),
            Self::Proposal { error, .. } => error.hint(),
            Self::NoExecutable { meant, .. } => Some(match meant {
                Some(name) => format!("did you mean `{name}`?"),
                None => WHAT_ROLES_RUN.to_owned(),
            }),
            Self::NoExecutables {
                folder,
                is_snapshot: true,
            } => Some(deploy_snapshot(folder)),
            Self::Within { .. } => Some("name a folder outside of the home".to_owned()),
            Self::Unaccepted { tip, .. } => tip.clone(),
            Self::Orphans(left) => Some(format!(
                "end them with `sudo kill -9 {}`",
                pids(left).replace(',', "")
            )),
            Self::NotAComponent { is_script, .. } => Some(how_to_be_one(*is_script).to_owned()),
            Self::OtherContract { .. } => {
                Some("build it with this version of ansar-runtime".to_owned())
            }
            Self::Home(error) => error.hint(),
            Self::NoHome { home, is_described } => match is_described {
                Some(true) => Some(
                    "build and deploy the roles of `Cargo.toml` with `cargo ansar deploy`"
                        .to_owned(),
                ),
                Some(false) => Some(format!(
                    "describe roles with `cargo ansar init`, or make an empty home with \
                     `cargo ansar create {}`",
                    word(home)
                )),
                None => HomeError::NotThere(home.clone()).hint(),
            },
            Self::Ambiguous { packages, .. } => packages.first().map(|package| {
                format!(
                    "say which, with `package = \"{}\"`",
                    package.trim_matches('`')
                )
            }),
            Self::NoRun(_) => Some("make one with `cargo ansar test`".to_owned()),
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
                (Kind::Executable, _) => WHAT_ROLES_RUN.to_owned(),
                (Kind::Role, None) => "see them with `cargo ansar list`".to_owned(),
                (Kind::Role, Some(meant)) => {
                    format!("did you mean `{meant}`? see all with `cargo ansar list`")
                }
            }),
            Self::Given { example, .. } => {
                example.map(|example| format!("it could be `{{\"value\": {example}}}`"))
            }
            Self::Unsettled(_) => {
                Some("build and deploy what it runs with `cargo ansar deploy`".to_owned())
            }
            Self::NoInput(role) | Self::NoSetting(role) => Some(format!(
                "see its settings with `cargo ansar settings {role}`"
            )),
            Self::NothingGiven(property) => Some(format!(
                "name a file with `--encoding-file`, or type it with `cargo ansar edit {property} ROLE`"
            )),
            Self::After { .. } => Some("see all roles with `cargo ansar list`".to_owned()),
            Self::Edited { property, role, .. } => Some(format!(
                "the text is kept: put it right with `cargo ansar edit {property} {role}`"
            )),
            Self::Editor { .. } => {
                Some("name another with the variable `VISUAL` or `EDITOR`".to_owned())
            }
            Self::Descriptors { needed, .. } => {
                Some(format!("allow more with `ulimit -n {needed}`"))
            }
            Self::Processes(_) => Some("see how many are allowed with `ulimit -u`".to_owned()),
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::NeverRan(role) => Some(format!("run it with `cargo ansar run {role}`")),
            Self::NoStart { role, .. } => {
                Some(format!("see them with `cargo ansar history {role}`"))
            }
            Self::NothingReturned(role) => Some(format!(
                "see what it was doing with `cargo ansar log {role} --last=DAY`"
            )),
            _ => self.hint_about_roles(),
        }
    }

    /// Returns what to type next where roles are not what a command needs.
    fn hint_about_roles(&self) -> Option<String> {
        match self {
            Self::NoRoles { is_described, .. } => Some(if *is_described {
                "build and deploy those of `Cargo.toml` with `cargo ansar deploy`".to_owned()
            } else {
                "add one with `cargo ansar add EXECUTABLE`".to_owned()
            }),
            Self::NotDeployed(roles) => Some(format!(
                "build and deploy {} with `cargo ansar deploy`",
                them(roles)
            )),
            Self::Retired(roles) => Some(format!(
                "describe {0} again and run `cargo ansar deploy`, \
                 or remove {0} with `cargo ansar delete {1}`",
                them(roles),
                words(roles)
            )),
            Self::NoSuchRole { meant, .. } => Some(match meant {
                Some(role) => format!("did you mean `{role}`? see all with `cargo ansar list`"),
                None => "see them with `cargo ansar list`".to_owned(),
            }),
            Self::NoRole { meant, .. } => Some(meant_or_seen(meant, "list")),
            Self::NoTestRole { meant, .. } => Some(meant_or_seen(meant, "test --list")),
            Self::NotRunning(roles) => Some(format!(
                "start {} with `cargo ansar start {}`, or see what runs with `cargo ansar status`",
                them(roles),
                words(roles)
            )),
            Self::NotAllRunning(_) => Some(
                "go on without them with `-f`, or see what runs with `cargo ansar status`"
                    .to_owned(),
            ),
            Self::InForeground(roles) => Some(format!(
                "end that command, or stop them with `cargo ansar stop {}`",
                words(roles.iter().map(|(role, _)| role))
            )),
            Self::NoTests { .. } => Some(
                "give one such a name, or say what tests are called with `tests` in \
                 `[workspace.metadata.ansar]`"
                    .to_owned(),
            ),
            Self::NoMainRole(_) => Some("see them with `cargo ansar list`".to_owned()),
            Self::Silent { .. } => {
                Some("wait until it answers, or stop them all with `-f`".to_owned())
            }
            Self::Unkillable(_) | Self::Endless { .. } | Self::TimedOut { .. } => {
                Some("see what runs with `cargo ansar status -l`".to_owned())
            }
            _ => None,
        }
    }
}
