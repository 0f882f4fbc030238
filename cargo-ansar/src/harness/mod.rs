//! Runs a test target as a role: lists its tests, runs those that are chosen,
//! and reports each as a check.
//!
//! It is a process of its own, which follows the contract of components: the
//! engine knows nothing of `libtest`.

mod difference;
pub mod foreign;
mod isolated;
pub mod journal;
mod list;
mod log;
mod output;
mod places;
mod program;
mod schedule;
mod shared;
mod verdict;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use ansar_contract::launch;
use ansar_contract::lifecycle::Faulted;
use ansar_contract::line::Tag;
use ansar_contract::notice::{self, Notice};
use ansar_contract::test::{Check, TestReport};
use tokio::sync::Notify;

use crate::harness::journal::{Journal, LastResults};
use crate::harness::list::{Answer, Selection};
use crate::harness::log::Log;
use crate::harness::output::Output;
use crate::harness::places::TestLocations;
pub use crate::harness::places::TestSources;
use crate::harness::program::{Limits, UNREAD};
use crate::harness::verdict::Failure;
use crate::host::fs;
use crate::host::process::interrupts::Interrupts;
use crate::host::process::sd_notify;
use crate::host::process::{Exit, Program};
use crate::host::{clock, environment};
use crate::model::duration::ShortDuration;
use crate::model::quoted::quoted_list;
use crate::model::test_target::{Again, TestRun};
use crate::model::text::floor_char_boundary;
use crate::supervisor::judge::stamp;

/// Time after which results are written at the latest.
const FLUSH_AFTER: Duration = Duration::from_millis(10);

/// Returns the run that the arguments of this process ask for.
pub fn run_of_arguments(mut arguments: impl Iterator<Item = OsString>) -> Option<TestRun> {
    if arguments.nth(1)? != TestRun::WORD {
        return None;
    }
    serde_json::from_str(arguments.next()?.to_str()?).ok()
}

/// Runs a test target. `write` receives the records of its log, which are whole
/// lines.
///
/// An interrupt kills the tests that run; those that did not finish are named in
/// the report. Must be called within a `LocalSet`.
pub async fn run(run: TestRun, write: impl Fn(&str) + 'static) -> Result<TestReport, Faulted> {
    let listening = Interrupts::listen(None);
    let mut interrupts = listening.map_err(|error| cannot("listen for signals", &error))?;
    let last = LastResults::read(&run.journal);
    if run.again != Again::Retry {
        // A retry must not find the results of an earlier run.
        let _ = fs::remove_file(&run.journal);
    }
    let session = Rc::new(Session {
        log: Log::new(write),
        places: TestLocations::new(&run.artifact),
        environment: of_tests(environment::all()),
        state: RefCell::default(),
        has_unwritten: Notify::new(),
        role: environment::variable(launch::ROLE),
        run,
    });
    let done = tokio::select! {
        done = session.clone().run(last) => done,
        _ = interrupts.next() => Ok(()),
        never = session.keep_flushing() => match never {},
    };
    session.flush();
    done.map(|()| session.report())
}

/// Returns the environment of tests: without the address for notifications,
/// which would be taken for those of the role.
fn of_tests(mut all: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
    all.retain(|(name, _)| name != launch::NOTIFY_SOCKET);
    all
}

/// A run of a test target.
struct Session {
    run: TestRun,
    /// The name of the role.
    role: Option<String>,
    log: Log,
    places: TestLocations,
    environment: Vec<(OsString, OsString)>,
    state: RefCell<State>,
    /// Notified when a result is to be written.
    has_unwritten: Notify,
}

/// The progress of a run.
#[derive(Default)]
struct State {
    /// The tests to run, in this order.
    selected: Vec<String>,
    /// Tests that run now.
    running: BTreeSet<String>,
    /// The results of finished tests.
    checks: Vec<Check>,
    /// Number of ignored tests.
    ignored: u64,
    /// The file with the results.
    journal: Option<Journal>,
}

impl State {
    /// Adds the result of a test. A failure replaces the one that is known.
    fn add(&mut self, check: Check) {
        if let Some(journal) = &mut self.journal {
            journal.add(&check);
        }
        self.running.remove(&check.name);
        if !check.condition {
            self.checks.retain(|known| known.name != check.name);
        }
        self.checks.push(check);
    }
}

