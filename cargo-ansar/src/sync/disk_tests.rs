//! Scan, plan and apply together, on real folders.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::host::fs;
use crate::sync::apply;
use crate::sync::apply::{Roots, apply};
use crate::sync::generators;
use crate::sync::generators::{Case, Tree, case, file};
use crate::sync::manifest::{Entry, Manifest, Other};
use crate::sync::path::RelPath;
use crate::sync::plan::{Plan, Take, next_last, plan};
use crate::sync::scan::{scan, scan_against};

/// A source, a home and a folder for kept files, beside a file that must not
/// change.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(source: &Tree, home: &Tree) -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        generators::write(&bench.at("source"), source);
        generators::write(&bench.at("home"), home);
        std::fs::write(bench.at("beside"), b"untouched").unwrap();
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn plan(&self, last: &Manifest, take: Option<Take>) -> (Manifest, Plan) {
        let source = scan(&self.at("source"), None).unwrap().manifest;
        let home = scan_against(&self.at("home"), None, &[&source, last]);
        let plan = plan(&source, &home.unwrap().manifest, last, take);
        (source, plan)
    }

    fn apply(&self, plan: &Plan) -> Result<(), apply::Error> {
        let (source, target, kept) = (self.at("source"), self.at("home"), self.at("kept"));
        apply(
            plan,
            Roots {
                source: &source,
                target: &target,
                kept: &kept,
            },
        )
    }

    fn home(&self) -> Tree {
        content(&scan(&self.at("home"), None).unwrap().manifest)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let at = self.at(name);
        fs::make_private_folders(at.parent().unwrap()).unwrap();
        std::fs::write(at, bytes).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Removing a temporary folder fails on read-only folders.
        let _ = fs::remove_tree(self.folder.path());
    }
}

/// A tree without stamps.
fn content(manifest: &Manifest) -> Tree {
    let mut tree = generators::tree(manifest);
    for entry in tree.values_mut() {
        if let Entry::File(file) = entry {
            file.stamp = fs::Stamp::default();
        }
    }
    tree
}

/// Returns the home that a plan leads to if no process writes to it. The pure
/// tests cover the plan; this one checks that the disk agrees.
fn expected(case: &Case, plan: &Plan) -> Tree {
    let mut home = case.home.clone();
    for step in &plan.steps {
        use crate::sync::plan::Action;
        match &step.action {
            Action::Keep => {}
            Action::Clear | Action::Remove { .. } | Action::RemoveFolder => {
                home.remove(&step.path);
            }
            Action::MakeFolder { mode } => {
                home.insert(step.path.clone(), Entry::Folder { mode: *mode });
            }
            Action::Place { .. } | Action::Link { .. } => {
                home.insert(step.path.clone(), case.source[&step.path].clone());
            }
            Action::Mode { mode: new } => match home.get_mut(&step.path) {
                Some(Entry::Folder { mode }) => *mode = *new,
                Some(Entry::File(file)) => file.mode = *new,
                _ => panic!("{step:?}"),
            },
        }
    }
    home
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn disk_matches_the_plan(case in case()) {
        let bench = Bench::new(&case.source, &case.home);
        prop_assert_eq!(bench.home(), case.home.clone());
        let last = generators::manifest(&case.last);
        let (source, plan) = bench.plan(&last, case.take);
        bench.apply(&plan).unwrap();
        let after = bench.home();
        prop_assert_eq!(&after, &expected(&case, &plan));
        prop_assert!(!after.values().any(|entry| *entry == Entry::Other(Other::Alias)));

        let last = next_last(&source, &last, &plan);
        let (_, again) = bench.plan(&last, case.take);
        prop_assert!(again.is_empty(), "{:?}", again);
        prop_assert_eq!(again.conflicts, plan.conflicts);

        prop_assert_eq!(bench.read("beside"), "untouched");
        prop_assert_eq!(content(&scan(&bench.at("source"), None).unwrap().manifest), case.source);
        let mut beside: Vec<_> = std::fs::read_dir(bench.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "kept")
            .collect();
        beside.sort();
        prop_assert_eq!(beside, ["beside", "home", "source"]);
    }
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

#[test]
fn missing_home_is_made_private() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/model", b"1");
    std::fs::remove_dir(bench.at("home")).unwrap();
    let (_, plan) = bench.plan(&Manifest::default(), None);
    bench.apply(&plan).unwrap();
    assert_eq!(bench.read("home/model"), "1");
    assert_eq!(fs::stat(&bench.at("home")).unwrap().mode, 0o700);
}

