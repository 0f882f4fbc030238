//! Text about the history and the log of a role.

use std::path::Path;

use ansar_contract::line::{STAMP_FORMAT, Tag};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use crate::commands::config;
use crate::commands::history::{Outcome, State};
use crate::commands::log::Lines;
use crate::events::json::VERSION;
use crate::home::history::{End, RecordedCause, Run};
use crate::host::fs::Error as FilesError;
use crate::host::process::signal;
use crate::logs::header::{Head, STAMP, Stamp};
use crate::logs::merge::Record;
use crate::model::duration::HumanDuration;
use crate::model::finding::{Finding, State as FindingState};
use crate::model::name::{ExecutableName, RoleName};
use crate::report::human::count;
use crate::report::json;
use crate::report::shell::{Form, Shell};

/// Shows the runs of a role as data: `[0] 7h30m ago ... 1m5.4s (Aborted)`.
pub fn history(shell: &mut Shell, outcome: &Outcome, long: bool) {
    for (index, (run, state)) in outcome.runs.iter().enumerate() {
        if shell.form() != Form::Human {
            json::item(shell, run_line(index, run, *state));
            continue;
        }
        let line = if long {
            long_line(run, *state)
        } else {
            let ago = elapsed(run.start.at, outcome.now);
            format!("{ago} ago ... {}", short_end(run, *state))
        };
        shell.data(&format!("[{index}] {line}"));
    }
    if outcome.skipped > 0 {
        let skipped = count(outcome.skipped, "record");
        shell.warn(&format!("{skipped} of the history could not be read"));
    }
}

/// A run of a role as JSON.
#[derive(Serialize)]
struct RunLine<'a> {
    index: usize,
    state: &'static str,
    started: Timestamp,
    pid: u32,
    executable: &'a ExecutableName,
    ended: Option<Timestamp>,
    cause: Option<RecordedCause>,
    attempts: Option<u32>,
    /// Name of the result's type.
    returned: Option<&'a str>,
}

fn run_line(index: usize, run: &Run, state: State) -> RunLine<'_> {
    let end = run.end.as_ref();
    RunLine {
        index,
        state: match state {
            State::Running => "running",
            State::Ended => "ended",
            State::Lost => "lost",
        },
        started: run.start.at,
        pid: run.start.pid,
        executable: &run.start.executable,
        ended: end.map(|end| end.at),
        cause: end.map(|end| end.cause),
        attempts: end.and_then(|end| end.attempts),
        returned: end.map(|end| end.name.as_str()),
    }
}

/// Shows a path as data.
pub fn folder(shell: &mut Shell, path: &Path) {
    #[derive(Serialize)]
    struct Line {
        path: String,
    }

    let path = path.display().to_string();
    match shell.form() {
        Form::Human => shell.data(&path),
        _ => json::item(shell, Line { path }),
    }
}

/// Shows the findings of `doctor` as data: state, check and text in columns,
/// and the remedy below.
pub fn findings(shell: &mut Shell, findings: &[Finding]) {
    if shell.form() != Form::Human {
        for finding in findings {
            json::item(shell, finding);
        }
        return;
    }
    let width = findings.iter().map(|finding| finding.check.len()).max();
    let width = width.unwrap_or(0);
    for finding in findings {
        let state = match finding.state {
            FindingState::Ok => "ok",
            FindingState::Warning => "warning",
            FindingState::Error => "error",
        };
        let (check, text) = (finding.check, &finding.text);
        shell.data(&format!("{state:7}  {check:width$}  {text}"));
        if let Some(hint) = &finding.hint {
            shell.data(&format!("{:7}  {:width$}  hint: {hint}", "", ""));
        }
    }
}

/// Longest value that widens the column of values.
const WIDEST: usize = 40;

/// Shows the values in force as data: name, value and source in columns.
pub fn config(shell: &mut Shell, outcome: &config::Outcome) {
    if shell.form() != Form::Human {
        for row in &outcome.rows {
            json::item(shell, config_line(outcome, row));
        }
        return;
    }
    let values: Vec<String> = outcome.rows.iter().map(|row| text_of(&row.value)).collect();
    let wide = |width: usize| (width <= WIDEST).then_some(width);
    let widths = values
        .iter()
        .filter_map(|value| wide(value.chars().count()));
    let value_width = widths.max().unwrap_or(0);
    let key_width = outcome.rows.iter().map(|row| row.key.len()).max();
    let key_width = key_width.unwrap_or(0);
    for (row, value) in outcome.rows.iter().zip(&values) {
        let sources = row
            .sources
            .iter()
            .map(|source| source_text(outcome, source));
        let sources = sources.collect::<Vec<_>>().join(", ");
        let key = &row.key;
        shell.data(&format!(
            "{key:key_width$}  {value:value_width$}  {sources}"
        ));
    }
}

