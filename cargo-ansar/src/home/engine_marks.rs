//! Marks and sockets of the engines that run roles of a home.
//!
//! A mark is a file that is named after the process id of its engine and locked
//! by it. A mark that is not locked is stale: its engine was killed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError, read_json};
use crate::host::fs::lock;
use crate::host::fs::lock::{Attempt, Lock};
use crate::host::process::orphans;
use crate::host::process::sd_notify::Notices;
use crate::host::socket::Listener;
use crate::host::{environment, fs};

/// The mark of this process; the file is removed on drop.
#[derive(Debug)]
pub struct Mark {
    path: PathBuf,
    _lock: Lock,
}

/// The locked mark of an engine that was killed, or that belongs to the home
/// which this home is a copy of.
#[derive(Debug)]
pub struct StaleEngine {
    path: PathBuf,
    /// Process id of the engine.
    pub pid: u32,
    started: Option<u64>,
    _lock: Lock,
}

/// Content of a mark: distinguishes the engine from a later process with the
/// same id.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    started: Option<u64>,
}

const SUFFIX: &str = ".engine";

/// The engines of a home.
#[derive(Debug, Default)]
pub struct Engines {
    /// Process ids of running engines, except this process.
    pub live: Vec<u32>,
    /// Stale engines.
    pub stale: Vec<StaleEngine>,
}

impl Home {
    /// Returns the token that processes of an engine have in their environment.
    pub fn token(&self, engine: u32) -> String {
        format!("{}:{engine}", self.id())
    }

    /// Creates and locks the mark of this process.
    pub fn mark_engine(&self) -> Result<Mark, HomeError> {
        let pid = environment::pid();
        let path = self.mark_file(pid);
        let note = Note {
            started: orphans::start_time(pid),
        };
        let note = serde_json::to_string(&note).unwrap_or_default();
        let lock = lock::lock(&path, &note).map_err(|source| HomeError::Lock {
            path: path.clone(),
            source,
        })?;
        Ok(Mark { path, _lock: lock })
    }

    /// Listens for `sd_notify` datagrams of components.
    pub fn listen_notify(&self) -> Result<Notices, HomeError> {
        fs::make_private_folders(&self.engines())?;
        let path = self.engine_file(environment::pid(), "notify");
        Notices::listen(&path).map_err(|source| HomeError::Socket { path, source })
    }

    /// Listens for `sd_notify` datagrams of one role, which need not name it.
    pub fn listen_notify_of_role(&self) -> Result<Notices, HomeError> {
        // The name of a role may be too long for the address of a socket.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        fs::make_private_folders(&self.engines())?;
        let path = self.engine_file(environment::pid(), &format!("{number}.notify"));
        Notices::listen(&path).map_err(|source| HomeError::Socket { path, source })
    }

    /// Listens for requests of other commands.
    pub fn listen(&self) -> Result<Listener, HomeError> {
        fs::make_private_folders(&self.engines())?;
        let path = self.socket(environment::pid());
        Listener::bind(&path).map_err(|source| HomeError::Socket { path, source })
    }

    /// Returns true if an engine has a mark in this home. Engines of the
    /// original of a copied home have none here.
    pub fn has_mark(&self, engine: u32) -> bool {
        fs::stat(&self.mark_file(engine)).is_ok()
    }

    fn mark_file(&self, engine: u32) -> PathBuf {
        self.engines().join(format!("{engine}{SUFFIX}"))
    }

    /// Returns the folder with a lock for each test that may run at once.
    pub fn slots(&self) -> PathBuf {
        self.engines().join("slots")
    }

    /// Path of the socket of an engine.
    pub fn socket(&self, engine: u32) -> PathBuf {
        self.engine_file(engine, "sock")
    }

    fn engine_file(&self, engine: u32, suffix: &str) -> PathBuf {
        self.engines().join(format!("{engine}.{suffix}"))
    }

    /// Reads all marks. Engines whose mark is locked are running.
    pub fn marks(&self) -> Result<Engines, HomeError> {
        let mut engines = Engines::default();
        let names = fs::names(&self.engines())?;
        self.remove_orphaned_files(&names);
        for name in names {
            let path = self.engines().join(&name);
            let pid = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            let Some(Ok(pid)) = pid.map(str::parse) else {
                continue;
            };
            // An unreadable note was not completely written.
            let note = read_json::<Note>(&path).ok().flatten();
            let failed = |source| HomeError::Lock {
                path: path.clone(),
                source,
            };
            let mut attempt = lock::try_lock(&path, "").map_err(failed)?;
            if matches!(attempt, Attempt::Busy(_))
                && pid != environment::pid()
                && note.as_ref().is_some_and(|note| note.is_stale(pid))
            {
                // The kernel releases the lock shortly after the exit, or
                // another command is cleaning up.
                lock::wait_until_free(&path, CLEANUP_LIMIT).map_err(failed)?;
                if !fs::is_file(&path) {
                    continue;
                }
                attempt = lock::try_lock(&path, "").map_err(failed)?;
            }
            match attempt {
                Attempt::Busy(_) if pid == environment::pid() => {}
                Attempt::Busy(_) => engines.live.push(pid),
                Attempt::Held(lock) => engines.stale.push(StaleEngine {
                    path,
                    pid,
                    started: note.and_then(|note| note.started),
                    _lock: lock,
                }),
            }
        }
        Ok(engines)
    }

    /// Removes files of exited processes without a mark: commands that were
    /// killed while they queried a component.
    fn remove_orphaned_files(&self, names: &[OsString]) {
        let mark = |pid: u32| OsString::from(format!("{pid}{SUFFIX}"));
        for name in names {
            let pid = name.to_str().and_then(|name| name.split_once('.'));
            let Some(Ok(pid)) = pid.map(|(pid, _)| pid.parse()) else {
                continue;
            };
            if !names.contains(&mark(pid)) && orphans::start_time(pid).is_none() {
                // A leftover file does no harm.
                let _ = fs::remove_file(&self.engines().join(name));
            }
        }
    }
}

impl Note {
    /// Returns true if process `pid`, which wrote this note, has exited or is
    /// exiting. Its lock may then be held by a command that is cleaning up.
    fn is_stale(&self, pid: u32) -> bool {
        self.started
            .is_some_and(|started| !orphans::is_running(pid, started))
    }
}

/// Longest wait for another command that is cleaning up.
const CLEANUP_LIMIT: Duration = Duration::from_secs(5);

impl StaleEngine {
    /// Returns true if the process that wrote the mark is still running.
    pub fn is_alive(&self) -> bool {
        // A killed process releases its lock shortly before it exits.
        self.started
            .is_some_and(|started| orphans::is_running(self.pid, started))
    }

    /// Removes the mark and the other files of its process.
    pub fn forget(self) -> Result<(), HomeError> {
        let folder = self.path.parent().map(PathBuf::from).unwrap_or_default();
        let own = format!("{}.", self.pid);
        for name in fs::names(&folder)? {
            let path = folder.join(&name);
            if name.to_string_lossy().starts_with(&own) && path != self.path {
                fs::remove_file(&path)?;
            }
        }
        Ok(fs::remove_file(&self.path)?)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