#[test]
fn placed_file_is_known_until_it_is_written() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/model", b"bytes");
    let (source, plan) = bench.plan(&Manifest::default(), None);
    let (from, target, kept) = (bench.at("source"), bench.at("home"), bench.at("kept"));
    let roots = Roots {
        source: &from,
        target: &target,
        kept: &kept,
    };
    let placed = apply::Staging::begin(&plan, roots, &|_| {})
        .unwrap()
        .finish();
    let [(at, Entry::File(file))] = &placed.unwrap()[..] else {
        panic!("one file was placed");
    };
    let look = || fs::stat(&bench.at("home/model")).unwrap();
    assert_eq!(*at, path("model"));
    let entry = Entry::File(file.clone());
    assert_eq!(source.get(at).unwrap().difference(&entry), None);
    assert!(file.stamp.matches(&look()));
    let mut aged = file.stamp;
    aged.settled = true;
    // Until the clock has advanced.
    while aged.vouches_for(&look()) {
        std::fs::write(bench.at("home/model"), b"other").unwrap();
    }
}

#[test]
fn kept_copies_are_never_overwritten() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/folder/model", b"theirs");
    for own in ["first", "second"] {
        bench.write("home/folder/model", own.as_bytes());
        let (_, plan) = bench.plan(&Manifest::default(), Some(Take::Snapshot));
        bench.apply(&plan).unwrap();
        assert_eq!(bench.read("home/folder/model"), "theirs");
    }
    assert_eq!(bench.read("kept/folder/model"), "first");
    assert_eq!(bench.read("kept/folder/model.1"), "second");
}

#[test]
fn file_written_after_the_plan_is_not_overwritten() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/model", b"new");
    bench.write("source/other", b"new");
    bench.write("home/model", b"old");
    let last = scan(&bench.at("home"), None).unwrap().manifest;
    let (_, plan) = bench.plan(&last, None);
    bench.write("home/model", b"saved while stopping");
    let error = bench.apply(&plan).unwrap_err();
    assert!(
        matches!(error, apply::Error::TargetChanged { .. }),
        "{error}"
    );
    assert_eq!(bench.read("home/model"), "saved while stopping");
    assert!(!bench.at("home/other").exists(), "nothing else was done");
    assert_eq!(bench.home().len(), 1, "and no alias is left");
    assert_eq!(bench.plan(&last, None).1.conflicts.len(), 1);
}

#[test]
fn file_created_after_the_plan_is_not_overwritten() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/model", b"new");
    let (_, plan) = bench.plan(&Manifest::default(), None);
    bench.write("home/model", b"own");
    assert!(bench.apply(&plan).is_err());
    assert_eq!(bench.read("home/model"), "own");
}

#[test]
fn source_that_changed_after_the_plan_changes_nothing() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/a", b"one");
    bench.write("source/b", b"one");
    let (_, plan) = bench.plan(&Manifest::default(), None);
    bench.write("source/b", b"two");
    let error = bench.apply(&plan).unwrap_err();
    assert!(
        matches!(error, apply::Error::SourceChanged { .. }),
        "{error}"
    );
    std::fs::remove_file(bench.at("source/b")).unwrap();
    assert!(bench.apply(&plan).is_err());
    assert!(bench.home().is_empty());
}

#[test]
fn folder_that_became_a_link_leads_nowhere() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/folder/model", b"new");
    fs::make_private_folders(&bench.at("home/folder")).unwrap();
    fs::make_private_folders(&bench.at("victim")).unwrap();
    let (_, plan) = bench.plan(&Manifest::default(), None);
    std::fs::remove_dir(bench.at("home/folder")).unwrap();
    fs::place_link(&bench.at("home/folder"), Path::new("../victim")).unwrap();
    let error = bench.apply(&plan).unwrap_err();
    assert!(
        matches!(error, apply::Error::TargetChanged { .. }),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(bench.at("victim")).unwrap().count(), 0);
}

#[test]
fn touching_every_file_deploys_nothing() {
    let tree = Tree::from([
        (path("a"), Entry::Folder { mode: 0o755 }),
        (path("a/file"), file(1, 0o644)),
    ]);
    let bench = Bench::new(&tree, &tree);
    let last = scan(&bench.at("source"), None).unwrap().manifest;
    let bytes = fs::read(&bench.at("source/a/file")).unwrap();
    fs::replace(&bench.at("source/a/file"), &bytes, 0o644).unwrap();
    fs::replace(&bench.at("home/a/file"), &bytes, 0o644).unwrap();
    assert!(bench.plan(&last, None).1.is_empty());
}

#[test]
fn only_the_nine_permission_bits_are_deployed() {
    let bench = Bench::new(&Tree::new(), &Tree::new());
    bench.write("source/tool", b"1");
    let set_user_id = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(bench.at("source/tool"), set_user_id).unwrap();
    let (_, plan) = bench.plan(&Manifest::default(), None);
    bench.apply(&plan).unwrap();
    let metadata = std::fs::metadata(bench.at("home/tool")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
}
