//! Resolving the paths of source files that components report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::host::cargo::dependencies;
use crate::host::fs;

/// Resolves paths of source files.
///
/// A relative name is searched below the given folders, then among the sources
/// of the executables, where it must match exactly one path's end.
#[derive(Debug, Default)]
pub struct Sources {
    folders: Vec<PathBuf>,
    artifacts: Vec<PathBuf>,
    found: BTreeMap<String, String>,
}

impl Sources {
    /// Creates a resolver for sources below `folders`, in that order, and for
    /// sources of `artifacts`.
    pub fn new(folders: Vec<PathBuf>, artifacts: Vec<PathBuf>) -> Self {
        Self {
            folders,
            artifacts,
            found: BTreeMap::new(),
        }
    }

    /// Returns the absolute path of `name`, or `name` itself if it is not
    /// found.
    pub fn resolve(&mut self, name: &str) -> String {
        if let Some(found) = self.found.get(name) {
            return found.clone();
        }
        let found = self
            .find(name)
            .map_or_else(|| name.to_owned(), |path| path.display().to_string());
        self.found.insert(name.to_owned(), found.clone());
        found
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let name = Path::new(name);
        if name.is_absolute() {
            return fs::is_file(name).then(|| name.to_owned());
        }
        // Resolved, `a/../b` is shown as `b`.
        let below = self.folders.iter().map(|folder| folder.join(name));
        below
            .into_iter()
            .find(|path| fs::is_file(path))
            .map(|path| fs::resolve(&path).unwrap_or(path))
            .or_else(|| self.unique_suffix(name))
    }

    fn unique_suffix(&self, name: &Path) -> Option<PathBuf> {
        let mut matches = self
            .artifacts
            .iter()
            .flat_map(|artifact| dependencies(artifact).unwrap_or_default())
            .filter(|path| path.ends_with(name))
            .collect::<Vec<_>>();
        matches.sort();
        matches.dedup();
        match matches.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_in_order() {
        let scratch = tempfile::tempdir().unwrap();
        let place = |name: &str| scratch.path().join(name);
        for folder in ["named", "workspace", "elsewhere/src"] {
            std::fs::create_dir_all(place(folder)).unwrap();
        }
        for file in ["workspace/x.rs", "elsewhere/src/y.rs"] {
            std::fs::write(place(file), "").unwrap();
        }
        let elsewhere = place("elsewhere/src/y.rs").display().to_string();
        std::fs::write(place("bin.d"), format!("bin: {elsewhere}\n")).unwrap();
        let mut sources =
            Sources::new(vec![place("named"), place("workspace")], vec![place("bin")]);
        let workspace = place("workspace/x.rs").display().to_string();
        assert_eq!(sources.resolve("x.rs"), workspace);
        assert_eq!(sources.resolve("src/y.rs"), elsewhere);
        assert_eq!(sources.resolve("nowhere.rs"), "nowhere.rs");

        std::fs::write(place("named/x.rs"), "").unwrap();
        assert_eq!(sources.resolve("x.rs"), workspace, "found once is found");
    }
}