/// Returns a value as text: a string as it is, anything else as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn source_text(outcome: &config::Outcome, source: &config::Source) -> String {
    match source {
        config::Source::CommandLine => "command line".to_owned(),
        config::Source::Variable(name) => format!("environment variable {name}"),
        config::Source::Manifest(line) => match &outcome.manifest {
            Some(manifest) => format!("{}:{line}", manifest.display()),
            None => String::new(),
        },
        config::Source::File(path) => path.display().to_string(),
        config::Source::Hand => "set by hand".to_owned(),
        config::Source::Allocated => "allocated".to_owned(),
        config::Source::Default => "default".to_owned(),
    }
}

/// A value in force as JSON.
#[derive(Serialize)]
struct ConfigLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a RoleName>,
    key: &'a str,
    value: &'a Value,
    from: Vec<ConfigSource<'a>>,
}

/// The source of a value as JSON.
#[derive(Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
enum ConfigSource<'a> {
    CommandLine,
    Variable { name: &'a str },
    Manifest { file: String, line: u32 },
    File { file: String },
    Hand,
    Allocated,
    Default,
}

fn config_line<'a>(outcome: &'a config::Outcome, row: &'a config::Row) -> ConfigLine<'a> {
    let manifest = || outcome.manifest.as_deref().unwrap_or(Path::new(""));
    let from = row.sources.iter().map(|source| match source {
        config::Source::CommandLine => ConfigSource::CommandLine,
        config::Source::Variable(name) => ConfigSource::Variable { name },
        config::Source::Manifest(line) => ConfigSource::Manifest {
            file: manifest().display().to_string(),
            line: *line,
        },
        config::Source::File(path) => ConfigSource::File {
            file: path.display().to_string(),
        },
        config::Source::Hand => ConfigSource::Hand,
        config::Source::Allocated => ConfigSource::Allocated,
        config::Source::Default => ConfigSource::Default,
    });
    ConfigLine {
        role: outcome.role.as_ref(),
        key: &row.key,
        value: &row.value,
        from: from.collect(),
    }
}

fn short_end(run: &Run, state: State) -> String {
    match (&run.end, state) {
        (Some(end), _) => format!("{} ({})", elapsed(run.start.at, end.at), kind(end)),
        (None, State::Lost) => "(engine killed)".to_owned(),
        (None, _) => "running".to_owned(),
    }
}

fn long_line(run: &Run, state: State) -> String {
    let stamp = |at: Timestamp| at.strftime(STAMP_FORMAT);
    let begin = stamp(run.start.at);
    let pid = run.start.pid;
    match (&run.end, state) {
        (Some(end), _) => {
            let attempts = match end.attempts {
                Some(attempts) if attempts > 1 => format!(", {attempts} attempts"),
                _ => String::new(),
            };
            format!(
                "{begin} ... {}  {:>8}  <{pid}>  {}{attempts} ({})",
                stamp(end.at),
                elapsed(run.start.at, end.at).to_string(),
                how(end.cause),
                kind(end)
            )
        }
        (None, State::Lost) => format!("{begin} ... <{pid}>  engine killed"),
        (None, _) => format!("{begin} ... <{pid}>  running"),
    }
}

/// Returns the last part of a type's name, and the size of a result that was
/// not stored.
fn kind(end: &End) -> String {
    let name = end
        .name
        .rsplit_once('.')
        .map_or(&*end.name, |(_, name)| name);
    match end.result {
        Some(_) => name.to_owned(),
        None => format!("{name}, {} bytes, not kept", end.size),
    }
}

fn how(cause: RecordedCause) -> String {
    match cause {
        RecordedCause::Returned => "returned".to_owned(),
        RecordedCause::Stopped => "stopped".to_owned(),
        RecordedCause::Killed => "killed after its grace time".to_owned(),
        RecordedCause::TimedOut => "timed out".to_owned(),
        RecordedCause::Signal(number) => format!("killed by {}", signal::name(number)),
        RecordedCause::Exited(code) => format!("exited with code {code}"),
        RecordedCause::Refused => "refused".to_owned(),
    }
}

/// Returns the duration between two times, or zero if the clock was set back.
fn elapsed(from: Timestamp, to: Timestamp) -> HumanDuration {
    HumanDuration(to.duration_since(from).try_into().unwrap_or_default())
}

/// Number of bytes per write.
const PIECE: usize = 256 << 10;

/// Prints a log.
#[derive(Debug)]
pub struct Printing {
    /// Lines to print.
    pub lines: Lines,
    /// True if more lines may follow.
    follows: bool,
    /// Process whose lines were printed without its id so far.
    alone: Option<u32>,
    /// True if lines are printed with their process id; unset before the first
    /// print.
    with_pid: Option<bool>,
    torn: u64,
}

