//! `check`: run `cargo check`, and show the failures of the last run.

use crate::cli::Session;
use crate::cli::args::CheckArgs;
use crate::cli::exit::Exit;
use crate::commands;
use crate::error::Error;
use crate::report::{diagnostics, human};

impl Session<'_> {
    pub(super) async fn check(&self, args: &CheckArgs) -> Result<Exit, Error> {
        let stream = args.messages.stream();
        let options = commands::check::Options {
            build: args.build.options(self.general),
            all_targets: args.all_targets,
            messages: stream.as_ref().map(|stream| self.messages(stream)),
            last: args.last,
        };
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let outcome =
            commands::check::check(&self.places, &options, &mut interrupts, &events).await?;
        let last = outcome.last.unwrap_or_default();
        let exit = if outcome.failed {
            Exit::BuildFailed
        } else if last.failures.is_empty() {
            Exit::Success
        } else {
            Exit::TestsFailed
        };
        self.printer.show(move |shell| {
            match stream {
                Some(stream) => {
                    stream.failures(shell, &last);
                    stream.finish(shell, exit == Exit::Success);
                }
                None => diagnostics::texts(shell, &last),
            }
            human::killed(shell, &last);
        });
        Ok(exit)
    }
}
