//! A home on disk: its layout, `home.json`, its locks and its other files.
//!
//! The modules hold the areas ([`area`]), the detection of moved and copied
//! homes ([`place`]), engine marks ([`engine_marks`]), roles ([`role`]) and
//! their values ([`role_values`]), starts and exits ([`history`]),
//! atomic changes of several files ([`pending`]), the deploy state
//! ([`deploy_state`]), the reasons for restarts ([`restart_reason`]), and the
//! last run ([`last_run`]). Nothing here deploys or runs roles.

pub mod area;
pub mod current_run;
pub mod deploy_state;
pub mod engine_marks;
pub mod health;
pub mod history;
pub mod instance;
pub mod last_run;
pub mod loops;
mod network;
pub mod pending;
pub mod place;
pub mod ports;
pub mod program;
pub mod restart_reason;
pub mod role;
pub mod role_values;
pub mod setup;

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

/// Format version of the files of a home.
pub const VERSION: u32 = 1;

/// Default name of the home's folder.
pub const DEFAULT_NAME: &str = ".ansar-home";

/// An existing home whose format version is supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    file: HomeFile,
}

/// Content of `home.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HomeFile {
    version: u32,
    id: String,
    created: Timestamp,
    /// Path of the home without symlinks; not written by older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspace: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    redirect: BTreeMap<String, PathBuf>,
}

/// The longest path that the system accepts, in bytes.
const MAX_PATH: usize = 4095;

impl HomeFile {
    /// Returns the key of a path that is longer than any path can be.
    fn too_long(&self) -> Option<&str> {
        let root = self.root.iter().map(|path| ("root", path));
        let workspace = self.workspace.iter().map(|path| ("workspace", path));
        let redirect = self.redirect.iter();
        let redirect = redirect.map(|(name, path)| (name.as_str(), path));
        let mut all = root.chain(workspace).chain(redirect);
        let found = all.find(|(_, path)| path.as_os_str().len() > MAX_PATH);
        found.map(|(key, _)| key)
    }
}

/// The fields that `home.json` has in every format version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// An error about a home or one of its files.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The system does not let the home have a network.
    #[error("failed to create the network of the home: {0}")]
    Network(io::Error),
    /// There is no home at this path.
    #[error("no home at `{path}`", path = .0.display())]
    NotThere(PathBuf),
    /// A home already exists at this path.
    #[error("`{path}` is a home already", path = .0.display())]
    Exists(PathBuf),
    /// Another file, or a folder with other content, is at this path.
    #[error("`{path}` is not a home, and not an empty folder", path = .0.display())]
    Occupied(PathBuf),
    /// The home was created by a newer version of this tool.
    #[error(
        "`{path}` has format version {found}; this `cargo ansar` supports {VERSION}",
        path = path.display()
    )]
    Newer {
        /// Path of `home.json`.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// A file of the home has invalid content.
    #[error("{path}:{reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, column and field of the error, and its description.
        reason: String,
    },
    /// The folder belongs to another user.
    #[error("`{path}` belongs to user {owner}", path = path.display())]
    OtherUser {
        /// The folder.
        path: PathBuf,
        /// The user.
        owner: String,
    },
    /// Other users can write to the folder.
    #[error("other users can write to `{path}`", path = path.display())]
    Writable {
        /// The folder.
        path: PathBuf,
    },
    /// Other users can replace the file or folder.
    #[error(
        "other users can replace `{path}`: they can write to `{by}`",
        path = path.display(),
        by = by.display()
    )]
    Replaceable {
        /// The home, or an executable.
        path: PathBuf,
        /// The writable folder above it, or the writable executable.
        by: PathBuf,
    },
    /// A folder cannot be used as an area of the home.
    #[error("home `{home}` cannot use `{path}`: {reason}", home = home.display(), path = path.display())]
    Area {
        /// The home.
        home: PathBuf,
        /// The folder.
        path: PathBuf,
        /// The reason.
        reason: Reason,
    },
    /// A file of the home cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A lock of the home cannot be acquired.
    #[error("failed to lock `{path}`", path = path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A socket of the home cannot be created.
    #[error("failed to listen at `{path}`", path = path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Roles are running that must be stopped for this operation.
    #[error("{}", running(.0))]
    Running(Vec<(RoleName, String)>),
    /// A role of this name already exists.
    #[error("role `{0}` exists already")]
    RoleExists(RoleName),
}

