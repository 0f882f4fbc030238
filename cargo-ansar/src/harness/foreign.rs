//! Failed tests in the output of another test runner: of `cargo test`, or of
//! `cargo nextest run`.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::harness::output::{Output, result, without_note};
use crate::harness::places::TestLocations;
use crate::harness::verdict;
use crate::host::clock;

/// Largest number of tests that are kept.
const MOST: usize = 1000;

/// The failed tests in the output of a command.
#[derive(Debug, Clone, Default)]
pub struct FailedTests(Arc<Mutex<Found>>);

/// A failed test that has not panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTest {
    /// Its name.
    pub name: String,
    /// The reason; several lines if it has them.
    pub text: String,
    /// File, line and column of its function, if they were found.
    pub place: Option<(String, u32, u32)>,
    /// Time at which it was told.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
struct Found {
    tests: Vec<Told>,
    /// Words that name the test executable that runs.
    target: Vec<String>,
    streams: [Stream; 2],
}

#[derive(Debug, Default)]
struct Stream {
    /// The test whose output is being read.
    current: Option<usize>,
    /// True if a headline of `libtest` began it.
    is_section: bool,
    /// The indentation of this output.
    indent: usize,
}

/// A test that was told to have failed.
#[derive(Debug)]
struct Told {
    name: String,
    target: Vec<String>,
    output: Output,
    at: Timestamp,
}

impl FailedTests {
    /// Reads a line of one of the streams, without colours.
    pub fn line(&self, stream: usize, line: &[u8]) {
        self.found().line(stream, line, clock::now());
    }

