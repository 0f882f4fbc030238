//! The parameters of a component's function.

use ansar_contract::lifecycle::Faulted;
use ansar_contract::notice::Notice;
use serde_json::Value;

use super::context::Context;
use super::declaration::Declaration;
use crate::events;
use crate::host::notify::Notifier;
use crate::lifecycle::IntoReturned;
use crate::settings::{Schema, Tunable};

/// The values for the parameters of one attempt.
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
    /// Declares the needs of the parameter, before the function runs.
    fn declare(declaration: &mut Declaration);

    /// Takes the parameter from the values of the attempt.
    fn take(supply: &Supply) -> Result<Self, Faulted>;
}

impl Parameter for Context {
    fn declare(declaration: &mut Declaration) {
        declaration.takes_context = true;
    }

    fn take(supply: &Supply) -> Result<Self, Faulted> {
        Ok(supply.context.clone())
    }
}

/// The settings of the component.
///
/// Each field has its default, unless it is set for the role (by hand: stored for
/// the user), in a settings file, or on the command line.
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

/// The input of the component: what its caller sent, or the input of the role, or
/// the default.
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

/// Announces that the component is ready.
///
/// A component without this parameter is ready as soon as its function is called;
/// a component with it is ready after [`Ready::announce`]. Roles that start after
/// it wait for that.
#[derive(Debug, Clone)]
pub struct Ready {
    context: Context,
    notifier: Notifier,
}

impl Ready {
    /// Announces readiness. Waits, a few seconds at most, while the engine is too
    /// busy to receive it. A second call has no effect.
    pub fn announce(&self) {
        events::claim();
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

/// An async function that can be a component; see [`main`](crate::main).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a component",
    note = "a component is an `async fn` with parameters among `Context`, `Ready`, `Settings<T>` and `Input<T>`",
    note = "and a result that is `()`, a message, or a `Result` of these",
    note = "the `T` of settings and input needs `Serialize`, `Deserialize` and `Default`; a message of your own is made one by `ansar_runtime::message!(TYPE = \"my_app.TYPE\");`"
)]
pub trait Component<Parameters> {
    /// Declares the needs of the parameters.
    fn declare(declaration: &mut Declaration);

    /// The future of one attempt.
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
