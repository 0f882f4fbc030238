//! Checks of a test: exact counts, and a bounded number of details.

use std::fmt::{Debug, Write as _};
use std::panic::Location;

use ansar_contract::test::{Check, DETAILS, TestReport};

/// The checks of one process so far.
///
/// Keeps the details of the first [`DETAILS`] failures, and of the first passes as
/// long as there is room.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    passed: u64,
    failed: u64,
    kept: Vec<Check>,
}

impl Checks {
    /// Counts a check. `detail` is called only if the details are kept.
    pub(crate) fn add(&mut self, condition: bool, detail: impl FnOnce() -> Check) {
        if condition {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        if self.kept.len() < DETAILS {
            self.kept.push(detail());
        } else if !condition {
            if let Some(pass) = self.kept.iter().rposition(|check| check.condition) {
                self.kept.remove(pass);
                self.kept.push(detail());
            }
        }
    }

    /// Returns the report.
    pub(crate) fn report(&self) -> TestReport {
        TestReport {
            failed: self.failed,
            passed: self.passed,
            tested: self.kept.clone(),
            ..TestReport::default()
        }
    }
}

/// Returns the details of a check at `place`.
pub(crate) fn detail(
    condition: bool,
    place: &Location<'_>,
    name: &str,
    stamp: String,
    text: String,
) -> Check {
    Check {
        condition,
        line: place.line(),
        column: Some(place.column()),
        name: name.to_owned(),
        source: place.file().to_owned(),
        stamp,
        text,
        elapsed_us: None,
    }
}

/// Returns the text of a failed check for the log, with its place at the end of the
/// first line.
pub(crate) fn located(text: &str, file: &str, line: u32) -> String {
    match text.split_once('\n') {
        None => format!("{text} ({file}:{line})"),
        Some((first, rest)) => format!("{first} ({file}:{line})\n{rest}"),
    }
}

/// The longest value, in bytes, that is shown in one line.
const INLINE: usize = 100;

/// Shows `got` and `expected`: in one line if both are short, as a diff of their
/// lines otherwise.
pub(crate) fn both_sides(relation: &str, got: &dyn Debug, expected: &dyn Debug) -> String {
    let (short_got, short_expected) = (format!("{got:?}"), format!("{expected:?}"));
    let one_line = |text: &str| text.len() <= INLINE && !text.contains("\\n");
    if relation != "==" || (one_line(&short_got) && one_line(&short_expected)) {
        let relation = if relation == "==" {
            String::new()
        } else {
            format!("{relation} ")
        };
        return format!("expected {relation}{short_expected}, got {short_got}");
    }
    let lines = |side: &dyn Debug| format!("{side:#?}").replace("\\n", "\n");
    difference(&lines(got), &lines(expected))
}

/// Shows two texts as a difference of their lines.
#[cfg(feature = "diff")]
fn difference(got: &str, expected: &str) -> String {
    use similar::{ChangeTag, TextDiff};

    let diff = TextDiff::from_lines(expected, got);
    let mut text = String::from("expected (-) and got (+) differ:");
    for group in diff.grouped_ops(2) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value();
            let _ = write!(text, "\n{sign} {}", line.strip_suffix('\n').unwrap_or(line));
        }
    }
    text
}

/// Shows two texts one after the other.
#[cfg(not(feature = "diff"))]
fn difference(got: &str, expected: &str) -> String {
    let mut text = String::from("expected (-) and got (+) differ:");
    for (sign, side) in [('-', expected), ('+', got)] {
        for line in side.lines() {
            let _ = write!(text, "\n{sign} {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(condition: bool, line: u32) -> Check {
        Check {
            condition,
            line,
            column: None,
            name: "x".into(),
            source: "x.rs".into(),
            stamp: String::new(),
            text: String::new(),
            elapsed_us: None,
        }
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_failures_are_kept_first(
            conditions in proptest::collection::vec(proptest::bool::weighted(0.7), 0..2000),
        ) {
            let mut checks = Checks::default();
            for (line, condition) in (0..).zip(&conditions) {
                checks.add(*condition, || check(*condition, line));
            }
            let report = checks.report();
            let failed = conditions.iter().filter(|passed| !**passed).count();
            prop_assert_eq!(report.failed, failed as u64);
            prop_assert_eq!(report.passed, (conditions.len() - failed) as u64);
            prop_assert_eq!(report.tested.len(), conditions.len().min(DETAILS));
            let kept = report.tested.iter().filter(|check| !check.condition).count();
            prop_assert_eq!(kept, failed.min(DETAILS));
            prop_assert!(report.tested.is_sorted_by_key(|check| check.line));
            prop_assert_eq!(report.cut(), (conditions.len() - report.tested.len()) as u64);
        }
    }

    #[test]
    fn short_sides_stand_in_one_line() {
        assert_eq!(
            both_sides("==", &"fly", &"droll"),
            r#"expected "droll", got "fly""#
        );
        assert_eq!(both_sides("<", &7, &5), "expected < 5, got 7");
    }

    #[test]
    fn long_sides_are_shown_as_a_difference() {
        assert_eq!(
            both_sides("==", &"a\nb\nc", &"a\nx\nc"),
            "expected (-) and got (+) differ:\n  \"a\n- x\n+ b\n  c\""
        );
    }
}
