//! The stored events and report of the last run.
//!
//! The file is replaced as a whole when a run is over, so that readers find the
//! previous run until then. Log lines and the whole file are limited in size;
//! the run report is always stored. `docs/src/reference/json.md` describes the
//! lines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::events::{Event, Events, Kind, LogEvent, RoleEvent, RunEvent, json};
use crate::home::{Home, HomeError};
use crate::host::fs;
use crate::host::fs::fingerprint::{Stat, stat};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::run_report::RunReport;
use crate::model::text::floor_char_boundary;

/// Folder of the last run, in the root of a home.
pub(crate) const FOLDER: &str = "last";
/// File with the events of the last run.
pub(crate) const FILE: &str = "run.jsonl";

/// Most bytes of log lines that are stored.
const MAX_LOG_LINES_SIZE: usize = 1 << 20;
/// Most bytes that are stored, without the run report.
const MAX_SIZE: usize = 8 << 20;
/// Most failures that are stored.
const MAX_FAILURES: usize = 10_000;
/// Longest text of a failure that is stored, in bytes.
const MAX_TEXT_SIZE: usize = 16 << 10;

/// Records the events of a run.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Recording>>);

#[derive(Debug, Default)]
struct Recording {
    /// Whole lines of JSON.
    written: Vec<u8>,
    /// Size of the log lines among them, in bytes.
    log_lines_size: usize,
    /// The line of the verdict, without its end.
    verdict: Option<String>,
    /// Time of the last start of each role, and of its exit.
    spans: BTreeMap<RoleName, (Timestamp, Option<Timestamp>)>,
    /// The executable of each role.
    executables: BTreeMap<RoleName, ExecutableName>,
    /// Time at which roles were last asked to stop together.
    stopping: Option<Timestamp>,
}

impl Recorder {
    /// Returns a stream whose events go to `events` and to this recorder.
    pub fn reading(&self, events: &Events) -> Events {
        let recorder = self.clone();
        events.read_by(move |event| recorder.recording().read(event))
    }

    /// Time from the last start of a role to its exit; `None` if it did not
    /// start or has not exited.
    pub fn elapsed(&self, role: &RoleName) -> Option<Duration> {
        let (begun, ended) = *self.recording().spans.get(role)?;
        ended?.duration_since(begun).try_into().ok()
    }

    /// Time at which the roles were asked to stop, if they were.
    pub fn stopping(&self) -> Option<Timestamp> {
        self.recording().stopping
    }

    /// The executable that a role ran, if it was started.
    pub fn executable(&self, role: &RoleName) -> Option<ExecutableName> {
        self.recording().executables.get(role).cloned()
    }

