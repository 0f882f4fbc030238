//! The marks of engines, and the sockets beside them: which commands run roles
//! of a home, and how they are reached.
//!
//! A mark is a locked file, named by its engine's process. One that is not
//! locked is of an engine that did not end as it should.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError, read_json};
use crate::host::fs::lock;
use crate::host::fs::lock::{Attempt, Lock};
use crate::host::process::orphans;
use crate::host::process::sd_notify::Notices;
use crate::host::socket::Listener;
use crate::host::{environment, fs};

/// The mark of this process; gone when it is dropped.
#[derive(Debug)]
pub struct Mark {
    path: PathBuf,
    _lock: Lock,
}

/// An engine that did not end as it should, or that belongs to the home which
/// this one is a copy of.
#[derive(Debug)]
pub struct Unclean {
    path: PathBuf,
    /// Its process.
    pub pid: u32,
    started: Option<u64>,
    _lock: Lock,
}

/// What a mark says: enough to tell its process from a later one of the same
/// number.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    started: Option<u64>,
}

const SUFFIX: &str = ".engine";

/// The engines of a home.
#[derive(Debug, Default)]
pub struct Engines {
    /// The processes of those that run, other than this one.
    pub live: Vec<u32>,
    /// Those that did not end as they should.
    pub unclean: Vec<Unclean>,
}

impl Home {
    /// What processes of an engine of this home carry in their environment.
    pub fn token(&self, engine: u32) -> String {
        format!("{}:{engine}", self.id())
    }

    /// Leaves the mark of this process.
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

    /// Listens for what components say of their state.
    pub fn hear(&self) -> Result<Notices, HomeError> {
        fs::make_private_folders(&self.engines())?;
        let path = self.engine_file(environment::pid(), "notify");
        Notices::listen(&path).map_err(|source| HomeError::Socket { path, source })
    }

    /// Listens for what others ask this process.
    pub fn listen(&self) -> Result<Listener, HomeError> {
        fs::make_private_folders(&self.engines())?;
        let path = self.socket(environment::pid());
        Listener::bind(&path).map_err(|source| HomeError::Socket { path, source })
    }

    /// Returns true if an engine of this home left a mark: those of a home that
    /// this one is a copy of have none here.
    pub fn has_mark(&self, engine: u32) -> bool {
        fs::stat(&self.mark_file(engine)).is_ok()
    }

    fn mark_file(&self, engine: u32) -> PathBuf {
        self.engines().join(format!("{engine}{SUFFIX}"))
    }

    /// Where an engine is reached.
    pub fn socket(&self, engine: u32) -> PathBuf {
        self.engine_file(engine, "sock")
    }

    fn engine_file(&self, engine: u32, suffix: &str) -> PathBuf {
        self.engines().join(format!("{engine}.{suffix}"))
    }

    /// The engines by their marks: whoever runs holds its own.
    pub fn marks(&self) -> Result<Engines, HomeError> {
        let mut engines = Engines::default();
        let names = fs::names(&self.engines())?;
        self.forget_files_of_the_dead(&names);
        for name in names {
            let path = self.engines().join(&name);
            let pid = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            let Some(Ok(pid)) = pid.map(str::parse) else {
                continue;
            };
            // A note that cannot be read was never finished.
            let note = read_json::<Note>(&path).ok().flatten();
            let failed = |source| HomeError::Lock {
                path: path.clone(),
                source,
            };
            let mut attempt = lock::try_lock(&path, "").map_err(failed)?;
            if let Attempt::Busy(_) = attempt
                && pid != environment::pid()
                && note.as_ref().is_some_and(|note| note.is_of_the_dead(pid))
            {
                // The kernel lets go of what it had a moment after its end, or
                // another command sweeps what it left, and is done soon.
                lock::wait_until_free(&path, SWEEPING).map_err(failed)?;
                if !fs::is_file(&path) {
                    continue;
                }
                attempt = lock::try_lock(&path, "").map_err(failed)?;
            }
            match attempt {
                Attempt::Busy(_) if pid == environment::pid() => {}
                Attempt::Busy(_) => engines.live.push(pid),
                Attempt::Held(lock) => engines.unclean.push(Unclean {
                    path,
                    pid,
                    started: note.and_then(|note| note.started),
                    _lock: lock,
                }),
            }
        }
        Ok(engines)
    }

    /// Removes files of processes that are gone and left no mark: commands that
    /// were killed while they asked a component.
    fn forget_files_of_the_dead(&self, names: &[OsString]) {
        let mark = |pid: u32| OsString::from(format!("{pid}{SUFFIX}"));
        for name in names {
            let pid = name.to_str().and_then(|name| name.split_once('.'));
            let Some(Ok(pid)) = pid.map(|(pid, _)| pid.parse()) else {
                continue;
            };
            if !names.contains(&mark(pid)) && orphans::start_time(pid).is_none() {
                // What cannot be removed is in nobody's way.
                let _ = fs::remove_file(&self.engines().join(name));
            }
        }
    }
}

impl Note {
    /// Whether the process that left this, as `pid`, is gone.
    fn is_of_the_dead(&self, pid: u32) -> bool {
        self.started.is_some() && orphans::start_time(pid) != self.started
    }
}

/// How long to wait for others who sweep.
const SWEEPING: Duration = Duration::from_secs(5);

impl Unclean {
    /// Whether the very process that left the mark runs all the same.
    pub fn is_alive(&self) -> bool {
        // One that was killed a moment ago lets go of its mark before it ends.
        self.started.is_some()
            && orphans::start_time(self.pid) == self.started
            && !orphans::is_ending(self.pid)
    }

    /// Removes the mark, and whatever else its process left beside it.
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
