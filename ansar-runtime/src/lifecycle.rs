//! Results of a component's function, and errors that know their place.

use std::error::Error as StdError;
use std::panic::Location;

use ansar_contract::lifecycle::Faulted;
#[cfg(feature = "main")]
use ansar_contract::{
    envelope::Typed,
    lifecycle::{Aborted, Ack, Cannot, Maybe},
};

#[cfg(feature = "main")]
use crate::message::Message;

/// The result of a component's function, and of the functions that it calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, with the file and the line of the `?` that converted it.
///
/// A [`Maybe`], [`Cannot`], [`Aborted`] or [`Faulted`], also as the source of another
/// error, becomes the result of the attempt. Every other error becomes a [`Faulted`]
/// with its place.
///
/// `?` converts everything that converts to `Box<dyn Error + Send + Sync>`: every error,
/// such a box itself, `anyhow::Error`, `eyre::Report`, and texts. Like `anyhow::Error`, it
/// does not implement [`std::error::Error`] itself.
#[derive(Debug)]
pub struct Error {
    error: Boxed,
    place: &'static Location<'static>,
}

/// Any error.
type Boxed = Box<dyn StdError + Send + Sync>;

impl<E: Into<Boxed>> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            place: Location::caller(),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl Error {
    /// Converts the error into the result of the component.
    #[cfg(feature = "main")]
    fn into_returned(self) -> Encoded {
        let chain = || causes(&*self.error);
        let found = chain().find_map(|error| {
            if let Some(maybe) = error.downcast_ref::<Maybe>() {
                Some(Typed::encode(maybe))
            } else if let Some(cannot) = error.downcast_ref::<Cannot>() {
                Some(Typed::encode(cannot))
            } else if let Some(aborted) = error.downcast_ref::<Aborted>() {
                Some(Typed::encode(aborted))
            } else {
                error
                    .is::<Faulted>()
                    .then(|| Typed::encode(&self.faulted()))
            }
        });
        found.unwrap_or_else(|| Typed::encode(&self.faulted()))
    }

    /// Returns the error as a fault with its place.
    pub(crate) fn faulted(&self) -> Faulted {
        let chain = || causes(&*self.error);
        match chain().find_map(|error| error.downcast_ref::<Faulted>()) {
            Some(faulted) if faulted.source.is_some() => faulted.clone(),
            Some(faulted) => self.locate(faulted.clone()),
            None => {
                let causes: Vec<_> = chain().skip(1).map(ToString::to_string).collect();
                let faulted = Faulted::new(self.error.to_string(), causes.join(": "));
                self.locate(faulted)
            }
        }
    }

    /// Adds the place of the error. An error that was converted without `?` has a
    /// place in this file, which is not added.
    fn locate(&self, faulted: Faulted) -> Faulted {
        if self.place.file() == file!() {
            faulted
        } else {
            faulted.at(self.place.file(), self.place.line())
        }
    }
}

/// Iterates over an error and its sources.
pub(crate) fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}

/// An encoded result.
#[cfg(feature = "main")]
pub(crate) type Encoded = std::result::Result<Typed, serde_json::Error>;

/// A return type of a component's function: `()`, any [`Message`], or a [`Result`] of
/// these.
#[cfg(feature = "main")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a result that a component can have",
    label = "neither `()`, nor a message, nor a `Result` of these",
    note = "give the type a wire name: `ansar_runtime::message!({Self} = \"my_app.{Self}\");`"
)]
pub trait IntoReturned {
    /// Encodes the result.
    fn into_returned(self) -> std::result::Result<Typed, serde_json::Error>;
}

#[cfg(feature = "main")]
impl IntoReturned for () {
    fn into_returned(self) -> Encoded {
        Typed::encode(&Ack {})
    }
}

#[cfg(feature = "main")]
impl<M: Message> IntoReturned for M {
    fn into_returned(self) -> Encoded {
        Typed::encode_as(M::NAME, &self)
    }
}

#[cfg(feature = "main")]
impl<T: IntoReturned, E: Into<Error>> IntoReturned for std::result::Result<T, E> {
    fn into_returned(self) -> Encoded {
        match self {
            Ok(value) => value.into_returned(),
            Err(error) => error.into().into_returned(),
        }
    }
}

#[cfg(all(test, feature = "main"))]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Session(Maybe);

    impl std::fmt::Display for Session {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("session failed")
        }
    }

    impl StdError for Session {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn fails() -> Result<()> {
        Err(std::fmt::Error)?;
        Ok(())
    }

    #[test]
    fn an_error_becomes_a_fault_at_the_line_of_its_question_mark() {
        let typed = fails().into_returned().unwrap();
        let faulted = typed.decode::<Faulted>().unwrap().unwrap();
        assert!(!faulted.condition.is_empty());
        // The place is in this very file, which counts as no place elsewhere.
        assert_eq!(faulted.source, None);
    }

    #[test]
    fn lifecycle_errors_are_found_again() {
        let maybe = || Maybe::because("refused");
        let by_value: Result<()> = Err(maybe().into());
        let as_source: std::result::Result<(), Session> = Err(Session(maybe()));
        for typed in [by_value.into_returned(), as_source.into_returned()] {
            assert_eq!(typed.unwrap().decode::<Maybe>().unwrap().unwrap(), maybe());
        }
        let aborted: std::result::Result<(), Aborted> = Err(Aborted {});
        assert!(aborted.into_returned().unwrap().is::<Aborted>());
    }

    #[test]
    fn boxed_errors_and_texts_convert() {
        fn boxed() -> Result<()> {
            let failed: std::result::Result<(), Boxed> = Err(Box::new(Maybe::because("busy")));
            failed?;
            Ok(())
        }
        fn text() -> Result<()> {
            Err("it does not work")?;
            Ok(())
        }
        fn is_send<T: Send + Sync>(_: &T) {}

        let failed = boxed().unwrap_err();
        is_send(&failed);
        let maybe = failed.into_returned().unwrap();
        assert_eq!(
            maybe.decode::<Maybe>().unwrap().unwrap(),
            Maybe::because("busy")
        );
        assert_eq!(text().unwrap_err().to_string(), "it does not work");
    }

    #[test]
    fn nothing_is_an_acknowledgement() {
        assert!(().into_returned().unwrap().is::<Ack>());
    }
}
