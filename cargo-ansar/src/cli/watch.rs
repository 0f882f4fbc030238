//! `watch`: show the outcome of each loop, and keep the last verdict.

use crate::cli::Session;
use crate::cli::args::{TestArgs, WatchArgs};
use crate::cli::exit::Exit;
use crate::error::Error;
use crate::events::{Events, Kind};
use crate::host::environment;
use crate::host::process::interrupts::Interrupt;
use crate::host::terminal::keys::Keys;
use crate::model::run_report::RunReport;
use crate::report::printer::Printer;
use crate::report::{diagnostics, human, watch};
use crate::testing;
use crate::watch::{End, Notice, watch};

impl Session<'_> {
    pub(super) async fn watch(&self, args: &WatchArgs) -> Result<Exit, Error> {
        let (poll, args): (_, &TestArgs) = (args.poll, &args.test);
        let mut options = self.test_options(args)?;
        let stream = args.results.messages.stream();
        options.build.messages = stream.as_ref().map(|stream| self.messages(stream));
        let mut written = environment::output_files();
        written.extend(args.results.file(&self.places.folder));
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let marks = args.results.messages.is_rustc();
        let events = if marks {
            with_markers(self.printer, &events)
        } else {
            events
        };
        let mut keys = Keys::listen().map_err(|source| Error::System {
            what: "listen for keys",
            source,
        })?;
        let mut last: Option<RunReport> = None;
        // Exit of the last loop, and of the last one that ran the tests.
        let (mut ended, mut judged) = (None, Exit::Success);
        let mut introduced = false;
        let mut show = |came: Notice| match came {
            Notice::Ran(ran) => {
                let exit = match ran.interrupted {
                    Some(interrupt) => Exit::Interrupted(interrupt),
                    None if !ran.verdict.passed() => Exit::TestsFailed,
                    None => Exit::of_analysis(ran.analysis.as_ref()),
                };
                (ended, judged) = (Some(exit), exit);
                let run = testing::record::record_run("watch", *ran, exit.code(), &events);
                last = Some(run.clone());
                // A file that cannot be written does not end the loop.
                if let Err(error) = self.results(&args.results, run, stream.clone()) {
                    self.printer
                        .show(move |shell| human::error(shell, &error, None));
                }
                Some(exit)
            }
            Notice::Prepared { is_stale } => {
                ended = Some(judged);
                self.finish(stream.clone(), true);
                let last = last.clone();
                let show = if is_stale {
                    human::stale
                } else {
                    human::unchanged
                };
                self.printer.show(move |shell| show(shell, last.as_ref()));
                Some(judged)
            }
            Notice::Failed(error) => {
                ended = Some(Exit::of(&error));
                self.finish(stream.clone(), false);
                let (hint, last, exit) = (self.hints.of(&error), last.clone(), Exit::of(&error));
                self.printer.show(move |shell| {
                    human::error(shell, &*error, hint.as_deref());
                    human::stale(shell, last.as_ref());
                });
                Some(exit)
            }
            Notice::Stale => {
                let last = last.clone();
                self.printer
                    .show(move |shell| human::stale(shell, last.as_ref()));
                None
            }
            other => {
                self.other(other, &mut introduced);
                None
            }
        };
        let notify = |came: Notice| {
            let is_begun = matches!(came, Notice::Begun);
            let ended = show(came);
            if marks && is_begun {
                self.printer.show(diagnostics::running);
            }
            if let (true, Some(exit)) = (marks, ended) {
                self.printer
                    .show(move |shell| diagnostics::finished(shell, exit.code()));
            }
        };
        let end = watch(
            options,
            &written,
            poll,
            &mut keys,
            &mut interrupts,
            &events,
            notify,
        )
        .await?;
        Ok(match end {
            End::Interrupted(interrupt) => Exit::Interrupted(interrupt),
            End::Quit => ended.unwrap_or(Exit::Interrupted(Interrupt::Interrupt)),
        })
    }

    /// Shows an event that does not end a loop.
    fn other(&self, told: Notice, introduced: &mut bool) {
        match told {
            Notice::Ran(_)
            | Notice::Prepared { .. }
            | Notice::Stale
            | Notice::Failed(_)
            | Notice::Begun => {}
            Notice::Keys => {
                if !std::mem::replace(introduced, true) {
                    self.printer.show(watch::help);
                }
            }
            Notice::NoSuchKey => self.printer.show(watch::help),
            Notice::Refused(error) => {
                let hint = self.hints.of(&error);
                self.printer
                    .show(move |shell| human::error(shell, &*error, hint.as_deref()));
            }
            Notice::NothingToRestart => self.printer.show(watch::nothing_to_restart),
            Notice::Logs(said) => self.printer.show(move |shell| watch::logs(shell, &said)),
        }
    }
}

/// Returns the events, with a marker printed before the first loop and before
/// each loop that a change starts.
fn with_markers(printer: &Printer, events: &Events) -> Events {
    let show = printer.shows(diagnostics::running);
    show();
    events.read_by(move |event| {
        if let Kind::Changed { .. } = event.kind {
            show();
        }
    })
}
