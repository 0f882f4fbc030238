//! The two streams: data on stdout, narrative on stderr in Cargo's own look.
//!
//! Everything that is printed goes through a `Filter`, and the styles of this
//! file are added behind it: no text can act on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::host::environment;
use crate::host::process::pipe;
use crate::model::name::RoleName;
use crate::report::palette::Palette;
use crate::report::untrusted::Filter;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Data, warnings and errors.
    Quiet,
    /// What happens.
    Normal,
    /// What happens to every role.
    Verbose,
}

/// The forms of what is printed as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// For a person.
    #[default]
    Human,
    /// For a program: one JSON object per line.
    Json,
    /// For a program that reads the messages of Cargo.
    Messages,
    /// For a person, with failures as the compiler tells errors.
    Rustc,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal that has it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes it hold for both streams from now on.
    pub fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Whether another program reads the data.
pub fn is_piped() -> bool {
    pipe::is_pipe(io::stdout())
}

/// Whether what is told goes to a terminal.
pub fn is_attended() -> bool {
    io::stderr().is_terminal()
}

/// The streams, and how much is told on them.
pub struct Shell {
    verbosity: Verbosity,
    form: Form,
    data: io::BufWriter<anstream::Stdout>,
    narrative: anstream::Stderr,
    /// What makes text safe for stdout.
    on_data: Filter,
    /// The same for stderr.
    on_narrative: Filter,
    palette: Palette,
    failed: Option<io::Error>,
    /// Whether a pipe behind stdout was made to hold much.
    is_roomy: bool,
}

const VERB: Style = AnsiColor::Green.on_default().bold();
const BAD_VERB: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

impl Shell {
    pub(super) fn new(verbosity: Verbosity, form: Form) -> Self {
        Self {
            verbosity,
            form,
            data: io::BufWriter::new(anstream::stdout()),
            narrative: anstream::stderr(),
            on_data: filter(&io::stdout()),
            on_narrative: filter(&io::stderr()),
            palette: Palette::default(),
            failed: None,
            is_roomy: false,
        }
    }

    /// Whether something of this verbosity is told.
    pub fn tells(&self, verbosity: Verbosity) -> bool {
        self.verbosity >= verbosity
    }

    /// Whether a person at a terminal reads what is told.
    pub fn is_terminal(&self) -> bool {
        is_attended()
    }

    /// Whether data is for a person.
    pub fn is_for_people(&self) -> bool {
        matches!(self.form, Form::Human | Form::Rustc)
    }

    /// The form of data.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Prints a line of data for people. One that cannot be written makes the
    /// whole command fail, later; a reader that has left does not.
    pub fn data(&mut self, text: &str) {
        let line = self.on_data.line(text);
        put(&mut self.data, &mut self.failed, &line);
    }

    /// Prints JSON as data, on one line or on several.
    pub fn json(&mut self, text: &str) {
        let text = self.on_data.json(text);
        put(&mut self.data, &mut self.failed, &text);
    }

    /// Prints a text of this program as data, as it is.
    pub fn verbatim(&mut self, text: &str) {
        put(&mut self.data, &mut self.failed, text);
    }

    /// More data than a few lines is to come.
    pub fn expects_much(&mut self) {
        if !self.is_roomy {
            self.is_roomy = true;
            pipe::make_roomy(io::stdout());
        }
    }

    /// Prints whole lines of data for people. Returns false where nobody reads
    /// it.
    pub fn lines(&mut self, lines: &[u8]) -> bool {
        if self.on_data.passes(lines) {
            return self.bytes(lines);
        }
        let lines = self.on_data.lines(lines);
        self.bytes(lines.as_bytes())
    }

    /// Prints lines of JSON as data. Returns false where nobody reads it.
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

    /// Brings data to its reader before more is told.
    pub fn flush(&mut self) {
        if self.failed.is_none()
            && let Err(error) = self.data.flush()
        {
            self.failed = Some(error);
        }
    }

    /// Tells a verb, and what it is about.
    pub fn status(&mut self, verb: &'static str, text: &str) {
        if self.tells(Verbosity::Normal) {
            self.styled(VERB, &format!("{verb:>12}"), " ", text);
        }
    }