    /// Stores the recorded events in place of the previous run.
    pub fn keep(&self, home: &Home) -> Result<(), HomeError> {
        let file = home.last_run_file();
        if let Some(folder) = file.parent() {
            fs::make_private_folders(folder)?;
        }
        let recording = self.recording();
        let mut bytes = recording.written.clone();
        if let Some(line) = &recording.verdict {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        Ok(fs::place(&file, &bytes)?)
    }

    fn recording(&self) -> std::sync::MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    fn read(&mut self, event: &Event) {
        match &event.kind {
            Kind::Run(RunEvent::Verdict(run)) => {
                let at = event.at;
                let kind = Kind::Run(RunEvent::Verdict(Box::new(bounded(run))));
                self.verdict = Some(json::line(&Event { at, kind }));
                return;
            }
            Kind::Role(RoleEvent::Started {
                role, executable, ..
            }) => {
                let executables = &mut self.executables;
                executables.insert(role.clone(), executable.clone());
                self.spans.insert(role.clone(), (event.at, None));
            }
            Kind::Run(RunEvent::Stopping { .. }) => self.stopping = Some(event.at),
            Kind::Role(RoleEvent::Ended { role, .. }) => {
                if let Some((_, ended)) = self.spans.get_mut(role) {
                    *ended = Some(event.at);
                }
            }
            Kind::Role(_) | Kind::Run(_) | Kind::Log(_) | Kind::Deploy(_) | Kind::Source(_) => {}
        }
        let is_line = matches!(event.kind, Kind::Log(LogEvent::Line { .. }));
        if self.written.len() >= MAX_SIZE || (is_line && self.log_lines_size >= MAX_LOG_LINES_SIZE)
        {
            return;
        }
        let line = json::line(event);
        if self.written.len() + line.len() >= MAX_SIZE {
            return;
        }
        self.written.extend_from_slice(line.as_bytes());
        self.written.push(b'\n');
        if is_line {
            self.log_lines_size += line.len() + 1;
        }
    }
}

/// Returns a run report that is cut to the size that is stored.
fn bounded(run: &RunReport) -> RunReport {
    let mut run = run.clone();
    run.failures.truncate(MAX_FAILURES);
    let mut room = MAX_FAILURES - run.failures.len();
    for it in &mut run.tries {
        it.failures.truncate(room);
        room -= it.failures.len();
    }
    for failure in run.all_failures() {
        if failure.text.len() > MAX_TEXT_SIZE {
            let end = floor_char_boundary(&failure.text, MAX_TEXT_SIZE);
            failure.text.truncate(end);
            failure.text.push('…');
        }
    }
    run
}

/// The last run, read from its file.
#[derive(Debug, Clone, PartialEq)]
pub struct LastRun {
    /// The stored events that this version can read, without the verdict.
    pub events: Vec<Event>,
    /// Time of the verdict.
    pub at: Timestamp,
    /// The run report.
    pub report: RunReport,
}

impl LastRun {
    /// Parses the lines of a run; returns `None` without a verdict.
    pub fn of(lines: &[u8]) -> Option<Self> {
        let lines = lines.split(|byte| *byte == b'\n');
        let mut run = None;
        let mut events = Vec::new();
        for event in lines.filter_map(json::read) {
            match event.kind {
                Kind::Run(RunEvent::Verdict(report)) => run = Some((event.at, *report)),
                _ => events.push(event),
            }
        }
        let (at, report) = run?;
        Some(Self { events, at, report })
    }
}

impl Home {
    /// Reads the last run; returns `None` if there was none, and
    /// [`HomeError::Content`] if this version cannot read it.
    pub fn last_run(&self) -> Result<Option<LastRun>, HomeError> {
        self.last(LastRun::of)
    }

    /// Reads the report of the last run, without its events. Returns the same
    /// errors as [`Home::last_run`].
    pub fn last_report(&self) -> Result<Option<RunReport>, HomeError> {
        Ok(self.last_verdict()?.map(|(_, report)| report))
    }

    /// Returns the time of the last run's verdict. Returns the same errors as
    /// [`Home::last_run`].
    pub(super) fn last_run_time(&self) -> Result<Option<Timestamp>, HomeError> {
        Ok(self.last_verdict()?.map(|(at, _)| at))
    }

    fn last_verdict(&self) -> Result<Option<(Timestamp, RunReport)>, HomeError> {
        self.last(|bytes| {
            // The verdict is the last line.
            let mut lines = bytes.rsplit(|byte| *byte == b'\n');
            let last = lines.find(|line| !line.is_empty());
            let event = last.and_then(json::read)?;
            match event.kind {
                Kind::Run(RunEvent::Verdict(run)) => Some((event.at, *run)),
                _ => None,
            }
        })
    }

