//! Packages of a workspace and the manifests they depend on, read from
//! manifests.
//!
//! Cargo is not asked: it does not describe a workspace that it cannot load. A
//! manifest that is missing or broken is ignored.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, TableLike};

use crate::host::fs;

/// Name of a manifest.
pub(crate) const MANIFEST: &str = "Cargo.toml";

/// Returns the folders of the local packages that the workspace or package in
/// `folder` is built from: members, and direct and transitive path
/// dependencies.
pub(crate) fn packages(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(folder) = ahead.pop() {
        let Some(document) = read(&folder) else {
            continue;
        };
        if found.insert(folder.clone()) {
            ahead.extend(members(&folder, &document));
            let paths = dependencies(&document).into_iter();
            ahead.extend(paths.map(|path| joined(&folder, &path)));
        }
    }
    found
}

/// Returns the manifests that the package in `folder` may inherit from: those
/// above it, and the one that it names.
pub(crate) fn inherited(folder: &Path) -> BTreeSet<PathBuf> {
    let above = folder.ancestors().map(|folder| folder.join(MANIFEST));
    let mut manifests: BTreeSet<PathBuf> = above.filter(|path| fs::is_file(path)).collect();
    let document = read(folder);
    let package = document.as_ref().and_then(|it| it.get("package"));
    if let Some(root) = package.and_then(|package| package.get("workspace")?.as_str()) {
        manifests.insert(joined(folder, root).join(MANIFEST));
    }
    manifests
}

/// Returns true if the package in `folder` has a build script or procedural
/// macro, which runs during a build and may write files.
pub(crate) fn runs_at_build(folder: &Path) -> bool {
    let Some(document) = read(folder) else {
        return false;
    };
    let at = |table: &str, key: &str| document.get(table).and_then(|table| table.get(key));
    let is_macro = ["proc-macro", "proc_macro"]
        .iter()
        .any(|key| at("lib", key).and_then(Item::as_bool) == Some(true));
    let has_script = match at("package", "build") {
        Some(build) => build.as_bool() != Some(false),
        None => fs::is_file(&folder.join("build.rs")),
    };
    is_macro || has_script
}

fn read(folder: &Path) -> Option<DocumentMut> {
    let bytes = fs::read_followed(&folder.join(MANIFEST)).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

/// Joins a path and resolves its `..`, if it exists.
fn joined(folder: &Path, path: &str) -> PathBuf {
    let path = folder.join(path);
    fs::resolve(&path).unwrap_or(path)
}

/// Returns the folders of the members that a manifest lists.
fn members(folder: &Path, document: &DocumentMut) -> Vec<PathBuf> {
    let members = document.get("workspace").and_then(|it| it.get("members"));
    let members = members.and_then(Item::as_array).into_iter().flatten();
    let patterns = members.filter_map(|member| member.as_str());
    patterns
        .flat_map(|pattern| matching(folder, pattern))
        .collect()
}

/// Returns the folders that match a member pattern, in which `*` matches any
/// part of a name.
fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let Some((before, after)) = part.split_once('*') else {
            for folder in &mut found {
                *folder = joined(folder, part);
            }
            continue;
        };
        let below = |folder: PathBuf| {
            let names = fs::names(&folder).unwrap_or_default().into_iter();
            let fits = move |name: &str| {
                let rest = name.strip_prefix(before);
                rest.is_some_and(|rest| rest.ends_with(after.trim_start_matches('*')))
            };
            let names = names.filter(move |name| name.to_str().is_some_and(&fits));
            names.map(move |name| folder.join(name)).collect::<Vec<_>>()
        };
        found = found.into_iter().flat_map(below).collect();
    }
    found
}

/// Returns the path dependencies of a manifest, including target-specific and
/// patched ones.
fn dependencies(document: &DocumentMut) -> Vec<String> {
    fn paths(found: &mut Vec<String>, table: Option<&Item>) {
        let table = table.and_then(Item::as_table_like);
        for (_, dependency) in table.into_iter().flat_map(TableLike::iter) {
            let path = dependency.get("path").and_then(Item::as_str);
            found.extend(path.map(str::to_owned));
        }
    }
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let mut found = Vec::new();
    for kind in KINDS {
        paths(&mut found, document.get(kind));
    }
    let workspace = document.get("workspace");
    paths(&mut found, workspace.and_then(|it| it.get(KINDS[0])));
    let nested = |name| document.get(name).and_then(Item::as_table_like);
    for (_, target) in nested("target").into_iter().flat_map(TableLike::iter) {
        for kind in KINDS {
            paths(&mut found, target.get(kind));
        }
    }
    for (_, source) in nested("patch").into_iter().flat_map(TableLike::iter) {
        paths(&mut found, Some(source));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn packages_are_found_by_manifests_alone() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        write(
            &root,
            "w/Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"parts/*\", \"lib-*\", \"none\"]\n\
             [workspace.dependencies]\nshared = { path = \"../shared\" }\n\
             [patch.crates-io]\nserde = { path = \"../serde\" }\n",
        );
        write(
            &root,
            "w/app/Cargo.toml",
            "[package]\nname = \"app\"\n[dependencies.own]\npath = \"../own\"\n\
             [target.'cfg(unix)'.build-dependencies]\nfar = { path = \"../../far\" }\n",
        );
        for name in ["w/parts/a", "w/lib-b", "w/other", "w/own", "serde", "far"] {
            write(&root, &format!("{name}/Cargo.toml"), "[package]\n");
        }
        let broken = "[dependencies]\napp = { path = \"../w/app\" }\n[[[";
        write(&root, "shared/Cargo.toml", broken);
        let expected = [
            "far",
            "serde",
            "w",
            "w/app",
            "w/lib-b",
            "w/own",
            "w/parts/a",
        ];
        let expected: BTreeSet<PathBuf> = expected.iter().map(|name| root.join(name)).collect();
        assert_eq!(packages(&root.join("w")), expected);
        // A cycle ends.
        write(&root, "shared/Cargo.toml", broken.trim_end_matches("[[["));
        assert_eq!(packages(&root.join("w")).len(), expected.len() + 1);
    }

    #[test]
    fn manifests_above_and_the_named_one_are_inherited_from() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        write(&root, "o/Cargo.toml", "[workspace]\n");
        write(&root, "r/Cargo.toml", "[workspace]\n");
        let text = "[package]\nworkspace = \"../../r\"\n";
        write(&root, "o/p/Cargo.toml", text);
        let manifests = inherited(&root.join("o/p"));
        for name in ["o", "r", "o/p"] {
            assert!(
                manifests.contains(&root.join(name).join(MANIFEST)),
                "{name}"
            );
        }
        assert!(!manifests.contains(&root.join(MANIFEST)));
    }

    #[test]
    fn build_scripts_and_procedural_macros_run_at_a_build() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let runs = |text: &str| {
            write(root, MANIFEST, text);
            runs_at_build(root)
        };
        assert!(!runs("[package]\n"));
        assert!(runs("[lib]\nproc-macro = true\n"));
        assert!(runs("[package]\nbuild = \"made/by.rs\"\n"));
        write(root, "build.rs", "");
        assert!(runs("[package]\n"));
        assert!(!runs("[package]\nbuild = false\n"));
    }
}
