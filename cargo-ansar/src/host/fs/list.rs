//! Listing the files below a folder that somebody works on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use crate::host::fs::stage::is_alias;

/// What is below a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The symlinks.
    pub links: Vec<PathBuf>,
    /// The folders, the one that was listed among them.
    pub folders: Vec<PathBuf>,
}

/// Which files below a folder are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All but what `.gitignore` files name, and what is in a cache.
    Work,
    /// All but what is in a cache.
    Sources,
    /// What is in the folder itself, not below.
    Here,
    /// All.
    All,
}

/// What marks folders whose content can be made again: all of them, and those
/// of Cargo, which marks only the folders that it has made.
const MARKS: [&str; 3] = ["CACHEDIR.TAG", ".rustc_info.json", ".cargo-lock"];

/// Returns true if a folder is marked as one whose content can be made again.
pub fn is_cache(folder: &Path) -> bool {
    MARKS.iter().any(|mark| folder.join(mark).exists())
}

/// Lists what is below `root`: never the repository itself, what `passed_over`
/// names, or the scratch files of editors and of this program.
///
/// Symlinks are listed, not followed, but for `root`. Nothing where there is no
/// such folder; what vanishes meanwhile, or cannot be read, is left out.
pub fn list(root: &Path, which: Which, passed_over: &[PathBuf]) -> Listing {
    let passed_over = passed_over.to_vec();
    let is_work = move |entry: &DirEntry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let is_passed = passed_over.iter().any(|path| path == entry.path())
            || (which != Which::All && is_folder && is_cache(entry.path()));
        // Whoever asks for a folder means it.
        entry.depth() == 0 || !(is_passed || is_scratch(entry.file_name()))
    };
    let mut listing = Listing::default();
    let walk = WalkBuilder::new(root)
        .standard_filters(which == Which::Work)
        .hidden(false)
        .require_git(false)
        .follow_links(false)
        .max_depth((which == Which::Here).then_some(1))
        .filter_entry(is_work)
        .build();
    for entry in walk.flatten() {
        match entry.file_type() {
            // The root is followed where it is a symlink.
            Some(_) if entry.depth() == 0 && entry.path().is_dir() => {
                listing.folders.push(entry.into_path());
            }
            Some(kind) if kind.is_dir() && which == Which::Here => {}
            Some(kind) if kind.is_dir() => listing.folders.push(entry.into_path()),
            Some(kind) if kind.is_symlink() => listing.links.push(entry.into_path()),
            Some(_) => listing.files.push(entry.into_path()),
            None => {}
        }
    }
    listing
}

/// Whether a name is one that editors and version control give to what they
/// need for a moment.
fn is_scratch(name: &OsStr) -> bool {
    let is_own = is_alias(name);
    let name = name.to_string_lossy();
    is_own
        || name == ".git"
        || name.ends_with('~')
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'))
        || (name.starts_with('.') && (name.ends_with(".swp") || name.ends_with(".swx")))
        // What vim tries whether it may write.
        || name == "4913"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_somebody_works_on_is_listed() {
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
        let passed_over = [root.join("home"), root.join("report.xml")];
        let listing = list(root, Which::Work, &passed_over);
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
            list(&root.join("nothing"), Which::Work, &[]),
            Listing::default()
        );
        let sources = list(root, Which::Sources, &passed_over);
        assert!(sources.files.contains(&root.join("out/made.rs")));
        assert!(!sources.files.contains(&root.join("made/x")));
        let here = list(root, Which::Here, &passed_over);
        assert_eq!(here.files, [root.join(".gitignore")]);
        assert_eq!(here.folders, [root]);
        let linked = root.join("linked");
        std::os::unix::fs::symlink("src", &linked).unwrap();
        let below = list(&linked, Which::Sources, &[]);
        assert!(below.files.contains(&linked.join("deep/er.rs")));
        assert_eq!(list(root, Which::Sources, &[]).links, [&*linked]);
        fs::remove_file(&linked).unwrap();
        let all = list(root, Which::All, &passed_over);
        assert!(all.files.contains(&root.join("out/made.rs")));
        assert!(all.files.contains(&root.join("made/x")));
        assert_eq!(all.files.len(), expected.len() + 5);
    }
}
