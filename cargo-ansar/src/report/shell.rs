//! The two output streams: data on stdout, messages on stderr in Cargo's style.
//!
//! Everything that is printed passes through a `Filter`. Styles are added after
//! it, so that no text can control the terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};

use crate::host::environment;
use crate::host::process::pipe;
use crate::host::terminal;
use crate::model::name::RoleName;
use crate::model::text::floor_char_boundary;
use crate::report::palette::Palette;
use crate::report::untrusted::Filter;

/// Verbosity of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Data, warnings and errors.
    Quiet,
    /// Also events of the command.
    Normal,
    /// Also events of every role.
    Verbose,
}

/// Formats of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Text for people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
    /// JSON messages like Cargo's.
    Messages,
    /// Text for people, with failures in the form of compiler errors.
    Rustc,
}

/// Use of colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal that supports colour.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Applies the choice to both streams.
    pub fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Returns true if colours are used on stdout.
pub fn is_colored() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Returns true if stdout is a pipe.
pub fn is_piped() -> bool {
    pipe::is_pipe(io::stdout())
}

/// Returns true if stderr is a terminal.
pub fn is_attended() -> bool {
    io::stderr().is_terminal()
}

/// Returns the number of columns and lines of the terminal at stderr.
pub(super) fn size() -> Option<(usize, usize)> {
    terminal::size(io::stderr())
}

/// Returns true if this command is in the foreground of the terminal at stderr.
pub(super) fn is_in_foreground(has_guardian: bool) -> bool {
    terminal::is_in_foreground(io::stderr(), has_guardian)
}

/// The output streams and their settings.
pub struct Shell {
    verbosity: Verbosity,
    form: Form,
    data: io::BufWriter<anstream::Stdout>,
    /// Filter for stdout.
    on_data: Filter,
    /// Filter for stderr.
    on_narrative: Filter,
    palette: Palette,
    failed: Option<io::Error>,
    /// Number of message lines.
    told: usize,
    /// True if the capacity of a pipe at stdout was raised.
    is_roomy: bool,
}

/// Number of columns of a verb.
pub(super) const VERB_COLUMNS: usize = 12;

const VERB: Style = AnsiColor::Green.on_default().bold();
const PROGRESS_VERB: Style = AnsiColor::Cyan.on_default().bold();
const BAD_VERB: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

impl Shell {
    pub(super) fn new(verbosity: Verbosity, form: Form) -> Self {
        Self {
            verbosity,
            form,
            data: io::BufWriter::new(anstream::stdout()),
            on_data: filter(&io::stdout()),
            on_narrative: filter(&io::stderr()),
            palette: Palette::default(),
            failed: None,
            told: 0,
            is_roomy: false,
        }
    }

    /// Returns true if messages of this verbosity are shown.
    pub fn tells(&self, verbosity: Verbosity) -> bool {
        self.verbosity >= verbosity
    }

    /// Returns true if messages go to a terminal.
    pub fn is_terminal(&self) -> bool {
        is_attended()
    }

    /// Returns true if data is text for people.
    pub fn is_for_people(&self) -> bool {
        matches!(self.form, Form::Human | Form::Rustc)
    }

    /// Returns the number of message lines that were printed.
    pub fn told(&self) -> usize {
        self.told
    }

    /// Returns the format of data.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Prints a line of data for people. A failed write makes the command fail
    /// at its end, unless the reader closed stdout.
    pub fn data(&mut self, text: &str) {
        let line = self.on_data.line(text);
        put(&mut self.data, &mut self.failed, &line);
    }

    /// Prints JSON as data, on one or several lines.
    pub fn json(&mut self, text: &str) {
        let text = self.on_data.json(text);
        put(&mut self.data, &mut self.failed, &text);
    }

    /// Prints text of this program as data, unfiltered.
    pub fn verbatim(&mut self, text: &str) {
        put(&mut self.data, &mut self.failed, text);
    }

    /// Prepares stdout for a large amount of data.
    pub fn expects_much(&mut self) {
        if !self.is_roomy {
            self.is_roomy = true;
            pipe::make_roomy(io::stdout());
        }
    }

    /// Prints whole lines of data for people. Returns false if a write has
    /// failed.
    pub fn lines(&mut self, lines: &[u8]) -> bool {
        if self.on_data.passes(lines) {
            return self.bytes(lines);
        }
        let lines = self.on_data.lines(lines);
        self.bytes(lines.as_bytes())
    }

    /// Prints lines of JSON as data. Returns false if a write has failed.
    pub fn json_lines(&mut self, lines: &str) -> bool {
        let lines = self.on_data.json(lines);
        self.bytes(lines.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> bool {
        self.flush();
        if self.failed.is_none() {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            self.failed = written.err();
        }
        self.failed.is_none()
    }

    /// Flushes data, so that it appears before later messages.
    pub fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.data.flush().err();
        }
    }

    /// Prints a message that begins with a verb.
    pub fn status(&mut self, verb: &'static str, text: &str) {
        if self.tells(Verbosity::Normal) {
            self.styled(VERB, &format!("{verb:>VERB_COLUMNS$}"), " ", text);
        }
    }

    /// Prints a message about a failure, at every verbosity.
    pub fn bad_status(&mut self, verb: &'static str, text: &str) {
        self.styled(BAD_VERB, &format!("{verb:>VERB_COLUMNS$}"), " ", text);
    }

    /// Prints a warning that begins with a verb, at every verbosity.
    pub fn odd_status(&mut self, verb: &'static str, text: &str) {
        self.styled(WARNING, &format!("{verb:>VERB_COLUMNS$}"), " ", text);
    }

