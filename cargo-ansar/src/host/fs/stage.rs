//! Staging: writing a file under an alias beside its target, then renaming it
//! over the target.
//!
//! Defines the names of aliases. A killed process leaves the old file or the
//! new one, and at most an alias, which the next process recognises by its name
//! and removes.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::host::fs::{
    Action, Error, Kind, PRIVATE_FOLDER, copy, crash_point, folder_of, make_private_folders,
    remove_empty_folder, remove_file, remove_tree, set_mode, stat, sync, walk,
};

/// The prefix of every alias.
///
/// An alias is this prefix and 32 hexadecimal digits, independent of the
/// target's name, so that it fits if that has the maximum length. A name of
/// exactly this form is reserved: it is never deployed and always removed. A
/// name that only has the prefix is an ordinary name.
const ALIAS: &str = ".ansar-alias-";

/// Methods of transferring a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferMethod {
    /// A hard link if the file system supports it, else a copy. No bytes are
    /// copied, but a write to one file changes both.
    Link,
    /// A copy, which shares blocks if the file system supports it.
    Copy,
}

/// Returns true if a file name is an alias.
pub fn is_alias(name: &OsStr) -> bool {
    name.as_bytes()
        .strip_prefix(ALIAS.as_bytes())
        .is_some_and(|rest| {
            rest.len() == 32
                && rest
                    .iter()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
}

/// A staged file or folder under an alias.
///
/// Dropping it before it is committed removes it.
#[derive(Debug)]
pub struct Staged {
    alias: PathBuf,
    /// True if it may be a hard link to the file that it replaces.
    is_link: bool,
    committed: bool,
}

impl Staged {
    /// Stages the bytes and permissions of `from` in `folder`, not synced.
    pub fn stage(from: &Path, folder: &Path, how: TransferMethod) -> Result<Self, Error> {
        let mut staged = Self::reserve(folder);
        crash_point::change();
        // If linking fails for any reason, a copy may work; otherwise its error
        // is the one to report.
        if how == TransferMethod::Link && fs::hard_link(from, &staged.alias).is_ok() {
            staged.is_link = true;
            return Ok(staged);
        }
        crash_point::change();
        let copied = copy::copy(from, &staged.alias);
        let (staged, ()) = staged.filled(from, folder, copied)?;
        Ok(staged)
    }

    /// Stages a copy of the bytes and permissions of `from` in `folder`, to be
    /// [synced](Self::sync). The disk writes during the copy, and while `then`
    /// runs, which receives the alias. `progress` is called with numbers of
    /// copied bytes, whose sum is the size of the file.
    pub fn stage_durably<T>(
        from: &Path,
        folder: &Path,
        progress: &dyn Fn(u64),
        then: impl FnOnce(&Path) -> T,
    ) -> Result<(Self, T), Error> {
        let staged = Self::reserve(folder);
        crash_point::change();
        let copied = copy::copy_durably(from, &staged.alias, progress, || then(&staged.alias));
        staged.filled(from, folder, copied)
    }

    fn filled<T>(
        self,
        from: &Path,
        folder: &Path,
        copied: io::Result<T>,
    ) -> Result<(Self, T), Error> {
        match copied {
            Ok(then) => Ok((self, then)),
            Err(source) => Err(Error::Transfer {
                from: from.to_owned(),
                to: folder.to_owned(),
                source,
            }),
        }
    }

    /// Creates a private folder under an alias in `folder`, for staging many
    /// files.
    pub fn folder(folder: &Path) -> Result<Self, Error> {
        let staged = Self::reserve(folder);
        crash_point::change();
        let made = fs::DirBuilder::new()
            .mode(PRIVATE_FOLDER)
            .create(&staged.alias);
        made.map_err(Action::MakeFolder.on(&staged.alias))?;
        Ok(staged)
    }

    /// Leaves it in place, for the next process to remove.
    pub fn abandon(mut self) {
        self.committed = true;
    }

    /// Reserves a new alias in `folder`, without creating anything.
    pub(crate) fn reserve(folder: &Path) -> Self {
        let name = format!("{ALIAS}{}", uuid::Uuid::new_v4().simple());
        Self {
            alias: folder.join(name),
            is_link: false,
            committed: false,
        }
    }

    /// Returns the path of the alias.
    pub fn path(&self) -> &Path {
        &self.alias
    }

    /// Sets its permissions.
    pub fn set_mode(&self, mode: u32) -> Result<(), Error> {
        set_mode(&self.alias, mode)
    }

    /// Syncs its bytes to disk.
    pub fn sync(&self) -> Result<(), Error> {
        sync(&self.alias)
    }

    /// Renames it to `to`, replacing a file.
    ///
    /// The new name is durable once its folder is synced.
    pub fn commit(mut self, to: &Path) -> Result<(), Error> {
        crash_point::change();
        fs::rename(&self.alias, to).map_err(|source| Error::Transfer {
            from: self.alias.clone(),
            to: to.to_owned(),
            source,
        })?;
        self.committed = true;
        // Renaming a hard link over another one of the same file succeeds
        // without doing anything, so the alias still exists.
        if self.is_link {
            remove_file(&self.alias)?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now is removed by the next process. Files
            // are tried first, as there may be very many.
            if fs::remove_file(&self.alias).is_err() {
                let _ = remove_tree(&self.alias);
            }
        }
    }
}

/// Transfers the bytes and permissions of `from` to `to`, not synced.
///
/// For files that can be transferred again if they are lost; otherwise stage,
/// sync, commit, and sync the folder.
pub fn transfer(from: &Path, to: &Path, how: TransferMethod) -> Result<(), Error> {
    Staged::stage(from, folder_of(to), how)?.commit(to)
}

/// Returns the aliases that killed processes left directly in a folder; empty
/// if it does not exist.
///
/// The caller must ensure that no other process is staging there.
pub fn leftovers(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = Action::List.on(folder);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if is_alias(&entry.file_name()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Removes the [`leftovers`] of a folder, and returns their number.
pub fn clear_leftovers(folder: &Path) -> Result<usize, Error> {
    let found = leftovers(folder)?;
    for alias in &found {
        remove_tree(alias)?;
    }
    Ok(found.len())
}

/// Removes the [`leftovers`] of a folder and of everything below it.
pub fn clear_leftovers_below(folder: &Path) -> Result<(), Error> {
    for found in walk(folder)?.unwrap_or_default() {
        if found.alias {
            remove_tree(&folder.join(&found.path))?;
        }
    }
    Ok(())
}

/// A trash folder: what is removed is moved into it first, so that nothing is
/// half removed under its original name.
#[derive(Debug)]
pub struct Trash<'f> {
    folder: &'f Path,
    alias: Option<PathBuf>,
}

impl<'f> Trash<'f> {
    /// Creates a trash for `folder`, stored in it under an alias when needed.
    pub fn new(folder: &'f Path) -> Self {
        Self {
            folder,
            alias: None,
        }
    }

    /// Moves `name` to the trash. What cannot be moved, such as a mount point,
    /// is removed in place.
    pub fn take(&mut self, name: &OsStr) -> Result<(), Error> {
        let path = self.folder.join(name);
        match stat(&path) {
            Ok(stat) if stat.kind == Kind::Folder => {}
            Ok(_) => return remove_file(&path),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
        if matches!(remove_empty_folder(&path), Ok(true)) {
            return Ok(());
        }
        let alias = self.alias()?;
        crash_point::change();
        match fs::rename(&path, alias.join(name)) {
            Ok(()) => Ok(()),
            Err(_) => remove_tree(&path),
        }
    }

    fn alias(&mut self) -> Result<PathBuf, Error> {
        if let Some(alias) = &self.alias {
            return Ok(alias.clone());
        }
        let mut staged = Staged::reserve(self.folder);
        make_private_folders(staged.path())?;
        staged.committed = true;
        Ok(self.alias.insert(staged.alias.clone()).clone())
    }

    /// Removes everything in the trash.
    pub fn empty(self) -> Result<(), Error> {
        self.alias.as_deref().map_or(Ok(()), remove_tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fs;

    fn is_one_file(one: &Path, other: &Path) -> bool {
        fs::stat(one).unwrap().fingerprint == fs::stat(other).unwrap().fingerprint
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn transfer_links_or_copies_and_keeps_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::replace(&at("from"), b"bytes", 0o751).unwrap();
        transfer(&at("from"), &at("link"), TransferMethod::Link).unwrap();
        transfer(&at("from"), &at("copy"), TransferMethod::Copy).unwrap();
        assert!(is_one_file(&at("from"), &at("link")));
        assert!(!is_one_file(&at("from"), &at("copy")));
        assert_eq!(fs::read(&at("copy")).unwrap(), b"bytes");
        assert_eq!(fs::stat(&at("copy")).unwrap().mode, 0o751);
        assert_eq!(names(folder.path()), ["copy", "from", "link"]);
    }

    #[test]
    fn transfer_over_a_link_to_the_same_file_leaves_no_alias() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::replace(&at("from"), b"bytes", 0o700).unwrap();
        transfer(&at("from"), &at("to"), TransferMethod::Link).unwrap();
        transfer(&at("from"), &at("to"), TransferMethod::Link).unwrap();
        assert_eq!(names(folder.path()), ["from", "to"]);
    }

    #[test]
    fn transfer_that_fails_leaves_the_old_file_and_no_alias() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::replace(&at("to"), b"old", 0o700).unwrap();
        let error = transfer(&at("gone"), &at("to"), TransferMethod::Link).unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(fs::read(&at("to")).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["to"]);
    }

    #[test]
    fn longest_name_is_transferred() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("n".repeat(255));
        fs::replace(&long, b"x", 0o600).unwrap();
        transfer(
            &long,
            &folder.path().join("m".repeat(255)),
            TransferMethod::Copy,
        )
        .unwrap();
    }

    #[test]
    fn trash_takes_anything_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::make_private_folders(&at("empty")).unwrap();
        fs::make_private_folders(&at("full/deep")).unwrap();
        fs::replace(&at("full/deep/file"), b"x", 0o600).unwrap();
        fs::replace(&at("file"), b"x", 0o600).unwrap();
        fs::place_link(&at("link"), &at("stays")).unwrap();
        fs::make_private_folders(&at("stays")).unwrap();
        let mut trash = Trash::new(folder.path());
        for name in ["empty", "full", "file", "link", "missing"] {
            trash.take(OsStr::new(name)).unwrap();
        }
        assert_eq!(leftovers(folder.path()).unwrap().len(), 1);
        trash.empty().unwrap();
        assert_eq!(names(folder.path()), ["stays"]);
    }

    #[test]
    fn only_the_exact_form_is_an_alias() {
        let folder = tempfile::tempdir().unwrap();
        let user = folder.path().join(".ansar-alias-of-mine");
        fs::replace(&user, b"x", 0o600).unwrap();
        let left = Staged::reserve(folder.path()).path().to_owned();
        fs::replace(&left, b"x", 0o600).unwrap();
        let left_folder = Staged::reserve(folder.path()).path().to_owned();
        fs::make_private_folders(&left_folder).unwrap();
        assert_eq!(clear_leftovers(folder.path()).unwrap(), 2);
        assert_eq!(names(folder.path()), [".ansar-alias-of-mine"]);
        assert!(leftovers(&folder.path().join("gone")).unwrap().is_empty());
    }
}
