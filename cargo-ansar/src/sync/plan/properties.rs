//! Properties of plans, over random manifests.
//!
//! Steps are performed on a tree in memory that refuses what a file system
//! would refuse.

use proptest::prelude::*;

use crate::sync::generators;
use crate::sync::generators::{Case, Tree, case, manifest};
use crate::sync::manifest::Other;
use crate::sync::plan::*;

/// A home in memory, and the copies that were kept.
#[derive(Clone)]
struct Home {
    tree: Tree,
    kept: Vec<Entry>,
}

impl Home {
    fn perform(&mut self, step: &Step, source: &Tree) {
        let at = &step.path;
        let there = self.tree.get(at).cloned();
        let is_folder = there.as_ref().is_some_and(Entry::is_folder);
        let in_use = self.tree.keys().any(|other| other.is_below(at));
        if let Some(folder) = at.folder() {
            let Some(Entry::Folder { mode }) = self.tree.get(&folder) else {
                panic!("{step:?} is in no folder");
            };
            let names = !matches!(step.action, Action::Keep | Action::Mode { .. });
            assert!(!names || mode & 0o300 == 0o300, "{step:?} is not permitted");
        }
        match &step.action {
            Action::Clear => {
                assert_eq!(self.tree.remove(at), Some(Entry::Other(Other::Alias)));
            }
            Action::Keep => self.kept.push(there.unwrap()),
            Action::Remove { .. } => {
                assert!(there.is_some() && !is_folder, "{step:?}");
                self.tree.remove(at);
            }
            Action::RemoveFolder => {
                assert!(is_folder && !in_use, "{step:?}");
                self.tree.remove(at);
            }
            Action::MakeFolder { mode } => {
                assert!(there.is_none(), "{step:?}");
                self.tree.insert(at.clone(), Entry::Folder { mode: *mode });
            }
            Action::Place { seen, .. } | Action::Link { seen, .. } => {
                assert!(!is_folder, "{step:?}");
                assert_eq!(seen.is_some(), there.is_some(), "{step:?}");
                self.tree.insert(at.clone(), source[at].clone());
            }
            Action::Mode { mode: new } => match self.tree.get_mut(at) {
                Some(Entry::Folder { mode }) => *mode = *new,
                Some(Entry::File(file)) => file.mode = *new,
                other => panic!("{step:?} of {other:?}"),
            },
        }
    }

    fn after(case: &Case, steps: &[Step]) -> Self {
        let mut home = Self {
            tree: case.home.clone(),
            kept: Vec::new(),
        };
        for step in steps {
            home.perform(step, &case.source);
        }
        home
    }
}

impl Case {
    fn plan(&self) -> Plan {
        plan(
            &manifest(&self.source),
            &generators::unread(&self.home, [&self.source, &self.last]),
            &manifest(&self.last),
            self.take,
        )
    }
}

fn is_at_or_below(path: &RelPath, folder: &RelPath) -> bool {
    path == folder || path.is_below(folder)
}

fn same(one: Option<&Entry>, other: Option<&Entry>) -> bool {
    one == other
}

