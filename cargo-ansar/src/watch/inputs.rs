//! Input files of a loop: the files that a build reads and a deploy copies, and
//! their changes.
//!
//! Contents decide, as everywhere: a file that was rewritten with the same
//! bytes has not changed. This module knows which files are inputs; it does not
//! wait for changes.

pub mod compiled;
pub mod manifests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::cargo::dependencies;
use crate::host::cargo_config;
use crate::host::fs;
use crate::host::fs::watch::Watched;
use crate::host::fs::{Hash, Kind, Selection, Stamp, Stat};
use crate::manifest::Description;

pub use crate::watch::inputs::compiled::Compiled;

use crate::watch::inputs::manifests::MANIFEST;

/// Locations of input files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roots {
    /// Folders in which every file counts that version control does not ignore.
    pub folders: BTreeSet<PathBuf>,
    /// Source folders, in which every file counts that is not in a cache.
    pub sources: BTreeSet<PathBuf>,
    /// Folders in which only direct children count.
    pub shallow: BTreeSet<PathBuf>,
    /// Folders in which every file counts.
    pub whole: BTreeSet<PathBuf>,
    /// Files that Cargo reads and tracks itself. They count even if they do not
    /// exist.
    pub files: BTreeSet<PathBuf>,
    /// Files that roles name: programs, and files with variables. They count
    /// even if they do not exist.
    pub described: BTreeSet<PathBuf>,
    /// Those of `files` that are compiled.
    pub compiled: BTreeSet<PathBuf>,
    /// Folders and files that never count.
    pub passed_over: Vec<PathBuf>,
    /// True if code of these packages runs while they are built.
    pub runs_at_build: bool,
}

/// The workspace and the working directory of Cargo.
#[derive(Debug, Clone, Copy)]
pub struct CargoFolders<'a> {
    /// Folder of the workspace.
    pub workspace: &'a Path,
    /// Folder that Cargo runs in, which decides on its configuration.
    pub folder: &'a Path,
}

/// Name of Cargo's lock file.
pub const LOCK_FILE: &str = "Cargo.lock";