    /// Returns the failed tests that have not panicked. Their functions are
    /// searched in the sources below `folder`.
    pub fn take(&self, folder: &Path) -> Vec<FailedTest> {
        let told = std::mem::take(&mut self.found().tests);
        let places = TestLocations::below(folder);
        let told = told.into_iter();
        let silent = told.filter(|told| told.output.panics().next().is_none());
        let silent = silent.map(|told| {
            let failure = verdict::of_output(&told.name, &told.output, true);
            let (text, place) = failure.map_or_else(
                || ("failed".to_owned(), None),
                |failure| (failure.text, failure.place),
            );
            let path = told.target.iter().chain([&told.name]);
            let path: Vec<&str> = path.map(String::as_str).collect();
            let place = place.or_else(|| places.of_test(&path.join("::")));
            FailedTest {
                text,
                place: place.map(|place| (place.source, place.line, place.column)),
                name: told.name,
                at: told.at,
            }
        });
        silent.collect()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn line(&mut self, stream: usize, line: &[u8], now: Timestamp) {
        let indent = line.len() - line.trim_ascii_start().len();
        let text = String::from_utf8_lossy(&line[indent..]);
        if let Some(target) = running(&text).or_else(|| status(&text)) {
            self.target = target;
            self.streams[stream].current = None;
            return;
        }
        if let Some((told, word)) = result(&text) {
            let is_failed = word == "FAILED";
            self.streams[stream] = Stream {
                current: is_failed.then(|| self.add(told, now)).flatten(),
                is_section: false,
                indent,
            };
            return;
        }
        let tests = &mut self.tests;
        let stream = &mut self.streams[stream];
        let headline = text.strip_prefix("---- ");
        if let Some(name) = headline.and_then(|rest| rest.strip_suffix(" stdout ----")) {
            stream.current = tests.iter().rposition(|told| told.name == name);
            stream.indent = indent;
            stream.is_section = true;
            return;
        }
        let is_over = stream.is_section && text == "failures:";
        let is_outside = indent < stream.indent && !text.is_empty() && !is_headline(&text);
        if is_over || is_outside {
            stream.current = None;
        }
        if let Some(told) = stream.current.and_then(|at| tests.get_mut(at)) {
            told.output.line(&line[indent.min(stream.indent)..]);
        }
    }

    /// Adds the test of a result, and returns its index.
    fn add(&mut self, told: &str, now: Timestamp) -> Option<usize> {
        let (_, name) = without_note(told).rsplit_once("test ")?;
        let is_same = |it: &Told| it.name == name && it.target == self.target;
        if let Some(known) = self.tests.iter().position(is_same) {
            return Some(known);
        }
        if self.tests.len() == MOST {
            return None;
        }
        self.tests.push(Told {
            name: name.to_owned(),
            target: self.target.clone(),
            output: Output::default(),
            at: now,
        });
        Some(self.tests.len() - 1)
    }
}

/// Returns true for the headline of the second part of a test's output.
fn is_headline(text: &str) -> bool {
    ["stderr ─", "output ─"]
        .iter()
        .any(|it| text.starts_with(it))
}

/// Parses `Running FILE (EXECUTABLE)`, by which Cargo tells which executable
/// runs. Returns the words of the file's path.
fn running(text: &str) -> Option<Vec<String>> {
    let rest = text.strip_prefix("Running ")?;
    let (file, _) = rest.split_once(" (")?;
    let file = file.strip_prefix("unittests ").unwrap_or(file);
    let file = file.strip_suffix(".rs")?;
    Some(file.split('/').map(str::to_owned).collect())
}

/// Parses `WORD [SECONDS] (NUMBER/OF) PACKAGE::TARGET TEST`, by which nextest
/// tells a result. Returns the words of the target.
fn status(text: &str) -> Option<Vec<String>> {
    let (_, rest) = text.split_once('[')?;
    let (time, rest) = rest.split_once(']')?;
    let time = time.trim_start_matches(['>', ' ']).strip_suffix('s')?;
    time.parse::<f64>().ok()?;
    let rest = match rest.trim_start().strip_prefix('(') {
        Some(rest) => rest.split_once(')')?.1,
        None => rest,
    };
    let target = rest.split_whitespace().next().unwrap_or_default();
    Some(target.split("::").map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "#[test]\nfn passes() {}\n#[test]\nfn errs() -> Result<(), u8> {\n";

    /// Returns the failed tests of an output as navigation lines.
    fn failed(lines: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["other", "api"] {
            let path = folder.path().join("tests").join(name).with_extension("rs");
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, SOURCE).unwrap();
        }
        let tests = FailedTests::default();
        for line in lines.lines() {
            tests.line(0, line.as_bytes());
        }
        let tests = tests.take(folder.path()).into_iter();
        let tests = tests.map(|test| {
            let (source, line, _) = test.place.unwrap_or_default();
            let name = Path::new(&source).file_name().unwrap_or_default();
            let name = name.to_str().unwrap();
            format!("{name}:{line} - {}: {}", test.name, test.text)
        });
        tests.collect()
    }

    #[test]
    fn errors_are_found_in_the_output_of_cargo() {
        let output = "     Running tests/api.rs (target/debug/deps/api-1)\n\
            test passes ... ok\ntest errs ... FAILED\ntest panics ... FAILED\n\nfailures:\n\n\
            ---- errs stdout ----\nError: \"no luck\"\n\nCaused by:\n    deep\n\n\
            ---- panics stdout ----\n\nthread 'panics' (3) panicked at tests/api.rs:9:5:\nboom\n\n\n\
            failures:\n    errs\n    panics\n\ntest result: FAILED. 1 passed; 2 failed;\n";
        assert_eq!(
            failed(output),
            ["api.rs:4 - errs: \"no luck\"\n\nCaused by:\n    deep"]
        );
    }

    #[test]
    fn errors_are_found_in_the_output_of_nextest() {
        let output = "        PASS [   0.003s] (1/3) app::api passes\n\
            \x20       FAIL [   0.004s] (2/3) app::api errs\n  stdout ───\n\n    running 1 test\n    \
            test errs ... FAILED\n\n    failures:\n\n    failures:\n        errs\n\n    \
            test result: FAILED. 0 passed; 1 failed;\n\n  stderr ───\n    Error: \"no luck\"\n\n  \
            Cancelling due to test failure\n     Summary [   0.005s] 2/3 tests run\n        \
            FAIL [   0.004s] (2/3) app::api errs\n";
        assert_eq!(failed(output), ["api.rs:4 - errs: \"no luck\""]);
    }
}
