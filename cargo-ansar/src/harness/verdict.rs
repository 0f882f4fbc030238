//! The verdict on one test, from its exit and its output.

use std::time::Duration;

use crate::harness::difference;
use crate::harness::output::Output;
use crate::harness::program::Ended;
use crate::host::process::{Exit, signal};
use crate::model::duration::ShortDuration;
use crate::supervisor::last_output::Panic;

/// A failed test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The reason; several lines if it contains a difference.
    pub(super) text: String,
    /// The place, if the output names one.
    pub(super) place: Option<SourceLocation>,
}

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SourceLocation {
    /// The file.
    pub(super) source: String,
    /// The line, from 1.
    pub(super) line: u32,
    /// The column, from 1; 0 if it is not known.
    pub(super) column: u32,
}

impl Failure {
    fn without_place(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            place: None,
        }
    }

    fn of_panic(panic: &Panic) -> Self {
        Self {
            text: difference::shown(&panic.message),
            place: Some(SourceLocation {
                source: panic.source.clone(),
                line: panic.line,
                column: panic.column,
            }),
        }
    }

    /// Returns the first line of the reason.
    pub(super) fn headline(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// Judges a test that had a process of its own. It has passed if the process
/// has exited with 0 and the harness says so: a test may exit with 0 itself.
pub(super) fn of_test(
    name: &str,
    ended: Ended,
    output: &Output,
    limit: Option<Duration>,
) -> Result<(), Failure> {
    let Some(exit) = ended.exit else {
        let limit = limit.map(|limit| format!(" after {}", ShortDuration(limit)));
        let text = format!("timed out{}", limit.unwrap_or_default());
        return Err(Failure::without_place(text));
    };
    if exit == Exit::Code(0) && output.is_ok(name) {
        return Ok(());
    }
    let is_told = output.result_of(name) == Some("FAILED");
    if let Some(failure) = of_output(name, output, is_told) {
        return Err(failure);
    }
    Err(Failure::without_place(match exit {
        Exit::Code(_) if is_told => "returned an exit code other than 0".to_owned(),
        Exit::Code(code) => format!("exited with code {code} before the test finished"),
        Exit::Signal(number) => format!("killed by {}", signal::name(number)),
    }))
}

/// Returns the failure that the output of a test explains. `is_told` is true if
/// the harness says that it has failed.
pub(super) fn of_output(name: &str, output: &Output, is_told: bool) -> Option<Failure> {
    let own = output.panics().rfind(|panic| panic.thread == name);
    if let Some(note) = output.note().filter(|_| is_told) {
        return Some(of_note(&note, own));
    }
    if output.overflowed().iter().any(|thread| thread == name) {
        return Some(Failure::without_place("stack overflow"));
    }
    if let Some(error) = output.error().filter(|_| is_told) {
        return Some(Failure::without_place(error));
    }
    let panic = own.or_else(|| output.panics().next_back());
    if let Some(panic) = panic {
        return Some(Failure::of_panic(panic));
    }
    let overflowed = output.overflowed().last()?;
    let text = format!("stack overflow in thread `{overflowed}`");
    Some(Failure::without_place(text))
}

/// Returns the failure of a test that should have panicked, or with another
/// message.
fn of_note(note: &str, panic: Option<&Panic>) -> Failure {
    let place = note
        .strip_prefix("test did not panic as expected at ")
        .and_then(parse_place);
    if place.is_some() {
        return Failure {
            text: "test did not panic as expected".to_owned(),
            place,
        };
    }
    Failure {
        text: note.to_owned(),
        place: panic.and_then(|panic| Failure::of_panic(panic).place),
    }
}

/// Parses `FILE:LINE:COLUMN`.
fn parse_place(text: &str) -> Option<SourceLocation> {
    let (text, column) = text.trim().rsplit_once(':')?;
    let (source, line) = text.rsplit_once(':')?;
    Some(SourceLocation {
        source: source.to_owned(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

/// Judges a test program that is no `libtest` harness, by its exit.
pub(super) fn of_program(
    ended: Ended,
    output: &Output,
    limit: Option<Duration>,
) -> Result<(), Failure> {
    if ended.exit == Some(Exit::Code(0)) {
        return Ok(());
    }
    if let Some(panic) = output.panics().next_back().filter(|_| ended.exit.is_some()) {
        return Err(Failure::of_panic(panic));
    }
    let last = output.last_line();
    let last = last.map_or_else(String::new, |last| format!(": {last}"));
    Err(Failure::without_place(match (ended.exit, limit) {
        (Some(Exit::Code(code)), _) => format!("exited with {code}{last}"),
        (Some(Exit::Signal(number)), _) => format!("killed by {}", signal::name(number)),
        (None, Some(limit)) => format!("timed out after {}", ShortDuration(limit)),
        (None, None) => "timed out".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "\ntest t ... FAILED\n\nfailures:\n\nfailures:\n    t\n\n\
                          test result: FAILED. 0 passed; 1 failed;";

    fn judged(exit: Exit, text: &str) -> String {
        let mut output = Output::default();
        text.lines().for_each(|line| output.line(line.as_bytes()));
        let ended = Ended {
            exit: Some(exit),
            elapsed: Duration::ZERO,
        };
        match of_test("t", ended, &output, None) {
            Ok(()) => "passed".to_owned(),
            Err(Failure { text, place: None }) => text,
            Err(Failure {
                text,
                place: Some(place),
            }) => {
                format!("{}:{}:{} {text}", place.source, place.line, place.column)
            }
        }
    }

    #[test]
    fn each_way_to_fail_has_its_reason() {
        let ok = "test t ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored";
        let panic = "\nthread 't' (7) panicked at tests/a.rs:4:5:\nboom: x.rs:9:9\n\
                     note: run with `RUST_BACKTRACE=1` environment variable";
        let helper = "\nthread 'w' (8) panicked at tests/b.rs:1:2:\nlate\nnote: run with";
        let expected = "note: panic did not contain expected string\n      panic message: \"x\"";
        let ended = Exit::Code(101);
        for (exit, text, reason) in [
            (Exit::Code(0), ok.to_owned(), "passed"),
            (
                Exit::Code(0),
                "running 1 test".to_owned(),
                "exited with code 0 before the test finished",
            ),
            (
                Exit::Code(3),
                ok.to_owned(),
                "exited with code 3 before the test finished",
            ),
            (Exit::Signal(6), String::new(), "killed by SIGABRT"),
            (
                Exit::Signal(6),
                "thread 't' (9) has overflowed its stack\nfatal".to_owned(),
                "stack overflow",
            ),
            (
                ended,
                FAILED.to_owned(),
                "returned an exit code other than 0",
            ),
            (ended, format!("Error: \"no\"{FAILED}"), "\"no\""),
            (
                ended,
                format!("{panic}{FAILED}"),
                "tests/a.rs:4:5 boom: x.rs:9:9",
            ),
            (ended, format!("{helper}{FAILED}"), "tests/b.rs:1:2 late"),
            (
                ended,
                format!("{panic}{helper}{FAILED}"),
                "tests/a.rs:4:5 boom: x.rs:9:9",
            ),
            (
                ended,
                "test t - should panic ... FAILED\n\n---- t stdout ----\n\
                 note: test did not panic as expected at tests/a.rs:7:4\n"
                    .to_owned(),
                "tests/a.rs:7:4 test did not panic as expected",
            ),
            (
                ended,
                format!("{panic}\ntest t - should panic ... FAILED\n\n{expected}\n"),
                "tests/a.rs:4:5 panic did not contain expected string\n      panic message: \"x\"",
            ),
        ] {
            assert_eq!(judged(exit, &text), reason, "{text}");
        }
    }
}
