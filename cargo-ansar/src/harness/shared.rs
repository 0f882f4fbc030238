//! Runs all tests in one process, which captures what each of them prints.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ansar_contract::lifecycle::Faulted;

use crate::harness::output::{Output, is_name, result, without_note};
use crate::harness::program::{Ended, Limits};
use crate::harness::schedule::Schedule;
use crate::harness::verdict::Failure;
use crate::harness::{Session, cannot, program, verdict};
use crate::host::clock;
use crate::host::process::{Exit, signal};
use crate::model::duration::ShortDuration;
use crate::model::test_target::Ignored;

/// Runs the selected tests. `all` are those of the target, in its order;
/// `is_whole` is true if all are selected.
pub(super) async fn run(
    session: &Rc<Session>,
    all: Vec<String>,
    is_whole: bool,
) -> Result<(), Faulted> {
    let selected = session.state.borrow().selected.clone();
    if selected.is_empty() {
        return Ok(());
    }
    let reader = RefCell::new(Reader::new(selected, all, session.run.jobs));
    let limits = Limits {
        most: session.run.limit(),
        output_counts: true,
        unread: Duration::ZERO,
    };
    let program = session.program(arguments(session, is_whole));
    let line = |line: &[u8]| {
        let mut reader = reader.borrow_mut();
        match reader.line(line, clock::instant()) {
            Some(Told::Passed(name, elapsed)) => session.finished(&name, elapsed, Ok(()), None),
            Some(Told::Failed(name, elapsed)) => session.failed(&name, elapsed),
            Some(Told::Begun) | None => return,
        }
        session.state.borrow_mut().running = reader.schedule.running().cloned().collect();
    };
    let slow = |now| {
        let (slow, next) = reader.borrow_mut().schedule.slow(now, session.run.slow()?);
        for name in &slow {
            session.tell_slow(name);
        }
        next
    };
    let ended = program::run(&program, limits, line, slow).await;
    let ended = ended.map_err(|error| cannot("run the test executable", &error))?;
    let reader = reader.into_inner();
    if matches!(ended.exit, Some(Exit::Code(_))) {
        for name in reader.passed_untold() {
            session.finished(name, None, Ok(()), None);
        }
    }
    for (name, (output, elapsed)) in &reader.failed {
        let failure = reader.failure(name, output);
        session.finished(name, *elapsed, Err(failure), Some(output));
    }
    let unfinished = session.report().unfinished;
    if let Some((name, failure)) = reader.crash(&unfinished, ended, limits) {
        session.finished(&name, None, Err(failure), Some(&reader.all));
    } else if let Some(failure) = reader.contradiction(ended) {
        let target = &session.run.target;
        session.finished(target, None, Err(failure), Some(&reader.all));
    }
    Ok(())
}

/// Returns the arguments of the executable.
fn arguments(session: &Session, is_whole: bool) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("--color=never")];
    match session.run.ignored {
        Ignored::Skip => {}
        Ignored::Include => arguments.push("--include-ignored".into()),
        Ignored::Only => arguments.push("--ignored".into()),
    }
    arguments.push(format!("--test-threads={}", session.run.jobs.max(1)).into());
    if !is_whole {
        arguments.push("--exact".into());
        arguments.extend(session.state.borrow().selected.iter().map(OsString::from));
    }
    arguments
}

impl Session {
    /// Records a failed test, whose reason the process tells when all tests have
    /// ended.
    fn failed(&self, name: &str, elapsed: Option<Duration>) {
        self.add(self.check(name, elapsed, Err(without_reason())));
    }
}

/// Reads the output of a process that runs several tests.
struct Reader {
    /// The tests that run.
    selected: BTreeSet<String>,
    /// Those whose result was not told yet.
    untold: BTreeSet<String>,
    /// Number of tests that have passed, as the summary tells it.
    passed: Option<usize>,
    schedule: Schedule,
    /// The thread of each test, if all tests have the same.
    thread: Option<&'static str>,
    /// Tests that have failed, with what they printed, and their times.
    failed: BTreeMap<String, (Output, Option<Duration>)>,
    /// True if the results are over, and reasons follow.
    is_over: bool,
    /// The test whose captured output is being read.
    section: Option<String>,
    /// Everything.
    all: Output,
}

/// A step of the run that a line reports.
enum Told {
    /// The first tests have begun.
    Begun,
    /// A test has passed, in this time.
    Passed(String, Option<Duration>),
    /// A test has failed, in this time.
    Failed(String, Option<Duration>),
}

impl Reader {
    fn new(selected: Vec<String>, mut all: Vec<String>, jobs: usize) -> Self {
        let selected: BTreeSet<String> = selected.into_iter().collect();
        all.retain(|name| selected.contains(name));
        Self {
            untold: selected.clone(),
            selected,
            passed: None,
            schedule: Schedule::new(all.into_iter(), jobs.max(1)),
            thread: (jobs <= 1).then_some("main"),
            failed: BTreeMap::new(),
            is_over: false,
            section: None,
            all: Output::default(),
        }
    }

