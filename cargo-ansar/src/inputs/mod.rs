//! What a loop depends on: the files that a build reads and a deploy copies,
//! and what changed in them between two looks.
//!
//! Bytes decide, as everywhere: a file that was written again with what it held
//! has not changed. Owns which files these are; waits for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::files::{self, Hash, Stamp};
use crate::suite::source::dependencies;

/// Where inputs are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roots {
    /// Folders in which every file counts.
    pub folders: BTreeSet<PathBuf>,
    /// Files that count by themselves, also where they are not there.
    pub files: BTreeSet<PathBuf>,
    /// Folders that never count.
    pub passed_over: Vec<PathBuf>,
}

/// The files that say, beside manifests, how Cargo builds a workspace.
const AROUND: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    ".cargo/config.toml",
    ".cargo/config",
    "rust-toolchain.toml",
    "rust-toolchain",
];

impl Roots {
    /// The inputs of `artefacts`, by what Cargo says that these were built from:
    /// the packages of these sources. Where nothing is known of them, of a
    /// workspace that does not build, it is everything in the workspace.
    pub fn of<'a>(
        workspace: &Path,
        artefacts: impl IntoIterator<Item = &'a Path>,
        snapshot: Option<PathBuf>,
        home: &Path,
    ) -> Self {
        let artefacts = artefacts.into_iter();
        let sources: Vec<PathBuf> = artefacts
            .flat_map(|artefact| dependencies(&artefact.with_extension("d")))
            .collect();
        let mut packages: BTreeSet<PathBuf> = BTreeSet::new();
        let mut alone = BTreeSet::new();
        for source in sources {
            if packages.iter().any(|package| source.starts_with(package)) {
                continue;
            }
            let mut folders = source.ancestors().skip(1);
            match folders.find(|folder| files::is_file(&folder.join(AROUND[0]))) {
                Some(package) => drop(packages.insert(package.to_owned())),
                None => drop(alone.insert(source)),
            }
        }
        if packages.is_empty() {
            packages.insert(workspace.to_owned());
        }
        packages.extend(snapshot);
        alone.extend(AROUND.map(|name| workspace.join(name)));
        Self {
            folders: packages,
            files: alone,
            passed_over: vec![home.to_owned()],
        }
    }
}

/// The inputs as they were at one look.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Seen>,
    /// The folders that hold them.
    pub folders: BTreeSet<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    hash: Hash,
}

impl Inputs {
    /// Looks at everything, and reads what may have changed since the look
    /// `before`. What vanishes meanwhile is not there.
    pub fn look(roots: &Roots, before: &Self) -> Self {
        let mut inputs = Self::default();
        for root in &roots.folders {
            let listing = files::list(root, &roots.passed_over);
            inputs.folders.extend(listing.folders);
            for path in listing.files {
                inputs.see(path, before);
            }
        }
        for path in &roots.files {
            inputs.folders.extend(path.parent().map(Path::to_owned));
            inputs.see(path.clone(), before);
        }
        inputs.folders.retain(|folder| files::is_folder(folder));
        inputs
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// The same look, at other roots: what was seen of them, and where nothing
    /// was, what is there now.
    #[must_use]
    pub fn within(&self, roots: &Roots) -> Self {
        let mut inputs = Self::look(roots, self);
        inputs
            .files
            .retain(|path, _| !self.files.contains_key(path));
        let is_within = |path: &Path| {
            roots.files.contains(path) || roots.folders.iter().any(|root| path.starts_with(root))
        };
        let known = self.files.iter().filter(|(path, _)| is_within(path));
        inputs
            .files
            .extend(known.map(|(path, seen)| (path.clone(), *seen)));
        inputs
    }

    fn see(&mut self, path: PathBuf, before: &Self) {
        let now = files::now_ns();
        let Ok(stat) = files::stat(&path) else {
            return;
        };
        let known = before.files.get(&path);
        let seen = match known.filter(|seen| seen.stamp.vouches_for(&stat)) {
            Some(seen) => *seen,
            None => match files::hash(&path) {
                Ok((hash, stat)) => Seen {
                    stamp: Stamp::strict(&stat, now),
                    hash,
                },
                Err(_) => return,
            },
        };
        self.files.insert(path, seen);
    }

    /// The files of which the bytes are others in `later`, or that are in one of
    /// the two only.
    pub fn changes(&self, later: &Self) -> Vec<PathBuf> {
        let hash = |inputs: &Self, path: &PathBuf| inputs.files.get(path).map(|seen| seen.hash);
        let all: BTreeSet<&PathBuf> = self.files.keys().chain(later.files.keys()).collect();
        all.into_iter()
            .filter(|path| hash(self, path) != hash(later, path))
            .cloned()
            .collect()
    }

    /// The files that were written since, with what they held.
    pub fn rewritten(&self, later: &Self) -> Vec<PathBuf> {
        let both = later.files.iter();
        both.filter(|(path, seen)| {
            let before = self.files.get(*path);
            before.is_some_and(|before| {
                before.hash == seen.hash
                    && before.stamp.identity.mtime_ns != seen.stamp.identity.mtime_ns
            })
        })
        .map(|(path, _)| path.clone())
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn package(root: &Path, name: &str) -> PathBuf {
        let folder = root.join(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("Cargo.toml"), "").unwrap();
        fs::write(folder.join("src/main.rs"), "one").unwrap();
        folder
    }

    fn names(root: &Path, paths: &[PathBuf]) -> Vec<String> {
        let names = paths.iter().map(|path| path.strip_prefix(root).unwrap());
        names.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn the_packages_that_artefacts_were_built_from_count_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (used, unused) = (package(root, "used"), package(root, "unused"));
        let artefact = root.join("target/debug/used");
        fs::create_dir_all(artefact.parent().unwrap()).unwrap();
        let source = used.join("src/main.rs");
        let text = format!("{}: {}\n", artefact.display(), source.display());
        fs::write(artefact.with_extension("d"), text).unwrap();

        let home = root.join(".ansar-home");
        let roots = Roots::of(root, [artefact.as_path()], None, &home);
        assert!(roots.folders.contains(&used) && !roots.folders.contains(&unused));
        assert!(roots.files.contains(&root.join("Cargo.lock")));
        let unknown = Roots::of(root, [], None, &home);
        assert!(unknown.folders.contains(root));
    }

    #[test]
    fn what_changed_is_what_holds_other_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        package(root, "a");
        package(root, "b");
        let roots = Roots {
            folders: BTreeSet::from([root.to_owned()]),
            ..Roots::default()
        };
        let first = Inputs::look(&roots, &Inputs::default());
        fs::write(root.join("a/src/main.rs"), "two").unwrap();
        fs::write(root.join("b/src/main.rs"), "one").unwrap();
        fs::write(root.join("b/src/new.rs"), "").unwrap();
        fs::remove_file(root.join("b/Cargo.toml")).unwrap();
        let second = Inputs::look(&roots, &first);
        assert_eq!(
            names(root, &first.changes(&second)),
            ["a/src/main.rs", "b/Cargo.toml", "b/src/new.rs"]
        );
        assert_eq!(names(root, &first.rewritten(&second)), ["b/src/main.rs"]);
        assert!(second.changes(&Inputs::look(&roots, &second)).is_empty());
    }
}