    fn last<T>(&self, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>, HomeError> {
        let path = self.last_run_file();
        match fs::read_if_exists(&path)? {
            None => Ok(None),
            // An empty file is left by a power loss.
            Some(bytes) if bytes.is_empty() => Ok(None),
            Some(bytes) => match read(&bytes) {
                Some(last) => Ok(Some(last)),
                None => Err(HomeError::Content {
                    path,
                    reason: " no run that this version can read".to_owned(),
                }),
            },
        }
    }

    /// Returns the metadata of the file with the last run, which changes with
    /// every run; `None` if there was no run.
    pub fn last_run_stat(&self) -> Result<Option<Stat>, HomeError> {
        match stat(&self.last_run_file()) {
            Err(error) if error.is_not_found() => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    /// Returns the file with the results of a role's last tests.
    pub fn test_results(&self, role: &RoleName) -> PathBuf {
        self.root.join(FOLDER).join(format!("{role}.tests.jsonl"))
    }

    /// Returns the folder of the last run.
    pub fn last_run_folder(&self) -> PathBuf {
        self.root.join(FOLDER)
    }

    fn last_run_file(&self) -> PathBuf {
        self.root.join(FOLDER).join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use ansar_contract::line::Tag;

    use super::*;
    use crate::events::DeployEvent;
    use crate::model::run_report::{Failure, Row, Standing};

    fn home(folder: &std::path::Path) -> Home {
        let root = folder.join("home");
        Home::create(&root, None, &BTreeMap::new(), "id".to_owned()).unwrap()
    }

    fn role() -> RoleName {
        "test-a".parse().unwrap()
    }

    fn report(text: &str) -> RunReport {
        RunReport {
            command: "test".to_owned(),
            exit: 100,
            failed: 1,
            roles: vec![Row {
                role: role(),
                passed: 0,
                failed: 1,
                cut: 0,
                ignored: 0,
                unfinished: Vec::new(),
                tests: Vec::new(),
                standing: Standing::Failed,
                tries: 1,
                elapsed: Some(0.25),
            }],
            failures: vec![Failure {
                role: role(),
                executable: None,
                source: "/ws/src/a.rs".to_owned(),
                line: 7,
                column: Some(5),
                test: None,
                text: text.to_owned(),
                at: Timestamp::UNIX_EPOCH,
                context: Vec::new(),
            }],
            ..RunReport::default()
        }
    }

    fn line(number: usize) -> Kind {
        Kind::Log(LogEvent::Line {
            role: role(),
            tag: Tag::Console,
            text: format!("{number} {}", "x".repeat(1000)),
        })
    }

    #[test]
    fn a_run_round_trips_and_replaces_the_previous() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        assert_eq!(home.last_run().unwrap(), None);
        for text in ["first", "second"] {
            let recorder = Recorder::default();
            let events = recorder.reading(&Events::new(|_| {}));
            events.emit(DeployEvent::Built {});
            events.emit(RoleEvent::Ready { role: role() });
            events.emit(RunEvent::Verdict(Box::new(report(text))));
            recorder.keep(&home).unwrap();
            let last = home.last_run().unwrap().unwrap();
            assert_eq!(last.report, report(text));
            assert_eq!(last.events.len(), 2);
            assert_eq!(home.last_report().unwrap(), Some(last.report));
        }
    }

    #[test]
    fn events_are_bounded_and_the_report_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        let recorder = Recorder::default();
        let events = recorder.reading(&Events::new(|_| {}));
        for number in 0..20_000 {
            events.emit(line(number));
        }
        events.emit(RoleEvent::Ready { role: role() });
        events.emit(RunEvent::Verdict(Box::new(report(
            &"ü".repeat(MAX_TEXT_SIZE),
        ))));
        recorder.keep(&home).unwrap();
        let size = std::fs::metadata(home.last_run_file()).unwrap().len();
        assert!(size < 2 << 20, "{size}");
        let last = home.last_run().unwrap().unwrap();
        assert!(matches!(
            last.events.last().unwrap().kind,
            Kind::Role(RoleEvent::Ready { .. })
        ));
        assert!(last.report.failures[0].text.ends_with("ü…"));
    }

    #[test]
    fn invalid_files_are_no_run() {
        for bytes in [&b""[..], b"\n\n", b"{}", b"\xff\x00{", b"[[[[[[[["] {
            assert_eq!(LastRun::of(bytes), None);
        }
        let at = Timestamp::UNIX_EPOCH;
        let kind = Kind::Run(RunEvent::Verdict(Box::new(report("text"))));
        let line = json::line(&Event { at, kind });
        let torn = format!("{}\nnoise\n{line}\n{}", &line[..9], &line[..50]);
        assert_eq!(LastRun::of(torn.as_bytes()).unwrap().events, []);
    }
}
