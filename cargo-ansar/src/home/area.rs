//! The folders of a home's areas: which of them the home made, so that it may
//! empty and remove them.
//!
//! A redirected area has a file in it that names the home ([`AREA_FILE`]). A
//! folder without that file is never emptied, removed or written into,
//! whatever `home.json` says. A redirected `bin` is used in place and has no
//! such file: it is never removed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ansar_contract::layout::{AREA_FILE, Area, AreaMark, HOME_FILE};

use crate::home::{Home, HomeError, history, last_run, read_json, write_json};
use crate::host::fs;
use crate::host::fs::Kind;

/// Reasons why a folder is not used as an area of a home.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It has no mark.
    #[error("no home made this folder")]
    NotMarked,
    /// Its mark names another home, or another area.
    #[error("it belongs to home `{}`", .0.display())]
    OtherHome(PathBuf),
    /// It belongs to another user.
    #[error("it belongs to user {0}")]
    OtherUser(String),
    /// Other users can write to it.
    #[error("other users can write to it")]
    Writable,
    /// It is no folder.
    #[error("not a directory ({0})")]
    NotFolder(Kind),
    /// It is not there.
    #[error("no such folder")]
    Missing,
    /// Its path depends on the current directory.
    #[error("expected an absolute path")]
    Relative,
}

impl Reason {
    /// The next step of the user.
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
                "only folders that `cargo ansar create` made are used: put `redirect` in `{}` right",
                home.join(HOME_FILE).display()
            ),
        }
    }
}

/// The folder of an area that the home has made. Only by this type can a folder
/// of an area be removed, or what is in it.
#[derive(Debug)]
pub struct Owned {
    path: PathBuf,
}

impl Owned {
    /// Removes the folder with everything in it, the mark last: a killed command
    /// leaves a folder that can still be told to be the home's.
    pub fn remove(self) -> Result<(), HomeError> {
        for name in fs::names(&self.path)? {
            if name != AREA_FILE {
                self.remove_entry(name)?;
            }
        }
        Ok(fs::remove_tree(&self.path)?)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what is called `name` in the folder.
    pub fn remove_entry(&self, name: impl AsRef<OsStr>) -> Result<(), HomeError> {
        Ok(fs::remove_tree(&self.path.join(name.as_ref()))?)
    }
}

/// Ids and folders of homes that a mark may name.
pub(super) type Accepted<'a> = [(&'a str, &'a Path)];

impl Home {
    /// Returns true if an area is elsewhere.
    pub fn is_redirected(&self, area: Area) -> bool {
        self.file.redirect.contains_key(area.name())
    }

    /// The folder of an area, after a check that this home made it. There is
    /// none for a redirected `bin`.
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

    /// Checks every area: those in the home are directories, and those
    /// elsewhere were made by this home. One that is gone is made again.
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
        ] {
            self.check_own(&self.root.join(name))?;
        }
        Ok(())
    }

    /// Makes the folder of a redirected area, and its mark.
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

    /// Checks a folder in the home, which need not be there.
    pub(super) fn check_own(&self, path: &Path) -> Result<(), HomeError> {
        match fs::stat(path) {
            Ok(stat) if stat.kind == Kind::Folder => Ok(()),
            Ok(stat) => Err(self.unusable(path, Reason::NotFolder(stat.kind))),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that the mark in the folder of a redirected area names one of the
    /// `accepted` homes, and that no other user can change what is in it.
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

    /// Checks that a folder elsewhere is there and the user's alone. One that
    /// others may only read is closed to them.
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
    /// `create` gives it in a home of this id. Ids are random: no folder that
    /// a home did not make has such a name.
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
