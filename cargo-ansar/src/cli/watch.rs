//! `watch`: show the outcome of each loop, and keep the last verdict.

use std::cell::RefCell;

use crate::cli::Session;
use crate::cli::args::{TestArgs, WatchArgs};
use crate::cli::exit::Exit;
#[cfg(feature = "ui")]
use crate::cli::ui::attached;
use crate::error::Error;
use crate::events::{Events, Kind, SourceEvent};
use crate::host::environment;
use crate::host::process::interrupts::Interrupt;
use crate::host::terminal::keys::Keys;
use crate::model::remote::RemoteError;
use crate::model::run_report::RunReport;
use crate::report::diagnostics::Stream;
use crate::report::printer::Printer;
use crate::report::{diagnostics, human, notification, watch};
use crate::testing;
use crate::watch::{End, Notice, Options, watch};

impl Session<'_> {
    pub(super) async fn watch(&self, args: &WatchArgs) -> Result<Exit, Error> {
        #[cfg(feature = "ui")]
        if args.ui {
            return self.interface(Some(attached())).await;
        }
        let is_attached = args.attached;
        let (poll, notifies) = (args.poll, args.notify);
        let args: &TestArgs = &args.test;
        if args.on.is_some() {
            return Err(RemoteError::NotWith("watch".to_owned()).into());
        }
        let mut tests = self.test_options(args)?;
        let stream = args.results.messages.stream();
        tests.build.messages = stream.as_ref().map(|stream| self.messages(stream));
        let mut written = environment::output_files();
        written.extend(args.results.file(&self.places.folder));
        let options = Options {
            tests,
            written,
            poll,
        };
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let marks = args.results.messages.is_rustc();
        let events = if marks {
            with_markers(self.printer, &events)
        } else {
            events
        };
        let mut keys = keys(is_attached)?;
        let last: RefCell<Option<RunReport>> = RefCell::default();
        // Exit of the last loop, and of the last one that ran the tests.
        let (mut ended, mut judged) = (None, Exit::Success);
        let mut introduced = false;
        let mut passed_before = None;
        let mut show = |came: Notice| match came {
            Notice::Ran(ran) => {
                let exit = match ran.interrupted {
                    Some(interrupt) => Exit::Interrupted(interrupt),
                    None if !ran.verdict.report.is_pass() => Exit::TestsFailed,
                    None => Exit::of_analysis(ran.analysis.as_ref()),
                };
                (ended, judged) = (Some(exit), exit);
                let run = testing::record::record_run("watch", *ran, exit.code(), &events);
                last.replace(Some(run.clone()));
                // A file that cannot be written does not end the loop.
                if let Err(error) = self.results(&args.results, run, stream.clone()) {
                    self.printer
                        .show(move |shell| human::error(shell, &error, None));
                }
                Some(exit)
            }
            Notice::Prepared { is_stale } => {
                ended = Some(judged);
                self.prepared(stream.clone(), is_stale, last.borrow().clone());
                Some(judged)
            }
            Notice::Failed(error) => {
                ended = Some(error.exit());
                self.failed(stream.clone(), error, last.borrow().clone());
                ended
            }
            Notice::Stale => {
                let last = last.borrow().clone();
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
            if let (true, Some(exit)) = (notifies, ended) {
                self.notify(&mut passed_before, exit, last.borrow().as_ref());
            }
            if let (true, Some(exit)) = (marks, ended) {
                self.printer
                    .show(move |shell| diagnostics::finished(shell, exit.code()));
            }
        };
        let end = watch(
            &self.places,
            options,
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

    /// Shows the end of a loop that has run no tests.
    fn prepared(&self, stream: Option<Stream>, is_stale: bool, last: Option<RunReport>) {
        self.finish(stream, true);
        let show = if is_stale {
            human::stale
        } else {
            human::unchanged
        };
        self.printer.show(move |shell| show(shell, last.as_ref()));
    }

    /// Shows the error that has ended a loop.
    fn failed(&self, stream: Option<Stream>, error: Box<Error>, last: Option<RunReport>) {
        self.finish(stream, false);
        let hint = self.hints.of(&error);
        self.printer.show(move |shell| {
            human::error(shell, &*error, hint.as_deref());
            human::stale(shell, last.as_ref());
        });
    }

    /// Notifies of the verdict of a loop if it is news.
    fn notify(&self, before: &mut Option<bool>, exit: Exit, last: Option<&RunReport>) {
        let passed = match exit {
            Exit::Interrupted(_) => return,
            exit => exit.code() == Exit::Success.code(),
        };
        let ran = exit == Exit::Success || exit == Exit::TestsFailed;
        let text = match last.filter(|_| ran) {
            Some(run) => human::summary(run),
            None => "the loop ended with an error".to_owned(),
        };
        if notification::is_news(before.replace(passed), passed) {
            self.printer
                .show(move |shell| notification::notify(shell, passed, &text));
        }
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

/// Begins to receive keys: of another command, or of the terminal.
fn keys(is_attached: bool) -> Result<Keys, Error> {
    let keys = if is_attached {
        Keys::from_stdin()
    } else {
        Keys::listen()
    };
    keys.map_err(|source| Error::System {
        what: "listen for keys",
        source,
    })
}

/// Returns the events, with a marker printed before the first loop and before
/// each loop that a change starts.
fn with_markers(printer: &Printer, events: &Events) -> Events {
    let show = printer.shows(diagnostics::running);
    show();
    events.read_by(move |event| {
        if let Kind::Source(SourceEvent::Changed { .. }) = event.kind {
            show();
        }
    })
}
