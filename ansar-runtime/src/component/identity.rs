//! The identity of a component: a role of a home, or a tool that is run by hand. Decides
//! which folders belong to it.

use std::path::{Path, PathBuf};

use ansar_contract::layout::{Area, HOME_FILE, Redirects};
use ansar_contract::lifecycle::Faulted;

use super::USAGE;
use super::sub_role::is_sub_role;
use crate::host::files::{FileError, Source};
use crate::host::{environment, files};

/// The identity of a component.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// As a role of a home.
    Role {
        /// The home.
        home: PathBuf,
        /// The role.
        role: String,
        /// The executable.
        executable: String,
        /// The areas that are redirected.
        redirects: Redirects,
    },
    /// By hand, on behalf of the user.
    Tool {
        /// The folder of everything that is stored for the user.
        folder: PathBuf,
    },
}

impl Identity {
    /// Returns the identity of an executable that is run by hand.
    pub(crate) fn by_hand(executable: &str) -> Self {
        let config = environment::config_folder().unwrap_or_else(|| PathBuf::from(".config"));
        Self::Tool {
            folder: config.join("ansar").join(executable),
        }
    }

    /// Returns the identity of a role.
    pub(crate) fn in_home(home: &Path, role: &str, executable: &str) -> Result<Self, Faulted> {
        let redirects = decode(&home.join(HOME_FILE), Source::Home)?.ok_or_else(|| {
            let home = home.display();
            unusable(format!("home `{home}` not found: it has no `{HOME_FILE}`"))
        })?;
        Ok(Self::Role {
            home: home.to_owned(),
            role: role.to_owned(),
            executable: executable.to_owned(),
            redirects,
        })
    }

    /// Returns true if this is a role of a home.
    pub(crate) fn is_component(&self) -> bool {
        matches!(self, Self::Role { .. })
    }

    /// Returns the name of the role, or `None` by hand.
    pub(crate) fn role(&self) -> Option<&str> {
        match self {
            Self::Role { role, .. } => Some(role),
            Self::Tool { .. } => None,
        }
    }

    /// Returns true if this is a sub-role: the call of a role of a home.
    pub(crate) fn is_sub_role(&self) -> bool {
        self.role().is_some_and(is_sub_role)
    }

    /// Returns the home, or `None` by hand.
    pub(crate) fn home(&self) -> Option<&Path> {
        match self {
            Self::Role { home, .. } => Some(home),
            Self::Tool { .. } => None,
        }
    }

    /// Returns the folders that are searched for executables to call.
    pub(crate) fn executables(&self) -> Vec<PathBuf> {
        let home = self.home().map(|_| self.area(Area::Bin));
        let own = environment::executable();
        let beside = own.and_then(|path| path.parent().map(Path::to_owned));
        let mut folders: Vec<PathBuf> = home.into_iter().chain(beside).collect();
        folders.dedup();
        folders
    }

    /// Returns a folder of the component.
    pub(crate) fn folder(&self, area: Area) -> PathBuf {
        match self {
            Self::Role {
                role, executable, ..
            } => self.area(area).join(if area == Area::Resource {
                executable
            } else {
                role
            }),
            Self::Tool { folder } => folder.join(area.name()),
        }
    }

    pub(super) fn file(&self, area: Area) -> PathBuf {
        match self {
            Self::Role { role, .. } => self.area(area).join(format!("{role}.json")),
            Self::Tool { folder } => folder.join(format!("{}.json", area.name())),
        }
    }

    pub(super) fn area(&self, area: Area) -> PathBuf {
        match self {
            Self::Role {
                home, redirects, ..
            } => redirects
                .redirect
                .get(area.name())
                .map_or_else(|| home.join(area.name()), PathBuf::from),
            Self::Tool { folder } => folder.join(area.name()),
        }
    }
}

/// Reads a JSON file; returns `None` if it does not exist.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    path: &Path,
    source: Source,
) -> Result<Option<T>, FileError> {
    let Some(text) = files::read(path, source)? else {
        return Ok(None);
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| FileError::Content {
            path: path.to_owned(),
            reason: format!("{}:{}: {error}", error.line(), error.column()),
        })
}

pub(super) fn unusable(condition: String) -> Faulted {
    Faulted::new(condition, "").with_exit_code(USAGE)
}