/// Formats running roles with the process ids that are noted in their locks.
fn running(roles: &[(RoleName, String)]) -> String {
    let each = roles.iter().map(|(role, note)| match note.trim() {
        "" => format!("`{role}`"),
        pid => format!("`{role}` (process {pid})"),
    });
    let names: Vec<_> = each.collect();
    format!("already running: {}", names.join(", "))
}

/// Returns a hint for a socket that cannot be created.
fn socket_hint(error: &io::Error) -> Option<String> {
    use io::ErrorKind::{AddrInUse, NotFound, StorageFull};

    let is_of_place = !matches!(error.kind(), AddrInUse | NotFound | StorageFull);
    is_of_place.then(|| {
        "where the file system has no sockets, place the home elsewhere: \
         name a folder with `--home-path` or the variable `ANSAR_HOME`"
            .to_owned()
    })
}

/// Returns a path for a home of this version beside one of another version.
fn versioned_path(root: &Path) -> PathBuf {
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push(format!("-v{VERSION}"));
    root.with_file_name(name)
}

/// Quotes a path for the shell.
pub fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@,:=".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Most roles that a command in a hint names.
const MAX_NAMED_ROLES: usize = 8;

impl HomeError {
    /// Returns the command or step that resolves the error, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Network(_) => {
                Some("change this setting of the system, or remove `network = \"own\"`".to_owned())
            }
            Self::NotThere(path) => Some(format!(
                "make one with `cargo ansar create {}`",
                shell_quoted(path)
            )),
            Self::Exists(path) => Some(format!(
                "remove it with `cargo ansar destroy {}`, or name another place",
                shell_quoted(path)
            )),
            Self::Occupied(_) => Some("name a folder that is empty or not there yet".to_owned()),
            Self::Content { path, .. } => Some(match path.file_name() {
                Some(name) if name == HOME_FILE => format!(
                    "correct it, or remove the folder and `cargo ansar create {}`",
                    shell_quoted(path.parent().unwrap_or(path))
                ),
                Some(name) if name == deploy_state::FILE => {
                    "correct it, or remove it: the next deploy compares everything".to_owned()
                }
                _ => "correct it, or remove it".to_owned(),
            }),
            Self::OtherUser { .. } => Some(
                "name a folder of your own with `--home-path` or the variable `ANSAR_HOME`"
                    .to_owned(),
            ),
            Self::Writable { path } => Some(format!(
                "if you trust what is in it, close it with `chmod 700 {}`",
                shell_quoted(path)
            )),
            Self::Replaceable { by, .. } => Some(format!(
                "keep other users out with `chmod go-w {}`, or use another place",
                shell_quoted(by)
            )),
            Self::Area { home, reason, .. } => Some(reason.hint(home)),
            Self::Socket { source, .. } => socket_hint(source),
            Self::RoleExists(_) => Some("see all roles with `cargo ansar list`".to_owned()),
            Self::Newer { path, .. } => Some(format!(
                "use the `cargo ansar` that made it, or make another with `cargo ansar create {}`",
                shell_quoted(&versioned_path(path.parent().unwrap_or(path)))
            )),
            Self::Running(roles) => {
                let (which, names) = match roles.as_slice() {
                    [(role, _)] => ("it", format!(" {role}")),
                    roles if roles.len() <= MAX_NAMED_ROLES => {
                        let names = roles.iter().map(|(role, _)| format!(" {role}"));
                        ("them", names.collect())
                    }
                    // Stops all running roles.
                    _ => ("them", " -f".to_owned()),
                };
                Some(format!(
                    "stop {which} first with `-f`, or with `cargo ansar stop{names}`"
                ))
            }
            _ => None,
        }
    }
}