impl Session {
    /// Lists the tests, and runs those that are chosen.
    async fn run(self: Rc<Self>, last: LastResults) -> Result<(), Faulted> {
        let (all, ignored) = tokio::join!(self.list(&[]), self.list(&["--ignored"]));
        let all = match all? {
            Answer::Tests(all) => all,
            Answer::Unknown(exit) => return self.run_as_program(exit).await,
        };
        let ignored = match ignored? {
            Answer::Tests(ignored) => ignored,
            Answer::Unknown(_) => Vec::new(),
        };
        let selection = list::select(&all, &ignored, &self.run);
        if selection.tests.is_empty() && selection.ignored.is_empty() && !all.is_empty() {
            let run = &self.run;
            let filters = run.filter.iter().chain(&run.chosen);
            let condition = format!("no test matches {}", quoted_list(filters));
            return Err(Faulted::new(condition, ""));
        }
        let is_whole = selection.tests.len() == all.len();
        let selection = self.again(selection, last, is_whole);
        let is_whole = is_whole && selection.tests.len() == all.len();
        self.begin(selection);
        if self.run.isolate {
            isolated::run(&self, ignored.into_iter().collect()).await
        } else {
            shared::run(&self, all, is_whole).await
        }
    }

    /// Takes the part of the tests that this run has, and orders them: those that
    /// did not pass the last time run first, or alone.
    fn again(&self, whole: Selection, last: LastResults, is_whole: bool) -> Selection {
        let passed = last.passed();
        let did_pass = |name: &String| passed.contains(name.as_str());
        let was_chosen = last.chosen();
        let mut known = whole.tests.iter().filter(|name| was_chosen(name));
        let any_failed = known.any(|name| !did_pass(name));
        let parts = self.run.partitions.iter();
        let mut selection = parts.fold(whole, |part, partition| part.part(*partition));
        match self.run.again {
            Again::Retry => {
                let own: BTreeSet<String> = selection.tests.iter().cloned().collect();
                selection
                    .tests
                    .retain(|name| was_chosen(name) && !did_pass(name));
                let mut kept = last.checks;
                kept.retain(|check| check.condition && own.contains(&check.name));
                self.state.borrow_mut().checks = kept;
            }
            Again::Failed if any_failed => selection.tests.retain(|name| !did_pass(name)),
            // A process that runs all its tests orders them itself.
            Again::All | Again::Failed if is_whole && !self.run.isolate => {}
            Again::All | Again::Failed => {
                let failed: BTreeSet<String> = last.failed().map(str::to_owned).collect();
                selection.tests.sort_by_key(|name| !failed.contains(name));
            }
        }
        selection
    }

    /// Records the tests that are about to run.
    fn begin(&self, selection: Selection) {
        let mut state = self.state.borrow_mut();
        let journal = Journal::create(&self.run.journal, &selection, &state.checks);
        match journal {
            Ok(journal) => state.journal = Some(journal),
            Err(error) => self.log.write(Tag::Warning, &format!("{error}")),
        }
        state.selected = selection.tests;
        state.ignored = selection.ignored.len() as u64;
    }

    /// Asks the executable for its tests.
    async fn list(&self, more: &[&str]) -> Result<Answer, Faulted> {
        let arguments = ["--list", "--format", "terse"].iter().chain(more);
        let program = self.program(arguments.map(OsString::from).collect());
        let mut lines = Vec::new();
        let line = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        let limits = Limits {
            unread: UNREAD,
            ..self.limits()
        };
        let ended = program::run(&program, limits, line, |_| None).await;
        let ended = ended.map_err(|error| cannot("run the test executable", &error))?;
        Ok(list::parse(ended.exit, &lines))
    }

    /// Returns the test executable with these arguments.
    fn program(&self, arguments: Vec<OsString>) -> Program {
        Program {
            path: self.run.executable.clone(),
            arguments,
            environment: Some(self.environment.clone()),
            folder: None,
            stdin: None,
        }
    }

    /// Runs an executable that is no `libtest` harness: its exit code is the
    /// verdict.
    ///
    /// `listed` is its exit when it was asked for its tests. Of a division, the first
    /// part runs it, or all if it could not answer.
    async fn run_as_program(&self, listed: Option<Exit>) -> Result<(), Faulted> {
        let is_first = self.run.partitions.iter().all(|part| part.is_first());
        if listed == Some(Exit::Code(0)) && !is_first {
            return Ok(());
        }
        let name = &self.run.target;
        self.log.write(
            Tag::Console,
            &format!("`{name}` does not list its tests, so it runs as a program"),
        );
        let mut output = Output::default();
        let mut is_empty = false;
        let line = |line: &[u8]| {
            output.line(line);
            is_empty |= line == b"running 0 tests";
            self.log.write(Tag::Console, &String::from_utf8_lossy(line));
        };
        let program = self.program(Vec::new());
        let limits = self.limits();
        let ended = program::run(&program, limits, line, |_| None).await;
        let ended = ended.map_err(|error| cannot("run the test executable", &error))?;
        let judged = verdict::of_program(ended, &output, limits.most);
        if judged.is_err() || !is_empty {
            self.finished(name, Some(ended.elapsed), judged, None);
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            most: self.run.limit(),
            ..Limits::default()
        }
    }