/// Checks the entry at `path` afterwards, by rules written independently of the
/// plan.
fn check(case: &Case, plan: &Plan, after: &Tree, path: &RelPath) {
    let [source, home, last, after_it] =
        [&case.source, &case.home, &case.last, after].map(|tree| tree.get(path));
    let at = |conflicts: &[Conflict]| conflicts.iter().any(|one| is_at_or_below(path, &one.path));
    let refused = case
        .source
        .iter()
        .any(|(other, entry)| matches!(entry, Entry::Other(_)) && is_at_or_below(path, other));
    let context =
        || format!("{path:?}: {source:?} {home:?} {last:?} became {after_it:?}\n{plan:?}");
    let is_folder = |entry: Option<&Entry>| entry.is_some_and(Entry::is_folder);
    if home == Some(&Entry::Other(Other::Alias)) {
        assert_eq!(after_it, None, "{}", context());
    } else if at(&plan.conflicts) || refused || (at(&plan.settled) && case.take == Some(Take::Home))
    {
        assert_eq!(after_it, home, "{}", context());
    } else if at(&plan.settled) {
        assert_eq!(after_it, source, "{}", context());
    } else if is_folder(source) && is_folder(after_it) {
        if home.is_none() || (home == last && source != last) {
            assert_eq!(after_it, source, "{}", context());
        }
    } else if source.is_some() && same(source, last) && !same(home, last) {
        let again = home.is_none() && (case.take == Some(Take::Snapshot) || is_folder(source));
        assert!(
            after_it == home || (again && after_it == source),
            "{}",
            context()
        );
    } else if is_folder(source) && is_folder(last) && home.is_none() {
        assert_eq!(after_it, None, "{}", context());
    } else if source.is_some() {
        assert_eq!(after_it, source, "{}", context());
    } else if is_folder(home) {
        let holds = after.keys().any(|other| other.is_below(path));
        let deployed = is_folder(last);
        assert_eq!(after_it.is_some(), holds || !deployed, "{}", context());
    } else if same(home, last) {
        assert_eq!(after_it, None, "{}", context());
    } else {
        assert_eq!(after_it, home, "{}", context());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn applied_home_equals_source_except_for_own_files(case in case()) {
        let plan = case.plan();
        let after = Home::after(&case, &plan.steps);
        let paths = [&case.source, &case.home, &case.last, &after.tree];
        for path in paths.iter().flat_map(|tree| tree.keys()) {
            check(&case, &plan, &after.tree, path);
        }
        prop_assert_eq!(plan.conflicts.is_empty() || case.take.is_none(), true);
    }

    #[test]
    fn nothing_that_the_role_wrote_is_lost(case in case()) {
        let plan = case.plan();
        let after = Home::after(&case, &plan.steps);
        for (path, entry) in &case.home {
            let deployed = [&case.last, &case.source]
                .iter()
                .filter_map(|tree| tree.get(path))
                .any(|other| match (other, entry) {
                    // A change of permissions alone is not kept.
                    (Entry::File(a), Entry::File(b)) => a.hash == b.hash,
                    _ => other == entry,
                });
            let precious = matches!(entry, Entry::File(_) | Entry::Link { .. } | Entry::Other(Other::LinkOutside));
            if precious && !deployed {
                let there = after.tree.get(path) == Some(entry);
                prop_assert!(there || (case.take == Some(Take::Snapshot) && after.kept.contains(entry)));
            }
        }
    }

    #[test]
    fn only_what_both_sides_changed_is_a_conflict(case in case()) {
        let plan = case.plan();
        for conflict in plan.conflicts.iter().chain(&plan.settled) {
            let sides = [&case.source, &case.home, &case.last];
            let [source, home, last] = sides.map(|tree| tree.get(&conflict.path));
            let is_folder = |entry: Option<&Entry>| entry.is_some_and(Entry::is_folder);
            let holds = match conflict.why {
                Why::BothChanged => last.is_some() && source != last && home != last,
                Why::BothMade => last.is_none() && source.is_some(),
                Why::RemovedFromSnapshot => source.is_none() && last.is_some() && home != last,
                Why::FolderReplaced => is_folder(source) && !is_folder(home),
                Why::FolderHoldsOwn => !is_folder(source) && is_folder(home),
            };
            prop_assert!(home.is_some() && holds, "{:?}: {:?} {:?} {:?}", conflict, source, home, last);
        }
    }

    #[test]
    fn equal_pair_needs_nothing(case in case()) {
        let source = manifest(&case.source);
        prop_assert!(plan(&source, &source, &manifest(&case.last), case.take).is_empty());
    }

    #[test]
    fn second_plan_repeats_only_conflicts(case in case()) {
        let first = case.plan();
        let last = next_last(&manifest(&case.source), &manifest(&case.last), &first);
        prop_assert_eq!(last.refused().count(), 0);
        let again = Case {
            home: Home::after(&case, &first.steps).tree,
            last: generators::tree(&last),
            ..case
        };
        let second = again.plan();
        prop_assert!(second.is_empty(), "{:?}\nthen {:?}", first, second);
        // A decided conflict is not reported again.
        prop_assert_eq!(&second.settled, &[]);
        prop_assert_eq!(second.conflicts, first.conflicts);
    }

    #[test]
    fn new_plan_completes_a_killed_deploy(case in case()) {
        let plan = case.plan();
        let whole = Home::after(&case, &plan.steps).tree;
        for done in 0..plan.steps.len() {
            let killed = Case {
                home: Home::after(&case, &plan.steps[..done]).tree,
                ..case.clone()
            };
            let mut ended = Home::after(&killed, &killed.plan().steps).tree;
            for (path, entry) in &mut ended {
                // A folder that the role closed and a killed deploy opened
                // looks like one that the role left alone or opened.
                if let (
                    Entry::Folder { mode },
                    Some(Entry::Folder { mode: was }),
                    Some(Entry::Folder { mode: expected }),
                ) = (&mut *entry, case.home.get(path), whole.get(path))
                {
                    if was & 0o700 == 0o700 || expected != was {
                        continue;
                    }
                    let source = case.source.get(path);
                    if *mode == was | 0o700 || source == Some(&Entry::Folder { mode: *mode }) {
                        *mode = *was;
                    }
                }
            }
            prop_assert_eq!(&ended, &whole, "after {} of {:?}", done, plan.steps);
        }
    }
}
