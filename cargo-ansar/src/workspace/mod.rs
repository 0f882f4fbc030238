//! Finding the workspace and home of a command, and running Cargo.

pub mod build;
pub mod editors;
pub mod roles;
pub mod targets;

use std::path::{Path, PathBuf};

use toml_edit::{Document, Item};

use crate::error::{Error, RoleError, WorkspaceError};
use crate::home::{DEFAULT_NAME, Home, HomeError};
use crate::host::fs;
use crate::manifest;
use crate::manifest::Description;
use crate::model::name::RoleName;

/// A workspace as described by its root manifest.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Folder of the workspace.
    pub root: PathBuf,
    /// Path of the root manifest.
    pub manifest: PathBuf,
    /// Text of the manifest.
    pub text: String,
    /// Description of the roles, if the manifest has one.
    pub description: Option<Description>,
}

/// Locations given to a command.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Working directory.
    pub folder: PathBuf,
    /// Manifest to use.
    pub manifest_path: Option<PathBuf>,
    /// Home to use.
    pub home_path: Option<PathBuf>,
}

impl Places {
    /// Returns the workspace, if there is one.
    pub fn workspace(&self) -> Result<Option<Workspace>, Error> {
        let start = match &self.manifest_path {
            Some(manifest) => self.folder.join(manifest),
            None => {
                let mut folders = self.folder.ancestors();
                match folders.find(|folder| fs::is_file(&folder.join(MANIFEST))) {
                    Some(folder) => folder.join(MANIFEST),
                    None => return Ok(None),
                }
            }
        };
        let manifest = Manifest::read(in_its_folder(&start)?)?.root()?;
        Workspace::of(manifest).map(Some)
    }

    /// Returns the workspace again, read anew if its manifest has changed
    /// meanwhile.
    pub fn workspace_again(&self, before: Option<Workspace>) -> Result<Option<Workspace>, Error> {
        match before {
            Some(workspace) if read_text(&workspace.manifest)? == workspace.text => {
                Ok(Some(workspace))
            }
            _ => self.workspace(),
        }
    }

    /// Returns the workspace, or an error if there is none.
    pub fn needed_workspace(&self) -> Result<Workspace, Error> {
        self.workspace()?
            .ok_or_else(|| Error::Workspace(WorkspaceError::NoWorkspace(self.folder.clone())))
    }

