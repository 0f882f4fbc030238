//! The rules of the plan, one test each.

use crate::sync::generators;
use crate::sync::generators::{Tree, edit, file, manifest};
use crate::sync::manifest::Other;
use crate::sync::plan::*;

fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

fn tree(entries: &[(&str, Entry)]) -> Tree {
    let mut tree = Tree::new();
    for (text, entry) in entries {
        edit(&mut tree, (path(text), Some(entry.clone())));
    }
    tree
}

const FOLDER: Entry = Entry::Folder { mode: 0o755 };

fn link(target: &str) -> Entry {
    Entry::Link {
        target: target.into(),
    }
}

/// Source, home and last deploy.
struct Sides(Tree, Tree, Tree);

impl Sides {
    fn plan(&self, take: Option<Take>) -> Plan {
        plan(
            &manifest(&self.0),
            &manifest(&self.1),
            &manifest(&self.2),
            take,
        )
    }

    #[track_caller]
    fn steps(&self, take: Option<Take>, expected: &[&str]) -> Plan {
        let plan = self.plan(take);
        let steps: Vec<_> = plan.steps.iter().map(line).collect();
        assert_eq!(steps, expected);
        plan
    }

    #[track_caller]
    fn conflict(&self, at: &str, why: Why) {
        let plan = self.steps(None, &[]);
        let expected = Conflict {
            path: path(at),
            why,
        };
        assert_eq!(plan.conflicts, std::slice::from_ref(&expected));
        let taken = self.steps(Some(Take::Home), &[]);
        assert_eq!(taken.settled, [expected]);
        assert!(taken.conflicts.is_empty());
    }
}

fn line(step: &Step) -> String {
    let verb = match &step.action {
        Action::Clear => "clear",
        Action::Keep => "keep",
        Action::Remove { .. } => "remove",
        Action::RemoveFolder => "remove folder",
        Action::MakeFolder { .. } => "make",
        Action::Place { .. } => "place",
        Action::Link { .. } => "link",
        Action::Mode { mode } => return format!("mode {mode:o} {}: {}", step.path, step.reason),
    };
    format!("{verb} {}: {}", step.path, step.reason)
}

#[test]
fn equal_sides_need_nothing_even_when_never_recorded() {
    let both = tree(&[("a/file", file(1, 0o644)), ("link", link("a"))]);
    Sides(both.clone(), both.clone(), Tree::new()).steps(None, &[]);
}

#[test]
fn new_things_are_placed_after_their_folders() {
    let source = tree(&[
        ("a/b/file", file(1, 0o644)),
        ("a/empty", FOLDER),
        ("link", link("a")),
    ]);
    Sides(source, Tree::new(), Tree::new()).steps(
        None,
        &[
            "make a: new",
            "make a/b: new",
            "make a/empty: new",
            "place a/b/file: new",
            "link link: new",
        ],
    );
}

#[test]
fn update_says_what_differs() {
    let last = tree(&[
        ("a", file(1, 0o644)),
        ("b", file(1, 0o644)),
        ("c", link("a")),
    ]);
    let source = tree(&[
        ("a", file(2, 0o644)),
        ("b", file(1, 0o600)),
        ("c", link("b")),
    ]);
    Sides(source, last.clone(), last).steps(
        None,
        &[
            "place a: bytes differ",
            "link c: link target differs",
            "mode 600 b: mode differs",
        ],
    );
}

#[test]
fn removal_goes_from_the_inside_out() {
    let last = tree(&[("a/b/file", file(1, 0o644)), ("a/link", link("b"))]);
    Sides(Tree::new(), last.clone(), last).steps(
        None,
        &[
            "remove a/link: removed from the snapshot",
            "remove a/b/file: removed from the snapshot",
            "remove folder a/b: removed from the snapshot",
            "remove folder a: removed from the snapshot",
        ],
    );
}

#[test]
fn file_becomes_a_folder_and_back() {
    let one = tree(&[("a", file(1, 0o644))]);
    let two = tree(&[("a/file", file(1, 0o644))]);
    Sides(two.clone(), one.clone(), one.clone()).steps(
        None,
        &[
            "remove a: replaced by another kind",
            "make a: kind differs",
            "place a/file: new",
        ],
    );
    Sides(one, two.clone(), two).steps(
        None,
        &[
            "remove a/file: removed from the snapshot",
            "remove folder a: replaced by another kind",
            "place a: kind differs",
        ],
    );
}