impl Roots {
    /// Returns the inputs of `artifacts`, read from Cargo's dep-info: their
    /// source files, even if version control ignores them, and the packages of
    /// these.
    pub fn of<'a>(
        place: CargoFolders<'_>,
        artifacts: impl IntoIterator<Item = &'a Path>,
        snapshot: Option<PathBuf>,
        passed_over: Vec<PathBuf>,
    ) -> Self {
        let artifacts: Vec<&Path> = artifacts.into_iter().collect();
        // Files that build scripts generate are not inputs.
        let outputs: BTreeSet<&Path> = artifacts.iter().filter_map(|file| file.parent()).collect();
        let artifacts = artifacts.iter();
        let sources = artifacts.flat_map(|artifact| dependencies(artifact).unwrap_or_default());
        let mut packages: BTreeMap<PathBuf, Option<PathBuf>> = BTreeMap::new();
        let mut compiled = BTreeSet::new();
        for source in sources {
            let Some(folder) = source.parent() else {
                continue;
            };
            if outputs.iter().any(|output| source.starts_with(output)) {
                continue;
            }
            let package = packages.entry(folder.to_owned()).or_insert_with(|| {
                let mut above = folder.ancestors();
                let package = above.find(|folder| fs::is_file(&folder.join(MANIFEST)))?;
                // Neither are those in a build folder elsewhere.
                let mut between = folder.ancestors().take_while(|it| *it != package);
                (!between.any(fs::is_cache)).then(|| package.to_owned())
            });
            if package.is_some() || !folder.ancestors().any(fs::is_cache) {
                compiled.insert(source);
            }
        }
        let mut packages: BTreeSet<PathBuf> = packages.into_values().flatten().collect();
        if packages.is_empty() {
            packages.insert(place.workspace.to_owned());
        }
        let mut roots = Self {
            whole: snapshot.into_iter().collect(),
            files: compiled.clone(),
            compiled,
            passed_over,
            ..Self::default()
        };
        roots.add_packages(place, packages);
        roots
    }

    /// Returns the inputs of a workspace that was not built yet: everything in
    /// it and in the packages that its manifests name.
    pub fn unknown(
        place: CargoFolders<'_>,
        snapshot: Option<PathBuf>,
        passed_over: Vec<PathBuf>,
    ) -> Self {
        let mut roots = Self::of(place, [], snapshot, passed_over);
        roots.add_packages(place, manifests::packages(place.workspace));
        roots
    }

    fn add_packages(&mut self, place: CargoFolders<'_>, packages: BTreeSet<PathBuf>) {
        let files = &mut self.files;
        files.extend([MANIFEST, LOCK_FILE].map(|name| place.workspace.join(name)));
        files.extend(cargo_config::candidates(place.folder));
        for package in &packages {
            files.extend(manifests::inherited(package));
            // The manifest may be missing and about to be created.
            files.insert(package.join(MANIFEST));
        }
        self.runs_at_build |= packages.iter().any(|it| manifests::runs_at_build(it));
        self.folders.extend(packages);
        let folders = self.folders.clone();
        let is_inside =
            |folder: &PathBuf| folder.ancestors().skip(1).any(|it| folders.contains(it));
        self.folders.retain(|folder| !is_inside(folder));
    }

    /// Adds files that a failed build may have missed: those in source folders,
    /// even if version control ignores them.
    #[must_use]
    pub fn with_sources(mut self) -> Self {
        let manifests = self.files.iter().filter(|file| file.ends_with(MANIFEST));
        let packages: Vec<&Path> = manifests.filter_map(|file| file.parent()).collect();
        let packages = packages.into_iter();
        let packages = packages.filter(|it| self.folders.iter().any(|root| it.starts_with(root)));
        let packages: BTreeSet<PathBuf> = packages.map(Path::to_owned).collect();
        for package in &packages {
            self.sources.insert(package.join(SOURCES));
        }
        let code = self.compiled.iter();
        let code = code.filter(|it| it.extension().is_some_and(|extension| extension == "rs"));
        for folder in code.filter_map(|source| source.parent()) {
            let mut above = folder.ancestors().skip(1);
            if !packages.contains(folder) && above.any(|it| packages.contains(it)) {
                self.sources.insert(folder.to_owned());
            }
        }
        self.shallow.extend(packages);
        self
    }

    /// Adds what roles name: their programs in the workspace, their files with
    /// variables, and the folders of the files that they watch.
    #[must_use]
    pub fn with_described(mut self, workspace: &Path, description: &Description) -> Self {
        let shared = description.env_file.iter();
        let roles = description.roles.iter().map(|spec| &spec.properties);
        let own = roles.clone().flat_map(|properties| &properties.env_file);
        let files = shared.chain(own).map(|file| &file.path);
        let programs = roles.clone().flat_map(|properties| &properties.program);
        let programs = programs.filter(|name| name.contains('/') && !name.contains('*'));
        let paths = files.chain(programs).map(|path| workspace.join(path));
        self.described
            .extend(paths.filter(|path| path.starts_with(workspace)));
        for pattern in roles.flat_map(|properties| &properties.watch) {
            let parts = pattern.split('/');
            let parts: Vec<&str> = parts.collect();
            let is_pattern = |part: &&str| part.contains(['*', '?', '[']);
            let plain = parts.iter().position(is_pattern);
            let path = workspace.join(parts[..plain.unwrap_or(parts.len())].join("/"));
            if plain.is_some() {
                self.folders.insert(path);
            } else {
                self.described.insert(path);
            }
        }
        self
    }

    /// Returns the union of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.folders.extend(other.folders);
        self.sources.extend(other.sources);
        self.shallow.extend(other.shallow);
        self.whole.extend(other.whole);
        self.files.extend(other.files);
        self.described.extend(other.described);
        self.compiled.extend(other.compiled);
        self.runs_at_build |= other.runs_at_build;
        for path in other.passed_over {
            if !self.passed_over.contains(&path) {
                self.passed_over.push(path);
            }
        }
        self
    }

    /// Returns true if a path is one of these files, or inside one of these
    /// folders.
    pub fn holds(&self, path: &Path) -> bool {
        let deep = [&self.folders, &self.sources, &self.whole];
        self.files.contains(path)
            || self.described.contains(path)
            || path.parent().is_some_and(|it| self.shallow.contains(it))
            || deep
                .into_iter()
                .flatten()
                .any(|root| path.starts_with(root))
    }

    /// Returns true if a symlink to a folder is followed: if a source is below
    /// it, or it is in a source folder.
    fn follows(&self, link: &Path) -> bool {
        let below = self.compiled.range(link.to_owned()..).next();
        below.is_some_and(|path| path.starts_with(link))
            || self.folders.iter().any(|root| {
                let inside = link.strip_prefix(root).unwrap_or(Path::new(""));
                inside.components().any(|part| part.as_os_str() == SOURCES)
            })
    }
}

