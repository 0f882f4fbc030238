//! Deciding who wrote a changed file, and whether the change begins a loop.
//!
//! No process is attributed to a write. A change while nothing runs was saved
//! by a person. A change during a loop may have been saved as well, or written
//! by a part of the loop: a build script, a procedural macro, a role. Files
//! that a build may have written are judged after the build. A file that
//! changes in consecutive loops, without a save in between, is written by the
//! loop: it is named, and its changes during a loop are ignored from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::events::Author;
use crate::watch::inputs::LOCK_FILE;

/// Number of consecutive loops that changes of a file may begin before it
/// counts as written by the loop, if nothing suggests a person.
const FEW: u32 = 1;
/// The same, if a person may have saved the file.
const MORE: u32 = 3;

/// Phases of the current or last loop, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spans {
    /// Start of its build.
    pub(crate) building: Option<i64>,
    /// End of its build.
    pub(crate) built: Option<i64>,
    /// End of the loop.
    pub(crate) ended: Option<i64>,
}

impl Spans {
    /// Returns true during a build.
    fn are_building(&self) -> bool {
        self.building.is_some() && self.built.is_none() && self.ended.is_none()
    }

    /// Returns true if nothing ran at this time that may have written a file.
    pub(crate) fn is_idle_at(&self, at_ns: i64) -> bool {
        self.author(at_ns).is_none()
    }

    /// Returns the part of the loop that may have written a file that changed
    /// at this time, or `None` if only a person can have.
    fn author(&self, at_ns: i64) -> Option<Author> {
        let until = |end: Option<i64>| end.unwrap_or(i64::MAX);
        let building = self.building?;
        if at_ns < building || at_ns > until(self.ended) {
            None
        } else if at_ns <= until(self.built) {
            Some(Author::Build)
        } else {
            Some(Author::Roles)
        }
    }
}

/// A changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    /// Time of the change, in nanoseconds since 1970.
    pub(crate) at_ns: i64,
    /// True if the file was created or removed.
    pub(crate) comes_or_goes: bool,
    /// True if the file is compiled or configures the build.
    pub(crate) is_source: bool,
}

/// Decision about changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Decision {
    /// Files that begin a loop.
    pub(crate) counted: Vec<PathBuf>,
    /// Files that begin a loop after the build and were probably saved by a
    /// person.
    pub(crate) announced: Vec<PathBuf>,
    /// Files whose change is ignored.
    pub(crate) forgotten: Vec<PathBuf>,
    /// Files to be named as written by the loop, by author.
    pub(crate) named: BTreeMap<Author, Vec<PathBuf>>,
}

/// Identifies a file over several changes. Temporary files have a new name
/// every time, and are identified by their folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    File(PathBuf),
    In(PathBuf),
}

/// Knowledge about the authors of files.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// Files that changed while nothing ran.
    saved: BTreeSet<PathBuf>,
    /// Number of consecutive loops that changes during a loop have begun, since
    /// the last save by a person.
    row: BTreeMap<Key, (u32, Author)>,
    /// Files that loops write.
    written: BTreeSet<Key>,
}

impl Origins {
    /// Returns true if a loop writes this file.
    pub(crate) fn is_written(&self, path: &Path) -> bool {
        let file = Key::File(path.to_owned());
        self.written.contains(&file)
    }

    /// Decides about all changes since the loop began or since a decision
    /// ignored them. `runs_at_build` is true if the build runs code of the
    /// workspace.
    pub(crate) fn next(
        &mut self,
        changes: &[Change],
        spans: Spans,
        runs_at_build: bool,
    ) -> Decision {
        let mut decision = Decision::default();
        let mut begun = Vec::new();
        let mut suspicious = false;
        for change in changes {
            let path = &change.path;
            let Some(author) = spans.author(change.at_ns) else {
                self.save(path);
                decision.counted.push(path.clone());
                continue;
            };
            let keys = change.keys();
            // Cargo writes the lock file before it compiles anything.
            let is_lock = author == Author::Build && path.ends_with(LOCK_FILE);
            if is_lock || keys.iter().any(|key| self.written.contains(key)) {
                decision.forgotten.push(path.clone());
                continue;
            }
            let is_saved = self.saved.contains(path);
            let may_build_write = author == Author::Build && runs_at_build;
            let many = is_saved
                || match author {
                    Author::Build => !runs_at_build,
                    Author::Roles => change.is_source,
                };
            let limit = if many { MORE } else { FEW };
            if keys.iter().any(|key| self.count(key) >= limit) {
                self.written.extend(keys);
                decision.forgotten.push(path.clone());
                decision.named.entry(author).or_default().push(path.clone());
                suspicious |= may_build_write;
            } else if may_build_write && spans.are_building() {
                decision.announced.extend(is_saved.then(|| path.clone()));
            } else {
                begun.push((keys, author));
                decision.counted.push(path.clone());
            }
        }
        if decision.counted.len() > begun.len() {
            self.row.clear();
        }
        for (keys, author) in begun {
            for key in keys {
                self.row.entry(key).or_insert((0, author)).0 += 1;
            }
        }
        if suspicious {
            self.suspect_build();
        }
        decision
    }

