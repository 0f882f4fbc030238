//! The place of a home: access of other users, and detection of moved and
//! copied homes.
//!
//! `home.json` records the path of the home. A home at another path was moved
//! if the old path has no home any more, and copied otherwise. In both cases,
//! stored paths into the home and its workspace are updated. A copy gets a new
//! id, and the engine marks of the original are removed from it.

use std::path::{Path, PathBuf};

use ansar_contract::layout::{AREA_FILE, Area, HOME_FILE};
use serde_json::Value;

use crate::home::area::Reason;
use crate::home::{
    DEFAULT_NAME, Home, HomeError, HomeFile, deploy_state, last_run, restart_reason, write_json,
};
use crate::host::fs;
use crate::host::fs::Hash;
use crate::host::fs::lock;
use crate::model::name::ExecutableName;

/// A home that was moved or copied.
struct Moved {
    /// The previous path of the home.
    before: PathBuf,
    /// The present path of the home.
    here: PathBuf,
    /// The previous workspace.
    old_workspace: Option<PathBuf>,
    /// The present workspace.
    workspace: Option<PathBuf>,
    /// True if the home still exists at the previous path.
    is_copy: bool,
}

impl Home {
    /// Checks that a folder belongs to the user and is not writable by others.
    /// Makes it private if others can read it.
    pub(super) fn check_root(root: &Path) -> Result<(), HomeError> {
        let access = fs::access(root)?;
        if access.is_private() {
            return Ok(());
        }
        let path = root.to_owned();
        if !access.is_own() {
            let owner = access.owner();
            return Err(HomeError::OtherUser { path, owner });
        }
        if access.others_can_write() {
            return Err(HomeError::Writable { path });
        }
        Ok(fs::set_mode(&fs::resolve(root)?, fs::PRIVATE_FOLDER)?)
    }

    /// Checks that no other user can replace a folder created at `root`. The
    /// folders above a workspace are trusted, as Cargo does.
    pub(super) fn check_above(root: &Path, workspace: Option<&Path>) -> Result<(), HomeError> {
        let Some(there) = root.ancestors().find(|path| fs::is_folder(path)) else {
            return Ok(());
        };
        let mut path = fs::resolve(there)?;
        if there != root {
            path.push("new");
        }
        match fs::replaceable_above(&path, workspace)? {
            Some(by) => Err(HomeError::Replaceable {
                path: root.to_owned(),
                by,
            }),
            None => Ok(()),
        }
    }

    /// Returns the path of the executable `name` after checking that no other
    /// user can replace it. Only a redirected `bin` needs the check: the home
    /// is private.
    pub fn runnable(&self, name: &ExecutableName) -> Result<PathBuf, HomeError> {
        let path = self.executable(name);
        if !self.is_redirected(Area::Bin) || !fs::is_file(&path) {
            return Ok(path);
        }
        let file = fs::resolve(&path)?;
        let mut by = None;
        if fs::access(&file)?.others_can_write() {
            by = Some(file.clone());
        }
        let link = fs::resolve(&self.area(Area::Bin))?.join(name.as_str());
        for file in [&link, &file] {
            if by.is_none() {
                by = fs::replaceable_above(file, self.workspace())?;
            }
        }
        match by {
            Some(by) => Err(HomeError::Replaceable { path, by }),
            None => Ok(path),
        }
    }

    /// Path of the home that is written to the area files of its areas.
    pub(super) fn recorded_root(&self) -> &Path {
        self.file.root.as_deref().unwrap_or(&self.root)
    }

