//! The folders of an agent: the store of the node, and the folder of one run
//! with its home and the files of the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ansar_contract::layout::Area;

use crate::error::Error;
use crate::events::Events;
use crate::home::Home;
use crate::host::environment;
use crate::host::fs::lock::{self, Attempt, Lock};
use crate::host::fs::{self, TransferMethod};
use crate::host::process::guardian::End;
use crate::host::process::interrupts::only_clean_up_from_now_on;
use crate::remote::frames::Frame;
use crate::remote::messages::{File, FromAgent, Link, ToAgent};
use crate::remote::store::Store;
use crate::supervisor::cleanup::clean;
use crate::sync::path::RelPath;
use crate::testing::agent::{Agent, refused};

/// Folder of the store, in the folder of all agents.
const STORE: &str = "store";
/// Beginning of the names of the folders of runs.
const RUN: &str = "run-";
/// File that an agent locks in the folder of its run.
const LOCK: &str = "lock";
/// Folder of the home.
pub(crate) const HOME: &str = "home";
/// Folder that stands for the workspace.
pub(crate) const WORK: &str = "work";

/// Returns the store of the node.
pub(super) fn store(folder: &RunFolder) -> Result<Store, Error> {
    let scratch = folder.path.parent().unwrap_or(&folder.path);
    Store::open(&scratch.join(STORE)).map_err(refused)
}

/// Removes the folders of runs whose agents were killed, and ends what runs
/// there still. The caller has locked `scratch`.
fn remove_stale(scratch: &Path) {
    for name in fs::names(scratch).unwrap_or_default() {
        let folder = scratch.join(&name);
        if !name.to_string_lossy().starts_with(RUN) {
            continue;
        }
        let Ok(Attempt::Held(_lock)) = lock::try_lock(&folder.join(LOCK), "") else {
            continue;
        };
        if let Ok(home) = Home::open(&folder.join(HOME)) {
            let _ = clean(&home, &Events::new(|_| {}));
        }
        let _ = fs::remove_tree(&folder);
    }
}

/// Removes the folder of the run if its agent was killed, in the guardian of the
/// agent: the agent itself has removed it otherwise.
pub fn clean_up_after_kill(end: &End) {
    if !end.is_killed {
        return;
    }
    let Ok(scratch) = environment::working_folder() else {
        return;
    };
    if let Ok(_all) = lock_all(&scratch) {
        remove_stale(&scratch);
    }
}

/// Locks the folder of all agents for a moment: a folder that is being created is
/// not stale.
fn lock_all(scratch: &Path) -> Result<Lock, Error> {
    lock(&scratch.join(LOCK))
}

fn lock(path: &Path) -> Result<Lock, Error> {
    lock::lock(path, "").map_err(|source| Error::System {
        what: "lock the folder of the agents",
        source,
    })
}

/// The folder of a run, which its agent has locked.
pub(super) struct RunFolder {
    path: PathBuf,
    _lock: Lock,
}

impl RunFolder {
    /// Creates the folder of a run in the folder of all agents, and removes stale
    /// ones.
    pub(super) fn create(scratch: &Path) -> Result<Self, Error> {
        let _all = lock_all(scratch)?;
        remove_stale(scratch);
        let path = scratch.join(format!("{RUN}{}", environment::unique()));
        fs::make_private_folders(&path)?;
        let lock = lock(&path.join(LOCK))?;
        Ok(Self { path, _lock: lock })
    }

    /// Returns the path of its home.
    pub(super) fn home_path(&self) -> PathBuf {
        self.path.join(HOME)
    }

    /// Removes the folder with all that is in it, also in an interrupted agent.
    pub(super) fn remove(&self) -> Result<(), Error> {
        only_clean_up_from_now_on();
        Ok(fs::remove_tree(&self.path)?)
    }

    /// Makes the home and the files of the workspace.
    pub(super) async fn home(
        &self,
        id: String,
        store: &Store,
        files: &[File],
        folders: &[RelPath],
        links: &[Link],
    ) -> Result<Home, Error> {
        let work = self.path.join(WORK);
        fs::make_private_folders(&work)?;
        let home = Home::create(&self.home_path(), Some(&work), &BTreeMap::new(), id)?;
        for folder in folders {
            fs::make_private_folders(&self.below(folder)?)?;
        }
        for file in files {
            let to = self.below(&file.path)?;
            if let Some(folder) = to.parent() {
                fs::make_private_folders(folder)?;
            }
            // Executables are never written to.
            let is_executable = file
                .path
                .as_path()
                .starts_with(Path::new(HOME).join(Area::Bin.name()));
            let how = if is_executable {
                TransferMethod::Link
            } else {
                TransferMethod::Copy
            };
            fs::transfer(&store.path(file.hash), &to, how)?;
            if !is_executable {
                fs::set_mode(&to, file.mode & 0o777)?;
            }
            // The launcher gets signs of life meanwhile.
            tokio::task::yield_now().await;
        }
        // Last, so that no file is written through one.
        for link in links {
            fs::place_link(&self.below(&link.path)?, &link.target)?;
        }
        Ok(home)
    }

    /// Returns the path of a file in the home or in the workspace.
    fn below(&self, path: &RelPath) -> Result<PathBuf, Error> {
        let is_known = [HOME, WORK]
            .iter()
            .any(|folder| path.as_path().starts_with(folder));
        if !is_known || path.depth() == 0 {
            let path = path.as_path().display();
            return Err(refused(format!(
                "`{path}` is not in the home or the workspace"
            )));
        }
        Ok(path.under(&self.path))
    }
}

impl Agent {
    /// Receives the files that are not in the store. Returns false if the
    /// launcher is gone.
    pub(super) async fn receive(&mut self, store: &Store, files: &[File]) -> Result<bool, Error> {
        let mut transfer = store.expect(files).map_err(refused)?;
        let hashes = transfer.missing();
        self.outbox.send(&FromAgent::Want { hashes });
        while !transfer.is_complete() {
            let Some(Frame { message, bytes }) = self.inbox.next().await else {
                return Ok(false);
            };
            match message {
                ToAgent::Blob { hash, .. } => {
                    transfer.take(store, hash, &bytes).map_err(refused)?;
                }
                ToAgent::Bye => return Ok(false),
                _ => {}
            }
        }
        store.prune(files).map_err(refused)?;
        Ok(true)
    }
}
