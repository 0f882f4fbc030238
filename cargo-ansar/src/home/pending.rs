//! Atomic changes of several files of a home.
//!
//! A command first writes a note of its change, then applies the change, then
//! removes the note. A note without a running command is left by one that was
//! killed; the next command that opens or locks the home completes the change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::{Area, HOME_FILE};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::home::role::{Entry, OWN_FOLDERS, parent};
use crate::home::{Home, HomeError, KEPT, read_json, write_json};
use crate::host::fs;
use crate::host::fs::Trash;
use crate::host::fs::lock;
use crate::host::process::interrupts::Interrupted;
use crate::model::name::RoleName;

/// File of the note, in the root of a home.
pub(super) const FILE: &str = "pending.json";

/// A change of a home, applied by [`Home::commit`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction(Note);

/// The note of a change in progress.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Note {
    /// True if the home is being removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    destroy: bool,
    /// Roles to remove.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    delete: BTreeSet<RoleName>,
    /// Roles whose folders are created.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    add: BTreeSet<RoleName>,
    /// New text of input files; `None` for files to remove.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    input: Texts,
    /// The same for settings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    settings: Texts,
    /// The same for entries.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    entry: Texts,
    /// Folders in which files are staged, by path in the home.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    staging: BTreeSet<PathBuf>,
    /// A folder outside the home in which files are staged.
    #[serde(skip_serializing_if = "Option::is_none")]
    outside: Option<PathBuf>,
}

type Texts = BTreeMap<RoleName, Option<String>>;

/// Files with their content; `None` for files that do not exist.
type Contents = Vec<(PathBuf, Option<Vec<u8>>)>;

impl Transaction {
    /// Removes a role with all its files.
    pub fn delete(&mut self, role: &RoleName) {
        self.0.delete.insert(role.clone());
    }

    /// Adds a role, or replaces its properties.
    pub fn set_entry(&mut self, role: &RoleName, entry: &Entry) -> Result<(), HomeError> {
        let text = text(&Envelope::of(entry))?;
        self.0.entry.insert(role.clone(), Some(text));
        Ok(())
    }

    /// Creates the folders of a role.
    pub fn add(&mut self, role: &RoleName) {
        self.0.add.insert(role.clone());
    }

    /// Replaces the settings of a role.
    pub fn set_settings(&mut self, role: &RoleName, value: &Value) -> Result<(), HomeError> {
        let text = text(&Envelope::of(value))?;
        self.0.settings.insert(role.clone(), Some(text));
        Ok(())
    }

    /// Replaces or removes the input of a role.
    pub fn set_input(&mut self, role: &RoleName, value: Option<&Value>) -> Result<(), HomeError> {
        let text = value.map(|value| text(&Envelope::of(value))).transpose()?;
        self.0.input.insert(role.clone(), text);
        Ok(())
    }
}

/// Formats a value for a file of the home.
fn text<T: Serialize>(value: &T) -> Result<String, HomeError> {
    let text = serde_json::to_string_pretty(value);
    let mut text = text.map_err(|error| HomeError::Content {
        path: PathBuf::from(FILE),
        reason: format!(" {error}"),
    })?;
    text.push('\n');
    Ok(text)
}

/// A note that folders contain staged files; removed on drop.
#[derive(Debug)]
pub struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Note {
    /// Files to write, entries last: a role exists once its entry does.
    fn texts(&self) -> [(Area, &Texts); 3] {
        [
            (Area::Input, &self.input),
            (Area::Settings, &self.settings),
            (Area::Entry, &self.entry),
        ]
    }
}

impl Home {
    /// Applies a change. After a kill, the next command completes it. If a file
    /// cannot be written, the written ones are restored. The lock of the home
    /// must be held.
    pub fn commit(&self, transaction: Transaction) -> Result<(), HomeError> {
        let note = transaction.0;
        if note == Note::default() {
            return Ok(());
        }
        let before = self.texts_before(&note)?;
        write_json(&self.pending_file(), &note)?;
        if let Err(error) = self.write_texts(&note) {
            // Best effort; the first error is returned.
            for (path, bytes) in before {
                let _ = match bytes {
                    Some(bytes) => fs::replace(&path, &bytes, 0o600),
                    None => fs::remove_file(&path),
                };
            }
            fs::remove_file(&self.pending_file())?;
            return Err(error);
        }
        let done = self.delete(&note.delete);
        self.forget_note(done)
    }

    /// Notes that files will be staged in `folders` of the home. After a kill,
    /// the next command removes the staged files.
    pub fn stage_in(&self, folders: impl Iterator<Item = PathBuf>) -> Result<Staging, HomeError> {
        self.note_staging(&Note {
            staging: folders.collect(),
            ..Note::default()
        })
    }

