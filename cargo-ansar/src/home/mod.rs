//! A home on disk: its layout, its own file, its locks, and its other files.
//!
//! Through its modules: the marks of engines ([`engine_marks`]), the roles
//! ([`role`]) and the table of their properties ([`role_properties`]), starts
//! and exits ([`history`]), changes of several files that are made as a whole
//! ([`pending`]), the deploy state ([`deploy_state`]) and its reasons
//! ([`restart_reason`]), and the last run ([`last_run`]). It does not know how
//! roles are deployed or run.

pub mod area;
pub mod deploy_state;
pub mod engine_marks;
pub mod history;
pub mod last_run;
pub mod pending;
pub mod place;
pub mod restart_reason;
pub mod role;
pub mod role_properties;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::layout::{Area, HOME_FILE};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::home::area::Reason;
use crate::host::fs;
use crate::host::fs::Error as FilesError;
use crate::host::fs::lock;
use crate::host::fs::lock::{Attempt, Lock};
use crate::host::process::orphans;
use crate::host::{clock, environment};
use crate::model::name::{ExecutableName, RoleName};

/// The version of everything in a home.
pub const VERSION: u32 = 1;

/// The name of a home where none is said.
pub const DEFAULT_NAME: &str = ".ansar-home";

/// A home that is there, and of a version that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    file: HomeFile,
}

/// The home's own file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HomeFile {
    version: u32,
    id: String,
    created: Timestamp,
    /// Where it is, without symlinks; versions before did not say that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspace: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    redirect: BTreeMap<String, PathBuf>,
}

/// The part of the home's own file that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What is wrong with a home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is none.
    #[error("no home at `{path}`", path = .0.display())]
    NotThere(PathBuf),
    /// There is one already.
    #[error("`{path}` is a home already", path = .0.display())]
    Exists(PathBuf),
    /// Something else stands there.
    #[error("`{path}` is not a home, and not an empty folder", path = .0.display())]
    Occupied(PathBuf),
    /// It was made by a newer version of this tool.
    #[error(
        "`{path}` has format version {found}, and this `cargo ansar` understands {VERSION}",
        path = path.display()
    )]
    Newer {
        /// The home's own file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A file of it does not hold what it should.
    #[error("{path}:{reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, column, field and what is wrong there.
        reason: String,
    },
    /// Its folder belongs to another user.
    #[error("`{path}` belongs to user {owner}", path = path.display())]
    OtherUser {
        /// The folder.
        path: PathBuf,
        /// The user.
        owner: String,
    },
    /// Other users can write to its folder.
    #[error("other users can write to `{path}`", path = path.display())]
    Writable {
        /// The folder.
        path: PathBuf,
    },
    /// Other users can put something else in its place.
    #[error(
        "other users can replace `{path}`: they can write to `{by}`",
        path = path.display(),
        by = by.display()
    )]
    Replaceable {
        /// The home, or an executable.
        path: PathBuf,
        /// The folder above it, or the executable itself.
        by: PathBuf,
    },
    /// A folder is not used as an area of it.
    #[error("home `{home}` cannot use `{path}`: {reason}", home = home.display(), path = path.display())]
    Area {
        /// The home.
        home: PathBuf,
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: Reason,
    },
    /// A file of it cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A lock of it cannot be taken.
    #[error("failed to lock `{path}`", path = path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket of it cannot be made.
    #[error("failed to listen at `{path}`", path = path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Roles run that must not.
    #[error("{}", running(.0))]
    Running(Vec<(RoleName, String)>),
    /// A role by this name is there.
    #[error("role `{0}` exists already")]
    RoleExists(RoleName),
}

/// Roles, and the processes that run them, as these noted in the locks.
fn running(roles: &[(RoleName, String)]) -> String {
    let each = roles.iter().map(|(role, note)| match note.trim() {
        "" => format!("`{role}`"),
        pid => format!("`{role}` (process {pid})"),
    });
    let names: Vec<_> = each.collect();
    format!("already running: {}", names.join(", "))
}

/// A hint for a socket that cannot be made.
fn socket_hint(error: &io::Error) -> Option<String> {
    use io::ErrorKind::{AddrInUse, NotFound, StorageFull};

    let is_of_place = !matches!(error.kind(), AddrInUse | NotFound | StorageFull);
    is_of_place.then(|| {
        "where the file system has no sockets, place the home elsewhere: \
         name a folder with `--home-path` or the variable `ANSAR_HOME`"
            .to_owned()
    })
}

