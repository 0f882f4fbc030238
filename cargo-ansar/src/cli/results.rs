//! Where results go, beside stdout: flags of the commands that show a run, and
//! what they do. Also `report`, which shows the last one.

use crate::commands;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::error::Error;
use crate::host::cargo::Messages;
use crate::host::{environment, fs};
use crate::model::run_report::Conclusion;
use crate::report::diagnostics::Stream;
use crate::report::shell::Form;
use crate::report::{github, html, human, junit};

/// How a run is shown.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Show what all roles logged around each failure: auto (on a terminal), always, never
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "auto",
        default_missing_value = "always",
        hide_possible_values = true,
        hide_default_value = true,
        help_heading = "Results"
    )]
    context: Context,
    /// Name sources by this kind of path: absolute, relative
    #[arg(
        long,
        value_name = "KIND",
        default_value = "absolute",
        hide_possible_values = true,
        help_heading = "Results"
    )]
    paths: Paths,
}

/// Where else the results of a run go.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    #[command(flatten)]
    show: ShowArgs,
    /// Write the results to FILE, in the XML of `JUnit`
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    pub(super) messages: MessagesArgs,
}

/// The form of messages.
#[derive(Debug, Args)]
pub struct MessagesArgs {
    /// The form of errors, Cargo's and failed checks: human, rustc (as the compiler has it), json
    #[arg(
        long,
        value_name = "FORM",
        default_value = "human",
        hide_possible_values = true,
        help_heading = "Results"
    )]
    message_format: MessageFormat,
}

/// When the context of failures is shown.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Context {
    Auto,
    Always,
    Never,
}

/// How sources are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Paths {
    Absolute,
    Relative,
}

/// The forms of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    Human,
    Rustc,
    Json,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    show: ShowArgs,
    /// Write a page with everything about it to FILE, instead
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    html: Option<PathBuf>,
}

impl MessagesArgs {
    /// The messages that are to be told, where they are.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.is_json().then(Stream::default)
    }

    fn is_json(&self) -> bool {
        self.message_format == MessageFormat::Json
    }

    /// Whether a matcher of the compiler's errors reads what is shown.
    pub(super) fn is_rustc(&self) -> bool {
        self.message_format == MessageFormat::Rustc
    }

    pub(super) fn form(&self, otherwise: Form) -> Form {
        match self.message_format {
            MessageFormat::Human => otherwise,
            MessageFormat::Rustc => Form::Rustc,
            MessageFormat::Json => Form::Messages,
        }
    }
}

impl ShowArgs {
    fn shown(&self, mut run: Conclusion, folder: &Path) -> (Conclusion, human::Context) {
        if self.paths == Paths::Relative {
            run.relative_to(folder);
        }
        let context = match self.context {
            Context::Auto => human::Context::OnTerminal,
            Context::Always => human::Context::Always,
            Context::Never => human::Context::Never,
        };
        (run, context)
    }
}

impl ResultsArgs {
    /// The file that is written at each run, where one is.
    pub(super) fn file(&self, folder: &Path) -> Option<PathBuf> {
        self.junit.as_ref().map(|file| folder.join(file))
    }
}

impl Session<'_> {
    /// Who passes the messages of Cargo on.
    pub(super) fn messages(&self, stream: &Stream) -> Messages {
        let (stream, print) = (stream.clone(), self.printer.lines());
        Messages::new(move |line| {
            if stream.passes(line) {
                print(String::from_utf8_lossy(line).into_owned());
            }
        })
    }

    /// Ends the messages of a command that ran nothing.
    pub(super) fn finish(&self, stream: Option<Stream>, success: bool) {
        if let Some(stream) = stream {
            self.printer
                .show(move |shell| stream.finish(shell, success));
        }
    }

    /// Shows a run wherever it is to be seen.
    pub(super) fn results(
        &self,
        args: &ResultsArgs,
        run: Conclusion,
        stream: Option<Stream>,
    ) -> Result<(), Error> {
        // Whatever becomes of the file, everything else is shown.
        let written = args.junit.as_ref().map_or(Ok(()), |file| {
            write(&self.places.folder.join(file), &junit::junit(&run))
        });
        if let Some(stream) = stream {
            let run = run.clone();
            self.printer.show(move |shell| {
                stream.failures(shell, &run);
                stream.finish(shell, run.is_pass());
            });
        }
        if environment::variable("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
            let root = environment::variable("GITHUB_WORKSPACE").map(PathBuf::from);
            let run = run.clone();
            self.printer
                .show(move |shell| github::annotate(shell, &run, root.as_deref()));
        }
        let (run, context) = args.show.shown(run, &self.places.folder);
        self.printer
            .show(move |shell| human::tested(shell, &run, context));
        written
    }

    pub(super) fn report(&self, args: &ReportArgs) -> Result<Exit, Error> {
        let last = commands::report::last(&self.places)?;
        if let Some(file) = &args.html {
            let file = self.places.folder.join(file);
            write(&file, html::page(&last).as_bytes())?;
            self.tell("Wrote", format!("`{}`", file.display()));
            return Ok(Exit::Success);
        }
        let (run, context) = args.show.shown(last.conclusion, &self.places.folder);
        self.printer
            .show(move |shell| human::reported(shell, &run, context));
        Ok(Exit::Success)
    }
}

/// Writes a file that the user named, in a folder that need not be there.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        fs::make_public_folders(folder)?;
    }
    Ok(fs::replace(file, bytes, 0o644)?)
}