    /// Removes the redirected areas that this home created. Does nothing if the
    /// home was moved or copied after its removal began.
    pub(super) fn remove_areas_elsewhere(&self) -> Result<(), HomeError> {
        if !is_same_folder(self.recorded_root(), &self.root) {
            return Ok(());
        }
        for area in Area::ALL
            .into_iter()
            .filter(|area| self.is_redirected(*area))
        {
            match self.owned(area) {
                Ok(Some(owned)) => owned.remove()?,
                Ok(None) | Err(HomeError::Area { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Updates a home that was moved or copied, and checks its areas.
    pub(super) fn updated_place(self) -> Result<Self, HomeError> {
        let here = fs::resolve(&self.root)?;
        if self.file.root.as_ref() == Some(&here) {
            self.check_areas()?;
            return Ok(self);
        }
        let _moving = lock::lock_folder(&here).map_err(|source| HomeError::Lock {
            path: here.clone(),
            source,
        })?;
        // Another command may have updated it meanwhile.
        let home = Self::read(&self.root)?;
        let is_same = |root: &PathBuf| is_same_folder(root, &here);
        let home = if home.file.root.as_ref().is_some_and(is_same) {
            home
        } else {
            let moved = Moved::of(&home.file, here);
            home.moved(&moved)?
        };
        home.check_areas()?;
        Ok(home)
    }

    /// Updates `home.json` and all stored paths for the new path.
    fn moved(mut self, moved: &Moved) -> Result<Self, HomeError> {
        let old = self.file.clone();
        self.file.root = Some(moved.here.clone());
        self.file.workspace.clone_from(&moved.workspace);
        if moved.is_copy {
            self.file.id = id_of_copy(&old.id, &moved.here)?;
        }
        for path in self.file.redirect.values_mut() {
            *path = fs::without_parents(path);
            let present = moved.present_path(path);
            if fs::is_folder(&present) {
                *path = present;
            }
        }
        for name in [crate::home::ENGINES, last_run::FOLDER] {
            self.check_own(&self.root.join(name))?;
        }
        for area in Area::ALL {
            if self.is_redirected(area) && area != Area::Bin {
                self.move_area(area, &old, moved)?;
            }
        }
        if moved.is_copy {
            for name in fs::names(&self.engines())? {
                fs::remove_tree(&self.engines().join(name))?;
            }
            for name in [restart_reason::STOPPED, restart_reason::OPTIONS] {
                fs::remove_file(&self.root.join(name))?;
            }
        }
        for file in [
            self.root.join(deploy_state::FILE),
            self.root.join(last_run::FOLDER).join(last_run::FILE),
        ] {
            moved.rewrite(&file)?;
        }
        // Last: if this command is killed before, the next one starts over.
        write_json(&self.root.join(HOME_FILE), &self.file)?;
        Ok(self)
    }

    /// Checks that a redirected area belongs to the moved or copied home, and
    /// writes its area file for the new path. An original and its copy may not
    /// share an area.
    fn move_area(&self, area: Area, old: &HomeFile, moved: &Moved) -> Result<(), HomeError> {
        let path = self.area(area);
        let was = old.redirect.get(area.name());
        if moved.is_copy && was.is_some_and(|was| is_same_folder(was, &path)) {
            return Err(self.unusable(&path, Reason::OtherHome(moved.before.clone())));
        }
        let has_own_name = self.has_own_name(area, &old.id);
        if has_own_name && !moved.is_copy && fs::stat(&path).is_err() {
            return self.mark(area);
        }
        // Areas of a home of an older version have no area files, but names
        // that only a home gives.
        if old.root.is_none() && has_own_name && fs::stat(&path.join(AREA_FILE)).is_err() {
            self.check_folder(&path)?;
        } else {
            let before = (&*old.id, &*moved.before);
            self.check_marked(area, &path, &[before, (self.id(), &*moved.here)])?;
        }
        self.mark(area)
    }
}

impl Moved {
    fn of(file: &HomeFile, here: PathBuf) -> Self {
        let old_workspace = file.workspace.clone();
        let before = match (&file.root, &old_workspace) {
            (Some(root), _) => root.clone(),
            // A home of an older version, which did not record its path.
            (None, Some(workspace)) if !here.starts_with(workspace) => {
                let usual = workspace.join(DEFAULT_NAME);
                if is_home(&usual, &file.id) || !fs::is_folder(workspace) {
                    usual
                } else {
                    here.clone()
                }
            }
            (None, _) => here.clone(),
        };
        let is_copy = !is_same_folder(&before, &here) && is_home(&before, &file.id);
        let workspace = workspace(old_workspace.as_deref(), &before, &here);
        Self {
            before,
            here,
            old_workspace,
            workspace,
            is_copy,
        }
    }

    /// Maps a previous path in the home or the workspace to the present one.
    fn present_path(&self, path: &Path) -> PathBuf {
        let workspaces = self.old_workspace.iter().zip(&self.workspace);
        let moves = std::iter::once((&self.before, &self.here)).chain(workspaces);
        for (from, to) in moves {
            if let Ok(rest) = path.strip_prefix(from) {
                return to.join(rest);
            }
        }
        path.to_owned()
    }

    /// Updates the paths in a file of JSON or JSON lines. Ignores a file that
    /// cannot be read: the command that needs it reports the error.
    fn rewrite(&self, file: &Path) -> Result<(), HomeError> {
        if self.before == self.here {
            return Ok(());
        }
        let Ok(Some(bytes)) = fs::if_exists(fs::read_up_to(file, deploy_state::LARGEST)) else {
            return Ok(());
        };
        let mut text = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice::<Value>(line) {
                Ok(mut value) => {
                    self.replace_paths(&mut value);
                    text.extend_from_slice(value.to_string().as_bytes());
                    text.push(b'\n');
                }
                Err(_) => text.extend_from_slice(line),
            }
        }
        Ok(fs::replace(file, &text, 0o600)?)
    }

    fn replace_paths(&self, value: &mut Value) {
        let present = |text: &str| {
            self.present_path(Path::new(text))
                .to_string_lossy()
                .into_owned()
        };
        match value {
            Value::String(text) if text.starts_with('/') => *text = present(text),
            Value::Array(values) => values
                .iter_mut()
                .for_each(|value| self.replace_paths(value)),
            Value::Object(fields) => {
                let moved = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                    self.replace_paths(&mut value);
                    if name.starts_with('/') {
                        (present(&name), value)
                    } else {
                        (name, value)
                    }
                });
                *fields = moved.collect();
            }
            _ => {}
        }
    }
}

/// Returns the present workspace of a home that was moved from `before` to
/// `here`, and had the workspace `old`.
fn workspace(old: Option<&Path>, before: &Path, here: &Path) -> Option<PathBuf> {
    let old = old?;
    let is_workspace = |folder: &&Path| fs::is_file(&folder.join("Cargo.toml"));
    let nearest = || here.ancestors().skip(1).find(is_workspace);
    let found = match before.strip_prefix(old) {
        Ok(_) if before == here => fs::is_folder(old).then_some(old).or_else(nearest),
        Ok(inside) => {
            let depth = inside.components().count();
            let root = here.ancestors().nth(depth).filter(is_workspace);
            let root = root.filter(|_| here.ends_with(inside));
            root.or_else(nearest)
        }
        Err(_) => fs::is_folder(old).then_some(old),
    };
    found.map(Path::to_owned)
}

/// Returns true if the home at `root` has this id.
fn is_home(root: &Path, id: &str) -> bool {
    Home::read(root).is_ok_and(|home| home.id() == id)
}

/// Returns true if both paths lead to the same folder, for example through a
/// bind mount.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    let inode = |path: &Path| {
        let fingerprint = fs::stat(&fs::resolve(path).ok()?).ok()?.fingerprint;
        Some((fingerprint.device, fingerprint.inode))
    };
    inode(one).is_some_and(|one| inode(other) == Some(one))
}

/// Returns the id of a copy. It is deterministic, so that a command can
/// continue the update that a killed one began.
fn id_of_copy(id: &str, here: &Path) -> Result<String, HomeError> {
    let inode = fs::stat(here)?.fingerprint.inode;
    let text = format!("{id}\0{inode}\0{}", here.display());
    let hash = Hash::of(text.as_bytes()).to_string();
    let id = uuid::Uuid::try_parse(&hash[..32]).unwrap_or_default();
    Ok(id.to_string())
}