/// A home of this version beside one of another.
fn beside(root: &Path) -> PathBuf {
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push(format!("-v{VERSION}"));
    root.with_file_name(name)
}

/// A path as a word for the shell.
pub fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@,:=".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// How many roles a command in a hint names.
const FEW: usize = 8;

impl HomeError {
    /// What to type next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotThere(path) => {
                Some(format!("make one with `cargo ansar create {}`", word(path)))
            }
            Self::Exists(path) => Some(format!(
                "remove it with `cargo ansar destroy {}`, or name another place",
                word(path)
            )),
            Self::Occupied(_) => Some("name a folder that is empty or not there yet".to_owned()),
            Self::Content { path, .. } => Some(match path.file_name() {
                Some(name) if name == HOME_FILE => format!(
                    "put it right, or remove the folder and `cargo ansar create {}`",
                    word(path.parent().unwrap_or(path))
                ),
                Some(name) if name == deploy_state::FILE => {
                    "put it right, or remove it: the next deploy compares everything".to_owned()
                }
                _ => "put it right, or remove it".to_owned(),
            }),
            Self::OtherUser { .. } => Some(
                "name a folder of your own with `--home-path` or the variable `ANSAR_HOME`"
                    .to_owned(),
            ),
            Self::Writable { path } => Some(format!(
                "if you trust what is in it, close it with `chmod 700 {}`",
                word(path)
            )),
            Self::Replaceable { by, .. } => Some(format!(
                "keep other users out with `chmod go-w {}`, or use another place",
                word(by)
            )),
            Self::Area { home, reason, .. } => Some(reason.hint(home)),
            Self::Socket { source, .. } => socket_hint(source),
            Self::RoleExists(_) => Some("see all roles with `cargo ansar list`".to_owned()),
            Self::Newer { path, .. } => Some(format!(
                "use the `cargo ansar` that made it, or make another with `cargo ansar create {}`",
                word(&beside(path.parent().unwrap_or(path)))
            )),
            Self::Running(roles) => {
                let (which, names) = match roles.as_slice() {
                    [(role, _)] => ("it", format!(" {role}")),
                    roles if roles.len() <= FEW => {
                        let names = roles.iter().map(|(role, _)| format!(" {role}"));
                        ("them", names.collect())
                    }
                    // All that run, whichever else do not.
                    _ => ("them", " -f".to_owned()),
                };
                Some(format!(
                    "have {which} stopped first with `-f`, or stop {which} with `cargo ansar stop{names}`"
                ))
            }
            _ => None,
        }
    }
}

impl Home {
    /// Makes a home: private to the user, and with every area in its place.
    /// An area in `redirect` stands elsewhere. What a killed command left of
    /// the making of a home is finished.
    pub fn create(
        root: &Path,
        workspace: Option<&Path>,
        redirect: &BTreeMap<Area, PathBuf>,
        id: String,
    ) -> Result<Self, HomeError> {
        if fs::stat(root).is_ok() && !fs::is_folder(root) {
            return Err(HomeError::Occupied(root.to_owned()));
        }
        Self::check_above(root, workspace)?;
        let (was_there, _making) = Self::claim(root)?;
        if root.join(HOME_FILE).exists() {
            return Err(HomeError::Exists(root.to_owned()));
        }
        let access = fs::access(root)?;
        if !access.is_own() {
            return Err(HomeError::OtherUser {
                path: root.to_owned(),
                owner: access.owner(),
            });
        }
        if !is_unfinished(root)? {
            return Err(HomeError::Occupied(root.to_owned()));
        }
        if !access.is_private() {
            fs::set_mode(&fs::resolve(root)?, fs::PRIVATE_FOLDER)?;
            // What others put there until now is seen from here on.
            if !is_unfinished(root)? {
                return Err(HomeError::Occupied(root.to_owned()));
            }
        }
        fs::clear_leftovers(root)?;
        let home = Self {
            root: root.to_owned(),
            file: HomeFile {
                version: VERSION,
                id,
                created: clock::now(),
                root: Some(fs::resolve(root)?),
                workspace: workspace.map(Path::to_owned),
                redirect: redirect
                    .iter()
                    .map(|(area, path)| (area.name().to_owned(), path.clone()))
                    .collect(),
            },
        };
        if let Err(error) = home.fill() {
            // Why it was not made says more than why a part cannot be removed.
            for path in home.new_folders() {
                let _ = fs::remove_tree(path);
            }
            if was_there {
                let _ = fs::make_private_folders(root);
            }
            return Err(error);
        }
        Ok(home)
    }

