//! Random trees for tests, in memory and on disk.
//!
//! A case is a deployed tree with edits in the snapshot and edits by the home's
//! role, because independent trees would have nothing in common.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::host::fs;
use crate::host::fs::{Hash, Stamp};
use crate::sync::manifest::{Entry, File, Manifest, Other};
use crate::sync::path::RelPath;
use crate::sync::plan::Take;

/// Entries by path; the folder of every entry is included.
pub(crate) type Tree = BTreeMap<RelPath, Entry>;

/// Inputs of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) source: Tree,
    pub(crate) home: Tree,
    pub(crate) last: Tree,
    pub(crate) take: Option<Take>,
}

type Edit = (RelPath, Option<Entry>);

/// Sets an entry, creating the folders it needs and removing what is in its
/// way; `None` removes it.
pub(crate) fn edit(tree: &mut Tree, (path, entry): Edit) {
    let is_folder = entry.as_ref().is_some_and(Entry::is_folder);
    if !is_folder || !tree.get(&path).is_some_and(Entry::is_folder) {
        tree.retain(|other, _| !other.is_below(&path));
    }
    let Some(entry) = entry else {
        tree.remove(&path);
        return;
    };
    let mut folder = path.folder();
    while let Some(one) = folder {
        folder = one.folder();
        if !tree.get(&one).is_some_and(Entry::is_folder) {
            tree.insert(one, Entry::Folder { mode: 0o755 });
        }
    }
    tree.insert(path, entry);
}

/// Returns the content of a file, which can be recovered from its hash.
fn bytes(content: u8) -> Vec<u8> {
    vec![content; 1 + usize::from(content % 3)]
}

pub(crate) fn file(content: u8, mode: u32) -> Entry {
    let bytes = bytes(content);
    Entry::File(File {
        hash: Some(Hash::of(&bytes)),
        size: bytes.len() as u64,
        mode,
        stamp: Stamp::default(),
    })
}

pub(crate) fn manifest(tree: &Tree) -> Manifest {
    tree.iter()
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect()
}

pub(crate) fn tree(manifest: &Manifest) -> Tree {
    manifest
        .iter()
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect()
}

/// Returns the home as [`scan_against`](crate::sync::scan::scan_against)
/// describes it: without the hashes of files that it does not read.
pub(crate) fn unread(home: &Tree, others: [&Tree; 2]) -> Manifest {
    let size = |tree: &Tree, path: &RelPath| match tree.get(path) {
        Some(Entry::File(file)) => Some(file.size),
        _ => None,
    };
    home.iter()
        .map(|(path, entry)| {
            let mut entry = entry.clone();
            if let Entry::File(file) = &mut entry {
                let mut sizes = others.iter().map(|other| size(other, path));
                if sizes.all(|size| size != Some(file.size)) {
                    file.hash = None;
                }
            }
            (path.clone(), entry)
        })
        .collect()
}

/// Creates a tree on disk; `root` must not exist.
pub(crate) fn write(root: &Path, tree: &Tree) {
    fs::make_private_folders(root).unwrap();
    for (path, entry) in tree {
        let at = path.under(root);
        match entry {
            Entry::Folder { .. } => fs::make_private_folders(&at).unwrap(),
            Entry::Link { target } => fs::place_link(&at, target).unwrap(),
            Entry::Other(Other::LinkOutside) => {
                fs::place_link(&at, Path::new("/etc/passwd")).unwrap();
            }
            Entry::Other(Other::Alias) => std::fs::write(&at, b"torn").unwrap(),
            Entry::Other(_) => {
                nix::unistd::mkfifo(&at, nix::sys::stat::Mode::S_IRWXU).unwrap();
            }
            Entry::File(file) => {
                let content = (0..=u8::MAX)
                    .map(bytes)
                    .find(|bytes| Some(Hash::of(bytes)) == file.hash)
                    .unwrap();
                std::fs::write(&at, content).unwrap();
                fs::set_mode(&at, file.mode).unwrap();
            }
        }
    }
    for (path, entry) in tree.iter().rev() {
        if let Entry::Folder { mode } = entry {
            fs::set_mode(&path.under(root), *mode).unwrap();
        }
    }
}

/// Generates a case.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let edits = |most| prop::collection::vec((path(), entry()), 0..most);
    let take = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Take::Snapshot)),
        1 => Just(Some(Take::Home)),
    ];
    let nth = prop_oneof![3 => Just(None), 1 => (0_usize..8).prop_map(Some)];
    let modes = [nth.clone(), nth];
    let forgotten = prop::bool::weighted(0.1);
    (
        edits(10),
        edits(6),
        edits(6),
        take,
        forgotten,
        any::<[bool; 2]>(),
        modes,
    )
        .prop_map(
            |(base, by_owner, by_role, take, forgotten, aliases, [owner_modes, role_modes])| {
                let mut last = Tree::new();
                // Entries that cannot be deployed were not.
                for (path, entry) in base {
                    if !matches!(entry, Some(Entry::Other(_))) {
                        edit(&mut last, (path, entry));
                    }
                }
                let (mut source, mut home) = (last.clone(), last.clone());
                for one in by_owner {
                    edit(&mut source, one);
                }
                for one in by_role {
                    edit(&mut home, one);
                }
                change_modes(&mut source, owner_modes);
                change_modes(&mut home, role_modes);
                if forgotten {
                    last.clear();
                }
                add_aliases(&mut home, aliases);
                Case {
                    source,
                    home,
                    last,
                    take,
                }
            },
        )
}

