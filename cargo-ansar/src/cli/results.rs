//! Output of test runs: the flags that control it, the files and streams that
//! receive it, and `report`, which shows the last run.

use crate::commands;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::error::Error;
use crate::host::cargo::Messages;
use crate::host::{environment, fs};
use crate::model::run_report::RunReport;
use crate::report::diagnostics::Stream;
use crate::report::shell::Form;
use crate::report::{github, html, human, junit};

/// Arguments that control how a run is prepared.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Show the log lines of all roles around each failure: auto (on a
    /// terminal), always, never
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
    /// Show source paths in this form: absolute, relative
    #[arg(
        long,
        value_name = "KIND",
        default_value = "absolute",
        hide_possible_values = true,
        help_heading = "Results"
    )]
    paths: Paths,
}

/// Arguments that control where the results of a run go.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    #[command(flatten)]
    show: ShowArgs,
    /// Write the results to FILE as JUnit XML
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    pub(super) messages: MessagesArgs,
}

/// Argument that selects the form of messages.
#[derive(Debug, Args)]
pub struct MessagesArgs {
    /// Format of Cargo's errors and of failed checks: human, rustc (like the
    /// compiler's), json
    #[arg(
        long,
        value_name = "FORM",
        default_value = "human",
        hide_possible_values = true,
        help_heading = "Results"
    )]
    message_format: MessageFormat,
}

/// Values of `--context`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Context {
    Auto,
    Always,
    Never,
}

/// Values of `--paths`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Paths {
    Absolute,
    Relative,
}

/// Values of `--message-format`.
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
    /// Write an HTML page with all details to FILE instead
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    html: Option<PathBuf>,
    /// Write the results to FILE as JUnit XML instead
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    junit: Option<PathBuf>,
    /// Merge the results of several machines: homes, their folders `last`, or
    /// files with the output of `--format json`
    #[arg(long, value_name = "PATH", num_args = 1..)]
    merge: Vec<PathBuf>,
}

impl MessagesArgs {
    /// Returns the stream of JSON messages, if this form was selected.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.is_json().then(Stream::default)
    }

    fn is_json(&self) -> bool {
        self.message_format == MessageFormat::Json
    }

    /// Returns true if the output is for a problem matcher of the compiler's
    /// errors.
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
    fn prepared(&self, mut run: RunReport, folder: &Path) -> (RunReport, human::Context) {
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
    /// Returns the results file that each run writes, if one was named.
    pub(super) fn file(&self, folder: &Path) -> Option<PathBuf> {
        self.junit.as_ref().map(|file| folder.join(file))
    }
}

impl Session<'_> {
    /// Returns a handler that passes Cargo's messages on to stdout.
    pub(super) fn messages(&self, stream: &Stream) -> Messages {
        let (stream, print) = (stream.clone(), self.printer.lines());
        Messages::new(move |line| {
            if stream.passes(line) {
                print(String::from_utf8_lossy(line).into_owned());
            }
        })
    }

    /// Finishes the message stream of a command that ran no tests.
    pub(super) fn finish(&self, stream: Option<Stream>, success: bool) {
        if let Some(stream) = stream {
            self.printer
                .show(move |shell| stream.finish(shell, success));
        }
    }

    /// Writes a run to every output: file, message stream, annotations,
    /// terminal.
    pub(super) fn results(
        &self,
        args: &ResultsArgs,
        run: RunReport,
        stream: Option<Stream>,
    ) -> Result<(), Error> {
        // If the file cannot be written, the other outputs still are.
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
        let (run, context) = args.show.prepared(run, &self.places.folder);
        self.printer
            .show(move |shell| human::tested(shell, &run, context));
        written
    }

    pub(super) fn report(&self, args: &ReportArgs) -> Result<Exit, Error> {
        let last = if args.merge.is_empty() {
            commands::report::last(&self.places)?
        } else {
            commands::report::merged(&self.places, &args.merge)?
        };
        // A run of this home had an exit code of its own.
        let exit = if args.merge.is_empty() || last.report.exit == 0 {
            Exit::Success
        } else {
            Exit::TestsFailed
        };
        // The loops of this home say nothing about other machines.
        let loops = match args.html {
            Some(_) if args.merge.is_empty() => commands::report::loops(&self.places)?,
            _ => Vec::new(),
        };
        let html = args.html.iter();
        let html = html.map(|file| (file, html::page(&last, &loops).into_bytes()));
        let junit = args.junit.iter();
        let junit = junit.map(|file| (file, junit::junit(&last.report)));
        for (file, content) in html.chain(junit) {
            let file = self.places.folder.join(file);
            write(&file, &content)?;
            self.show_status("Wrote", format!("`{}`", file.display()));
        }
        if args.html.is_some() || args.junit.is_some() {
            return Ok(exit);
        }
        let (run, context) = args.show.prepared(last.report, &self.places.folder);
        self.printer
            .show(move |shell| human::reported(shell, &run, context));
        Ok(exit)
    }
}

/// Writes a file that the user named, and creates its folder if missing.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        fs::make_public_folders(folder)?;
    }
    Ok(fs::write_argument(file, bytes)?)
}