    /// Makes the root of a home, if it is not there, and locks it; true if it was
    /// there. Commands that make or remove the same home at this moment are
    /// waited for, and the rest of what a killed `destroy` left is removed.
    fn claim(root: &Path) -> Result<(bool, Lock), HomeError> {
        loop {
            Self::finish_removal(root)?;
            let was_there = fs::is_folder(root);
            fs::make_private_folders(root)?;
            match lock::lock_folder(root) {
                Ok(_) if Self::is_removed(root)? => {}
                Ok(lock) => return Ok((was_there, lock)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(HomeError::Lock {
                        path: root.to_owned(),
                        source,
                    });
                }
            }
        }
    }

    fn fill(&self) -> Result<(), HomeError> {
        for area in Area::ALL {
            if self.is_redirected(area) && area != Area::Bin {
                self.mark(area)?;
            } else {
                fs::make_private_folders(&self.area(area))?;
            }
        }
        fs::make_private_folders(&self.engines())?;
        fs::make_private_folders(&self.histories())?;
        fs::replace(&self.root.join(GITIGNORE), EVERYTHING, 0o600)?;
        // Last: a home that says what it is, is whole.
        write_json(&self.root.join(HOME_FILE), &self.file)
    }

    /// Opens a home that is the user's alone, and in which every area was made
    /// by it. One that was moved or copied becomes the home of its new place.
    /// Does the rest of what a killed command began to change, or to remove.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        if Self::is_pending(root) && Self::finish_removal(root)? {
            return Err(HomeError::NotThere(root.to_owned()));
        }
        let home = Self::read(root)?;
        Self::check_root(root)?;
        let home = home.placed()?;
        if Self::is_pending(root) {
            // A command that is at work there has the lock, and does it itself;
            // where it cannot be done, the next one that needs it says so.
            let _ = home.try_lock();
        }
        Ok(home)
    }

    /// Reads what a home says of itself.
    fn read(root: &Path) -> Result<Self, HomeError> {
        let path = root.join(HOME_FILE);
        let bytes = match fs::read_if_there(&path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(HomeError::NotThere(root.to_owned())),
            Err(_) if fs::stat(root).is_ok() && !fs::is_folder(root) => {
                return Err(HomeError::Occupied(root.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let found: Versioned = from_json(&path, &bytes)?;
        if found.version > VERSION {
            return Err(HomeError::Newer {
                path,
                found: found.version,
            });
        }
        Ok(Self {
            root: root.to_owned(),
            file: from_json(&path, &bytes)?,
        })
    }

    /// Whether it still is where it was opened, whatever state it is in.
    pub fn is_there(&self) -> bool {
        match Self::read(&self.root) {
            Ok(now) => now.file.id == self.file.id,
            Err(error) => !matches!(error, HomeError::NotThere(_)),
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What tells it from all other homes.
    pub fn id(&self) -> &str {
        &self.file.id
    }

    /// Returns the working folder of roles and of questions to them: the root of
    /// the workspace, or the folder that holds the home.
    pub fn working_folder(&self) -> PathBuf {
        let parent = || self.root().parent().map(Path::to_owned);
        let workspace = self.workspace().map(Path::to_owned);
        workspace.or_else(parent).unwrap_or_default()
    }

    /// The workspace that it was made for.
    pub fn workspace(&self) -> Option<&Path> {
        self.file.workspace.as_deref()
    }

    /// The areas that stand elsewhere, by name.
    pub fn redirects(&self) -> &BTreeMap<String, PathBuf> {
        &self.file.redirect
    }

    /// Where an area is.
    pub fn area(&self, area: Area) -> PathBuf {
        self.file
            .redirect
            .get(area.name())
            .map_or_else(|| self.root.join(area.name()), PathBuf::clone)
    }

    /// An executable of the home.
    pub fn executable(&self, name: &ExecutableName) -> PathBuf {
        self.area(Area::Bin).join(name.as_str())
    }

    /// The folder of an executable's resources.
    pub fn resource(&self, name: &ExecutableName) -> PathBuf {
        self.area(Area::Resource).join(name.as_str())
    }

    /// A role's own folder in an area of folders.
    pub fn folder(&self, area: Area, role: &RoleName) -> PathBuf {
        self.area(area).join(role.as_str())
    }

    /// A role's own file in an area of files.
    pub fn file(&self, area: Area, role: &RoleName) -> PathBuf {
        self.area(area).join(format!("{role}.json"))
    }

    /// Where engines can be reached.
    pub fn engines(&self) -> PathBuf {
        self.root.join(ENGINES)
    }

    /// Where what gave way in a conflict is kept.
    pub fn kept(&self) -> PathBuf {
        self.root.join(KEPT)
    }

    /// Makes the folders that a role needs to run: model and logs as they are,
    /// tmp emptied.
    pub fn prepare(&self, role: &RoleName) -> Result<(), HomeError> {
        if !fs::names(&self.folder(Area::Tmp, role))?.is_empty()
            && let Some(tmp) = self.owned(Area::Tmp)?
        {
            tmp.remove_entry(role.as_str())?;
        }
        for area in [Area::Model, Area::Tmp, Area::Logs] {
            let folder = self.folder(area, role);
            self.check_own(&folder)?;
            fs::make_private_folders(&folder)?;
        }
        Ok(())
    }

    /// Takes the right to run roles, all or none, which is kept until the
    /// locks are dropped.
    pub fn lock_roles<'r>(
        &self,
        roles: impl IntoIterator<Item = &'r RoleName>,
    ) -> Result<Vec<Lock>, HomeError> {
        let (mut locks, mut running) = (Vec::new(), Vec::new());
        let own = environment::pid().to_string();
        for role in roles {
            let path = self.area(Area::Lock).join(role.as_str());
            let failed = |source| HomeError::Lock {
                path: path.clone(),
                source,
            };
            let mut attempt = lock::try_lock(&path, &own).map_err(failed)?;
            if let Attempt::Busy(note) = &attempt
                && running.is_empty()
                && is_gone(note)
            {
                // The kernel lets go of it a moment after the end of its holder.
                lock::wait_until_free(&path, DYING).map_err(failed)?;
                attempt = lock::try_lock(&path, &own).map_err(failed)?;
            }
            match attempt {
                Attempt::Held(lock) => locks.push(lock),
                Attempt::Busy(note) => running.push((role.clone(), note)),
            }
        }
        if running.is_empty() {
            Ok(locks)
        } else {
            Err(HomeError::Running(running))
        }
    }

    /// Who holds the lock of a role that runs, as noted there, and since when
    /// that is noted; none where it does not run.
    pub fn holder(&self, role: &RoleName) -> Result<Option<(String, Timestamp)>, HomeError> {
        let path = self.area(Area::Lock).join(role.as_str());
        lock::holder(&path).map_err(|source| HomeError::Lock { path, source })
    }

    /// The roles that were ever run, also those whose properties cannot be
    /// read.
    pub fn ever_run(&self) -> Result<BTreeSet<RoleName>, HomeError> {
        let names = fs::names(&self.area(Area::Lock))?.into_iter();
        Ok(names
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect())
    }

    /// Removes the lock of a role that is no more, which the caller holds.
    pub fn remove_lock(&self, role: &RoleName) -> Result<(), HomeError> {
        Ok(fs::remove_file(&self.area(Area::Lock).join(role.as_str()))?)
    }

    /// Takes the right to change the home, if nobody has it. What a killed
    /// command began to change is finished first.
    pub fn try_lock(&self) -> Result<Option<Lock>, HomeError> {
        let note = environment::pid().to_string();
        match lock::try_lock(&self.home_lock(), &note) {
            Ok(Attempt::Held(lock)) => self.finish().map(|()| Some(lock)),
            Ok(Attempt::Busy(_)) => Ok(None),
            Err(error) => Err(self.not_locked(error)),
        }
    }

    /// Takes the right to change the home, waiting while somebody has it. What
    /// a killed command began to change is finished first.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        let note = environment::pid().to_string();
        match lock::lock(&self.home_lock(), &note) {
            Ok(lock) => self.finish().map(|()| lock),
            Err(error) => Err(self.not_locked(error)),
        }
    }

    fn not_locked(&self, source: io::Error) -> HomeError {
        if source.kind() == io::ErrorKind::NotFound && !self.is_there() {
            // It was removed while this command waited.
            return HomeError::NotThere(self.root.clone());
        }
        HomeError::Lock {
            path: self.home_lock(),
            source,
        }
    }

    /// Not a role's name, so that no role's lock can be meant.
    fn home_lock(&self) -> PathBuf {
        self.area(Area::Lock).join(".home")
    }

    /// Removes the home and everything in it, areas elsewhere included, except
    /// for a `bin` elsewhere: that is a folder which others fill.
    /// What a killed command leaves of it is no home any more, and is removed by
    /// the next one.
    pub fn remove(self) -> Result<(), HomeError> {
        for area in Area::ALL {
            self.owned(area)?;
        }
        let root = &self.root;
        let _removing = lock::lock_folder(root).map_err(|source| HomeError::Lock {
            path: root.clone(),
            source,
        })?;
        self.begin_removal()?;
        Self::remove_rest(root)?;
        Ok(fs::remove_tree(root)?)
    }

    /// The folders that the making of a home makes, the root last.
    fn new_folders(&self) -> impl Iterator<Item = &Path> {
        let redirects = self.file.redirect.iter();
        redirects
            .filter(|(name, _)| *name != Area::Bin.name())
            .map(|(_, path)| path.as_path())
            .chain([self.root.as_path()])
    }
}

/// Time that a lock may be held after the end of the process that held it.
const DYING: Duration = Duration::from_secs(1);

/// Returns true if the process that noted its number in a lock is gone.
fn is_gone(note: &str) -> bool {
    let pid = note.trim().parse();
    pid.is_ok_and(|pid| orphans::start_time(pid).is_none())
}

const ENGINES: &str = "engine";
const KEPT: &str = "kept";
const GITIGNORE: &str = ".gitignore";
const EVERYTHING: &[u8] = b"*\n";

/// Whether nothing stands there, beyond what is left of the making of a home
/// that was killed: nothing of it is worth anything to anybody.
fn is_unfinished(root: &Path) -> Result<bool, HomeError> {
    let leftovers = fs::leftovers(root)?;
    let is_made = |name: &str| {
        [ENGINES, history::FOLDER].contains(&name)
            || Area::ALL.iter().any(|area| area.name() == name)
    };
    for name in fs::names(root)? {
        let path = root.join(&name);
        let is_ours = if name == GITIGNORE {
            fs::read_if_there(&path)?.is_some_and(|bytes| bytes == EVERYTHING)
        } else if name.to_str().is_some_and(is_made) {
            fs::names(&path).is_ok_and(|names| names.is_empty())
        } else {
            leftovers.contains(&path)
        };
        if !is_ours {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a file of JSON; `None` where there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, HomeError> {
    read_json_up_to(path, fs::LARGEST)
}

/// Reads a file of JSON that may be larger than others.
fn read_json_up_to<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<Option<T>, HomeError> {
    match fs::if_there(fs::read_up_to(path, limit))? {
        None => Ok(None),
        Some(bytes) => from_json(path, &bytes).map(Some),
    }
}

/// Decodes what was read from `path`.
pub fn from_json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, HomeError> {
    // Only for what is wrong it matters where, and to keep count of it costs.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let content = |reason: String| HomeError::Content {
        path: path.to_owned(),
        reason,
    };
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let field = match field.as_str() {
            // Of what is no JSON at all, no field is known.
            "." | "?" => String::new(),
            field => format!("field `{}`: ", field.trim_end_matches(".?")),
        };
        content(place_first(error.inner(), &field))
    })?;
    reader
        .end()
        .map_err(|error| content(place_first(&error, "")))?;
    Ok(value)
}

/// `LINE:COLUMN: what`, where `serde_json` puts the place last.
fn place_first(error: &serde_json::Error, field: &str) -> String {
    let text = error.to_string();
    let what = text.rfind(" at line ").map_or(&*text, |at| &text[..at]);
    format!("{}:{}: {field}{what}", error.line(), error.column())
}

/// Replaces a file by JSON, readable by the user alone: whatever happens, it
/// holds the old or the new value.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    let bytes = serde_json::to_vec_pretty(value);
    Ok(fs::replace(path, &line(path, bytes)?, 0o600)?)
}

/// Like [`write_json`], for what may be large and is for no reader: in one
/// line, and a loss of power may bring the old value back.
fn renew_json<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    let bytes = serde_json::to_vec(value);
    Ok(fs::renew(path, &line(path, bytes)?, 0o600)?)
}

fn line(path: &Path, bytes: serde_json::Result<Vec<u8>>) -> Result<Vec<u8>, HomeError> {
    let mut bytes = bytes.map_err(|error| HomeError::Content {
        path: path.to_owned(),
        reason: format!(" {error}"),
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}
