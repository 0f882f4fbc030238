//! What a loop depends on: the files that a build reads and a deploy copies,
//! and what changed in them between two looks.
//!
//! Bytes decide, as everywhere: a file that was written again with what it held
//! has not changed. Owns which files these are; waits for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::cargo::dependencies;
use crate::host::files::{self, Hash, Stamp};

/// Where inputs are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roots {
    /// Folders in which every file counts that version control does not ignore.
    pub folders: BTreeSet<PathBuf>,
    /// Folders in which every file counts.
    pub whole: BTreeSet<PathBuf>,
    /// Files that count by themselves, also where they are not there.
    pub files: BTreeSet<PathBuf>,
    /// Folders and files that never count.
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
    /// the packages of these sources, and these sources, also where version
    /// control ignores them. Where nothing is known of them, of a workspace that
    /// does not build, it is everything in the workspace.
    pub fn of<'a>(
        workspace: &Path,
        artefacts: impl IntoIterator<Item = &'a Path>,
        snapshot: Option<PathBuf>,
        passed_over: Vec<PathBuf>,
    ) -> Self {
        let artefacts: Vec<&Path> = artefacts.into_iter().collect();
        // What build scripts make is no source of anybody's.
        let outputs: BTreeSet<&Path> = artefacts.iter().filter_map(|file| file.parent()).collect();
        let artefacts = artefacts.iter();
        let sources = artefacts.flat_map(|artefact| dependencies(artefact).unwrap_or_default());
        let mut packages: BTreeSet<PathBuf> = BTreeSet::new();
        let mut alone = BTreeSet::new();
        for source in sources {
            if outputs.iter().any(|folder| source.starts_with(folder)) || alone.contains(&source) {
                continue;
            }
            if !packages.iter().any(|package| source.starts_with(package)) {
                let mut folders = source.ancestors().skip(1);
                let package = folders.find(|folder| files::is_file(&folder.join(AROUND[0])));
                packages.extend(package.map(Path::to_owned));
            }
            alone.insert(source);
        }
        if packages.is_empty() {
            packages.insert(workspace.to_owned());
        }
        alone.extend(AROUND.map(|name| workspace.join(name)));
        Self {
            folders: packages,
            whole: snapshot.into_iter().collect(),
            files: alone,
            passed_over,
        }
    }

    /// Both, and what either passes over.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.folders.extend(other.folders);
        self.whole.extend(other.whole);
        self.files.extend(other.files);
        for path in other.passed_over {
            if !self.passed_over.contains(&path) {
                self.passed_over.push(path);
            }
        }
        self
    }
}

/// The inputs as they were at one look.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Seen>,
    /// The folders that hold them.
    pub folders: BTreeSet<PathBuf>,
    /// When the look began.
    begun: i64,
}

/// By how much the time of a file may be earlier than the clock that it was
/// written at, where the kernel counts in ticks.
const COARSE_NS: i64 = 20_000_000;

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    hash: Hash,
}

impl Inputs {
    /// Looks at everything, and reads what may have changed since the look
    /// `before`. What vanishes meanwhile is not there.
    pub fn look(roots: &Roots, before: &Self) -> Self {
        let mut inputs = Self {
            begun: files::now_ns(),
            ..Self::default()
        };
        let passed_over = &roots.passed_over;
        let work = roots.folders.iter();
        let work = work.map(|root| files::list(root, passed_over));
        let whole = roots.whole.iter();
        let whole = whole.map(|root| files::list_ignored_too(root, passed_over));
        for listing in work.chain(whole) {
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
    /// was, what is there now, less what was written since.
    #[must_use]
    pub fn within(&self, roots: &Roots) -> Self {
        let mut inputs = Self::look(roots, self);
        inputs.begun = self.begun;
        let since = self.begun.saturating_sub(COARSE_NS);
        inputs.files.retain(|path, seen| {
            // What is moved there keeps the time at which it was written.
            let mtime = seen.stamp.identity.mtime_ns;
            let is_older = mtime.max(seen.stamp.ctime_ns.unwrap_or(mtime)) < since;
            is_older && !self.files.contains_key(path)
        });
        let is_within = |path: &Path| {
            let mut folders = roots.folders.iter().chain(&roots.whole);
            roots.files.contains(path) || folders.any(|root| path.starts_with(root))
        };
        let known = self.files.iter().filter(|(path, _)| is_within(path));
        inputs
            .files
            .extend(known.map(|(path, seen)| (path.clone(), *seen)));
        inputs
    }

    fn see(&mut self, path: PathBuf, before: &Self) {
        if self.files.contains_key(&path) {
            return;
        }
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

    /// Whether `later` looks like the middle of a save: a file is gone, or holds
    /// nothing any more.
    pub fn is_halfway(&self, later: &Self) -> bool {
        let mut files = self.files.iter();
        files.any(|(path, before)| match later.files.get(path) {
            None => true,
            Some(now) => now.stamp.identity.size == 0 && before.stamp.identity.size > 0,
        })
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
        let ignored = used.join("src/key.rs");
        fs::write(&ignored, "").unwrap();
        fs::write(used.join(".gitignore"), "key.rs\n").unwrap();
        let made = root.join("target/debug/build/out/made.rs");
        let sources = [&source, &ignored, &made].map(|path| path.display().to_string());
        let text = format!("{}: {}\n", artefact.display(), sources.join(" "));
        fs::write(artefact.with_extension("d"), text).unwrap();

        let home = root.join(".ansar-home");
        let roots = Roots::of(root, [artefact.as_path()], None, vec![home.clone()]);
        assert!(roots.folders.contains(&used) && !roots.folders.contains(&unused));
        assert!(roots.files.contains(&root.join("Cargo.lock")));
        assert!(roots.files.contains(&ignored) && !roots.files.contains(&made));
        let seen = Inputs::look(&roots, &Inputs::default());
        assert!(seen.files.contains_key(&ignored));
        let unknown = Roots::of(root, [], None, vec![home]);
        assert!(unknown.folders.contains(root));
        let both = unknown.and(roots);
        assert!(both.folders.contains(root) && both.folders.contains(&used));
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
        assert!(first.is_halfway(&second) && !second.is_halfway(&second));
        // A look at one of the two knows of the other what is older than it.
        let only = |name| Roots {
            folders: BTreeSet::from([root.join(name)]),
            ..Roots::default()
        };
        // What a file's date says does not make it older.
        let moved = root.join("moved");
        let written = |path: &Path| {
            fs::write(path, "").unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
            files::stat(path).unwrap().ctime_ns
        };
        let before = written(&moved);
        while written(&moved) <= before + COARSE_NS {}
        let third = Inputs::look(&only("a"), &second);
        fs::rename(&moved, root.join("b/src/newer.rs")).unwrap();
        let both = third.within(&roots);
        assert_eq!(both.count(), second.count());
        let now = Inputs::look(&roots, &both);
        assert_eq!(names(root, &both.changes(&now)), ["b/src/newer.rs"]);
        assert!(!both.is_halfway(&now));
        fs::write(root.join("a/src/main.rs"), "").unwrap();
        assert!(now.is_halfway(&Inputs::look(&roots, &now)));
    }
}
