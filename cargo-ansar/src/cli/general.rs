//! Flags of every command.

use std::ffi::OsString;
use std::path::PathBuf;

use ansar_contract::line::Level;
use clap::{ArgMatches, Args, Error, FromArgMatches, ValueEnum};

use crate::host::{cargo_config, environment};
use crate::report::shell::{Color, Form, Verbosity};
use crate::workspace::Places;

/// Flags of every command, accepted before and after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub struct General {
    /// The home [default: `ANSAR_HOME`, or `.ansar-home` at the workspace root]
    #[arg(long, value_name = "PATH")]
    pub(super) home_path: Option<PathBuf>,
    /// The manifest of the workspace
    #[arg(long, value_name = "PATH")]
    pub(super) manifest_path: Option<PathBuf>,
    /// Stop running roles that the command affects
    #[arg(short, long)]
    pub(super) force: bool,
    /// Show log lines of roles from this level on: NONE, FAULT, WARNING,
    /// CONSOLE, OBJECT, TRACE, DEBUG
    #[arg(long, value_name = "LEVEL")]
    debug_level: Option<Level>,
    /// Use colours: auto, always, never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    color: Option<When>,
    /// Format of the output on stdout: human, json [default: human]
    #[arg(long, value_name = "FORM", hide_possible_values = true)]
    format: Option<Format>,
    /// Print only warnings and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print what happens to every role
    #[arg(short, long)]
    verbose: bool,
}

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
        Self {
            home_path: self.home_path.or_else(environment::home),
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
            quiet: self.quiet || others.quiet,
            verbose: self.verbose || others.verbose,
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

    /// Returns whether to use colour: from the command line, else from Cargo's
    /// variable or configuration.
    pub(super) fn color(&self) -> Color {
        if let Some(when) = self.color {
            return when.color();
        }
        let variable = environment::variable("CARGO_TERM_COLOR");
        let configured = || {
            let folder = environment::working_folder().ok()?;
            cargo_config::read(&folder).color
        };
        match variable.or_else(configured).as_deref() {
            Some("always") => Color::Always,
            Some("never") => Color::Never,
            _ => Color::Auto,
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
