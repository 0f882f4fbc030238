//! `watch`: what came of each loop, and what that does to the last verdict.

use super::Session;
use super::args::TestArgs;
use super::exit::Exit;
use crate::host::interrupts::Interrupt;
use crate::model::conclusion::Conclusion;
use crate::ops::watch::{Loop, watch};
use crate::ops::{self, Error};
use crate::report::human;

impl Session<'_> {
    pub(super) async fn watch(&self, args: &TestArgs) -> Result<Exit, Error> {
        let mut options = self.test_options(args)?;
        let stream = args.results.messages.stream();
        options.build.messages = stream.as_ref().map(|stream| self.messages(stream));
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let mut last: Option<Conclusion> = None;
        let told = |came: Loop| match came {
            Loop::Ran(ran) => {
                let exit = match ran.interrupted {
                    Some(interrupt) => Exit::Interrupted(interrupt),
                    None if !ran.verdict.passed() => Exit::TestsFailed,
                    None => Exit::of_analysis(ran.analysis.as_ref()),
                };
                let run = ops::conclude::conclude("watch", *ran, exit.code(), &events);
                last = Some(run.clone());
                // A file that cannot be written ends no loop.
                if let Err(error) = self.results(&args.results, run, stream.clone()) {
                    self.printer
                        .show(move |shell| human::error(shell, &error, None));
                }
            }
            Loop::Prepared => {
                self.finish(stream.clone(), true);
                let last = last.clone();
                self.printer
                    .show(move |shell| human::unchanged(shell, last.as_ref()));
            }
            Loop::Failed(error) => {
                self.finish(stream.clone(), false);
                let (hint, last) = (error.hint(), last.clone());
                self.printer.show(move |shell| {
                    human::error(shell, &*error, hint.as_deref());
                    human::stale(shell, last.as_ref());
                });
            }
        };
        let interrupt: Interrupt = watch(options, &mut interrupts, &events, told).await?;
        Ok(Exit::Interrupted(interrupt))
    }
}
