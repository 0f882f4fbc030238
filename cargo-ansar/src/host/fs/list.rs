//! Listing the files of a working folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use crate::host::fs::stage::is_alias;

/// The contents of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The symlinks.
    pub links: Vec<PathBuf>,
    /// The folders, including the listed one.
    pub folders: Vec<PathBuf>,
}

/// Selection of the files to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Files that neither `.gitignore` excludes nor a cache contains.
    Work,
    /// Files that no cache contains.
    Sources,
    /// Files directly in the folder.
    Here,
    /// All files.
    All,
}

/// Files that mark a folder whose contents can be regenerated. The last two are
/// of Cargo, which puts a `CACHEDIR.TAG` only into folders that it created
/// itself.
const CACHE_MARKERS: [&str; 3] = ["CACHEDIR.TAG", ".rustc_info.json", ".cargo-lock"];

/// Returns true if a folder is marked as a cache.
pub fn is_cache(folder: &Path) -> bool {
    CACHE_MARKERS.iter().any(|mark| folder.join(mark).exists())
}

/// Lists the contents of `root`, without `.git`, the paths in `passed_over`,
/// and temporary files of editors and of this program.
///
/// Symlinks are listed and not followed, except `root` itself. Empty if `root`
/// does not exist; what vanishes in the meantime or cannot be read is skipped.
pub fn list(root: &Path, which: Selection, excluded: &[PathBuf]) -> Listing {
    let excluded = excluded.to_vec();
    let is_listed = move |entry: &DirEntry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let is_excluded = excluded.iter().any(|path| path == entry.path())
            || (which != Selection::All && is_folder && is_cache(entry.path()));
        // A folder that was asked for is listed even if its name is excluded.
        entry.depth() == 0 || !(is_excluded || is_scratch(entry.file_name()))
    };
    let mut listing = Listing::default();
    let walk = WalkBuilder::new(root)
        .standard_filters(which == Selection::Work)
        .hidden(false)
        .require_git(false)
        .follow_links(false)
        .max_depth((which == Selection::Here).then_some(1))
        .filter_entry(is_listed)
        .build();
    for entry in walk.flatten() {
        match entry.file_type() {
            // The root is followed if it is a symlink.
            Some(_) if entry.depth() == 0 && entry.path().is_dir() => {
                listing.folders.push(entry.into_path());
            }
            Some(kind) if kind.is_dir() && which == Selection::Here => {}
            Some(kind) if kind.is_dir() => listing.folders.push(entry.into_path()),
            Some(kind) if kind.is_symlink() => listing.links.push(entry.into_path()),
            Some(_) => listing.files.push(entry.into_path()),
            None => {}
        }
    }
    listing
}

/// Returns true if a name is one that editors and version control use for
/// temporary files.
fn is_scratch(name: &OsStr) -> bool {
    let is_own = is_alias(name);
    let name = name.to_string_lossy();
    is_own
        || name == ".git"
        || name.ends_with('~')
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'))
        || (name.starts_with('.') && (name.ends_with(".swp") || name.ends_with(".swx")))
        // Vim creates this file to test whether it can write.
        || name == "4913"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn caches_ignored_and_temporary_files_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "src/main.rs",
            "src/deep/er.rs",
            ".cargo/config.toml",
            ".git/HEAD",
            "out/made.rs",
            "target/CACHEDIR.TAG",
            "target/debug/x",
            "made/.rustc_info.json",
            "made/x",
            "report.xml",
            "home/bin/x",
            "src/.main.rs.swp",
            "src/main.rs~",
            "src/4913",
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(root.join(".gitignore"), "out\n").unwrap();
        let excluded = [root.join("home"), root.join("report.xml")];
        let listing = list(root, Selection::Work, &excluded);
        let mut names: Vec<_> = listing
            .files
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().display().to_string())
            .collect();
        names.sort();
        let expected = [
            ".cargo/config.toml",
            ".gitignore",
            "src/deep/er.rs",
            "src/main.rs",
        ];
        assert_eq!(names, expected);
        assert!(listing.folders.contains(&root.join("src/deep")));
        assert!(!listing.folders.contains(&root.join("target")));
        assert_eq!(
            list(&root.join("nothing"), Selection::Work, &[]),
            Listing::default()
        );
        let sources = list(root, Selection::Sources, &excluded);
        assert!(sources.files.contains(&root.join("out/made.rs")));
        assert!(!sources.files.contains(&root.join("made/x")));
        let here = list(root, Selection::Here, &excluded);
        assert_eq!(here.files, [root.join(".gitignore")]);
        assert_eq!(here.folders, [root]);
        let linked = root.join("linked");
        std::os::unix::fs::symlink("src", &linked).unwrap();
        let below = list(&linked, Selection::Sources, &[]);
        assert!(below.files.contains(&linked.join("deep/er.rs")));
        assert_eq!(list(root, Selection::Sources, &[]).links, [&*linked]);
        fs::remove_file(&linked).unwrap();
        let all = list(root, Selection::All, &excluded);
        assert!(all.files.contains(&root.join("out/made.rs")));
        assert!(all.files.contains(&root.join("made/x")));
        assert_eq!(all.files.len(), expected.len() + 5);
    }
}