    /// Prints a warning.
    pub fn warn(&mut self, text: &str) {
        self.styled(WARNING, "warning", ": ", text);
    }

    /// Prints an error, on one or several lines.
    pub fn error(&mut self, text: &str) {
        let text = self.on_narrative.lines(text.as_bytes());
        let text = format!("{BAD_VERB}error{BAD_VERB:#}: {text}");
        self.narrate(&text);
    }

    /// Prints a hint.
    pub fn hint(&mut self, text: &str) {
        self.styled(HINT, "hint", ": ", text);
    }

    /// Prints a log line of a role, with the process id in the role's colour.
    pub fn line(&mut self, role: &RoleName, line: &str) {
        let style = self.palette.style(role);
        let head = line.find(']').map_or(0, |end| end + 1);
        let (head, rest) = line.split_at(head);
        let (head, rest) = (self.on_narrative.line(head), self.on_narrative.line(rest));
        let line = format!("{style}{head}{style:#}{rest}");
        self.narrate(&line);
    }

    /// Prints a message line.
    pub fn tell(&mut self, text: &str) {
        let line = self.on_narrative.line(text).into_owned();
        self.narrate(&line);
    }

    /// Draws a line about progress in place of the one before, which occupies
    /// the cursor's row and this many `rows` above. The line begins with a verb.
    pub(super) fn draw(&mut self, line: &str, rows: usize) {
        let line = self.on_narrative.line(line);
        let (verb, text) = line.split_at(floor_char_boundary(&line, VERB_COLUMNS));
        let style = if self.on_narrative.colors {
            PROGRESS_VERB
        } else {
            Style::new()
        };
        let line = format!("{}{style}{verb}{style:#}{text}{TO_END}", begin(rows));
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Rings the bell of the terminal at stderr, with a notification in terminals
    /// that show one.
    pub(super) fn ring(&mut self, notification: Option<String>) {
        if !self.is_terminal() {
            return;
        }
        let filter = Filter {
            colors: false,
            runner: false,
        };
        let notification = notification.map(|text| format!("\x1b]9;{}\x1b\\", filter.line(&text)));
        let bell = format!("{}\x07", notification.unwrap_or_default());
        let _ = io::stderr().write_all(bell.as_bytes());
    }

    /// Prints a command for a CI runner. The caller has escaped its texts.
    pub fn command(&mut self, command: &str) {
        let filter = Filter {
            colors: false,
            runner: false,
        };
        self.narrate(&filter.line(command));
    }

    /// Prints a message whose beginning is styled.
    fn styled(&mut self, style: Style, head: &str, between: &str, text: &str) {
        let text = self.on_narrative.line(text);
        let line = format!("{style}{head}{style:#}{between}{text}");
        self.narrate(&line);
    }

    /// Writes a filtered message line in one write, so that lines of several
    /// processes on one terminal stay whole. Ignores errors.
    fn narrate(&mut self, line: &str) {
        let mut line = if self.on_narrative.colors {
            line.to_owned()
        } else {
            strip_str(line).to_string()
        };
        line.push('\n');
        self.told += 1;
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Flushes data. Returns the error of the first failed write to stdout,
    /// unless the reader closed it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush();
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// Erases from the cursor to the end of the terminal.
const TO_END: &str = "\x1b[J";

/// Erases a line that [`Shell::draw`] has drawn.
pub(super) fn erase(rows: usize) {
    let _ = io::stderr().write_all(format!("{}{TO_END}", begin(rows)).as_bytes());
}

/// Returns what moves the cursor to the beginning of a line, this many `rows`
/// above.
fn begin(rows: usize) -> String {
    match rows {
        0 => "\r".to_owned(),
        rows => format!("\r\x1b[{rows}A"),
    }
}

/// Writes a line of data, unless an earlier write failed.
fn put(data: &mut impl Write, failed: &mut Option<io::Error>, line: &str) {
    if failed.is_none() {
        *failed = writeln!(data, "{line}").err();
    }
}

/// Returns the filter for a stream.
fn filter(stream: &impl anstream::stream::RawStream) -> Filter {
    let choice = anstream::AutoStream::choice(stream);
    Filter {
        colors: choice != anstream::ColorChoice::Never,
        runner: is_read_by_a_runner(),
    }
}

/// Returns true if a CI runner reads the output.
pub fn is_read_by_a_runner() -> bool {
    ["GITHUB_ACTIONS", "CI", "TF_BUILD"].iter().any(|name| {
        let value = environment::variable(name);
        value.is_some_and(|value| !matches!(&*value, "" | "0" | "false"))
    })
}

/// Prints a message of clap. It may repeat untrusted arguments.
pub fn print_parse_error(error: &clap::Error) -> io::Result<()> {
    let text = error.render().ansi().to_string();
    let text = text.trim_end_matches('\n');
    if error.use_stderr() {
        let text = filter(&io::stderr()).lines(text.as_bytes()).into_owned();
        writeln!(anstream::stderr(), "{text}")
    } else {
        writeln!(anstream::stdout(), "{text}")
    }
}

/// Prints a warning without a printer. Waits for at most one second; a slower
/// write continues in its own thread.
pub fn warn(text: &str) {
    let (printed, done) = mpsc::channel();
    let text = text.to_owned();
    let print = move || {
        Shell::new(Verbosity::Quiet, Form::Human).warn(&text);
        // The caller may have stopped waiting.
        let _ = printed.send(());
    };
    if std::thread::Builder::new().spawn(print).is_ok() {
        let _ = done.recv_timeout(Duration::from_secs(1));
    }
}