    /// Reads a line.
    fn line(&mut self, line: &[u8], now: Instant) -> Option<Told> {
        self.all.line(line);
        let text = String::from_utf8_lossy(line);
        if let Some(name) = text
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
            .filter(|name| self.is_over && self.is_failed(name))
        {
            self.section = Some(name.to_owned());
            return None;
        }
        if text == "failures:" {
            self.section = None;
            self.is_over = true;
        }
        if let Some((output, _)) = self.section.as_ref().and_then(|it| self.failed.get_mut(it)) {
            output.line(line);
            return None;
        }
        if number_after("running ", &text, " test").is_some() {
            self.schedule.begin(now);
            return Some(Told::Begun);
        }
        let listed = text.strip_prefix("    ").filter(|_| self.is_over);
        if let Some(name) = listed {
            self.is_failed(name);
        }
        let passed = number_after("test result: ok. ", &text, " passed;");
        let passed = passed.or_else(|| number_after("test result: FAILED. ", &text, " passed;"));
        self.passed = passed.or(self.passed);
        let (told, word) = result(&text)?;
        let name = self.name(told)?;
        let elapsed = self.schedule.ended(&name, now);
        match word {
            "ok" => {
                self.untold.remove(&name);
                Some(Told::Passed(name, elapsed))
            }
            "FAILED" => {
                self.untold.remove(&name);
                let output = (Output::default(), elapsed);
                self.failed.insert(name.clone(), output);
                Some(Told::Failed(name, elapsed))
            }
            _ => None,
        }
    }

    /// Reads the name of a failed test; returns false if it is none. Its result
    /// may be missing, or wrong: with one thread, a line begins before the test
    /// and ends after it, and what a child process prints stands in between.
    fn is_failed(&mut self, name: &str) -> bool {
        let is_failed = self.selected.contains(name);
        if is_failed {
            self.untold.remove(name);
            self.failed.entry(name.to_owned()).or_default();
        }
        is_failed
    }

    /// Returns the tests whose results are missing, if they have passed.
    fn passed_untold(&self) -> impl Iterator<Item = &String> {
        let all = self.selected.len() - self.failed.len();
        let have_passed = self.passed == Some(all);
        self.untold.iter().filter(move |_| have_passed)
    }

    /// Returns a failure if the exit, or the summary, contradicts the results.
    fn contradiction(&self, ended: Ended) -> Option<Failure> {
        let untold = self.passed_untold().count().abs_diff(self.untold.len());
        let passed = self.selected.len() - self.failed.len() - untold;
        let is_told = self.passed.is_some_and(|told| told >= passed);
        let is_expected = ended.exit == Some(Exit::Code(0)) || !self.failed.is_empty();
        if is_told && is_expected {
            return None;
        }
        let how = match ended.exit {
            Some(Exit::Code(code)) => format!("exited with {code}"),
            Some(Exit::Signal(number)) => format!("was killed by {}", signal::name(number)),
            None => "was killed".to_owned(),
        };
        let text = format!("the process of all tests {how}, which contradicts their results");
        Some(Failure { text, place: None })
    }

    /// Returns the selected test whose result a line tells.
    fn name(&self, told: &str) -> Option<String> {
        let whole = told.strip_prefix("test ").map(without_note);
        if let Some(name) = whole.filter(|name| self.untold.contains(*name)) {
            return Some(name.to_owned());
        }
        // A text without a line feed stands before it.
        let mut untold = self.untold.iter();
        untold.find(|name| is_name(told, name)).cloned()
    }

    /// Returns the reason of a failed test.
    fn failure(&self, name: &str, output: &Output) -> Failure {
        let thread = self.thread.unwrap_or(name);
        let failure = verdict::of_output(thread, output, true);
        failure.unwrap_or_else(|| {
            if self.passed.is_none() {
                return without_reason();
            }
            Failure {
                text: "returned an exit code other than 0".to_owned(),
                place: None,
            }
        })
    }

