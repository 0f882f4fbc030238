//! The outcome of a call: a result, or a fault.

use std::error::Error;
use std::fmt;

use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::lifecycle::{Aborted, Cannot, Faulted, Maybe};

use crate::host::process::{Ended, Exit, LARGEST_RESULT, means_stop, signal_name};
use crate::message::Message;

/// The reason for which a call has no result.
///
/// Either the called component returned it instead of a result, or its process
/// exited without one. With `?` it becomes the result of the caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The call was stopped, or the component that made it.
    Aborted(Aborted),
    /// The component failed, died, could not be started, or returned a message of
    /// an unexpected type.
    Faulted(Box<Faulted>),
    /// The component was not successful, but may be later.
    Maybe(Maybe),
    /// The component cannot do it, and another attempt would change nothing.
    Cannot(Cannot),
}

impl Fault {
    pub(crate) fn new(condition: impl Into<String>, explanation: impl Into<String>) -> Self {
        Self::Faulted(Box::new(Faulted::new(condition, explanation)))
    }

    fn cause(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Aborted(aborted) => aborted,
            Self::Faulted(faulted) => &**faulted,
            Self::Maybe(maybe) => maybe,
            Self::Cannot(cannot) => cannot,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause(), f)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause())
    }
}

/// A result type of a call: a [`Message`], or [`Typed`] for a message of any type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a call",
    label = "is no message",
    note = "give the type a wire name: `ansar_runtime::message!({Self} = \"my_app.{Self}\");`"
)]
pub trait FromReturned: Sized {
    /// Decodes what was returned. The error names the actual and the expected type.
    fn from_returned(returned: Typed) -> Result<Self, String>;
}

impl<M: Message> FromReturned for M {
    fn from_returned(returned: Typed) -> Result<Self, String> {
        match returned.decode_as::<M>(M::NAME) {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(format!(
                "returned a `{}` that is no `{}`: {error}",
                returned.name,
                std::any::type_name::<M>()
            )),
            None => Err(format!(
                "returned a `{}`, expected a `{}`",
                returned.name,
                M::NAME
            )),
        }
    }
}

impl FromReturned for Typed {
    fn from_returned(returned: Typed) -> Result<Self, String> {
        Ok(returned)
    }
}

/// Determines the outcome of the call of `role`.
///
/// The returned message is decoded as `T` first, so that a caller can ask for any
/// result, also for a fault.
pub(crate) fn judge<T: FromReturned>(role: &str, pid: i32, ended: &Ended) -> Result<T, Fault> {
    let unreadable = match serde_json::from_slice::<Envelope<Typed>>(&ended.output) {
        Ok(Envelope { value: returned }) => return expect(role, pid, returned),
        Err(_) if ended.output.is_empty() => String::new(),
        Err(_) if ended.output.len() > LARGEST_RESULT => {
            let most = LARGEST_RESULT >> 20;
            return Err(Fault::new(
                format!("{} returned a result that is too large", who(role, pid)),
                format!("it has more than {most} MiB, the most that a result may have"),
            ));
        }
        Err(error) => format!("stdout is not a message: {error}"),
    };
    let how = match ended.exit {
        Exit::Signal(signal) if ended.asked || means_stop(signal) => {
            return Err(Fault::Aborted(Aborted {}));
        }
        Exit::Signal(signal) => format!("was killed by {}", signal_name(signal)),
        Exit::Code(0) => "exited without a result".to_owned(),
        Exit::Code(code) => format!("exited with code {code} and without a result"),
    };
    Err(Fault::new(format!("{} {how}", who(role, pid)), unreadable))
}

fn expect<T: FromReturned>(role: &str, pid: i32, returned: Typed) -> Result<T, Fault> {
    let other = lifecycle(role, pid, &returned);
    T::from_returned(returned).map_err(|error| {
        other.unwrap_or_else(|| Fault::new(format!("{} {error}", who(role, pid)), ""))
    })
}