/// Default folder of a package's sources.
const SOURCES: &str = "src";

/// State of the input files at one time.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Seen>,
    /// Paths to watch for changes.
    pub watched: Watched,
    /// Time at which reading began, in nanoseconds since 1970.
    begun: i64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    hash: Hash,
    /// Time of the last change of the file, or of a symlink on the way to it.
    at_ns: i64,
}

impl Inputs {
    /// Reads the state of all input files. Only files that may have changed
    /// since `before` are read; files that vanish meanwhile are treated as
    /// missing.
    pub fn read(roots: &Roots, before: &Self) -> Self {
        let mut inputs = Self {
            begun: fs::now_ns(),
            ..Self::default()
        };
        for (folders, which) in [
            (&roots.folders, Selection::Work),
            (&roots.sources, Selection::Sources),
            (&roots.shallow, Selection::Here),
            (&roots.whole, Selection::All),
        ] {
            for root in folders {
                inputs.walk(root, which, roots, before);
            }
        }
        for path in roots.files.iter().chain(&roots.described) {
            let folder = path.parent();
            if !folder.is_some_and(|it| inputs.watched.folders.contains(it)) {
                inputs.watch_path(path);
            }
            if fs::is_folder(path) && !roots.folders.iter().any(|it| it.starts_with(path)) {
                // A folder that a build script asked Cargo to track.
                inputs.walk(path, Selection::Sources, roots, before);
            } else {
                inputs.read_file(path.clone(), before);
            }
        }
        inputs
    }

    /// Reads the files below a folder, following symlinks to source folders.
    fn walk(&mut self, root: &Path, which: Selection, roots: &Roots, before: &Self) {
        let mut ahead = vec![root.to_owned()];
        let mut entered = BTreeSet::new();
        while let Some(root) = ahead.pop() {
            let Ok(real) = fs::resolve(&root) else {
                self.watch_path(&root);
                continue;
            };
            if !entered.insert(real.clone()) {
                continue;
            }
            let listing = fs::list(&root, which, &roots.passed_over);
            let folders = listing.folders.iter();
            let below = folders.filter_map(|folder| folder.strip_prefix(&root).ok());
            // Joining an empty path would append a slash.
            let below = below.map(|folder| {
                if folder.as_os_str().is_empty() {
                    real.clone()
                } else {
                    real.join(folder)
                }
            });
            self.watched.folders.extend(below);
            for path in listing.files {
                self.read_file(path, before);
            }
            for path in listing.links {
                if !fs::is_folder(&path) {
                    self.read_file(path, before);
                } else if which != Selection::Here && roots.follows(&path) {
                    self.watch_path(&path);
                    // A symlink to a folder above it would never end.
                    let is_above = fs::resolve(&path).is_ok_and(|to| real.starts_with(to));
                    ahead.extend((!is_above).then_some(path));
                }
            }
        }
    }

    /// Watches a path, and the symlinks on the way to it. Its folder may not be
    /// watched as a whole.
    fn watch_path(&mut self, path: &Path) {
        let Some(followed) = fs::follow(path) else {
            return;
        };
        for (folder, name) in followed.links {
            self.watched.add(&folder.join(name));
        }
        self.watched.add(&followed.path);
    }

