//! Ownership of the folders of a home's areas: only a folder that the home
//! created may be emptied or removed.
//!
//! A redirected area contains a file that names the home ([`AREA_FILE`]). A
//! folder without that file is never emptied, removed or written to, even if
//! `home.json` names it. A redirected `bin` is used in place and has no such
//! file: it is never removed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ansar_contract::layout::{AREA_FILE, Area, AreaMark, HOME_FILE};

use crate::home::{Home, HomeError, history, last_run, read_json, write_json};
use crate::host::fs;
use crate::host::fs::Kind;

/// Reasons why a folder is not used as an area of a home.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It has no area file.
    #[error("no home made this folder")]
    NotMarked,
    /// Its area file names another home, or another area.
    #[error("it belongs to home `{}`", .0.display())]
    OtherHome(PathBuf),
    /// It belongs to another user.
    #[error("it belongs to user {0}")]
    OtherUser(String),
    /// Other users can write to it.
    #[error("other users can write to it")]
    Writable,
    /// It is not a folder.
    #[error("not a directory ({0})")]
    NotFolder(Kind),
    /// It does not exist.
    #[error("no such folder")]
    Missing,
    /// Its path is relative.
    #[error("expected an absolute path")]
    Relative,
}

impl Reason {
    /// Returns a hint about the next step.
    pub(super) fn hint(&self, home: &Path) -> String {
        match self {
            Self::OtherHome(_) => "a copy of a home does not share folders with the original: \
                 remove the copy, and make a home with `cargo ansar create PATH`"
                .to_owned(),
            Self::NotFolder(_) => "put a directory in its place; areas elsewhere are made with \
                 `cargo ansar create --redirect-NAME=PATH`"
                .to_owned(),
            Self::OtherUser(_) | Self::Writable => {
                "keep other users out, or make a home with `cargo ansar create PATH`".to_owned()
            }
            Self::NotMarked | Self::Missing | Self::Relative => format!(
                "only folders that `cargo ansar create` made are used: correct `redirect` in `{}`",
                home.join(HOME_FILE).display()
            ),
        }
    }
}

/// The folder of an area that the home created. Folders of areas and their
/// entries can only be removed through this type.
#[derive(Debug)]
pub struct Owned {
    path: PathBuf,
}

impl Owned {
    /// Removes the folder with everything in it, the area file last: after a
    /// kill, the rest can still be identified as the home's.
    pub fn remove(self) -> Result<(), HomeError> {
        for name in fs::names(&self.path)? {
            if name != AREA_FILE {
                self.remove_entry(name)?;
            }
        }
        Ok(fs::remove_tree(&self.path)?)
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the entry `name` of the folder.
    pub fn remove_entry(&self, name: impl AsRef<OsStr>) -> Result<(), HomeError> {
        Ok(fs::remove_tree(&self.path.join(name.as_ref()))?)
    }
}

/// Ids and paths of homes that an area file may name.
pub(super) type Accepted<'a> = [(&'a str, &'a Path)];

impl Home {
    /// Returns true if an area is redirected.
    pub fn is_redirected(&self, area: Area) -> bool {
        self.file.redirect.contains_key(area.name())
    }

    /// Returns the folder of an area after checking that this home created it;
    /// `None` for a redirected `bin`.
    pub fn owned(&self, area: Area) -> Result<Option<Owned>, HomeError> {
        let path = self.area(area);
        if !self.is_redirected(area) {
            self.check_own(&path)?;
        } else if area == Area::Bin {
            return Ok(None);
        } else {
            self.check_marked(area, &path, &[(self.id(), self.recorded_root())])?;
        }
        Ok(Some(Owned { path }))
    }

    /// Checks that areas in the home are folders and that redirected ones were
    /// created by this home. Creates a missing redirected area again if it has
    /// the name that `create` gives.
    pub(super) fn check_areas(&self) -> Result<(), HomeError> {
        for area in Area::ALL {
            match self.owned(area) {
                Err(HomeError::Area {
                    reason: Reason::Missing,
                    ..
                }) if self.has_own_name(area, self.id()) => self.mark(area)?,
                other => {
                    other?;
                }
            }
        }
        for name in [
            crate::home::ENGINES,
            history::FOLDER,
            last_run::FOLDER,
            crate::home::KEPT,
            crate::home::REMOTE,
        ] {
            self.check_own(&self.root.join(name))?;
        }
        Ok(())
    }

    /// Creates the folder of a redirected area, and its area file.
    pub(super) fn mark(&self, area: Area) -> Result<(), HomeError> {
        let path = self.area(area);
        fs::make_private_folders(&path)?;
        let mark = AreaMark {
            home: self.id().to_owned(),
            root: self.recorded_root().to_owned(),
            area: area.name().to_owned(),
        };
        write_json(&path.join(AREA_FILE), &mark)
    }

    /// Checks that a path in the home is a folder or does not exist.
    pub(super) fn check_own(&self, path: &Path) -> Result<(), HomeError> {
        match fs::stat(path) {
            Ok(stat) if stat.kind == Kind::Folder => Ok(()),
            Ok(stat) => Err(self.unusable(path, Reason::NotFolder(stat.kind))),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that the area file of a redirected area names one of the
    /// `accepted` homes, and that no other user can write to the folder.
    pub(super) fn check_marked(
        &self,
        area: Area,
        path: &Path,
        accepted: &Accepted<'_>,
    ) -> Result<(), HomeError> {
        self.check_folder(path)?;
        let Some(mark) = read_json::<AreaMark>(&path.join(AREA_FILE))? else {
            return Err(self.unusable(path, Reason::NotMarked));
        };
        let mut accepted = accepted.iter();
        let is_named = accepted.any(|(id, root)| mark.home == **id && mark.root == **root);
        if !is_named || mark.area != area.name() {
            return Err(self.unusable(path, Reason::OtherHome(mark.root)));
        }
        Ok(())
    }

    /// Checks that the folder of a redirected area exists, belongs to the user,
    /// and is not writable by others.
    pub(super) fn check_folder(&self, path: &Path) -> Result<(), HomeError> {
        if !path.is_absolute() {
            return Err(self.unusable(path, Reason::Relative));
        }
        match fs::stat(path) {
            Ok(stat) if stat.kind == Kind::Folder => {}
            Ok(stat) => return Err(self.unusable(path, Reason::NotFolder(stat.kind))),
            Err(error) if error.is_not_found() => {
                return Err(self.unusable(path, Reason::Missing));
            }
            Err(error) => return Err(error.into()),
        }
        let access = fs::access(path)?;
        if !access.is_own() {
            return Err(self.unusable(path, Reason::OtherUser(access.owner())));
        }
        if access.others_can_write() {
            return Err(self.unusable(path, Reason::Writable));
        }
        Ok(())
    }

    /// Returns true if the folder of a redirected area has the name that
    /// `create` gives it in a home of this id. Ids are random, so only a home
    /// creates folders of such names.
    pub(super) fn has_own_name(&self, area: Area, id: &str) -> bool {
        let is_id = id.len() == 36 && uuid::Uuid::try_parse(id).is_ok();
        let name = format!("{}-{id}", area.name());
        is_id && self.area(area).file_name() == Some(OsStr::new(&name))
    }

    pub(super) fn unusable(&self, path: &Path, reason: Reason) -> HomeError {
        HomeError::Area {
            home: self.root.clone(),
            path: path.to_owned(),
            reason,
        }
    }
}