    /// Opens the home, and the workspace if there is one.
    pub fn open(&self) -> Result<(Home, Option<Workspace>), Error> {
        let workspace = self.workspace()?;
        match Home::open(&self.home(workspace.as_ref())) {
            Ok(home) => Ok((home, workspace)),
            Err(HomeError::NotThere(home)) => Err(Error::Role(RoleError::NoHome {
                is_described: workspace.as_ref().map(Workspace::describes_roles),
                home,
            })),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the path of the home, which may not exist yet. It has no trailing
    /// slash, which would name the target of a symlink instead of the symlink.
    pub fn home(&self, workspace: Option<&Workspace>) -> PathBuf {
        let described = || {
            let workspace = workspace?;
            let home = workspace.description.as_ref().and_then(|d| d.home.clone());
            let home = home.unwrap_or_else(|| DEFAULT_NAME.into());
            Some(workspace.root.join(home))
        };
        let path = match &self.home_path {
            Some(path) => self.folder.join(path),
            None => described().unwrap_or_else(|| self.folder.join(DEFAULT_NAME)),
        };
        path.components().collect()
    }
}

impl Workspace {
    /// Reads the workspace of a root manifest.
    fn of(Manifest { path, document }: Manifest) -> Result<Self, Error> {
        Ok(Self {
            root: path.parent().map(Path::to_owned).unwrap_or_default(),
            description: manifest::read(&path, &document)?,
            text: document.raw().to_owned(),
            manifest: path,
        })
    }

    /// Returns true if it describes at least one role.
    pub fn describes_roles(&self) -> bool {
        let description = self.description.as_ref();
        description.is_some_and(|description| !description.roles.is_empty())
    }

    /// Returns true if roles must run while Cargo does.
    pub fn needs_roles(&self) -> bool {
        let description = self.description.as_ref();
        description.is_some_and(|description| !description.build.needs.is_empty())
    }

    /// Returns the description, or an error if there is none.
    pub fn needed_description(&self) -> Result<&Description, Error> {
        self.description
            .as_ref()
            .ok_or_else(|| Error::Workspace(WorkspaceError::NotDescribed(self.manifest.clone())))
    }

    /// Returns the position of a role's description, as ` (FILE:LINE)`; empty
    /// if it has none.
    pub fn place(&self, role: &RoleName) -> String {
        let spec = self.description.as_ref().and_then(|it| it.role(role));
        let place = spec.map(|spec| format!(" ({}:{})", self.manifest.display(), spec.line));
        place.unwrap_or_default()
    }

    /// Returns `test-NAME` for the first integration test NAME in the root or in
    /// a folder below it, if that is a valid name.
    pub fn proposed_test(&self) -> Option<RoleName> {
        let below = |folder: &Path| {
            let names = fs::names(folder).unwrap_or_default();
            let mut folders: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
            folders.sort();
            folders
        };
        let packages = std::iter::once(self.root.clone()).chain(below(&self.root));
        let packages = packages.filter(|folder| fs::is_file(&folder.join(MANIFEST)));
        let mut sources = packages.flat_map(|package| below(&package.join("tests")));
        sources.find_map(|source| {
            let is_source = source.extension().is_some_and(|it| it == "rs");
            let name = source.file_stem()?.to_str()?;
            let role = format!("test-{name}").parse().ok()?;
            is_source.then_some(role)
        })
    }

    /// Returns the configured snapshot, if there is one.
    pub fn snapshot(&self) -> Option<PathBuf> {
        let snapshot = self.description.as_ref()?.snapshot.as_ref()?;
        Some(self.root.join(snapshot))
    }
}

/// Returns the position of a role's description, as ` (FILE:LINE)`; empty if it
/// has none.
pub(crate) fn place_of(workspace: Option<&Workspace>, role: &RoleName) -> String {
    workspace.map_or_else(String::new, |workspace| workspace.place(role))
}

/// Returns the description of a workspace, if it has one.
pub(crate) fn description_of(workspace: Option<&Workspace>) -> Option<&Description> {
    workspace.and_then(|workspace| workspace.description.as_ref())
}

const MANIFEST: &str = "Cargo.toml";

/// A parsed manifest.
struct Manifest {
    path: PathBuf,
    document: Document<String>,
}

impl Manifest {
    fn read(path: PathBuf) -> Result<Self, Error> {
        let document = manifest::parse(&path, &read_text(&path)?)?;
        Ok(Self { path, document })
    }

    /// Returns the root manifest of the workspace that this package belongs to,
    /// found by Cargo's rules. `cargo metadata` confirms it during the build.
    fn root(self) -> Result<Self, Error> {
        if self.document.contains_key("workspace") {
            return Ok(self);
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        if let Some(root) = self.string_at("package", "workspace") {
            return Self::read(folder.join(root).join(MANIFEST));
        }
        for above in folder.ancestors().skip(1) {
            let candidate = above.join(MANIFEST);
            if !fs::is_file(&candidate) {
                continue;
            }
            let candidate = Self::read(candidate)?;
            let Some(workspace) = candidate.document.get("workspace") else {
                continue;
            };
            let excluded = |item: &Item| {
                let paths = item.as_array().into_iter().flatten();
                paths
                    .filter_map(|path| path.as_str())
                    .any(|path| folder.starts_with(above.join(path)))
            };
            if workspace.get("exclude").is_some_and(excluded) {
                break;
            }
            return Ok(candidate);
        }
        Ok(self)
    }

    fn string_at(&self, table: &str, key: &str) -> Option<&str> {
        self.document.get(table)?.get(key)?.as_str()
    }
}

/// Resolves symlinks in the folder of a manifest. Like Cargo, treats a manifest
/// that is itself a symlink as that of the folder with the symlink.
fn in_its_folder(manifest: &Path) -> Result<PathBuf, Error> {
    match (manifest.parent(), manifest.file_name()) {
        (Some(folder), Some(name)) if fs::is_file(manifest) => Ok(fs::resolve(folder)?.join(name)),
        _ => Ok(fs::resolve(manifest)?),
    }
}

fn read_text(manifest: &Path) -> Result<String, Error> {
    let bytes = fs::read_followed(manifest)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        manifest::not_text(manifest, &before).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: PathBuf) -> Places {
        Places {
            folder,
            ..Places::default()
        }
    }

    #[test]
    fn the_workspace_is_found_from_anywhere_in_it() {
        let scratch = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = scratch.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace]\nexclude = [\"apart\"]\n");
        write("member/Cargo.toml", "[package]\nname = \"member\"\n");
        write("member/src/bin/x.rs", "");
        write("apart/Cargo.toml", "[package]\nname = \"apart\"\n");
        write(
            "far/Cargo.toml",
            "[package]\nname = \"far\"\nworkspace = \"../member/..\"\n",
        );
        let root = |from: &str| {
            let found = places(scratch.path().join(from))
                .workspace()
                .unwrap()
                .unwrap();
            found.root
        };
        let top = scratch.path().canonicalize().unwrap();
        assert_eq!(root("."), top);
        assert_eq!(root("member/src/bin"), top);
        assert_eq!(root("apart"), top.join("apart"));
        assert_eq!(root("far").canonicalize().unwrap(), top);
        // As in Cargo, a symlinked manifest belongs to its own folder.
        std::fs::create_dir(scratch.path().join("linked")).unwrap();
        let link = scratch.path().join("linked/Cargo.toml");
        std::os::unix::fs::symlink("../Cargo.toml", link).unwrap();
        assert_eq!(root("linked"), top.join("linked"));
    }
}
