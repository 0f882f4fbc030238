//! Flags of every command.

use std::ffi::OsString;
use std::path::PathBuf;

use ansar_contract::line::Level;
use clap::{ArgMatches, Args, Error, FromArgMatches, ValueEnum};

use crate::commands::config::Source;
use crate::host::{cargo_config, environment};
use crate::report::meter::Mode;
use crate::report::shell::{Color, Form, Verbosity, is_attended, is_read_by_a_runner};
use crate::workspace::Places;

/// Flags of every command, accepted before and after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub struct General {
    /// The home [default: `ANSAR_HOME`, then the key `home` of the manifest, then
    /// `.ansar-home` at the workspace root]
    #[arg(long, value_name = "PATH")]
    pub(super) home_path: Option<PathBuf>,
    /// The manifest of the workspace
    #[arg(long, value_name = "PATH")]
    pub(super) manifest_path: Option<PathBuf>,
    /// Stop running roles that the command affects; of `stop` and `restart`: skip
    /// roles that do not run
    #[arg(short, long)]
    pub(super) force: bool,
    /// Show log lines of roles up to this level of detail: NONE, FAULT, WARNING,
    /// CONSOLE, OBJECT, TRACE, DEBUG (all)
    #[arg(long, value_name = "LEVEL")]
    debug_level: Option<Level>,
    /// Use colours: auto, always, never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    color: Option<When>,
    /// Format of the output on stdout: human, json [default: human]
    #[arg(long, value_name = "FORM", hide_possible_values = true)]
    format: Option<Format>,
    /// Show the progress on stderr: auto (a bar on a terminal), never, bar,
    /// plain (a line now and then) [default: auto]
    #[arg(long, value_name = "FORM", hide_possible_values = true)]
    progress: Option<Progress>,
    /// Print only data, warnings and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print what happens to every role
    #[arg(short, long)]
    verbose: bool,
    /// Variable that names `home_path`, if it is that of the environment.
    #[arg(skip)]
    home_variable: Option<&'static str>,
}

/// Variable of Cargo for the use of colour.
const CARGO_TERM_COLOR: &str = "CARGO_TERM_COLOR";

impl General {
    /// Returns the flags that were passed before or after the name of the
    /// command.
    pub(super) fn from_both(matches: &ArgMatches) -> Result<Self, Error> {
        let before = Self::from_arg_matches(matches)?;
        Ok(match matches.subcommand() {
            Some((_, behind)) => Self::from_arg_matches(behind)?.or(before),
            None => before,
        })
    }

    /// Falls back to the home that the environment names.
    pub(super) fn or_environment(self) -> Self {
        if self.home_path.is_some() {
            return self;
        }
        let home_path = environment::home();
        Self {
            home_variable: home_path.as_ref().map(|_| environment::HOME),
            home_path,
            ..self
        }
    }

    /// Falls back to `others` for each flag that is not set.
    fn or(self, others: Self) -> Self {
        Self {
            home_path: self.home_path.or(others.home_path),
            manifest_path: self.manifest_path.or(others.manifest_path),
            force: self.force || others.force,
            debug_level: self.debug_level.or(others.debug_level),
            color: self.color.or(others.color),
            format: self.format.or(others.format),
            progress: self.progress.or(others.progress),
            quiet: self.quiet || others.quiet,
            verbose: self.verbose || others.verbose,
            home_variable: None,
        }
    }

    pub(super) fn places(&self, folder: PathBuf) -> Places {
        Places {
            folder,
            manifest_path: self.manifest_path.clone(),
            home_path: self.home_path.clone(),
        }
    }

    pub(super) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }

    pub(super) fn form(&self) -> Form {
        match self.format {
            None | Some(Format::Human) => Form::Human,
            Some(Format::Json) => Form::Json,
        }
    }

    pub(super) fn level(&self) -> Level {
        self.debug_level.unwrap_or(Level::None)
    }

    /// Returns the use of colour.
    pub(super) fn color(&self) -> Color {
        self.color_from().0
    }

    /// Returns the use of colour, and its source: the command line, else
    /// Cargo's variable or configuration.
    pub(super) fn color_from(&self) -> (Color, Source) {
        if let Some(when) = self.color {
            return (when.color(), Source::CommandLine);
        }
        let (word, source) = match environment::variable(CARGO_TERM_COLOR) {
            Some(word) => (Some(word), Source::Variable(CARGO_TERM_COLOR.to_owned())),
            None => {
                let folder = environment::working_folder().unwrap_or_default();
                let configured = cargo_config::read(&folder);
                let file = configured.color_file.map(Source::File);
                (configured.color, file.unwrap_or(Source::Default))
            }
        };
        match word.as_deref() {
            Some("always") => (Color::Always, source),
            Some("never") => (Color::Never, source),
            Some("auto") => (Color::Auto, source),
            _ => (Color::Auto, Source::Default),
        }
    }

    /// Returns the source of the home's path, unless the manifest or the default
    /// decides.
    pub(super) fn home_from(&self) -> Option<Source> {
        self.home_path.as_ref()?;
        Some(match self.home_variable {
            Some(name) => Source::Variable(name.to_owned()),
            None => Source::CommandLine,
        })
    }

    /// Returns the form of the progress: from the command line, else from
    /// Cargo's variable or configuration, else from the terminal.
    pub(super) fn progress(&self, has_guardian: bool) -> Mode {
        if self.quiet {
            return Mode::Never;
        }
        let is_terminal = is_attended();
        let bar = Mode::Bar { has_guardian };
        let chosen = self.progress.unwrap_or(Progress::Auto);
        let configured = || {
            let configured = || cargo_config::read(&environment::working_folder().ok()?).progress;
            environment::variable("CARGO_TERM_PROGRESS_WHEN").or_else(configured)
        };
        match chosen {
            Progress::Never => Mode::Never,
            Progress::Bar if is_terminal => bar,
            Progress::Bar | Progress::Plain => Mode::Plain(Mode::EAGER),
            Progress::Auto => match configured().as_deref() {
                Some("never") => Mode::Never,
                Some("always") if is_terminal => bar,
                _ if is_terminal && can_draw() => bar,
                _ => Mode::Plain(Mode::PATIENT),
            },
        }
    }

    /// Returns the colour flag for Cargo; unset without `--color`, and Cargo
    /// then decides itself.
    pub(super) fn color_flag(&self) -> Option<OsString> {
        self.color.map(When::flag)
    }

    pub(super) fn manifest_flag(&self) -> Vec<OsString> {
        let path = self.manifest_path.iter();
        path.flat_map(|path| ["--manifest-path".into(), path.into()])
            .collect()
    }
}

/// Returns true if the terminal can draw a line anew, and a person looks at it.
fn can_draw() -> bool {
    !is_read_by_a_runner() && environment::variable("TERM").is_none_or(|term| term != "dumb")
}

/// Forms of the progress.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Progress {
    /// A bar on a terminal, else lines.
    Auto,
    /// Nothing.
    Never,
    /// A bar.
    Bar,
    /// Lines.
    Plain,
}

/// Formats of the output on stdout.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Text for people.
    Human,
    /// JSON lines for programs.
    Json,
}

/// Use of colour.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum When {
    /// On a terminal that supports colour.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    fn color(self) -> Color {
        match self {
            Self::Auto => Color::Auto,
            Self::Always => Color::Always,
            Self::Never => Color::Never,
        }
    }

    fn flag(self) -> OsString {
        match self {
            Self::Auto => "--color=auto",
            Self::Always => "--color=always",
            Self::Never => "--color=never",
        }
        .into()
    }
}
