//! Where a home is: whether it is the user's alone, and whether it was moved or
//! copied since it was last used.
//!
//! `home.json` says where the home is. One that is found elsewhere was moved
//! if there is no home at the old place any more, else it is a copy. In both
//! cases paths that lead into the home or its workspace move along. A copy is a
//! home of its own: it has another id, and forgets the engines of the original.

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
    /// The folder that it was in.
    before: PathBuf,
    /// The folder that it is in.
    here: PathBuf,
    /// The workspace that it was made for.
    old_workspace: Option<PathBuf>,
    /// The workspace that it is in now.
    workspace: Option<PathBuf>,
    /// The original is still there.
    is_copy: bool,
}

impl Home {
    /// Checks that a folder is the user's, and closes it to others who may
    /// only read.
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

    /// Checks that no other user can put another folder in the place of one
    /// that is made at `root`. The folders above a workspace are trusted, as
    /// Cargo trusts them.
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

    /// The executable `name`, after a check that no other user can replace it.
    /// What is in the home itself is out of their reach.
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

    /// Where this home was when its areas were marked.
    pub(super) fn recorded_root(&self) -> &Path {
        self.file.root.as_deref().unwrap_or(&self.root)
    }

    /// Removes the areas elsewhere that this home made. One that is not its own
    /// is left alone, and so are all in a home that was moved or copied after
    /// its removal began.
    pub(super) fn remove_areas_elsewhere(&self) -> Result<(), HomeError> {
        if !is_one(self.recorded_root(), &self.root) {
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

    /// Finds out where the home is, and checks its areas.
    pub(super) fn placed(self) -> Result<Self, HomeError> {
        let here = fs::resolve(&self.root)?;
        if self.file.root.as_ref() == Some(&here) {
            self.check_areas()?;
            return Ok(self);
        }
        let _moving = lock::lock_folder(&here).map_err(|source| HomeError::Lock {
            path: here.clone(),
            source,
        })?;
        // Another command may have done this meanwhile.
        let home = Self::read(&self.root)?;
        let is_same = |root: &PathBuf| is_one(root, &here);
        let home = if home.file.root.as_ref().is_some_and(is_same) {
            home
        } else {
            let moved = Moved::of(&home.file, here);
            home.moved(&moved)?
        };
        home.check_areas()?;
        Ok(home)
    }

    /// Makes this the home of its new place.
    fn moved(mut self, moved: &Moved) -> Result<Self, HomeError> {
        let old = self.file.clone();
        self.file.root = Some(moved.here.clone());
        self.file.workspace.clone_from(&moved.workspace);
        if moved.is_copy {
            self.file.id = id_of_copy(&old.id, &moved.here)?;
        }
        for path in self.file.redirect.values_mut() {
            *path = fs::without_parents(path);
            let along = moved.along(path);
            if fs::is_folder(&along) {
                *path = along;
            }
        }
        for name in [crate::home::ENGINES, last_run::FOLDER] {
            self.check_own(&self.root.join(name))?;
        }
        for area in Area::ALL {
            if self.is_redirected(area) && area != Area::Bin {
                self.take_along(area, &old, moved)?;
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
        // Last: until then, the next command does all of this again.
        write_json(&self.root.join(HOME_FILE), &self.file)?;
        Ok(self)
    }

    /// Checks that the folder of a redirected area moved along, or stayed for a
    /// home that moved, and marks it for the new place.
    fn take_along(&self, area: Area, old: &HomeFile, moved: &Moved) -> Result<(), HomeError> {
        let path = self.area(area);
        let was = old.redirect.get(area.name());
        if moved.is_copy && was.is_some_and(|was| is_one(was, &path)) {
            return Err(self.unusable(&path, Reason::OtherHome(moved.before.clone())));
        }
        let has_own_name = self.has_own_name(area, &old.id);
        if has_own_name && !moved.is_copy && fs::stat(&path).is_err() {
            return self.mark(area);
        }
        // A home of the version before has no marks, but names that only a home
        // gives.
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
            // A home of the version before, which did not say where it is.
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
        let is_copy = !is_one(&before, &here) && is_home(&before, &file.id);
        let workspace = workspace(old_workspace.as_deref(), &before, &here);
        Self {
            before,
            here,
            old_workspace,
            workspace,
            is_copy,
        }
    }

    /// The path where a file of the home or the workspace is now.
    fn along(&self, path: &Path) -> PathBuf {
        let workspaces = self.old_workspace.iter().zip(&self.workspace);
        let moves = std::iter::once((&self.before, &self.here)).chain(workspaces);
        for (from, to) in moves {
            if let Ok(rest) = path.strip_prefix(from) {
                return to.join(rest);
            }
        }
        path.to_owned()
    }

    /// Replaces the paths in a file of JSON, or of a JSON value per line. One
    /// that cannot be read is left to the command that needs it.
    fn rewrite(&self, file: &Path) -> Result<(), HomeError> {
        if self.before == self.here {
            return Ok(());
        }
        let Ok(Some(bytes)) = fs::if_there(fs::read_up_to(file, deploy_state::LARGEST)) else {
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
        let along = |text: &str| self.along(Path::new(text)).to_string_lossy().into_owned();
        match value {
            Value::String(text) if text.starts_with('/') => *text = along(text),
            Value::Array(values) => values
                .iter_mut()
                .for_each(|value| self.replace_paths(value)),
            Value::Object(fields) => {
                let moved = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                    self.replace_paths(&mut value);
                    if name.starts_with('/') {
                        (along(&name), value)
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

/// The workspace of a home that was made for the workspace `old` at `before`,
/// and is at `here` now.
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

/// Returns true if there is a home of this id.
fn is_home(root: &Path, id: &str) -> bool {
    Home::read(root).is_ok_and(|home| home.id() == id)
}

/// Returns true if both paths lead to one folder, by a bind mount say.
fn is_one(one: &Path, other: &Path) -> bool {
    let inode = |path: &Path| {
        let fingerprint = fs::stat(&fs::resolve(path).ok()?).ok()?.fingerprint;
        Some((fingerprint.device, fingerprint.inode))
    };
    inode(one).is_some_and(|one| inode(other) == Some(one))
}

/// The id of a copy: the same each time, so that a command can carry on what a
/// killed one began.
fn id_of_copy(id: &str, here: &Path) -> Result<String, HomeError> {
    let inode = fs::stat(here)?.fingerprint.inode;
    let text = format!("{id}\0{inode}\0{}", here.display());
    let hash = Hash::of(text.as_bytes()).to_string();
    let id = uuid::Uuid::try_parse(&hash[..32]).unwrap_or_default();
    Ok(id.to_string())
}