    /// Tells the last line of narrative where something went wrong.
    pub fn bad_status(&mut self, verb: &'static str, text: &str) {
        self.styled(BAD_VERB, &format!("{verb:>12}"), " ", text);
    }

    /// Tells a line of narrative that is a warning: a verb, and what it is about.
    pub fn odd_status(&mut self, verb: &'static str, text: &str) {
        self.styled(WARNING, &format!("{verb:>12}"), " ", text);
    }

    /// Tells something that the person should know, and that stops nothing.
    pub fn warn(&mut self, text: &str) {
        self.styled(WARNING, "warning", ": ", text);
    }

    /// Tells why the command was not done, on one line or on several.
    pub fn error(&mut self, text: &str) {
        let text = self.on_narrative.lines(text.as_bytes());
        let text = format!("{BAD_VERB}error{BAD_VERB:#}: {text}");
        self.narrate(&text);
    }

    /// Tells what to type next.
    pub fn hint(&mut self, text: &str) {
        self.styled(HINT, "hint", ": ", text);
    }

    /// Tells a line of a role's log, the process that wrote it in the role's
    /// colour.
    pub fn line(&mut self, role: &RoleName, line: &str) {
        let style = self.palette.style(role);
        let head = line.find(']').map_or(0, |end| end + 1);
        let (head, rest) = line.split_at(head);
        let (head, rest) = (self.on_narrative.line(head), self.on_narrative.line(rest));
        let line = format!("{style}{head}{style:#}{rest}");
        self.narrate(&line);
    }

    /// Tells a line.
    pub fn tell(&mut self, text: &str) {
        let line = self.on_narrative.line(text).into_owned();
        self.narrate(&line);
    }

    /// Tells the runner of a CI one command, in which everything is escaped as
    /// it wants it.
    pub fn command(&mut self, command: &str) {
        let filter = Filter {
            colors: false,
            runner: false,
        };
        self.narrate(&filter.line(command));
    }

    /// Tells a line whose beginning has a style.
    fn styled(&mut self, style: Style, head: &str, between: &str, text: &str) {
        let text = self.on_narrative.line(text);
        let line = format!("{style}{head}{style:#}{between}{text}");
        self.narrate(&line);
    }

    /// Writes a line of narrative, which is safe. A reader that has left misses it.
    fn narrate(&mut self, line: &str) {
        let _ = writeln!(self.narrative, "{line}");
    }

    /// Ends the printing. The error is that of the first write to stdout that
    /// failed, other than for a reader that has left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush();
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes a line of data, unless one before could not be written.
fn put(data: &mut impl Write, failed: &mut Option<io::Error>, line: &str) {
    if failed.is_none() {
        *failed = writeln!(data, "{line}").err();
    }
}

/// Returns what makes text safe for a stream.
fn filter(stream: &impl anstream::stream::RawStream) -> Filter {
    let choice = anstream::AutoStream::choice(stream);
    Filter {
        colors: choice != anstream::ColorChoice::Never,
        runner: is_read_by_a_runner(),
    }
}

/// Returns true where a runner of a CI reads what is printed.
fn is_read_by_a_runner() -> bool {
    ["GITHUB_ACTIONS", "CI", "TF_BUILD"].iter().any(|name| {
        let value = environment::variable(name);
        value.is_some_and(|value| !matches!(&*value, "" | "0" | "false"))
    })
}

/// Prints a message of clap, which may repeat what was typed.
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

/// Prints a warning where there is no printer. One that is not read within a
/// second is left to a thread of its own.
pub fn warn(text: &str) {
    let (printed, done) = mpsc::channel();
    let text = text.to_owned();
    let print = move || {
        Shell::new(Verbosity::Quiet, Form::Human).warn(&text);
        // Nothing waits any more where that took long.
        let _ = printed.send(());
    };
    if std::thread::Builder::new().spawn(print).is_ok() {
        let _ = done.recv_timeout(Duration::from_secs(1));
    }
}