impl Printing {
    /// Creates a printing of `lines`. With `follows`, more lines may follow.
    pub fn new(lines: Lines, follows: bool) -> Self {
        Self {
            lines,
            follows,
            alone: None,
            with_pid: None,
            torn: 0,
        }
    }

    /// Prints the stored lines. Returns false if the reader closed stdout.
    pub fn print(&mut self, shell: &mut Shell) -> Result<bool, FilesError> {
        if shell.form() != Form::Human {
            return self.print_as_json(shell);
        }
        let with_pid = match self.with_pid {
            Some(with_pid) => with_pid,
            None => self.lines.are_of_several()?,
        };
        let mut with_pid = with_pid;
        let zone = self.lines.zone.clone();
        let width = self.lines.role_width();
        let mut piece = Vec::with_capacity(PIECE + (8 << 10));
        let mut is_read = true;
        while let Some(record) = self.lines.next_run()? {
            // A later line may be the first of another process.
            let pid = record.head.pid;
            with_pid |= *self.alone.get_or_insert(pid) != pid;
            put(&mut piece, &record, width, with_pid, zone.as_ref());
            if piece.len() >= PIECE {
                shell.expects_much();
                is_read = shell.lines(&piece);
                piece.clear();
                if !is_read {
                    break;
                }
            }
        }
        self.with_pid = Some(with_pid);
        is_read = is_read && shell.lines(&piece);
        self.warn_of_torn(shell);
        Ok(is_read)
    }

    /// Prints the stored records as JSON, one per line.
    fn print_as_json(&mut self, shell: &mut Shell) -> Result<bool, FilesError> {
        let mut piece = String::new();
        let mut is_read = true;
        while let Some(Record {
            role, head, text, ..
        }) = self.lines.next_record()?
        {
            let text = String::from_utf8_lossy(text);
            let line = LogLine {
                version: VERSION,
                role,
                pid: head.pid,
                at: &format!("{}Z", head.stamp),
                tag: head.tag,
                text: text.trim_end_matches('\n'),
            };
            // Encoding plain data cannot fail.
            piece.push_str(&serde_json::to_string(&line).unwrap_or_default());
            piece.push('\n');
            if piece.len() >= PIECE {
                is_read = shell.json_lines(&piece);
                piece.clear();
                if !is_read {
                    break;
                }
            }
        }
        is_read = is_read && shell.json_lines(&piece);
        self.warn_of_torn(shell);
        Ok(is_read)
    }

    fn warn_of_torn(&mut self, shell: &mut Shell) {
        let torn = self.lines.torn(!self.follows);
        if torn > self.torn && self.torn == 0 {
            let (lines, were) = if torn == 1 {
                ("line", "was")
            } else {
                ("lines", "were")
            };
            shell.warn(&format!(
                "{torn} {lines} {were} truncated by a crash and {were} skipped"
            ));
        }
        self.torn = torn;
    }
}

/// A record of a log as JSON.
#[derive(Serialize)]
struct LogLine<'a> {
    version: u32,
    role: &'a RoleName,
    pid: u32,
    at: &'a str,
    tag: Tag,
    /// Lines as stored.
    text: &'a str,
}

/// Appends the lines of a record to `piece` as they are printed. With a
/// `width`, the role is shown in a column of this width.
fn put(
    piece: &mut Vec<u8>,
    record: &Record<'_>,
    width: Option<usize>,
    with_pid: bool,
    zone: Option<&TimeZone>,
) {
    if with_pid && zone.is_none() && width.is_none() {
        return piece.extend_from_slice(record.text);
    }
    let role = width.map(|width| format!("{:width$} | ", record.role.as_str()));
    let role = role.unwrap_or_default();
    let process = record.head.shown;
    let mut rest = record.text;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, next) = rest.split_at(end);
        rest = next;
        piece.extend_from_slice(role.as_bytes());
        if with_pid {
            piece.extend_from_slice(&line[..process]);
        }
        let mut shown = &line[process..];
        if let Some(stamp) = zone.and_then(|zone| local(Head::of(line)?.stamp, zone)) {
            piece.extend_from_slice(stamp.as_bytes());
            shown = &shown[stamp.len()..];
        }
        piece.extend_from_slice(shown);
    }
}

/// Converts a stamp to local time in `zone`. Returns `None` if it is not a
/// valid time.
fn local(stamp: Stamp, zone: &TimeZone) -> Option<String> {
    let at = TimeZone::UTC.to_timestamp(stamp.civil()?).ok()?;
    let shown = zone.to_datetime(at).strftime(STAMP_FORMAT).to_string();
    (shown.len() == STAMP).then_some(shown)
}
