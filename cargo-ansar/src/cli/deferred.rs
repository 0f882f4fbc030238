//! Arguments of a command, defined only once that command is parsed. All
//! commands together have several hundred arguments, and a command line uses
//! one command.

use std::ops::{Deref, DerefMut};

use clap::builder::{Resettable, StyledStr};
use clap::{ArgMatches, Args, Error, FromArgMatches};

use crate::cli::general::General;

/// Arguments of one command, together with the [general ones](General).
#[derive(Debug)]
pub struct Deferred<A>(A);

impl<A: Args> Args for Deferred<A> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(define::<A>)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(define::<A>)
    }
}

fn define<A: Args>(command: clap::Command) -> clap::Command {
    let kept =
        |text: Option<&StyledStr>| text.cloned().map_or(Resettable::Reset, Resettable::Value);
    let about = kept(command.get_about());
    let long = kept(command.get_long_about());
    let command = General::augment_args(A::augment_args(command));
    // `augment_args` replaced both texts.
    command.about(about).long_about(long)
}

impl<A: FromArgMatches> FromArgMatches for Deferred<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        A::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<A> Deref for Deferred<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A> DerefMut for Deferred<A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.0
    }
}