    fn count(&self, key: &Key) -> u32 {
        self.row.get(key).map_or(0, |(count, _)| *count)
    }

    /// Records a save by a person, which overrides earlier conclusions.
    fn save(&mut self, path: &Path) {
        if !self.written.remove(&Key::File(path.to_owned())) {
            self.saved.insert(path.to_owned());
        }
    }

    /// Attributes other files that began loops in this row to the build: a
    /// build script may write different files in turn.
    fn suspect_build(&mut self) {
        let row = self.row.iter();
        let by_build = row.filter(|(_, (_, author))| *author == Author::Build);
        let files = by_build.filter(|(key, _)| match key {
            Key::File(path) => !self.saved.contains(path),
            Key::In(_) => false,
        });
        let files: Vec<Key> = files.map(|(key, _)| key.clone()).collect();
        self.written.extend(files);
    }
}

impl Change {
    fn keys(&self) -> Vec<Key> {
        let folder = self.path.parent().filter(|_| self.comes_or_goes);
        let file = Key::File(self.path.clone());
        let folder = folder.map(|folder| Key::In(folder.to_owned()));
        std::iter::once(file).chain(folder).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A loop with a build of one second, and another second of running roles.
    const LOOP: Spans = Spans {
        building: Some(SECOND),
        built: None,
        ended: None,
    };
    const SECOND: i64 = 1_000_000_000;
    const BUILT: Spans = Spans {
        built: Some(2 * SECOND),
        ..LOOP
    };
    const ENDED: Spans = Spans {
        ended: Some(3 * SECOND),
        ..BUILT
    };

    fn change(path: &str, at_ns: i64) -> Change {
        Change {
            path: path.into(),
            at_ns,
            comes_or_goes: false,
            is_source: Path::new(path).extension().is_some_and(|it| it == "rs"),
        }
    }

    fn by_build(path: &str) -> [Change; 1] {
        [change(path, SECOND + 1)]
    }

    fn by_roles(path: &str) -> [Change; 1] {
        [change(path, 2 * SECOND + 1)]
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    /// Summarises a decision about one change.
    fn summary(decision: &Decision) -> &'static str {
        match decision {
            it if !it.named.is_empty() => "named",
            it if !it.counted.is_empty() => "counted",
            it if !it.announced.is_empty() => "announced",
            it if !it.forgotten.is_empty() => "forgotten",
            _ => "held",
        }
    }

    #[test]
    fn a_change_is_attributed_by_its_time() {
        assert_eq!(Spans::default().author(5), None);
        assert_eq!(LOOP.author(SECOND / 2), None);
        assert_eq!(LOOP.author(9 * SECOND), Some(Author::Build));
        assert_eq!(BUILT.author(2 * SECOND), Some(Author::Build));
        assert_eq!(BUILT.author(9 * SECOND), Some(Author::Roles));
        assert_eq!(ENDED.author(3 * SECOND), Some(Author::Roles));
        assert_eq!(ENDED.author(3 * SECOND + 1), None);
        let failed = Spans {
            built: None,
            ..ENDED
        };
        assert_eq!(failed.author(3 * SECOND), Some(Author::Build));
    }

    #[test]
    fn files_of_a_build_are_named_the_second_time() {
        let mut origins = Origins::default();
        for expected in ["held", "counted", "named", "forgotten", "forgotten"] {
            let spans = if expected == "counted" { BUILT } else { LOOP };
            let decision = origins.next(&by_build("made.rs"), spans, true);
            assert_eq!(summary(&decision), expected);
        }
        // A save counts, and the build overwrites it again.
        let mut decisions = Vec::new();
        for _ in 0..3 {
            let decision = origins.next(&[change("made.rs", 9 * SECOND)], ENDED, true);
            assert_eq!(summary(&decision), "counted");
            decisions.push(summary(&origins.next(&by_build("made.rs"), BUILT, true)));
            decisions.push(summary(&origins.next(&by_build("made.rs"), BUILT, true)));
        }
        assert_eq!(decisions, ["counted", "named"].repeat(3));
    }

    #[test]
    fn saves_supersede_a_build_without_code() {
        let mut origins = Origins::default();
        for expected in ["counted", "counted", "counted", "named"] {
            let decision = origins.next(&by_build("a.rs"), LOOP, false);
            assert_eq!(summary(&decision), expected);
        }
        // A file that was saved before is announced if the build runs code.
        let saved = origins.next(&[change("b.rs", 9 * SECOND)], ENDED, true);
        assert_eq!(summary(&saved), "counted");
        assert_eq!(
            summary(&origins.next(&by_build("b.rs"), LOOP, true)),
            "announced"
        );
        assert_eq!(
            summary(&origins.next(&by_build("b.rs"), BUILT, true)),
            "counted"
        );
    }

    #[test]
    fn alternating_files_of_a_build_are_named() {
        let mut origins = Origins::default();
        for (path, expected) in [
            ("a.rs", "counted"),
            ("b.rs", "counted"),
            ("a.rs", "named"),
            ("b.rs", "forgotten"),
        ] {
            let decision = origins.next(&by_build(path), BUILT, true);
            assert_eq!(summary(&decision), expected, "{path}");
        }
    }

    #[test]
    fn a_role_begins_no_loop_twice_in_a_row() {
        let mut origins = Origins::default();
        for expected in ["counted", "named", "forgotten"] {
            let decision = origins.next(&by_roles("out.txt"), BUILT, false);
            assert_eq!(summary(&decision), expected);
        }
        let decision = origins.next(&by_roles("other.txt"), ENDED, false);
        assert_eq!(decision.counted, paths(&["other.txt"]));
    }

    #[test]
    fn temporary_files_are_known_by_their_folder() {
        let mut origins = Origins::default();
        for (number, expected) in ["counted", "named", "forgotten"].into_iter().enumerate() {
            let mut made = change(&format!("out/{number}.txt"), 2 * SECOND + 1);
            made.comes_or_goes = true;
            assert_eq!(summary(&origins.next(&[made], BUILT, true)), expected);
        }
        let decision = origins.next(&by_roles("out/old.txt"), BUILT, true);
        assert_eq!(summary(&decision), "counted", "it was there before");
    }

    #[test]
    fn the_lock_file_is_written_by_the_first_build() {
        let mut origins = Origins::default();
        for runs_at_build in [true, false] {
            let decision = origins.next(&by_build("w/Cargo.lock"), LOOP, runs_at_build);
            assert_eq!(summary(&decision), "forgotten");
        }
        let decision = origins.next(&by_roles("w/Cargo.lock"), BUILT, true);
        assert_eq!(summary(&decision), "counted", "a person updated it");
    }

    proptest! {
        /// Loops begin a bounded number of loops, regardless of the files they
        /// write.
        #[test]
        fn loops_begin_few_loops(
            writes in prop::collection::vec((0..3_usize, any::<bool>(), any::<bool>()), 40),
            runs_at_build: bool,
        ) {
            let mut origins = Origins::default();
            let mut loops = 0;
            for (file, by_build, comes_or_goes) in writes {
                let at_ns = if by_build { SECOND + 1 } else { 2 * SECOND + 1 };
                let mut change = change(["a.rs", "b.txt", "c/d.txt"][file], at_ns);
                change.comes_or_goes = comes_or_goes;
                let decision = origins.next(&[change], ENDED, runs_at_build);
                loops += decision.counted.len();
            }
            prop_assert!(loops <= 3 * MORE as usize, "{} loops", loops);
        }

        /// A save while nothing runs always begins a loop.
        #[test]
        fn saves_always_count(writes in prop::collection::vec((0..2_usize, 0..10_i64), 40)) {
            let mut origins = Origins::default();
            for (file, at) in writes {
                let path = ["a.rs", "b.txt"][file];
                let decision = origins.next(&[change(path, at * SECOND)], ENDED, true);
                let is_saved = ENDED.author(at * SECOND).is_none();
                prop_assert!(!is_saved || decision.counted == paths(&[path]));
            }
        }
    }
}
