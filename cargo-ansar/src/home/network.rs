//! The network of a home, in which its roles can run apart from the system.
//!
//! Each engine has a keeper of the network while it needs it, and notes it in
//! `engines/PID.network`. The first keeper makes the network, and later ones
//! enter it.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError, read_json, write_json};
use crate::host::fs::lock;
use crate::host::net::own_network::Network;
use crate::host::process::orphans;
use crate::host::{environment, fs};

/// Suffix of the note about a keeper.
const SUFFIX: &str = ".network";

/// A keeper.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    keeper: u32,
    started: Option<u64>,
}

thread_local! {
    /// The network that this engine uses, and its home.
    static USED: RefCell<(PathBuf, Weak<Network>)> = RefCell::default();
}

impl Home {
    /// Returns the network of this home for the roles of this engine. It is kept
    /// until the last value is dropped. Must be called within the runtime.
    pub fn network(&self) -> Result<Rc<Network>, HomeError> {
        let used = USED.with_borrow(|(home, used)| {
            let used = used.upgrade();
            used.filter(|_| home == self.root())
        });
        if let Some(used) = used {
            return Ok(used);
        }
        fs::make_private_folders(&self.engines())?;
        let path = self.engines().join("network.lock");
        let _lock = lock::lock(&path, "").map_err(|source| HomeError::Lock { path, source })?;
        let network = Rc::new(self.join()?);
        let note = Note {
            keeper: network.keeper(),
            started: orphans::start_time(network.keeper()),
        };
        let name = format!("{}{SUFFIX}", environment::pid());
        write_json(&self.engines().join(name), &note)?;
        USED.set((self.root().to_owned(), Rc::downgrade(&network)));
        Ok(network)
    }

    /// Enters the network of this home, which is a new one if there is none.
    fn join(&self) -> Result<Network, HomeError> {
        let keeper = self.keeper()?;
        match Network::start(keeper) {
            // Its engine has ended meanwhile.
            Err(_) if keeper.is_some() && self.keeper()? != keeper => self.join(),
            joined => joined.map_err(HomeError::Network),
        }
    }

    /// Returns a keeper that runs.
    fn keeper(&self) -> Result<Option<u32>, HomeError> {
        for name in fs::names(&self.engines())? {
            let is_note = name.to_str().is_some_and(|name| name.ends_with(SUFFIX));
            if !is_note {
                continue;
            }
            // A note that is being written belongs to an engine without roles.
            let note = read_json::<Note>(&self.engines().join(&name))
                .ok()
                .flatten();
            let runs = |note: &Note| {
                note.started.is_some() && orphans::start_time(note.keeper) == note.started
            };
            if let Some(note) = note.filter(runs) {
                return Ok(Some(note.keeper));
            }
        }
        Ok(None)
    }
}