    /// Notes that files will be staged in `folder` outside the home, and in the
    /// home's folder of replaced files.
    pub fn stage_outside(&self, folder: &Path) -> Result<Staging, HomeError> {
        self.note_staging(&Note {
            staging: BTreeSet::from([PathBuf::from(KEPT)]),
            outside: Some(folder.to_owned()),
            ..Note::default()
        })
    }

    fn note_staging(&self, note: &Note) -> Result<Staging, HomeError> {
        let path = self.pending_file();
        if *note != Note::default() {
            fs::place(&path, text(note)?.as_bytes())?;
        }
        Ok(Staging(path))
    }

    /// Completes the change of a killed command. The lock of the home must be
    /// held.
    pub(super) fn finish(&self) -> Result<(), HomeError> {
        fs::clear_leftovers(self.root())?;
        let path = self.pending_file();
        let Some(note) = read_json::<Note>(&path)? else {
            return Ok(());
        };
        if note.destroy {
            return Err(HomeError::NotThere(self.root().to_owned()));
        }
        for (area, _) in note.texts().iter().filter(|(_, texts)| !texts.is_empty()) {
            fs::clear_leftovers(&self.area(*area))?;
        }
        for name in &note.staging {
            match self.place(name) {
                // Other programs may write to it.
                Some(folder) if name.as_os_str() == Area::Bin.name() => {
                    fs::clear_leftovers(&folder)?;
                }
                Some(folder) => fs::clear_leftovers_below(&folder)?,
                None => {}
            }
        }
        if let Some(folder) = &note.outside {
            // Leftovers there do not affect this home.
            let _ = fs::clear_leftovers_below(folder);
        }
        self.write_texts(&note)?;
        let deleted = self.delete(&note.delete);
        for role in &note.delete {
            if let Ok(_lock) = self.lock_roles([role]) {
                self.remove_lock(role)?;
            }
        }
        // The note goes even if a part of a role cannot be removed.
        self.forget_note(deleted)
    }

    /// Removes the note after a removal of roles, unless a signal interrupted
    /// it: then the next command completes it.
    fn forget_note(&self, done: Result<(), HomeError>) -> Result<(), HomeError> {
        let interrupted = done
            .as_ref()
            .err()
            .and_then(|error| Interrupted::cause_of(error));
        if interrupted.is_none() {
            fs::remove_file(&self.pending_file())?;
        }
        done
    }

    /// Reads the files that `note` changes.
    fn texts_before(&self, note: &Note) -> Result<Contents, HomeError> {
        let mut before = Vec::new();
        for (area, texts) in note.texts() {
            for role in texts.keys() {
                let path = self.file(area, role);
                let bytes = fs::read_if_exists(&path)?;
                before.push((path, bytes));
            }
        }
        Ok(before)
    }

    fn write_texts(&self, note: &Note) -> Result<(), HomeError> {
        for role in &note.add {
            self.prepare(role)?;
        }
        for (area, texts) in note.texts() {
            let mut written = Vec::new();
            for (role, text) in texts {
                let path = self.file(area, role);
                match text {
                    Some(text) => {
                        fs::place(&path, text.as_bytes())?;
                        written.push(path);
                    }
                    None => fs::remove_file(&path)?,
                }
            }
            // Syncing all files together is faster than one by one.
            fs::sync_all(&written)?;
            if !texts.is_empty() {
                fs::sync(&self.area(area))?;
            }
        }
        Ok(())
    }

    /// Removes roles with their files and those of their sub-roles, except
    /// their locks. Continues after an error and returns the first one.
    fn delete(&self, roles: &BTreeSet<RoleName>) -> Result<(), HomeError> {
        if roles.is_empty() {
            return Ok(());
        }
        self.forget(roles)?;
        let mut done = Ok(());
        let mut attempt = |attempt: Result<(), HomeError>| {
            if done.is_ok() {
                done = attempt;
            }
        };
        // Entries first: a role is gone once its entry is.
        for area in [Area::Entry, Area::Settings, Area::Input] {
            for role in roles {
                attempt(fs::remove_file(&self.file(area, role)).map_err(Into::into));
            }
        }
        for role in roles {
            attempt(fs::remove_file(&self.history_file(role)).map_err(Into::into));
            attempt(self.remove_setup_record(role));
        }
        for area in OWN_FOLDERS {
            attempt(self.owned(area).and_then(|owned| match owned {
                Some(owned) => discard(owned.path(), roles),
                None => Ok(()),
            }));
        }
        for name in [Area::Model.name(), "edit"] {
            let folder = self.kept().join(name);
            let checked = self.check_own(&folder);
            attempt(checked.and_then(|()| discard(&folder, roles)));
        }
        done
    }

    /// Removes deleted roles from the deploy state. Otherwise a new role of the
    /// same name would seem to have removed its files.
    fn forget(&self, roles: &BTreeSet<RoleName>) -> Result<(), HomeError> {
        let was = self.deploy_state()?;
        let mut deploy_state = was.clone();
        for role in roles {
            deploy_state.forget(role);
        }
        if deploy_state != was {
            self.set_deploy_state(&deploy_state)?;
        }
        let mut stopped = self.stopped()?;
        let count = stopped.len();
        stopped.retain(|role, _| !roles.contains(role));
        if stopped.len() < count {
            self.set_stopped(&stopped)?;
        }
        Ok(())
    }

