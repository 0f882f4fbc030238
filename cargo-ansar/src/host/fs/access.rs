//! Ownership and permissions: which users can access a file or folder.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use crate::host::fs::{Action, Error, PRIVATE_FOLDER};

/// The owner and the permissions of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    user: u32,
    group: u32,
    /// The permission bits, with the sticky bit.
    pub mode: u32,
}

const STICKY: u32 = 0o1000;

/// Returns the owner and permissions of `path`. Symlinks are followed.
pub fn access(path: &Path) -> Result<Access, Error> {
    let found = fs::metadata(path).map_err(Action::Examine.on(path))?;
    Ok(Access {
        user: found.uid(),
        group: found.gid(),
        mode: found.mode() & 0o1777,
    })
}

impl Access {
    /// Returns true if it belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        Uid::effective().as_raw() == self.user
    }

    /// Returns true if only the user of this process can use it.
    pub fn is_private(&self) -> bool {
        self.is_own() && self.mode & !STICKY & !PRIVATE_FOLDER == 0
    }

    /// Returns the name of its owner, or the user id if there is none.
    pub fn owner(&self) -> String {
        let user = User::from_uid(Uid::from_raw(self.user)).ok().flatten();
        user.map_or_else(|| self.user.to_string(), |user| user.name)
    }

    /// Returns true if users other than this one and root can write to it.
    pub fn others_can_write(&self) -> bool {
        if !self.is_own() && self.user != 0 {
            return true;
        }
        let by_group = self.mode & 0o020 != 0 && is_shared(self.group);
        self.mode & 0o002 != 0 || by_group
    }
}

/// Returns true if a group may have members other than this user. The group
/// that many systems create for each user has that user's name and no other
/// members.
fn is_shared(group: u32) -> bool {
    let Ok(Some(group)) = Group::from_gid(Gid::from_raw(group)) else {
        return false;
    };
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let name = user.map(|user| user.name).unwrap_or_default();
    let is_private = group.name == name || group.gid.as_raw() == 0;
    !is_private || group.mem.iter().any(|member| *member != name)
}

/// Returns the nearest folder above `path` in which other users can replace an
/// entry that leads to it.
///
/// In a sticky folder of this user, only the owner can replace an entry. A
/// folder of root is trusted: it is as open as the administrator of the machine
/// wants it to be. `path` must not contain symlinks. The folder `trusted` and
/// its parents are not checked.
pub fn replaceable_above(path: &Path, trusted: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    for folder in path.ancestors().skip(1) {
        if trusted.is_some_and(|trusted| trusted.starts_with(folder)) {
            break;
        }
        let access = access(folder)?;
        let is_trusted = if access.is_own() {
            access.mode & STICKY != 0
        } else {
            access.user == 0
        };
        if access.others_can_write() && !is_trusted {
            return Ok(Some(folder.to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fs::{make_private_folders, set_mode};

    #[test]
    fn what_belongs_to_root_is_judged_by_its_mode() {
        let of_root = |mode| Access {
            user: 0,
            group: 0,
            mode,
        };
        assert!(!of_root(0o755).others_can_write());
        assert!(!of_root(0o775).others_can_write());
        assert!(of_root(0o757).others_can_write());
    }

    #[test]
    fn world_writable_folder_is_replaceable_unless_sticky() {
        let scratch = tempfile::tempdir().unwrap();
        let scratch = scratch.path().canonicalize().unwrap();
        let (open, inner) = (scratch.join("open"), scratch.join("open/a/b"));
        make_private_folders(&inner).unwrap();
        assert_eq!(replaceable_above(&inner, None).unwrap(), None);
        assert!(access(&inner).unwrap().is_private());
        set_mode(&open, 0o777).unwrap();
        assert!(access(&open).unwrap().others_can_write());
        let found = replaceable_above(&inner, None).unwrap();
        assert_eq!(found.as_deref(), Some(&*open));
        assert_eq!(replaceable_above(&inner, Some(&open)).unwrap(), None);
        set_mode(&open, 0o1777).unwrap();
        assert_eq!(replaceable_above(&inner, None).unwrap(), None);
    }
}
