//! Messages of components, and their names.

use ansar_contract::lifecycle::{Aborted, Ack, Cannot, Faulted, Maybe};
use ansar_contract::run::Run;
use ansar_contract::test::{TestReport, TestSuite};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that is sent with its name: a result, or an input that names its type.
///
/// Its name is part of the wire and is stated once, with
/// [`message!`](crate::message).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "needs a wire name",
    note = "derive `Serialize` and `Deserialize`, then write `ansar_runtime::message!({Self} = \"my_app.{Self}\");`"
)]
pub trait Message: Serialize + DeserializeOwned + 'static {
    /// The name on the wire: `package.Type` by convention.
    const NAME: &'static str;
}

/// States the wire name of one or more message types.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Total {
///     value: u64,
/// }
/// ansar_runtime::message!(Total = "ledger.Total");
/// ```
#[macro_export]
macro_rules! message {
    ($($type:ty = $name:literal),+ $(,)?) => {
        $(impl $crate::Message for $type {
            const NAME: &'static str = $name;
        })+
    };
}

/// States that types of the contract are messages.
macro_rules! built_in {
    ($($type:ty),+ $(,)?) => {
        $(impl Message for $type {
            const NAME: &'static str = <Self as ansar_contract::envelope::BuiltIn>::NAME;
        })+
    };
}

built_in!(
    Aborted, Ack, Cannot, Faulted, Maybe, Run, TestReport, TestSuite
);