#[test]
fn file_becomes_a_link_in_one_step() {
    let last = tree(&[("a", file(1, 0o644)), ("b", file(1, 0o644))]);
    let source = tree(&[("a", link("b")), ("b", file(1, 0o644))]);
    Sides(source, last.clone(), last).steps(None, &["link a: kind differs"]);
}

#[test]
fn changes_of_the_role_are_left_alone() {
    let last = tree(&[("changed", file(1, 0o644)), ("removed", file(1, 0o644))]);
    let home = tree(&[("changed", file(2, 0o644)), ("made/own", file(3, 0o644))]);
    let plan = Sides(last.clone(), home, last.clone()).steps(None, &[]);
    assert!(plan.conflicts.is_empty());
    assert_eq!(
        next_last(&manifest(&last), &manifest(&last), &plan),
        manifest(&last)
    );
}

#[test]
fn change_on_both_sides_is_a_repeated_conflict() {
    let last = tree(&[("a", file(1, 0o644))]);
    let (source, home) = (
        tree(&[("a", file(2, 0o644))]),
        tree(&[("a", file(3, 0o644))]),
    );
    let sides = Sides(source.clone(), home.clone(), last.clone());
    sides.conflict("a", Why::BothChanged);
    let recorded = |take| next_last(&manifest(&source), &manifest(&last), &sides.plan(take));
    assert_eq!(recorded(None), manifest(&last));
    assert_eq!(recorded(Some(Take::Home)), manifest(&source));
    let after = Sides(
        source.clone(),
        home,
        generators::tree(&recorded(Some(Take::Home))),
    );
    assert!(after.plan(None).conflicts.is_empty(), "it was decided");
}

#[test]
fn equal_change_on_both_sides_is_no_conflict() {
    let last = tree(&[("a", file(1, 0o644))]);
    let both = tree(&[("a", file(2, 0o644))]);
    let plan = Sides(both.clone(), both.clone(), last.clone()).steps(None, &[]);
    assert_eq!(
        next_last(&manifest(&both), &manifest(&last), &plan),
        manifest(&both)
    );
}

#[test]
fn own_file_is_never_overwritten_by_a_new_one() {
    let (source, home) = (
        tree(&[("a", file(1, 0o644))]),
        tree(&[("a", file(2, 0o644))]),
    );
    Sides(source, home, Tree::new()).conflict("a", Why::BothMade);
}

#[test]
fn changed_file_is_never_removed() {
    let (last, home) = (
        tree(&[("a", file(1, 0o644))]),
        tree(&[("a", file(2, 0o644))]),
    );
    Sides(Tree::new(), home, last).conflict("a", Why::RemovedFromSnapshot);
}

#[test]
fn taking_the_snapshot_keeps_copies() {
    let last = tree(&[
        ("a", file(1, 0o644)),
        ("b", file(1, 0o644)),
        ("c", file(1, 0o644)),
    ]);
    let source = tree(&[("a", file(2, 0o644)), ("c", file(1, 0o644))]);
    let home = tree(&[
        ("a", file(3, 0o644)),
        ("b", file(4, 0o644)),
        ("own", file(5, 0o644)),
    ]);
    Sides(source, home, last).steps(
        Some(Take::Snapshot),
        &[
            "keep a: the snapshot was taken",
            "keep b: the snapshot was taken",
            "remove b: the snapshot was taken",
            "place a: the snapshot was taken",
            "place c: removed from the home, and the snapshot was taken",
        ],
    );
}

#[test]
fn removed_file_returns_when_the_snapshot_changes_it() {
    let (last, source) = (
        tree(&[("a", file(1, 0o644))]),
        tree(&[("a", file(2, 0o644))]),
    );
    Sides(source, Tree::new(), last).steps(None, &["place a: bytes differ"]);
}

#[test]
fn folder_with_own_files_is_not_removed() {
    let last = tree(&[("a/file", file(1, 0o644))]);
    let mut home = last.clone();
    edit(&mut home, (path("a/own"), Some(file(2, 0o644))));
    let sides = Sides(Tree::new(), home, last.clone());
    let plan = sides.steps(None, &["remove a/file: removed from the snapshot"]);
    let recorded = next_last(&Manifest::default(), &manifest(&last), &plan);
    assert_eq!(recorded, manifest(&tree(&[("a", FOLDER)])));
    Sides(
        Tree::new(),
        tree(&[("a", FOLDER)]),
        generators::tree(&recorded),
    )
    .steps(None, &["remove folder a: removed from the snapshot"]);
}

