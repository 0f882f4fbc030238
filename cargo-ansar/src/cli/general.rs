//! The flags of every command.

use std::ffi::OsString;
use std::path::PathBuf;

use ansar_contract::line::Level;
use clap::{ArgMatches, Args, Error, FromArgMatches, ValueEnum};

use crate::host::{cargo_config, environment};
use crate::report::shell::{Color, Form, Verbosity};
use crate::workspace::Places;

/// The flags of every command, before its name and behind it.
#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub struct General {
    /// The home [default: `ANSAR_HOME`, or `.ansar-home` at the workspace root]
    #[arg(long, value_name = "PATH")]
    pub(super) home_path: Option<PathBuf>,
    /// The manifest of the workspace
    #[arg(long, value_name = "PATH")]
    pub(super) manifest_path: Option<PathBuf>,
    /// Stop running roles that are in the way
    #[arg(short, long)]
    pub(super) force: bool,
    /// Show the log lines of roles: NONE, FAULT, WARNING, CONSOLE, OBJECT, TRACE, DEBUG
    #[arg(long, value_name = "LEVEL")]
    debug_level: Option<Level>,
    /// When to use colour: auto, always, never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    color: Option<When>,
    /// The form of what is printed on stdout: human, json [default: human]
    #[arg(long, value_name = "FORM", hide_possible_values = true)]
    format: Option<Format>,
    /// Tell only warnings and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Tell what happens to every role
    #[arg(short, long)]
    verbose: bool,
}

impl General {
    /// The flags that were given, before the name of the command or behind it.
    pub(super) fn given(matches: &ArgMatches) -> Result<Self, Error> {
        let before = Self::from_arg_matches(matches)?;
        Ok(match matches.subcommand() {
            Some((_, behind)) => Self::from_arg_matches(behind)?.or(before),
            None => before,
        })
    }

    /// These, and the home that the environment names where none was given.
    pub(super) fn or_environment(self) -> Self {
        Self {
            home_path: self.home_path.or_else(environment::home),
            ..self
        }
    }

    /// These, and where they say nothing, `others`.
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

    /// When to use colour: as the command line says, or else Cargo's variable or its
    /// configuration.
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

    /// The flag that tells Cargo the same; where nothing is said here, it decides itself.
    pub(super) fn color_flag(&self) -> Option<OsString> {
        self.color.map(When::flag)
    }

    pub(super) fn manifest_flag(&self) -> Vec<OsString> {
        let path = self.manifest_path.iter();
        path.flat_map(|path| ["--manifest-path".into(), path.into()])
            .collect()
    }
}

/// The forms of what is printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For a person.
    Human,
    /// For a program.
    Json,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum When {
    /// On a terminal that has it.
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