    /// Returns the failure of a process that ended before all its tests did, and
    /// the name of the test that is at fault, or else of the first one.
    fn crash(
        &self,
        unfinished: &[String],
        ended: Ended,
        limits: Limits,
    ) -> Option<(String, Failure)> {
        let reason = match (ended.exit, limits.most) {
            (Some(Exit::Code(code)), _) => format!("the process of all tests exited with {code}"),
            (Some(Exit::Signal(number)), _) => {
                format!(
                    "the process of all tests was killed by {}",
                    signal::name(number)
                )
            }
            (None, Some(limit)) => {
                format!("no test finished within {}", ShortDuration(limit))
            }
            (None, None) => return None,
        };
        let overflowed = self.all.overflowed().last();
        let name = overflowed
            .filter(|name| unfinished.contains(name))
            .or(unfinished.first())?;
        let others = match unfinished.len() {
            1 => String::new(),
            count => format!(", and {} more tests did not finish", count - 1),
        };
        let text = match (overflowed, ended.exit) {
            (Some(_), _) => format!("stack overflow{others}"),
            (None, Some(_)) => format!("{reason} before the test finished{others}"),
            (None, None) => format!("{reason}{others}"),
        };
        Some((name.clone(), Failure { text, place: None }))
    }
}

/// Returns the failure of a test that has not told its reason.
fn without_reason() -> Failure {
    Failure {
        text: "failed; the run ended before the test could tell why".to_owned(),
        place: None,
    }
}

/// Parses `PREFIX NUMBER WORD …`.
fn number_after(prefix: &str, text: &str, word: &str) -> Option<usize> {
    let rest = text.strip_prefix(prefix)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[end..].starts_with(word).then_some(())?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_other_output_has_torn_are_found() {
        let all = ["a", "b", "c"].map(str::to_owned);
        let mut reader = Reader::new(all.to_vec(), all.to_vec(), 1);
        let text = "running 3 tests\ntest a ... of a child\nok\ntest b ... ok\n\
                    test c ... of a child\nFAILED\n\nfailures:\n\n\nfailures:\n    c\n\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\n";
        for line in text.lines() {
            reader.line(line.as_bytes(), clock::instant());
        }
        assert_eq!(reader.passed_untold().collect::<Vec<_>>(), ["a"]);
        assert_eq!(reader.failed.keys().collect::<Vec<_>>(), ["c"]);
        let ended = |code| Ended {
            exit: Some(Exit::Code(code)),
            elapsed: Duration::ZERO,
        };
        assert_eq!(reader.contradiction(ended(101)), None);
    }

    #[test]
    fn results_of_other_programs_are_corrected() {
        let all = ["a", "b"].map(str::to_owned);
        let read = |text: &str| {
            let mut reader = Reader::new(all.to_vec(), all.to_vec(), 1);
            for line in text.lines() {
                reader.line(line.as_bytes(), clock::instant());
            }
            reader
        };
        let ended = |code| Ended {
            exit: Some(Exit::Code(code)),
            elapsed: Duration::ZERO,
        };
        // A child process has printed the first `ok`.
        let torn = "running 2 tests\ntest a ... ok\nFAILED\ntest b ... ok\n";
        let list = "\nfailures:\n    a\n\ntest result: FAILED. 1 passed; 1 failed;\n";
        let reader = read(&format!("{torn}{list}"));
        assert_eq!(reader.failed.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(reader.contradiction(ended(101)), None);
        let reader = read(torn);
        assert!(
            reader.contradiction(ended(0)).is_some(),
            "without a summary"
        );
        let passed = "test a ... ok\ntest b ... ok\ntest result: ok. 2 passed; 0 failed;\n";
        assert_eq!(read(passed).contradiction(ended(0)), None);
        assert!(read(passed).contradiction(ended(3)).is_some());
    }

    #[test]
    fn captured_output_belongs_to_its_test() {
        let all = ["a", "b::c", "d"].map(str::to_owned);
        let mut reader = Reader::new(all.to_vec(), all.to_vec(), 1);
        let text = "running 3 tests\ntest a ... ok\ntest b::c ... FAILED\n\nfailures:\n\n\
                    ---- b::c stdout ----\nhello\n\nthread 'b::c' (3) panicked at x.rs:1:2:\nno\n\n\n\
                    failures:\n    b::c\n";
        let passed: Vec<_> = text
            .lines()
            .filter_map(
                |line| match reader.line(line.as_bytes(), clock::instant()) {
                    Some(Told::Passed(name, Some(_))) => Some(name),
                    _ => None,
                },
            )
            .collect();
        assert_eq!(passed, ["a"]);
        assert_eq!(reader.schedule.running().collect::<Vec<_>>(), ["d"]);
        let (output, elapsed) = &reader.failed["b::c"];
        assert!(elapsed.is_some());
        assert_eq!(reader.failure("b::c", output).text, "no");
        assert!(output.tail().starts_with("hello"), "{}", output.tail());
        let killed = Ended {
            exit: Some(Exit::Signal(6)),
            elapsed: std::time::Duration::ZERO,
        };
        let unfinished = ["d".to_owned()];
        let (name, failure) = reader
            .crash(&unfinished, killed, Limits::default())
            .unwrap();
        assert_eq!(name, "d");
        assert_eq!(
            failure.text,
            "the process of all tests was killed by SIGABRT before the test finished"
        );
    }
}