#[test]
fn folder_with_own_files_does_not_make_way() {
    let last = tree(&[("a/file", file(1, 0o644))]);
    let mut home = last.clone();
    edit(&mut home, (path("a/own"), Some(file(2, 0o644))));
    let sides = Sides(tree(&[("a", file(3, 0o644))]), home, last);
    sides.conflict("a", Why::FolderHoldsOwn);
    sides.steps(
        Some(Take::Snapshot),
        &[
            "keep a/own: the snapshot was taken",
            "remove a/own: the snapshot was taken",
            "remove a/file: the snapshot was taken",
            "remove folder a: replaced by another kind",
            "place a: the snapshot was taken",
        ],
    );
}

#[test]
fn folder_replaced_by_a_file_is_a_conflict() {
    let last = tree(&[("a/file", file(1, 0o644))]);
    let home = tree(&[("a", file(2, 0o644))]);
    let mut source = last.clone();
    edit(&mut source, (path("a/new"), Some(file(3, 0o644))));
    let sides = Sides(source, home.clone(), last.clone());
    sides.conflict("a", Why::FolderReplaced);
    sides.steps(
        Some(Take::Snapshot),
        &[
            "keep a: the snapshot was taken",
            "remove a: replaced by another kind",
            "make a: the snapshot was taken",
            "place a/file: the snapshot was taken",
            "place a/new: the snapshot was taken",
        ],
    );
    Sides(last.clone(), home, last).steps(None, &[]);
}

#[test]
fn removed_folder_is_created_again_for_new_files() {
    let last = tree(&[("a/file", file(1, 0o644))]);
    let mut source = last.clone();
    edit(&mut source, (path("a/new"), Some(file(3, 0o644))));
    Sides(source, Tree::new(), last).steps(
        None,
        &[
            "make a: removed from the home, and needed again",
            "place a/new: new",
        ],
    );
}

#[test]
fn folder_modes_are_deployed_but_never_a_conflict() {
    let folder = |mode| tree(&[("a", Entry::Folder { mode })]);
    Sides(folder(0o700), folder(0o755), folder(0o755)).steps(None, &["mode 700 a: mode differs"]);
    let plan = Sides(folder(0o700), folder(0o750), folder(0o755)).steps(None, &[]);
    assert!(plan.conflicts.is_empty());
    Sides(folder(0o700), folder(0o750), Tree::new()).steps(None, &[]);
}

#[test]
fn read_only_folder_is_opened_and_closed_again() {
    let with = |content| {
        let mut tree = tree(&[("a/file", file(content, 0o644))]);
        tree.insert(path("a"), Entry::Folder { mode: 0o555 });
        tree
    };
    Sides(with(2), with(1), with(1)).steps(
        None,
        &[
            "mode 755 a: opened for what changes inside",
            "place a/file: bytes differ",
            "mode 555 a: opened for what changes inside",
        ],
    );
    Sides(with(1), Tree::new(), Tree::new()).steps(
        None,
        &["make a: new", "place a/file: new", "mode 555 a: new"],
    );
}

#[test]
fn refused_source_keeps_the_deployed_file_and_record() {
    let last = tree(&[("a/file", file(1, 0o644))]);
    let source = tree(&[("a", Entry::Other(Other::LinkOutside))]);
    let plan = Sides(source.clone(), last.clone(), last.clone()).steps(None, &[]);
    assert_eq!(
        next_last(&manifest(&source), &manifest(&last), &plan),
        manifest(&last)
    );
}

#[test]
fn entry_of_another_kind_is_a_conflict() {
    let source = tree(&[("a", file(1, 0o644))]);
    for other in [Other::LinkOutside, Other::Socket] {
        let home = tree(&[("a", Entry::Other(other))]);
        Sides(source.clone(), home, Tree::new()).conflict("a", Why::BothMade);
    }
}

#[test]
fn leftover_is_cleared_and_holds_no_folder() {
    let last = tree(&[("a", FOLDER)]);
    let mut home = last.clone();
    edit(
        &mut home,
        (path("a/alias"), Some(Entry::Other(Other::Alias))),
    );
    Sides(Tree::new(), home, last).steps(
        None,
        &[
            "clear a/alias: left by a killed deploy",
            "remove folder a: removed from the snapshot",
        ],
    );
}