impl Home {
    /// Creates a home that is private to the user, with all its areas. Areas in
    /// `redirect` are created at other paths. Completes a home whose creation
    /// was interrupted by a kill.
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
        let (was_there, _making) = Self::create_root(root)?;
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
        if !is_incomplete(root)? {
            return Err(HomeError::Occupied(root.to_owned()));
        }
        if !access.is_private() {
            fs::set_mode(&fs::resolve(root)?, fs::PRIVATE_FOLDER)?;
            // Other users may have added files until now.
            if !is_incomplete(root)? {
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
        if let Err(error) = home.create_contents() {
            // The first error matters more than one of the removal.
            let _ = home.undo(was_there);
            return Err(error);
        }
        Ok(home)
    }

    /// Returns the same home at another place, of which no file is read: for the
    /// values of placeholders on another machine.
    #[must_use]
    pub fn at(&self, root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            file: HomeFile {
                redirect: BTreeMap::new(),
                ..self.file.clone()
            },
        }
    }

    /// Creates the root of a home if needed and locks it; returns true if it
    /// existed. Waits for commands that create or remove the same home, and
    /// completes the removal that a killed `destroy` began.
    fn create_root(root: &Path) -> Result<(bool, Lock), HomeError> {
        for _ in 0..ROUNDS {
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
        Err(HomeError::Lock {
            path: root.to_owned(),
            source: io::Error::other("it is removed again and again"),
        })
    }

    fn create_contents(&self) -> Result<(), HomeError> {
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
        // Last: a home with `home.json` is complete.
        write_json(&self.root.join(HOME_FILE), &self.file)
    }

    /// Opens a home after checking that no other user can change it and that
    /// this home created all its areas. Updates the paths of a home that was
    /// moved or copied. Completes a change or removal that a killed command
    /// began.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        if Self::is_pending(root) && Self::finish_removal(root)? {
            return Err(HomeError::NotThere(root.to_owned()));
        }
        let home = Self::read(root)?;
        Self::check_root(root)?;
        let home = home.updated_place()?;
        if Self::is_pending(root) {
            // A running command holds the lock and completes its own change. If
            // the change cannot be completed, the next command that needs the
            // lock reports it.
            let _ = home.try_lock();
        }
        Ok(home)
    }

    /// Reads `home.json` and checks its version.
    fn read(root: &Path) -> Result<Self, HomeError> {
        let path = root.join(HOME_FILE);
        let bytes = match fs::read_if_exists(&path) {
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
        let file: HomeFile = from_json(&path, &bytes)?;
        if let Some(key) = file.too_long() {
            let reason = format!(" field `{key}`: longer than {MAX_PATH} bytes, expected a path");
            return Err(HomeError::Content { path, reason });
        }
        Ok(Self {
            root: root.to_owned(),
            file,
        })
    }

    /// Returns true if this home still exists at its path, even if it cannot be
    /// read any more.
    pub fn is_there(&self) -> bool {
        match Self::read(&self.root) {
            Ok(now) => now.file.id == self.file.id,
            Err(error) => !matches!(error, HomeError::NotThere(_)),
        }
    }

    /// Path of the home.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Unique id of the home.
    pub fn id(&self) -> &str {
        &self.file.id
    }

    /// Working folder of roles and of queries to components: the root of the
    /// workspace, or the folder that contains the home.
    pub fn working_folder(&self) -> PathBuf {
        let parent = || self.root().parent().map(Path::to_owned);
        let workspace = self.workspace().map(Path::to_owned);
        workspace.or_else(parent).unwrap_or_default()
    }

    /// The workspace that the home belongs to.
    pub fn workspace(&self) -> Option<&Path> {
        self.file.workspace.as_deref()
    }

    /// The redirected areas, by name.
    pub fn redirects(&self) -> &BTreeMap<String, PathBuf> {
        &self.file.redirect
    }

    /// Path of an area.
    pub fn area(&self, area: Area) -> PathBuf {
        self.file
            .redirect
            .get(area.name())
            .map_or_else(|| self.root.join(area.name()), PathBuf::clone)
    }

    /// Path of an executable of the home.
    pub fn executable(&self, name: &ExecutableName) -> PathBuf {
        self.area(Area::Bin).join(name.as_str())
    }

    /// The folder of an executable's resources.
    pub fn resource(&self, name: &ExecutableName) -> PathBuf {
        self.area(Area::Resource).join(name.as_str())
    }

    /// Path of the folder of a role in an area.
    pub fn folder(&self, area: Area, role: &RoleName) -> PathBuf {
        self.area(area).join(role.as_str())
    }

    /// Path of the file of a role in an area.
    pub fn file(&self, area: Area, role: &RoleName) -> PathBuf {
        self.area(area).join(format!("{role}.json"))
    }

    /// Folder of the engines' marks and sockets.
    pub fn engines(&self) -> PathBuf {
        self.root.join(ENGINES)
    }

    /// Folder of the files that were replaced in a conflict.
    pub fn kept(&self) -> PathBuf {
        self.root.join(KEPT)
    }

    /// Creates the folders that a role needs to run, and empties its `tmp`.
    pub fn prepare(&self, role: &RoleName) -> Result<(), HomeError> {
        if !fs::names(&self.folder(Area::Tmp, role))?.is_empty() {
            if let Some(tmp) = self.owned(Area::Tmp)? {
                tmp.remove_entry(role.as_str())?;
            }
        }
        for area in [Area::Model, Area::Tmp, Area::Logs] {
            let folder = self.folder(area, role);
            self.check_own(&folder)?;
            fs::make_private_folders(&folder)?;
        }
        Ok(())
    }

    /// Locks roles so that this process may run them; all or none. The roles
    /// are unlocked when the locks are dropped.
    ///
    /// Returns [`HomeError::Running`] if another process has locked one.
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
            if matches!(&attempt, Attempt::Busy(note) if running.is_empty() && is_gone(note)) {
                // The kernel releases a lock shortly after its process exited.
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

    /// Returns the note in the lock of a running role, usually a process id,
    /// with the time of the note; `None` if the role does not run.
    pub fn holder(&self, role: &RoleName) -> Result<Option<(String, Timestamp)>, HomeError> {
        let path = self.area(Area::Lock).join(role.as_str());
        lock::holder(&path).map_err(|source| HomeError::Lock { path, source })
    }

    /// Returns the roles that have a lock file because they ran once, including
    /// those whose properties cannot be read.
    pub fn ever_run(&self) -> Result<BTreeSet<RoleName>, HomeError> {
        let names = fs::names(&self.area(Area::Lock))?.into_iter();
        Ok(names
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect())
    }

    /// Removes the lock file of a deleted role; the caller must hold the lock.
    pub fn remove_lock(&self, role: &RoleName) -> Result<(), HomeError> {
        Ok(fs::remove_file(&self.area(Area::Lock).join(role.as_str()))?)
    }

    /// Locks the home for changes; returns `None` if another process has locked
    /// it. Completes the change of a killed command first.
    pub fn try_lock(&self) -> Result<Option<Lock>, HomeError> {
        let note = environment::pid().to_string();
        match lock::try_lock(&self.home_lock(), &note) {
            Ok(Attempt::Held(lock)) => self.finish().map(|()| Some(lock)),
            Ok(Attempt::Busy(_)) => Ok(None),
            Err(error) => Err(self.not_locked(error)),
        }
    }

    /// Locks the home for changes, waiting while another process has locked it.
    /// Completes the change of a killed command first.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        let note = environment::pid().to_string();
        match lock::lock(&self.home_lock(), &note) {
            Ok(lock) => self.finish().map(|()| lock),
            Err(error) => Err(self.not_locked(error)),
        }
    }

    fn not_locked(&self, source: io::Error) -> HomeError {
        if source.kind() == io::ErrorKind::NotFound && !self.is_there() {
            // The home was removed while this command waited.
            return HomeError::NotThere(self.root.clone());
        }
        HomeError::Lock {
            path: self.home_lock(),
            source,
        }
    }

    /// Path of the lock of the home; its name is not a valid role name.
    fn home_lock(&self) -> PathBuf {
        self.area(Area::Lock).join(".home")
    }

    /// Removes the home with everything in it and its redirected areas, except
    /// a redirected `bin`, which other programs fill. A symlink that leads to
    /// the home is removed with it. If the command is killed meanwhile, the next
    /// command completes the removal.
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
        Self::remove_root(root)
    }

    /// Removes what a failed `create` has made, except a root that existed.
    fn undo(&self, was_there: bool) -> Result<(), HomeError> {
        let redirects = self.file.redirect.iter();
        for (_, path) in redirects.filter(|(name, _)| *name != Area::Bin.name()) {
            let _ = fs::remove_tree(path);
        }
        for name in fs::names(&self.root)? {
            let _ = fs::remove_tree(&self.root.join(name));
        }
        if was_there {
            Ok(())
        } else {
            Ok(fs::remove_tree(&self.root)?)
        }
    }
}