    fn pending_file(&self) -> PathBuf {
        self.root().join(FILE)
    }

    /// Resolves a path in the home, following redirected areas; returns `None`
    /// for a path that leads out of the home.
    fn place(&self, path: &Path) -> Option<PathBuf> {
        let mut parts = path.components();
        let Some(Component::Normal(first)) = parts.next() else {
            return None;
        };
        let area = Area::ALL.into_iter().find(|area| first == area.name());
        let root = match area {
            Some(area) => self.area(area),
            None => self.root().join(first),
        };
        let rest = parts.as_path();
        let is_below = rest
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        is_below.then(|| root.join(rest))
    }

    /// Returns true if the home has a note of a change or removal.
    pub(super) fn is_pending(root: &Path) -> bool {
        fs::is_file(&root.join(FILE))
    }

    /// Notes that the home is being removed.
    pub(super) fn begin_removal(&self) -> Result<(), HomeError> {
        let note = Note {
            destroy: true,
            ..Note::default()
        };
        write_json(&self.pending_file(), &note)
    }

    /// Completes the removal that a `destroy` began, waiting for it if it still
    /// runs; returns true if the home was being removed.
    pub fn finish_removal(root: &Path) -> Result<bool, HomeError> {
        if !Self::is_removed(root)? {
            return Ok(false);
        }
        Self::check_root(root)?;
        let failed = |source| HomeError::Lock {
            path: root.to_owned(),
            source,
        };
        let _removing = match lock::lock_folder(root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
            lock => lock.map_err(failed)?,
        };
        if Self::is_removed(root)? {
            Self::remove_rest(root)?;
            Self::remove_root(root)?;
        }
        Ok(true)
    }

    /// Removes the empty root of a home. Where `root` is a symlink, the link is
    /// removed first, and then the folder that it leads to; one that cannot be
    /// removed there, such as a mount point, stays empty.
    pub(super) fn remove_root(root: &Path) -> Result<(), HomeError> {
        if fs::stat(root)?.kind != fs::Kind::Link {
            return Ok(fs::remove_tree(root)?);
        }
        let folder = fs::resolve(root)?;
        fs::remove_file(root)?;
        let _ = fs::remove_empty_folder(&folder);
        Ok(())
    }

    /// Removes the empty folder that a `destroy` leaves which is killed before its
    /// last step; returns true if there was one.
    pub fn remove_empty(root: &Path) -> Result<bool, HomeError> {
        let is_empty =
            || -> Result<bool, HomeError> {
                Ok(fs::is_folder(root)
                    && fs::access(root)?.is_private()
                    && fs::names(root)?.is_empty())
            };
        if !is_empty()? {
            return Ok(false);
        }
        // A `create` that is at work there has the lock, or has it next.
        let lock = lock::lock_folder(root);
        let is_left = lock.is_ok() && is_empty()?;
        if is_left {
            Self::remove_root(root)?;
        }
        Ok(is_left)
    }

    /// Returns true if the home at `root` is being removed.
    pub(super) fn is_removed(root: &Path) -> Result<bool, HomeError> {
        if !Self::is_pending(root) {
            return Ok(false);
        }
        let note = read_json::<Note>(&root.join(FILE))?;
        Ok(note.is_some_and(|note| note.destroy))
    }

    /// Removes the content of a home that is being removed, and its redirected
    /// areas, but not its root. The lock of the root must be held.
    pub(super) fn remove_rest(root: &Path) -> Result<(), HomeError> {
        // `home.json` names the redirected areas, so it is removed late.
        if root.join(HOME_FILE).exists() {
            Self::read(root)?.remove_areas_elsewhere()?;
        }
        for name in fs::names(root)? {
            if name != HOME_FILE && name != FILE {
                fs::remove_tree(&root.join(name))?;
            }
        }
        fs::remove_file(&root.join(HOME_FILE))?;
        Ok(fs::remove_file(&root.join(FILE))?)
    }
}

/// Removes the entries of a folder that belong to `roles`: `ROLE` and those
/// that begin with `ROLE.`.
fn discard(folder: &Path, roles: &BTreeSet<RoleName>) -> Result<(), HomeError> {
    // Entries that a killed command moved aside.
    fs::clear_leftovers(folder)?;
    let mut trash = Trash::new(folder);
    for name in fs::names(folder)? {
        let role = name.to_str().and_then(|name| {
            let role = name.parse().ok();
            role.or_else(|| parent(name))
        });
        if role.is_some_and(|role| roles.contains(&role)) {
            trash.take(&name)?;
        }
    }
    Ok(trash.empty()?)
}
