//! The list of a target's tests, and the choice among them.

use std::collections::BTreeSet;

use crate::host::process::Exit;
use crate::model::partition::Partition;
use crate::model::test_target::{Ignored, TestRun};

/// The answer to the question for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The names of the tests, in their order.
    Tests(Vec<String>),
    /// The executable is another harness, which knows no such question, or has
    /// failed; with its exit, `None` if it was killed.
    Unknown(Option<Exit>),
}

/// Tests to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Selection {
    /// Their names.
    pub(super) tests: Vec<String>,
    /// Names of the tests that match and are ignored.
    pub(super) ignored: Vec<String>,
}

impl Selection {
    /// Returns the tests of one part. All that match are divided, also those that
    /// passed before, so that a test stays in its part.
    #[must_use]
    pub(super) fn part(mut self, partition: Partition) -> Self {
        let own = partition.of(self.tests.iter().chain(&self.ignored));
        self.tests.retain(|name| own.contains(name));
        self.ignored.retain(|name| own.contains(name));
        self
    }
}

/// Parses a list in the terse format: one `NAME: test` per line. Benchmarks are
/// left out.
pub(super) fn parse(exit: Option<Exit>, lines: &[String]) -> Answer {
    if exit != Some(Exit::Code(0)) {
        return Answer::Unknown(exit);
    }
    let mut tests = Vec::new();
    for line in lines {
        if let Some(name) = line.strip_suffix(": test") {
            tests.push(name.to_owned());
        } else if !(line.is_empty() || line.ends_with(": benchmark")) {
            return Answer::Unknown(exit);
        }
    }
    // Another harness may have run instead, without a word.
    if lines.is_empty() {
        return Answer::Unknown(exit);
    }
    Answer::Tests(tests)
}

/// Returns the tests that a run asks for.
pub(super) fn select(all: &[String], ignored: &[String], run: &TestRun) -> Selection {
    let ignored: BTreeSet<&String> = ignored.iter().collect();
    let is_filtered = |name: &String| {
        let is_match = |filter: &String| {
            if run.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        run.filter.is_empty() || run.filter.iter().any(is_match)
    };
    let is_chosen = |name: &String| {
        let chosen = &run.chosen;
        chosen.is_empty() || chosen.iter().any(|text| name.contains(text.as_str()))
    };
    let mut selection = Selection::default();
    for name in all
        .iter()
        .filter(|name| is_filtered(name) && is_chosen(name))
    {
        match (ignored.contains(name), run.ignored) {
            (true, Ignored::Skip) => selection.ignored.push(name.clone()),
            (false, Ignored::Only) => {}
            _ => selection.tests.push(name.clone()),
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::test_target::Again;

    fn answer(text: &str) -> Answer {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        parse(Some(Exit::Code(0)), &lines)
    }

    #[test]
    fn only_a_list_of_tests_is_an_answer() {
        let names = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned());
            Answer::Tests(names.collect())
        };
        assert_eq!(answer("a::b: test\nc: test\n"), names(&["a::b", "c"]));
        assert_eq!(answer("speed: benchmark\n"), names(&[]));
        for other in ["", "running\n", "a: test\n1 test\n"] {
            let unknown = Answer::Unknown(Some(Exit::Code(0)));
            assert_eq!(answer(other), unknown, "{other:?}");
        }
        let exit = Some(Exit::Code(1));
        assert_eq!(parse(exit, &[]), Answer::Unknown(exit));
    }

    #[test]
    fn tests_are_chosen_by_both_filters() {
        let all = ["items::new", "orders::new", "orders::old", "orders::slow"];
        let all = all.map(str::to_owned);
        let slow = ["orders::slow".to_owned()];
        let chosen = |filter: &[&str], exact, chosen: &[&str], ignored| {
            let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            let run = TestRun {
                filter: texts(filter),
                exact,
                chosen: texts(chosen),
                ignored,
                ..run()
            };
            let selection = select(&all, &slow, &run);
            (selection.tests.join(" "), selection.ignored.len())
        };
        let (skip, include, only) = (Ignored::Skip, Ignored::Include, Ignored::Only);
        for (found, expected) in [
            (
                chosen(&[], false, &[], skip),
                ("items::new orders::new orders::old", 1),
            ),
            (
                chosen(&["orders::"], false, &["new"], skip),
                ("orders::new", 0),
            ),
            (chosen(&["new"], true, &[], skip), ("", 0)),
            (
                chosen(&["orders::old"], true, &[], skip),
                ("orders::old", 0),
            ),
            (chosen(&["slow"], false, &[], include), ("orders::slow", 0)),
            (chosen(&[], false, &[], only), ("orders::slow", 0)),
        ] {
            assert_eq!(found, (expected.0.to_owned(), expected.1));
        }
    }

    #[test]
    fn every_test_is_in_one_part() {
        let all: Vec<String> = (0..20).map(|number| format!("a::{number}")).collect();
        let whole = select(&all, &all[15..], &run());
        let parts: Vec<Selection> = (0..3)
            .map(|index| whole.clone().part(Partition::nth(index, 3)))
            .collect();
        let sizes = parts.iter().map(|it| it.tests.len() + it.ignored.len());
        assert!(sizes.clone().all(|size| size == 6 || size == 7));
        assert_eq!(sizes.sum::<usize>(), all.len());
        for (names, of) in [
            (
                &whole.tests,
                (|it| &it.tests) as fn(&Selection) -> &Vec<String>,
            ),
            (&whole.ignored, |it| &it.ignored),
        ] {
            let divided: BTreeSet<&String> = parts.iter().flat_map(of).collect();
            assert!(
                divided
                    .into_iter()
                    .eq(names.iter().collect::<BTreeSet<_>>())
            );
        }
    }

    fn run() -> TestRun {
        TestRun {
            target: "api".to_owned(),
            executable: "/t/api".into(),
            artifact: "/t/api".into(),
            filter: Vec::new(),
            exact: false,
            chosen: Vec::new(),
            partitions: Vec::new(),
            ignored: Ignored::Skip,
            isolate: true,
            test_timeout: None,
            slow: None,
            jobs: 1,
            slots: "/t".into(),
            journal: "/t/j".into(),
            again: Again::All,
        }
    }
}
