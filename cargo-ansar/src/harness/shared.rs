//! Runs all tests in one process, which captures what each of them prints.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::rc::Rc;

use ansar_contract::lifecycle::Faulted;

use crate::harness::output::{Output, is_name, result};
use crate::harness::program::{Ended, Limits};
use crate::harness::verdict::Failure;
use crate::harness::{Session, cannot, program, verdict};
use crate::host::process::{Exit, signal};
use crate::model::duration::ShortDuration;
use crate::model::test_target::Ignored;

/// Runs the selected tests. `is_whole` is true if these are all tests.
pub(super) async fn run(session: &Rc<Session>, is_whole: bool) -> Result<(), Faulted> {
    let selected = session.state.borrow().selected.clone();
    if selected.is_empty() {
        return Ok(());
    }
    let mut arguments = vec![OsString::from("--color=never")];
    match session.run.ignored {
        Ignored::Skip => {}
        Ignored::Include => arguments.push("--include-ignored".into()),
        Ignored::Only => arguments.push("--ignored".into()),
    }
    // Two threads at least: with one, the thread of a test has not its name.
    let threads = session.run.jobs.max(2);
    arguments.push(format!("--test-threads={threads}").into());
    if !is_whole {
        arguments.push("--exact".into());
        arguments.extend(selected.iter().map(OsString::from));
    }
    let reader = RefCell::new(Reader::new(&selected));
    let limits = Limits {
        most: session.run.limit(),
        slow: None,
        output_counts: true,
    };
    let program = session.program(arguments);
    let line = |line: &[u8]| {
        if let Some(name) = reader.borrow_mut().line(line) {
            session.finished(&name, None, Ok(()), None);
        }
    };
    let ended = program::run(&program, limits, line, || {}).await;
    let ended = ended.map_err(|error| cannot("run the test executable", &error))?;
    let reader = reader.into_inner();
    for (name, output) in &reader.failed {
        let failure = verdict::of_output(name, output, true).unwrap_or_else(|| Failure {
            text: "returned an exit code other than 0".to_owned(),
            place: None,
        });
        session.finished(name, None, Err(failure), Some(output));
    }
    if let Some((name, failure)) = reader.crash(&session.report().unfinished, ended, limits) {
        session.finished(&name, None, Err(failure), Some(&reader.all));
    }
    Ok(())
}

/// Reads the output of a process that runs several tests.
struct Reader<'a> {
    selected: &'a [String],
    /// Tests that have failed, with what they printed.
    failed: BTreeMap<String, Output>,
    /// The test whose captured output is being read.
    section: Option<String>,
    /// Everything.
    all: Output,
}

impl<'a> Reader<'a> {
    fn new(selected: &'a [String]) -> Self {
        Self {
            selected,
            failed: BTreeMap::new(),
            section: None,
            all: Output::default(),
        }
    }

    /// Reads a line. Returns the name of a test that has passed.
    fn line(&mut self, line: &[u8]) -> Option<String> {
        self.all.line(line);
        let text = String::from_utf8_lossy(line);
        if let Some(name) = text
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
            .filter(|name| self.failed.contains_key(*name))
        {
            self.section = Some(name.to_owned());
            return None;
        }
        if text == "failures:" {
            self.section = None;
        }
        if let Some(output) = self.section.as_ref().and_then(|it| self.failed.get_mut(it)) {
            output.line(line);
            return None;
        }
        let (told, word) = result(&text)?;
        let name = self.selected.iter().find(|name| is_name(told, name))?;
        match word {
            "ok" => Some(name.clone()),
            "FAILED" => {
                self.failed.insert(name.clone(), Output::default());
                None
            }
            _ => None,
        }
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
        let text = match overflowed {
            Some(_) => format!("stack overflow{others}"),
            None => format!("{reason} before the test finished{others}"),
        };
        Some((name.clone(), Failure { text, place: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_output_belongs_to_its_test() {
        let selected = ["a", "b::c", "d"].map(str::to_owned);
        let mut reader = Reader::new(&selected);
        let text = "running 3 tests\ntest a ... ok\ntest b::c ... FAILED\n\nfailures:\n\n\
                    ---- b::c stdout ----\nhello\n\nthread 'b::c' (3) panicked at x.rs:1:2:\nno\n\n\n\
                    failures:\n    b::c\n";
        let passed: Vec<_> = text
            .lines()
            .filter_map(|line| reader.line(line.as_bytes()))
            .collect();
        assert_eq!(passed, ["a"]);
        let output = &reader.failed["b::c"];
        assert_eq!(verdict::of_output("b::c", output, true).unwrap().text, "no");
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