/// Limit of attempts to create a root that other commands remove.
const ROUNDS: usize = 1000;

/// Time that the kernel gets to release the lock of an exited process.
const DYING: Duration = Duration::from_secs(1);

/// Returns true if the process whose id is noted in a lock has exited.
fn is_gone(note: &str) -> bool {
    let pid = note.trim().parse();
    pid.is_ok_and(|pid| orphans::start_time(pid).is_none())
}

const ENGINES: &str = "engine";
const KEPT: &str = "kept";
/// Folder of the files about runs on other machines, in the root of a home.
pub(crate) const REMOTE: &str = "remote";
const GITIGNORE: &str = ".gitignore";
const EVERYTHING: &[u8] = b"*\n";

/// Returns true if the folder holds nothing but the remains of a `create` that
/// was killed, which may be removed.
fn is_incomplete(root: &Path) -> Result<bool, HomeError> {
    let leftovers = fs::leftovers(root)?;
    let is_made = |name: &str| {
        [ENGINES, history::FOLDER].contains(&name)
            || Area::ALL.iter().any(|area| area.name() == name)
    };
    for name in fs::names(root)? {
        let path = root.join(&name);
        let is_ours = if name == GITIGNORE {
            fs::read_if_exists(&path)?.is_some_and(|bytes| bytes == EVERYTHING)
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

/// Reads a JSON file; returns `None` if it does not exist.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, HomeError> {
    read_json_up_to(path, fs::LARGEST)
}

/// Reads a JSON file of at most `limit` bytes.
fn read_json_up_to<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<Option<T>, HomeError> {
    match fs::if_exists(fs::read_up_to(path, limit))? {
        None => Ok(None),
        Some(bytes) => from_json(path, &bytes).map(Some),
    }
}

/// Decodes JSON that was read from `path`.
pub fn from_json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, HomeError> {
    // Tracking the path of a field is slow, and only needed for errors.
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
            // No field is known if the text is not JSON.
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

/// Formats an error as `LINE:COLUMN: text`; `serde_json` puts the position at
/// the end.
fn place_first(error: &serde_json::Error, field: &str) -> String {
    let text = error.to_string();
    let what = text.rfind(" at line ").map_or(&*text, |at| &text[..at]);
    format!("{}:{}: {field}{what}", error.line(), error.column())
}

/// Replaces a file with JSON that only the user can read. The file holds
/// either the old or the new value, also after a crash.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    let bytes = serde_json::to_vec_pretty(value);
    Ok(fs::replace(path, &line(path, bytes)?, 0o600)?)
}

/// Replaces a file with JSON in one line, without waiting for the disk: the old
/// value may come back after a power loss. Used for large files that are not
/// meant to be read by people.
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