    /// Returns the number of files.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Returns the same state for other roots. Files that were not read before
    /// are read now, except those written since.
    #[must_use]
    pub fn within(&self, roots: &Roots) -> Self {
        let mut inputs = Self::read(roots, self);
        inputs.begun = self.begun;
        inputs.files.retain(|path, seen| {
            // A moved file keeps its modification time.
            let mtime = seen.stamp.fingerprint.mtime_ns;
            let is_older = mtime.max(seen.stamp.ctime_ns.unwrap_or(mtime)) < self.begun;
            is_older && !self.files.contains_key(path)
        });
        let known = self.files.iter().filter(|(path, _)| roots.holds(path));
        inputs
            .files
            .extend(known.map(|(path, seen)| (path.clone(), *seen)));
        inputs
    }

    fn read_file(&mut self, path: PathBuf, before: &Self) {
        if self.files.contains_key(&path) {
            return;
        }
        let now = fs::now_ns();
        let Ok(stat) = fs::stat(&path) else {
            return;
        };
        let Some((real, stat, at_ns)) = self.follow_link(&path, stat) else {
            return;
        };
        let known = before.files.get(&path);
        let seen = match known.filter(|seen| seen.stamp.vouches_for(&stat)) {
            Some(seen) => Seen { at_ns, ..*seen },
            None => match fs::hash(real.as_deref().unwrap_or(&path)) {
                Ok((hash, stat)) => Seen {
                    stamp: Stamp::strict(&stat, now),
                    hash,
                    at_ns: at_ns.max(stat.ctime_ns),
                },
                Err(_) => return,
            },
        };
        self.files.insert(path, seen);
    }

    /// Returns the target if the path is a symlink, its metadata, and the time
    /// of the last change of either.
    fn follow_link(&mut self, path: &Path, stat: Stat) -> Option<(Option<PathBuf>, Stat, i64)> {
        if stat.kind != Kind::Link {
            return Some((None, stat, stat.ctime_ns));
        }
        self.watch_path(path);
        let real = fs::follow(path)?.path;
        let target = fs::stat(&real).ok()?;
        Some((Some(real), target, target.ctime_ns.max(stat.ctime_ns)))
    }

    /// Returns the time of a file's last change, in nanoseconds since 1970. For
    /// a missing file, returns the last change of its folder.
    pub fn changed_at(&self, path: &Path) -> Option<i64> {
        match self.files.get(path) {
            Some(seen) => Some(seen.at_ns),
            None => Some(fs::stat(path.parent()?).ok()?.ctime_ns),
        }
    }