/// Returns the fault that was returned in place of a result.
fn lifecycle(role: &str, pid: i32, returned: &Typed) -> Option<Fault> {
    if returned.is::<Aborted>() {
        return Some(Fault::Aborted(Aborted {}));
    }
    if let Some(Ok(maybe)) = returned.decode::<Maybe>() {
        return Some(Fault::Maybe(maybe));
    }
    if let Some(Ok(cannot)) = returned.decode::<Cannot>() {
        return Some(Fault::Cannot(cannot));
    }
    let mut faulted = returned.decode::<Faulted>()?.ok()?;
    // A fault of a nested call names that call already, and by its name all the
    // calls above it.
    let named = [format!("`{role}`"), format!("`{role}.")];
    if !named.iter().any(|name| faulted.condition.starts_with(name)) {
        faulted.condition = format!("{} faulted: {}", who(role, pid), faulted.condition);
    }
    Some(Fault::Faulted(Box::new(faulted)))
}

fn who(role: &str, pid: i32) -> String {
    format!("`{role}` (process {pid})")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ansar_contract::lifecycle::Ack;

    fn ended(exit: Exit, output: &str, asked: bool) -> Ended {
        Ended {
            exit,
            asked,
            output: output.as_bytes().to_vec(),
        }
    }

    fn returned<M: Message>(message: &M) -> Ended {
        let text =
            serde_json::to_string(&Envelope::of(Typed::encode_as(M::NAME, message).unwrap()));
        ended(Exit::Code(1), &text.unwrap(), false)
    }

    fn said(ended: &Ended) -> String {
        judge::<Ack>("a-0.b", 7, ended).unwrap_err().to_string()
    }

    #[test]
    fn a_result_is_the_result_whatever_the_exit() {
        assert_eq!(judge("a-0.b", 7, &returned(&Ack {})), Ok(Ack {}));
        let any = judge::<Typed>("a-0.b", 7, &returned(&Faulted::new("x", "")));
        assert!(any.unwrap().is::<Faulted>());
    }

    #[test]
    fn a_death_names_the_signal_or_the_code() {
        for (exit, expected) in [
            (Exit::Signal(9), "`a-0.b` (process 7) was killed by SIGKILL"),
            (Exit::Code(0), "`a-0.b` (process 7) exited without a result"),
            (
                Exit::Code(3),
                "`a-0.b` (process 7) exited with code 3 and without a result",
            ),
        ] {
            assert_eq!(said(&ended(exit, "", false)), expected);
        }
        let garbage = said(&ended(Exit::Code(0), "hello", false));
        assert!(garbage.contains("is not a message"), "{garbage}");
    }

    #[test]
    fn one_that_was_stopped_is_aborted() {
        let aborted = Err(Fault::Aborted(Aborted {}));
        let judged = |ended: &Ended| judge::<Ack>("a-0.b", 7, ended);
        assert_eq!(judged(&returned(&Aborted {})), aborted);
        assert_eq!(judged(&ended(Exit::Signal(2), "", false)), aborted);
        assert_eq!(judged(&ended(Exit::Signal(9), "", true)), aborted);
    }

    #[test]
    fn another_result_is_a_fault_that_names_both_types() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Total {
            value: u64,
        }
        crate::message!(Total = "ledger.Total");
        assert_eq!(
            said(&returned(&Total { value: 1 })),
            "`a-0.b` (process 7) returned a `ledger.Total`, \
             expected a `ansar.create.lifecycle.Ack`"
        );
        let text = r#"{"value": ["ledger.Total", {"value": "x"}, []]}"#;
        let judged = judge::<Total>("a-0.b", 7, &ended(Exit::Code(0), text, false));
        let said = judged.map(|total| total.value).unwrap_err().to_string();
        assert!(said.contains("`ledger.Total` that is no `"), "{said}");
        assert!(said.contains("Total`: invalid type"), "{said}");
    }

    #[test]
    fn a_fault_names_who_faulted_once() {
        let own = said(&returned(&Faulted::new("component panicked", "x")));
        assert_eq!(own, "`a-0.b` (process 7) faulted: component panicked, x");
        let below = Faulted::new("`a-0.b.c` (process 8) was killed by SIGKILL", "");
        assert_eq!(
            said(&returned(&below)),
            "`a-0.b.c` (process 8) was killed by SIGKILL"
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_out_is_judged(code: i32, output: Vec<u8>, asked: bool, died: bool) {
            let exit = if died { Exit::Signal(code) } else { Exit::Code(code) };
            let ended = Ended { exit, asked, output };
            prop_assert!(judge::<Ack>("a-0.b", 7, &ended).is_err());
        }
    }
}
