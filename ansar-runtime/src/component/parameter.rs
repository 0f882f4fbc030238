//! What a component's function asks for by its parameters.

use ansar_contract::lifecycle::Faulted;
use ansar_contract::notice::Notice;
use serde_json::Value;

use super::context::Context;
use super::declaration::Declaration;
use crate::host::notify::Notifier;
use crate::lifecycle::IntoReturned;
use crate::settings::{Schema, Tunable};

/// What one attempt is given.
#[derive(Debug)]
pub struct Supply {
    pub(crate) context: Context,
    pub(crate) settings: Value,
    pub(crate) input: Value,
    pub(crate) notifier: Notifier,
}

/// A parameter of a component's function: [`Context`], [`Settings`],
/// [`Input`] or [`Ready`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a component",
    label = "neither `Context`, nor `Ready`, nor `Settings<T>`, nor `Input<T>`",
    note = "write `Settings(to): Settings<{Self}>` to ask for it as settings"
)]
pub trait Parameter: Sized {
    /// Says what the parameter needs, before the function runs.
    fn declare(declaration: &mut Declaration);

    /// Takes the parameter from what the attempt is given.
    fn take(supply: &Supply) -> Result<Self, Faulted>;
}

impl Parameter for Context {
    fn declare(_: &mut Declaration) {}

    fn take(supply: &Supply) -> Result<Self, Faulted> {
        Ok(supply.context.clone())
    }
}

/// The component's settings, field by field: defaults, then what is kept for
/// the role (or, by hand, for the user), then the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings<T>(pub T);

impl<T: Tunable> Parameter for Settings<T> {
    fn declare(declaration: &mut Declaration) {
        declaration.settings = Some(Schema::of::<T>());
    }

    fn take(supply: &Supply) -> Result<Self, Faulted> {
        T::deserialize(&supply.settings)
            .map(Self)
            .map_err(|error| Faulted::new("settings do not fit", error.to_string()))
    }
}

/// What the component is to work on: its default, or what is kept for the
/// role, or what its caller sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Input<T>(pub T);

impl<T: Tunable> Parameter for Input<T> {
    fn declare(declaration: &mut Declaration) {
        declaration.input = Some(Schema::of::<T>());
    }

    fn take(supply: &Supply) -> Result<Self, Faulted> {
        T::deserialize(&supply.input)
            .map(Self)
            .map_err(|error| Faulted::new("input does not fit", error.to_string()))
    }
}

/// The right to say that the component can be used now.
///
/// A component without this parameter counts as ready as soon as its function
/// is called; one with it, not before [`Ready::announce`].
#[derive(Debug, Clone)]
pub struct Ready {
    context: Context,
    notifier: Notifier,
}

impl Ready {
    /// Says it. Waits (a few seconds at most) while the engine is too busy to
    /// take the news; a second call says it again, which changes nothing.
    pub fn announce(&self) {
        self.context.trace("Ready");
        self.notifier.send(Notice {
            ready: true,
            ..Notice::default()
        });
    }
}

impl Parameter for Ready {
    fn declare(declaration: &mut Declaration) {
        declaration.announces = true;
    }

    fn take(supply: &Supply) -> Result<Self, Faulted> {
        Ok(Self {
            context: supply.context.clone(),
            notifier: supply.notifier.clone(),
        })
    }
}

/// An async function that can be a component; see [`main`](super::main).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a component",
    note = "a component is an `async fn` with parameters among `Context`, `Ready`, `Settings<T>` and `Input<T>`",
    note = "and a result that is `()`, a message, or a `Result` of these",
    note = "the `T` of settings and input needs `Serialize`, `Deserialize` and `Default`; a message of your own is made one by `ansar_runtime::message!(TYPE = \"my_app.TYPE\");`"
)]
pub trait Component<Parameters> {
    /// Says what the parameters need.
    fn declare(declaration: &mut Declaration);

    /// One attempt, in progress.
    type Attempt: Future<Output: IntoReturned>;

    /// Begins an attempt.
    fn call(&self, supply: &Supply) -> Result<Self::Attempt, Faulted>;
}

macro_rules! component {
    ($($parameter:ident),*) => {
        impl<Function, Attempt, $($parameter),*> Component<($($parameter,)*)> for Function
        where
            Function: Fn($($parameter),*) -> Attempt,
            Attempt: Future<Output: IntoReturned>,
            $($parameter: Parameter),*
        {
            fn declare(_declaration: &mut Declaration) {
                $($parameter::declare(_declaration);)*
            }

            type Attempt = Attempt;

            fn call(&self, _supply: &Supply) -> Result<Attempt, Faulted> {
                Ok(self($($parameter::take(_supply)?),*))
            }
        }
    };
}

component!();
component!(P1);
component!(P1, P2);
component!(P1, P2, P3);
component!(P1, P2, P3, P4);
