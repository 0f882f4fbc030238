//! The two streams: data on stdout, narrative on stderr in Cargo's own look.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use super::palette::Palette;
use crate::host::pipe;
use crate::model::name::RoleName;

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

    /// A line of data. One that cannot be written makes the whole command
    /// fail, later; a reader that has left does not.
    pub fn data(&mut self, line: &str) {
        if self.failed.is_none()
            && let Err(error) = writeln!(self.data, "{line}")
        {
            self.failed = Some(error);
        }
    }

    /// More data than a few lines is to come.
    pub fn expects_much(&mut self) {
        if !self.is_roomy {
            self.is_roomy = true;
            pipe::make_roomy(io::stdout());
        }
    }

    /// Data as it is, whatever it holds. Says whether somebody reads it.
    pub fn bytes(&mut self, bytes: &[u8]) -> bool {
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

    /// A line of narrative: a verb, and what it is about.
    pub fn status(&mut self, verb: &str, text: &str) {
        if self.tells(Verbosity::Normal) {
            self.tell(&format!("{VERB}{verb:>12}{VERB:#} {text}"));
        }
    }

    /// The last line of narrative where something went wrong.
    pub fn bad_status(&mut self, verb: &str, text: &str) {
        self.tell(&format!("{BAD_VERB}{verb:>12}{BAD_VERB:#} {text}"));
    }

    /// A line of narrative that is a warning: a verb, and what it is about.
    pub fn odd_status(&mut self, verb: &str, text: &str) {
        self.tell(&format!("{WARNING}{verb:>12}{WARNING:#} {text}"));
    }

    /// Something that the person should know, and that stops nothing.
    pub fn warn(&mut self, text: &str) {
        self.tell(&format!("{WARNING}warning{WARNING:#}: {text}"));
    }

    /// Why the command was not done.
    pub fn error(&mut self, text: &str) {
        self.tell(&format!("{BAD_VERB}error{BAD_VERB:#}: {text}"));
    }

    /// What to type next.
    pub fn hint(&mut self, text: &str) {
        self.tell(&format!("{HINT}hint{HINT:#}: {text}"));
    }

    /// A line of a role's log, the process that wrote it in the role's colour.
    pub fn line(&mut self, role: &RoleName, line: &str) {
        let style = self.palette.style(role);
        let head = line.find(']').map_or(0, |end| end + 1);
        let (head, rest) = line.split_at(head);
        self.tell(&format!("{style}{head}{style:#}{rest}"));
    }

    /// A line of narrative, as it is. A reader that has left misses it.
    pub fn tell(&mut self, line: &str) {
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