/// Changes the permissions of the nth entry.
fn change_modes(tree: &mut Tree, nth: Option<usize>) {
    match nth.and_then(|nth| tree.values_mut().nth(nth)) {
        Some(Entry::File(file)) => file.mode ^= 0o044,
        Some(Entry::Folder { mode }) => *mode ^= 0o220,
        _ => {}
    }
}

fn add_aliases(home: &mut Tree, [top, deep]: [bool; 2]) {
    let name = ".ansar-alias-0123456789abcdef0123456789abcdef";
    let folder = home.iter().find(|(_, entry)| entry.is_folder());
    let inside = folder.map(|(path, _)| RelPath::parse(path.as_path().join(name)).unwrap());
    let paths = [
        top.then(|| RelPath::parse(name).unwrap()),
        inside.filter(|_| deep),
    ];
    for path in paths.into_iter().flatten() {
        home.insert(path, Entry::Other(Other::Alias));
    }
}

fn path() -> impl Strategy<Value = RelPath> {
    let name = prop_oneof![
        4 => Just(b"a".to_vec()),
        3 => Just(b"a.b".to_vec()),
        2 => Just(b"100%".to_vec()),
        1 => Just(b"no\xfft".to_vec()),
    ];
    prop::collection::vec(name, 1..=3).prop_map(|names| {
        let path: PathBuf = names.into_iter().map(OsString::from_vec).collect();
        RelPath::parse(path).unwrap()
    })
}

fn entry() -> impl Strategy<Value = Option<Entry>> {
    let file_mode = prop_oneof![4 => Just(0o644), 1 => Just(0o755), 1 => Just(0o600)];
    let folder_mode = prop_oneof![4 => Just(0o755), 1 => Just(0o700), 1 => Just(0o555)];
    let target = prop::sample::select(vec!["a", "a.b/a", "./100%", "nowhere"]);
    let other = prop_oneof![Just(Other::LinkOutside), Just(Other::Fifo)];
    prop_oneof![
        3 => Just(None),
        8 => (0_u8..6, file_mode).prop_map(|(content, mode)| Some(file(content, mode))),
        3 => folder_mode.prop_map(|mode| Some(Entry::Folder { mode })),
        2 => target.prop_map(|target| Some(Entry::Link { target: target.into() })),
        1 => other.prop_map(|other| Some(Entry::Other(other))),
    ]
}

/// The properties are only meaningful if the cases cover these situations.
#[test]
fn cases_cover_all_situations() {
    use crate::sync::manifest::Difference;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..1000 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let mut note = |what, holds: bool| *seen.entry(what).or_default() += u32::from(holds);
        let kind = |a: &Tree, b: &Tree, folder: bool| {
            a.iter().any(|(path, one)| {
                one.is_folder() == folder
                    && b.get(path).is_some_and(|two| two.is_folder() != folder)
            })
        };
        let mode = |folder| {
            case.source.iter().any(|(path, one)| {
                one.is_folder() == folder
                    && case
                        .last
                        .get(path)
                        .is_some_and(|two| one.difference(two) == Some(Difference::Mode))
            })
        };
        let empty = |(path, entry): (&RelPath, &Entry)| {
            entry.is_folder() && !case.source.keys().any(|other| other.is_below(path))
        };
        note(
            "symlink",
            case.source
                .values()
                .any(|one| matches!(one, Entry::Link { .. })),
        );
        note(
            "refused",
            case.source
                .values()
                .any(|one| matches!(one, Entry::Other(_))),
        );
        note("folder to file", kind(&case.source, &case.last, false));
        note("file to folder", kind(&case.source, &case.last, true));
        note(
            "home replaced a folder",
            kind(&case.home, &case.last, false),
        );
        note("file mode", mode(false));
        note("folder mode", mode(true));
        note(
            "non-UTF-8 name",
            case.source
                .keys()
                .any(|path| path.as_path().to_str().is_none()),
        );
        note("empty folder", case.source.iter().any(empty));
        let plan = crate::sync::plan::plan(
            &manifest(&case.source),
            &manifest(&case.home),
            &manifest(&case.last),
            None,
        );
        note("conflict", !plan.conflicts.is_empty());
        note("nothing to do", plan.is_empty());
        for conflict in &plan.conflicts {
            use crate::sync::plan::Why;
            note("folder replaced", conflict.why == Why::FolderReplaced);
            note("folder holds own", conflict.why == Why::FolderHoldsOwn);
        }
    }
    assert_eq!(seen.len(), 13, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 10), "{seen:?}");
}