    /// Returns true if a file exists.
    pub fn has(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Replaces the state of these files by that in `later`.
    pub fn take(&mut self, paths: &[PathBuf], later: &Self) {
        for path in paths {
            match later.files.get(path) {
                Some(seen) => drop(self.files.insert(path.clone(), *seen)),
                None => drop(self.files.remove(path)),
            }
        }
    }

    /// Returns the files whose contents differ in `later`, or that exist in
    /// only one of the two.
    pub fn changes(&self, later: &Self) -> Vec<PathBuf> {
        let hash = |inputs: &Self, path: &PathBuf| inputs.files.get(path).map(|seen| seen.hash);
        let all: BTreeSet<&PathBuf> = self.files.keys().chain(later.files.keys()).collect();
        all.into_iter()
            .filter(|path| hash(self, path) != hash(later, path))
            .cloned()
            .collect()
    }

    /// Returns true if `later` looks like the middle of a save: a file is
    /// missing or has become empty.
    pub fn is_mid_save(&self, later: &Self) -> bool {
        let mut files = self.files.iter();
        files.any(|(path, before)| match later.files.get(path) {
            None => true,
            Some(now) => now.stamp.fingerprint.size == 0 && before.stamp.fingerprint.size > 0,
        })
    }

    /// Returns the files that were rewritten with the same contents.
    pub fn rewritten(&self, later: &Self) -> Vec<PathBuf> {
        let both = later.files.iter();
        both.filter(|(path, seen)| {
            let before = self.files.get(*path);
            before.is_some_and(|before| {
                before.hash == seen.hash
                    && before.stamp.fingerprint.mtime_ns != seen.stamp.fingerprint.mtime_ns
            })
        })
        .map(|(path, _)| path.clone())
        .collect()
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn package(root: &Path, name: &str) -> PathBuf {
        let folder = root.join(name);
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.join("src/main.rs"), "one").unwrap();
        folder
    }

    fn names(root: &Path, paths: &[PathBuf]) -> Vec<String> {
        let names = paths.iter().map(|path| path.strip_prefix(root).unwrap());
        names.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn only_packages_of_artifacts_count() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (used, unused) = (package(root, "used"), package(root, "unused"));
        let artifact = root.join("target/debug/used");
        std::fs::create_dir_all(artifact.parent().unwrap()).unwrap();
        let source = used.join("src/main.rs");
        let ignored = used.join("src/key.rs");
        std::fs::write(&ignored, "").unwrap();
        std::fs::write(used.join(".gitignore"), "key.rs\n").unwrap();
        let made = root.join("target/debug/build/out/made.rs");
        // Likewise files generated in a build folder elsewhere.
        let elsewhere = root.join("made/debug/build/out/made.rs");
        std::fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
        std::fs::write(root.join("made/CACHEDIR.TAG"), "").unwrap();
        let sources = [&source, &ignored, &made, &elsewhere];
        let sources = sources.map(|path| path.display().to_string());
        let text = format!("{}: {}\n", artifact.display(), sources.join(" "));
        std::fs::write(artifact.with_extension("d"), text).unwrap();

        let home = root.join(".ansar-home");
        let place = CargoFolders {
            workspace: root,
            folder: root,
        };
        let roots = Roots::of(place, [artifact.as_path()], None, vec![home.clone()]);
        assert!(roots.folders.contains(&used) && !roots.folders.contains(&unused));
        assert!(roots.files.contains(&root.join("Cargo.lock")));
        assert!(roots.files.contains(&ignored) && !roots.files.contains(&made));
        assert!(!roots.files.contains(&elsewhere));
        let seen = Inputs::read(&roots, &Inputs::default());
        assert!(seen.files.contains_key(&ignored));
        let unknown = Roots::unknown(place, None, vec![home]);
        assert!(unknown.folders.contains(root));
        let both = unknown.and(roots);
        assert!(both.folders.contains(root) && both.folders.contains(&used));
    }

    #[test]
    fn files_with_other_bytes_have_changed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        package(root, "a");
        package(root, "b");
        let roots = Roots {
            folders: BTreeSet::from([root.to_owned()]),
            ..Roots::default()
        };
        let first = Inputs::read(&roots, &Inputs::default());
        std::fs::write(root.join("a/src/main.rs"), "two").unwrap();
        std::fs::write(root.join("b/src/main.rs"), "one").unwrap();
        std::fs::write(root.join("b/src/new.rs"), "").unwrap();
        std::fs::remove_file(root.join("b/Cargo.toml")).unwrap();
        let second = Inputs::read(&roots, &first);
        assert_eq!(
            names(root, &first.changes(&second)),
            ["a/src/main.rs", "b/Cargo.toml", "b/src/new.rs"]
        );
        assert_eq!(names(root, &first.rewritten(&second)), ["b/src/main.rs"]);
        assert!(second.changes(&Inputs::read(&roots, &second)).is_empty());
        assert!(first.is_mid_save(&second) && !second.is_mid_save(&second));
        // State of one folder is completed with older files of the other.
        let only = |name| Roots {
            folders: BTreeSet::from([root.join(name)]),
            ..Roots::default()
        };
        // The modification time does not make a file older.
        let moved = root.join("moved");
        let file = std::fs::File::create(&moved).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let written = fs::stat(&moved).unwrap().ctime_ns;
        while fs::now_ns() <= written {}
        let third = Inputs::read(&only("a"), &second);
        std::fs::rename(&moved, root.join("b/src/newer.rs")).unwrap();
        let both = third.within(&roots);
        assert_eq!(both.count(), second.count());
        let now = Inputs::read(&roots, &both);
        assert_eq!(names(root, &both.changes(&now)), ["b/src/newer.rs"]);
        assert!(!both.is_mid_save(&now));
        std::fs::write(root.join("a/src/main.rs"), "").unwrap();
        assert!(now.is_mid_save(&Inputs::read(&roots, &now)));
    }
}
