//! Wrapping the `main` of an application, which keeps its arguments, its runtime, its
//! subscriber and its handling of signals.
//!
//! The role comes in an environment variable, since the arguments belong to the
//! application. Its stdout becomes a part of the log, as its stderr is, and the original one
//! is kept for a message. The exit status is the outcome; a message is written only if it
//! says more: the text of an error, or checks.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Arc;

use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::lifecycle::Faulted;
use ansar_contract::line::Level;
use ansar_contract::notice::Notice;

use super::context::{Context, Process};
use super::free;
use super::identity::Identity;
use super::marker::mark_wrapped;
use super::stop::Stop;
use super::{FAULT, executable_name, introduce, refuse};
use crate::Error;
use crate::events::{self, Shown};
use crate::host::notify::Notifier;
use crate::host::parent::Parent;
use crate::host::streams::{self, LogStream, Outlet};
use crate::host::{environment, signals};
use crate::lifecycle::causes;
use crate::log::Log;

/// Runs the `main` of an existing application, which becomes a component by this.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     ansar_runtime::wrap(real_main)
/// }
///
/// // #[tokio::main], #[actix_web::main], or no runtime at all
/// fn real_main() -> Result<(), Box<dyn std::error::Error>> {
///     // Once it listens:
///     ansar_runtime::ready();
///     Ok(())
/// }
/// ```
///
/// Outside of a home, this is `real_main()` and nothing else. In a home, the application
/// keeps its arguments (those of the role's `args`), its runtime, its `tracing` subscriber
/// and its handling of signals. Everything that it prints goes to the log of the role.
///
/// [`ready`](crate::ready), [`stopped`](crate::stopped) and [`context`](crate::context) work
/// anywhere in it, and do nothing outside of a home.
///
/// The outcome is that of the exit status, as for any program. An error that `real_main`
/// returns becomes a [`Faulted`], an [`Error`] one with its place. If checks were made by the
/// [`context`](crate::context), their report is returned.
pub fn wrap<F: FnOnce() -> R, R: MainResult>(real_main: F) -> ExitCode {
    mark_wrapped::<F, R>();
    match Wrapped::prepare() {
        Ok(None) => match real_main().into_exit() {
            Ok(code) => code,
            Err(error) => {
                streams::complain(&format!("Error: {}", error.debug));
                ExitCode::from(FAULT)
            }
        },
        Ok(Some(wrapped)) => wrapped.conclude(real_main().into_exit()),
        Err(faulted) => refuse(&faulted),
    }
}

/// A result of `main`, as for [`std::process::Termination`]: `()`, an [`ExitCode`], or a
/// `Result` of these with any error that is `Debug`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a result that a `main` can have",
    label = "neither `()`, nor `ExitCode`, nor a `Result` of these",
    note = "the error of a `Result` must be `Debug` and `'static`"
)]
pub trait MainResult {
    /// Returns the exit code, or the error.
    fn into_exit(self) -> Result<ExitCode, Box<MainError>>;
}

/// The error of a `main`.
#[derive(Debug)]
pub struct MainError {
    /// As the outcome of a role.
    fault: Faulted,
    /// As the standard library prints it.
    debug: String,
}

impl MainResult for () {
    fn into_exit(self) -> Result<ExitCode, Box<MainError>> {
        Ok(ExitCode::SUCCESS)
    }
}

impl MainResult for ExitCode {
    fn into_exit(self) -> Result<ExitCode, Box<MainError>> {
        Ok(self)
    }
}

impl MainResult for std::convert::Infallible {
    fn into_exit(self) -> Result<ExitCode, Box<MainError>> {
        match self {}
    }
}

impl<T: MainResult, E: Debug + 'static> MainResult for Result<T, E> {
    fn into_exit(self) -> Result<ExitCode, Box<MainError>> {
        let error = match self {
            Ok(value) => return value.into_exit(),
            Err(error) => error,
        };
        let debug = format!("{error:?}");
        Err(Box::new(MainError {
            fault: fault_of(&error, &debug),
            debug,
        }))
    }
}

/// Returns the fault of an error: by its type if that says more than the text of `Debug`.
fn fault_of(error: &dyn Any, debug: &str) -> Faulted {
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.faulted();
    }
    let by_sources = |error: &(dyn StdError + 'static)| {
        let sources = causes(error).skip(1).map(ToString::to_string);
        Faulted::new(error.to_string(), sources.collect::<Vec<_>>().join(": "))
    };
    if let Some(error) = error.downcast_ref::<Box<dyn StdError + Send + Sync>>() {
        return by_sources(&**error);
    }
    if let Some(error) = error.downcast_ref::<Box<dyn StdError>>() {
        return by_sources(&**error);
    }
    let text = error.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| error.downcast_ref::<&str>().copied());
    let text = text.unwrap_or(debug);
    let (condition, rest) = text.split_once('\n').unwrap_or((text, ""));
    Faulted::new(condition, rest.trim())
}

/// The role of an application.
struct Wrapped {
    context: Context,
    outlet: Outlet,
}

impl Wrapped {
    /// Prepares the process for its role, or returns `None` outside of a home.
    fn prepare() -> Result<Option<Self>, Faulted> {
        let (Some((origin, home)), Some(role)) = (environment::launch(), environment::role())
        else {
            return Ok(None);
        };
        let parent = environment::parent().map(Parent::follow);
        let name = executable_name(&environment::arguments());
        let place = Identity::in_home(&home, &role, &name)?;
        let outlet = Outlet::guard()
            .map_err(|error| Faulted::new("failed to keep stdout", error.to_string()))?;
        let log = Log::new(std::process::id(), Level::Debug, LogStream);
        let notifier = Notifier::new(environment::notify_socket(), &role);
        let process = Process {
            #[cfg(feature = "main")]
            origin: origin.parse().ok(),
            ..Process::new(log.clone(), listening(parent, &notifier), place)
        };
        #[cfg(not(feature = "main"))]
        let _ = origin;
        let context = Context::first(Arc::new(process), &name);
        introduce(&context, &name);
        let filter = environment::rust_log();
        let shown = match &filter {
            Some(filter) => Shown::Filter(filter),
            None => Shown::AllOf(&name),
        };
        events::offer(log, context.speaker(), &shown);
        free::set(&context, &notifier);
        Ok(Some(Self { context, outlet }))
    }

    /// Writes a message where there is one, and returns the exit code.
    fn conclude(self, result: Result<ExitCode, Box<MainError>>) -> ExitCode {
        let (message, code) = match result {
            Err(error) => {
                self.context.fault(&error.fault);
                (Typed::encode(&error.fault), ExitCode::from(FAULT))
            }
            Ok(code) => {
                let report = self.context.report();
                if report.passed + report.failed == 0 {
                    return code;
                }
                (Typed::encode(&report), code)
            }
        };
        let message = message.and_then(|typed| serde_json::to_string(&Envelope::of(typed)));
        let written = message.map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|text| self.outlet.write(&text)) {
            self.context
                .fault(format_args!("Failed to write the result: {error}"));
        }
        code
    }
}

/// Returns the request to stop, which listens for signals only once it is asked for.
fn listening(parent: Option<Parent>, notifier: &Notifier) -> Stop {
    let notifier = notifier.clone();
    Stop::listening(move |stop| {
        let (stop, notifier) = (stop.clone(), notifier.clone());
        let heard = move || {
            stop.request();
            notifier.try_send(Notice {
                stopping: true,
                ..Notice::default()
            });
        };
        // Without the handlers, a signal ends the process, as it did before.
        let _ = signals::on_stop(parent, heard);
    })
}
