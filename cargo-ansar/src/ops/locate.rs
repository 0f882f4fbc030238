//! Finds the workspace and the home that a command is about.

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

use super::Error;
use crate::home::DEFAULT_NAME;
use crate::host::files;
use crate::model::description::{self, Description};

/// A workspace, as far as its manifest tells.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its folder.
    pub root: PathBuf,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The text of the manifest.
    pub text: String,
    /// The roles that it describes, where it does.
    pub description: Option<Description>,
}

/// What a command was told about places.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The folder that it was given in.
    pub folder: PathBuf,
    /// The manifest to use.
    pub manifest_path: Option<PathBuf>,
    /// The home to use.
    pub home_path: Option<PathBuf>,
}

impl Places {
    /// The workspace, where there is one.
    pub fn workspace(&self) -> Result<Option<Workspace>, Error> {
        let start = match &self.manifest_path {
            Some(manifest) => self.folder.join(manifest),
            None => {
                let mut folders = self.folder.ancestors();
                match folders.find(|folder| files::is_file(&folder.join(MANIFEST))) {
                    Some(folder) => folder.join(MANIFEST),
                    None => return Ok(None),
                }
            }
        };
        let manifest = root_manifest(&files::resolve(&start)?)?;
        Workspace::read(&manifest).map(Some)
    }

    /// The workspace that a command cannot do without.
    pub fn needed_workspace(&self) -> Result<Workspace, Error> {
        self.workspace()?
            .ok_or_else(|| Error::NoWorkspace(self.folder.clone()))
    }

    /// Where the home is, or is to be.
    pub fn home(&self, workspace: Option<&Workspace>) -> PathBuf {
        let described = || {
            let workspace = workspace?;
            let home = workspace.description.as_ref().and_then(|d| d.home.clone());
            let home = home.unwrap_or_else(|| DEFAULT_NAME.into());
            Some(workspace.root.join(home))
        };
        match &self.home_path {
            Some(path) => self.folder.join(path),
            None => described().unwrap_or_else(|| self.folder.join(DEFAULT_NAME)),
        }
    }
}

impl Workspace {
    /// The workspace of a root manifest.
    pub fn read(manifest: &Path) -> Result<Self, Error> {
        let text = read_text(manifest)?;
        Ok(Self {
            root: manifest.parent().map(Path::to_owned).unwrap_or_default(),
            description: description::read(manifest, &text)?,
            manifest: manifest.to_owned(),
            text,
        })
    }

    /// What it describes.
    pub fn needed_description(&self) -> Result<&Description, Error> {
        self.description
            .as_ref()
            .ok_or_else(|| Error::NotDescribed(self.manifest.clone()))
    }

    /// The folder of materials, where one is configured.
    pub fn snapshot(&self) -> Option<PathBuf> {
        let snapshot = self.description.as_ref()?.snapshot.as_ref()?;
        Some(self.root.join(snapshot))
    }
}

const MANIFEST: &str = "Cargo.toml";

/// The manifest of the workspace that a package belongs to, found as Cargo
/// does; Cargo is asked beside the build, and has the last word.
fn root_manifest(start: &Path) -> Result<PathBuf, Error> {
    let document = read_toml(start)?;
    if document.contains_key("workspace") {
        return Ok(start.to_owned());
    }
    let folder = start.parent().unwrap_or(start);
    if let Some(root) = string_at(&document, "package", "workspace") {
        return Ok(folder.join(root).join(MANIFEST));
    }
    for above in folder.ancestors().skip(1) {
        let candidate = above.join(MANIFEST);
        if !files::is_file(&candidate) {
            continue;
        }
        let document = read_toml(&candidate)?;
        let Some(workspace) = document.get("workspace") else {
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
    Ok(start.to_owned())
}

fn string_at(document: &DocumentMut, table: &str, key: &str) -> Option<String> {
    Some(document.get(table)?.get(key)?.as_str()?.to_owned())
}

fn read_text(manifest: &Path) -> Result<String, Error> {
    let bytes = files::read(manifest)?;
    String::from_utf8(bytes).map_err(|error| Error::Manifest {
        manifest: manifest.to_owned(),
        reason: error.to_string(),
    })
}

fn read_toml(manifest: &Path) -> Result<DocumentMut, Error> {
    read_text(manifest)?
        .parse()
        .map_err(|error: toml_edit::TomlError| Error::Manifest {
            manifest: manifest.to_owned(),
            reason: error.to_string(),
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
    }
}
