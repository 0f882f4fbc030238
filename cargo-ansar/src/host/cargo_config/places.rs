//! Locations of Cargo's configuration files, and of Cargo's outputs.

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

use crate::host::{environment, fs};

/// The names of a configuration file; Cargo prefers the first.
const NAMES: [&str; 2] = ["config", "config.toml"];

/// The names of the file that selects a toolchain.
const TOOLCHAIN: [&str; 2] = ["rust-toolchain", "rust-toolchain.toml"];

/// Maximum number of included files.
const INCLUDED: usize = 64;

/// Returns every file that may configure a Cargo in `folder`, whether it exists
/// or not: first the nearest, then the user's, then the files these include,
/// then the files that select a toolchain.
pub fn candidates(folder: &Path) -> Vec<PathBuf> {
    let above = folder.ancestors().map(|above| above.join(".cargo"));
    let places = above.chain(environment::cargo_home());
    let mut all: Vec<PathBuf> = places
        .flat_map(|place| NAMES.map(|name| place.join(name)))
        .collect();
    let mut next = 0;
    while let Some(file) = all.get(next).cloned() {
        next += 1;
        let document = read(&file);
        for included in document.iter().flat_map(|it| included(&file, it)) {
            if !all.contains(&included) && all.len() < INCLUDED + 2 * NAMES.len() * next {
                all.push(included);
            }
        }
    }
    let above = folder.ancestors();
    all.extend(above.flat_map(|above| TOOLCHAIN.map(|name| above.join(name))));
    all
}

/// Returns the folder that paths in dep-info files are relative to, if it is
/// configured.
pub fn dep_info_basedir(folder: &Path) -> Option<PathBuf> {
    if let Some(basedir) = environment::variable("CARGO_BUILD_DEP_INFO_BASEDIR") {
        return Some(normal(&folder.join(basedir)));
    }
    candidates(folder).iter().find_map(|file| {
        let document = read(file)?;
        let basedir = document.get("build")?.get("dep-info-basedir")?.as_str()?;
        // A path in a configuration file is relative to the folder above its
        // own.
        Some(normal(&file.parent()?.parent()?.join(basedir)))
    })
}

/// Returns the files that a configuration file includes.
pub(super) fn included(file: &Path, document: &DocumentMut) -> Vec<PathBuf> {
    let path = |item: &toml_edit::Value| {
        let table = item.as_inline_table().and_then(|table| table.get("path"));
        let path = item.as_str().or_else(|| table?.as_str())?;
        Some(file.parent()?.join(path))
    };
    match document.get("include") {
        Some(Item::Value(toml_edit::Value::Array(paths))) => {
            paths.iter().filter_map(path).collect()
        }
        Some(Item::Value(value)) => path(value).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Reads a configuration file; `None` if it does not exist or is malformed.
pub(super) fn read(file: &Path) -> Option<DocumentMut> {
    let bytes = fs::read_followed(file).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

/// Removes `.` and `..` from a path without accessing the file system, as Cargo
/// does.
fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_above_the_folder_and_what_they_include_are_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("above/workspace");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(dep_info_basedir(&folder), None);
        let above = write(
            "above/.cargo/config.toml",
            "include = [\"one.toml\", { path = \"two.toml\", optional = true }]\n\
             [build]\ndep-info-basedir = \"./workspace/..\"\n",
        );
        let one = write("above/.cargo/one.toml", "include = \"one.toml\"\n");
        let all = candidates(&folder);
        for file in [
            above,
            one,
            root.path().join("above/.cargo/two.toml"),
            folder.join(".cargo/config"),
            folder.join("rust-toolchain"),
            root.path().join("rust-toolchain.toml"),
        ] {
            assert!(all.contains(&file), "{}", file.display());
        }
        let basedir = Some(root.path().join("above"));
        assert_eq!(dep_info_basedir(&folder), basedir);
        write(
            "above/workspace/.cargo/config",
            "[build]\ndep-info-basedir = \"\"\n",
        );
        assert_eq!(dep_info_basedir(&folder), Some(folder));
    }
}
