//! The logs that explain failures, which agents send before they are released.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

use ansar_contract::layout::Area;

use crate::home::Home;
use crate::host::fs;
use crate::host::fs::Appender;
use crate::logs::store::limit;
use crate::model::name::RoleName;
use crate::sync::path::RelPath;

/// Logs that are still to arrive.
#[derive(Default)]
pub(super) struct Logs {
    /// Roles with their storage, by shard.
    awaited: BTreeMap<usize, BTreeMap<RoleName, u64>>,
    /// Files that have begun to arrive.
    begun: BTreeMap<PathBuf, Appender>,
}

impl Logs {
    /// Prepares for the logs of these roles, with the storage of each.
    pub(super) fn expect(
        &mut self,
        home: &Home,
        shard: usize,
        roles: BTreeMap<RoleName, u64>,
    ) -> Result<(), fs::Error> {
        for role in roles.keys() {
            fs::make_private_folders(&home.folder(Area::Logs, role))?;
        }
        self.awaited.insert(shard, roles);
        Ok(())
    }

    /// Returns true if the log of a role is to arrive from a shard.
    fn is_awaited(&self, shard: usize, role: &RoleName) -> bool {
        let roles = self.awaited.get(&shard);
        roles.is_some_and(|roles| roles.contains_key(role))
    }

    /// Stores a piece of a file of a role's log. Ignores those that were not asked
    /// for.
    pub(super) fn piece(
        &mut self,
        home: &Home,
        shard: usize,
        role: &RoleName,
        file: &str,
        piece: &[u8],
    ) -> Result<(), fs::Error> {
        let is_name = RelPath::parse(file).is_ok_and(|file| file.depth() == 0);
        if !is_name || !self.is_awaited(shard, role) {
            return Ok(());
        }
        self.append(home.folder(Area::Logs, role).join(file), piece)
    }

    /// Stores a piece of the results of a role's tests.
    pub(super) fn results(
        &mut self,
        home: &Home,
        shard: usize,
        role: &RoleName,
        piece: &[u8],
    ) -> Result<(), fs::Error> {
        if !self.is_awaited(shard, role) {
            return Ok(());
        }
        let path = home.test_results(role);
        if !self.begun.contains_key(&path) {
            if let Some(folder) = path.parent() {
                fs::make_private_folders(folder)?;
            }
            if fs::exists(&path) {
                fs::remove_file(&path)?;
            }
        }
        self.append(path, piece)
    }

    fn append(&mut self, path: PathBuf, piece: &[u8]) -> Result<(), fs::Error> {
        let file = match self.begun.entry(path) {
            Entry::Occupied(begun) => begun.into_mut(),
            Entry::Vacant(new) => {
                let file = Appender::open(new.key())?;
                new.insert(file)
            }
        };
        file.append(piece)
    }

    /// Ends the log of a role, and limits its size. Returns true if no other is to
    /// arrive from the shard.
    pub(super) fn end(&mut self, home: &Home, shard: usize, role: &RoleName) -> bool {
        let Some(roles) = self.awaited.get_mut(&shard) else {
            return false;
        };
        let Some(storage) = roles.remove(role) else {
            return false;
        };
        // The next run tries again.
        let _ = limit(&home.folder(Area::Logs, role), storage);
        let is_last = roles.is_empty();
        if is_last {
            self.awaited.remove(&shard);
            self.begun.clear();
        }
        is_last
    }
}