    /// Records the result of a test: its check, and what it printed if it
    /// failed.
    fn finished(
        &self,
        name: &str,
        elapsed: Option<Duration>,
        judged: Result<(), Failure>,
        output: Option<&Output>,
    ) {
        let after = elapsed.map(|elapsed| format!(" after {}", ShortDuration(elapsed)));
        let after = after.unwrap_or_default();
        match &judged {
            Ok(()) => {
                let text = format!("{name} passed{after}");
                self.log.write_later(Tag::Trace, &text);
            }
            Err(failure) => {
                let printed = output.map(Output::tail).unwrap_or_default();
                let headline = failure.headline();
                let text = format!("{name} failed{after}: {headline}\n{printed}");
                self.log.write(Tag::Check, text.trim_end());
            }
        }
        self.add(self.check(name, elapsed, judged));
    }

    /// Adds the result of a test. A failure is written at once, and other results
    /// soon: they are written together if there are many.
    fn add(&self, check: Check) {
        let has_passed = check.condition;
        // Many short tests of one process would flood the engine.
        if !has_passed || self.run.isolate {
            sd_notify::send(&Notice {
                role: self.role.clone(),
                check: told(&check),
                ..Notice::default()
            });
        }
        self.state.borrow_mut().add(check);
        if has_passed {
            self.has_unwritten.notify_one();
        } else {
            self.flush();
        }
    }

    /// Writes results that wait to be written, now and then.
    async fn keep_flushing(&self) -> Infallible {
        loop {
            self.has_unwritten.notified().await;
            tokio::time::sleep(FLUSH_AFTER).await;
            self.flush();
        }
    }

    /// Writes everything that is not written yet.
    fn flush(&self) {
        self.log.flush();
        if let Some(journal) = &mut self.state.borrow_mut().journal {
            journal.flush();
        }
    }

    /// Returns the check of a test.
    fn check(&self, name: &str, elapsed: Option<Duration>, judged: Result<(), Failure>) -> Check {
        let (condition, place, text) = match judged {
            Ok(()) => (true, None, "passed".to_owned()),
            Err(failure) => {
                let place = failure.place.or_else(|| self.places.of_test(name));
                (false, place, format!("{name}: {}", failure.text))
            }
        };
        let place = place.unwrap_or_default();
        Check {
            condition,
            line: place.line,
            column: (place.column > 0).then_some(place.column),
            name: name.to_owned(),
            source: place.source,
            stamp: stamp(clock::now()),
            text,
            elapsed_us: elapsed.and_then(|elapsed| elapsed.as_micros().try_into().ok()),
        }
    }

    /// Returns the report of everything that has finished.
    fn report(&self) -> TestReport {
        let state = self.state.borrow();
        let (checks, selected) = (state.checks.clone(), state.selected.clone());
        let mut report = journal::report(checks, state.ignored, selected);
        let unfinished = &mut report.unfinished;
        unfinished.sort_by_key(|name| !state.running.contains(name));
        report
    }
}

/// Returns a check as a notification to the engine, without details that are too
/// long for it.
fn told(check: &Check) -> Option<String> {
    let mut told = check.clone();
    let headline = told.text.lines().next().unwrap_or_default();
    let end = floor_char_boundary(headline, LONGEST_HEADLINE);
    told.text = headline[..end].to_owned();
    let json = serde_json::to_string(&told).ok()?;
    (json.len() < notice::LONGEST / 2).then_some(json)
}

/// Longest text of a check in a notification, in bytes.
const LONGEST_HEADLINE: usize = 500;

fn cannot(what: &str, error: &io::Error) -> Faulted {
    Faulted::new(format!("failed to {what}"), error.to_string())
}

impl TestRun {
    /// Returns the time limit of a test.
    fn limit(&self) -> Option<Duration> {
        let seconds = self.test_timeout?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Returns the time after which a test is slow.
    fn slow(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.slow?).ok()
    }
}
