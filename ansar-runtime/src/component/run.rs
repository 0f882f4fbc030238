//! A component from the command line to the result.
//!
//! [`main`] asks the parameters of the function for their needs, parses the
//! command line by them, and redirects stdout away from prints of the program. It
//! then runs *attempts* of the function, one after the other under the retry
//! policy of the role, on a single-threaded runtime; a thread turns signals into
//! [`Stop`](super::stop::Stop). The result of the last attempt is written to the
//! original stdout, and the process exits.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::launch::Origin;
use ansar_contract::lifecycle::{Aborted, Cannot, Faulted, Maybe};
use ansar_contract::line::Level;
use ansar_contract::notice::Notice;
use tokio::task::LocalSet;

use super::arguments::{Arguments, Request};
use super::attempt::{Attempts, encoded};
#[cfg(feature = "cli")]
use super::command_line::read;
use super::context::{Context, Process};
use super::declaration::Declaration;
use super::identity::Identity;
#[cfg(not(feature = "cli"))]
use super::launch_flags::read;
use super::marker::mark;
use super::panics::Panics;
use super::parameter::{Component, Supply};
use super::stop::Stop;
use super::{FAULT, Prepared, free, introduce, refuse};
use crate::events::{self, Shown};
use crate::host::notify::Notifier;
use crate::host::parent::Parent;
use crate::host::streams::{self, LogStream, Outlet};
use crate::host::{environment, files, signals};
use crate::log::Log;

/// The name of the object that runs a component's function.
const STARTER: &str = "start_vector";
/// The time in which a component with a context may check for Stop after the request.
/// Then its future is dropped.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs a component. This is the whole body of its `main`.
///
/// `function` is an async function whose parameters are any of
/// [`Context`], [`Ready`](crate::Ready),
/// [`Settings<T>`](crate::Settings) and [`Input<T>`](crate::Input), in
/// any combination. It returns `()`, a message, or a [`Result`](crate::Result)
/// of these. Under a retry policy it is called once per attempt.
///
/// Run by hand, the executable is a tool: it takes settings from the user's
/// configuration folder and the command line, logs on stderr, and prints its result
/// on stdout. Started with `--home-path` and `--role-name`, it is that role of that
/// home.
///
/// The exit code is 0; that of a [`Faulted`] result, or 1; or 2 if the command line,
/// the settings or the input cannot be accepted. By hand, a component that was
/// interrupted exits with 128 and the number of the signal, and one that has not done
/// its work ([`Aborted`], `Maybe` or `Cannot`) with 1.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`main(function)` is how a component reads best"
)]
pub fn main<P, C: Component<P>>(function: C) -> ExitCode {
    mark::<P, C>();
    let mut declaration = Declaration::default();
    C::declare(&mut declaration);
    let arguments = match read(&declaration, environment::arguments()) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let place = match Identity::find(&arguments) {
        Ok(place) => place,
        Err(error) => return refuse(&error),
    };
    // Held until the process exits.
    let _lock = match arguments.request {
        Request::Dump { .. } => None,
        _ => match place.claim() {
            Ok(lock) => lock,
            Err(error) => return refuse(&error),
        },
    };
    match arguments.request {
        Request::Run => run(&function, &declaration, &arguments, place),
        Request::Dump { settings, input } => {
            dump(&declaration, &arguments, &place, settings, input)
        }
        Request::StoreSettings => place
            .settings(&declaration, &arguments)
            .and_then(|value| Ok(place.store_settings(&encode(&value))?))
            .map_or_else(|error| refuse(&error), |()| ExitCode::SUCCESS),
        Request::FactoryReset => files::remove(&place.settings_file())
            .map_or_else(|error| refuse(&error.into()), |()| ExitCode::SUCCESS),
    }
}

/// Formats an envelope for people.
fn encode(value: &impl serde::Serialize) -> String {
    // Encoding a JSON value cannot fail.
    let mut text = serde_json::to_string_pretty(&Envelope::of(value)).unwrap_or_default();
    text.push('\n');
    text
}

fn dump(
    declaration: &Declaration,
    arguments: &Arguments,
    place: &Identity,
    settings: bool,
    input: bool,
) -> ExitCode {
    let prepare = || -> Prepared<String> {
        let mut text = String::new();
        if settings {
            text.push_str(&encode(&place.settings(declaration, arguments)?));
        }
        if input {
            text.push_str(&encode(&place.input(declaration, arguments)?));
        }
        Ok(text)
    };
    match prepare() {
        Ok(text) => finish(&streams::print(&text)),
        Err(faulted) => refuse(&faulted),
    }
}

fn finish(written: &std::io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&Faulted::new(
            "failed to write the result",
            error.to_string(),
        )),
    }
}

fn run<P, C: Component<P>>(
    function: &C,
    declaration: &Declaration,
    arguments: &Arguments,
    place: Identity,
) -> ExitCode {
    if let Err(error) = files::check_room() {
        return refuse(&Faulted::new(
            "too few file descriptors are allowed",
            format!("{error}; allow more with `ulimit -n 256`"),
        ));
    }
    let outlet = match Outlet::guard() {
        Ok(outlet) => outlet,
        Err(error) => {
            return refuse(&Faulted::new("failed to keep stdout", error.to_string()));
        }
    };
    let level = arguments.debug_level.unwrap_or(if place.is_component() {
        Level::Debug
    } else {
        Level::Console
    });
    let log = Log::new(std::process::id(), level, LogStream);
    let starter = Context::first(
        Arc::new(Process {
            origin: arguments.origin,
            level: arguments.debug_level,
            ..Process::new(log, Stop::default(), place)
        }),
        STARTER,
    );
    let returned = perform(function, declaration, arguments, &starter, &outlet);
    free::clear();
    let returned = returned.unwrap_or_else(|faulted| {
        starter.fault(&faulted);
        encoded(&faulted)
    });
    let ended = conclude(&returned, arguments, &outlet);
    ended.unwrap_or_else(|faulted| {
        starter.fault(&faulted);
        ExitCode::from(FAULT)
    })
}

/// Runs the attempts of the function. A failure before the first one is the result
/// too.
fn perform<P, C: Component<P>>(
    function: &C,
    declaration: &Declaration,
    arguments: &Arguments,
    starter: &Context,
    outlet: &Outlet,
) -> Prepared<Typed> {
    let Process {
        log, stop, place, ..
    } = starter.process();
    let notifier = match place.role() {
        Some(role) => Notifier::new(environment::notify_socket(), role),
        None => Notifier::new(None, ""),
    };
    free::set(starter, &notifier);
    let parent = environment::parent()
        .filter(|_| place.is_component() || arguments.origin.is_some_and(Origin::is_call))
        .map(Parent::follow);
    stop_on_signals(parent, stop, &notifier)?;
    if parent.is_some_and(Parent::is_gone) {
        return Ok(encoded(&Aborted {}));
    }
    let panics = Panics::watch(log.clone(), starter.speaker(), outlet.clone());
    let filter = environment::rust_log();
    let shown = match (&filter, arguments.debug_level) {
        (Some(filter), _) => Shown::Filter(filter),
        (None, Some(_)) => Shown::All,
        (None, None) => Shown::AllOf(&arguments.name),
    };
    events::follow(log.clone(), starter.speaker(), &shown);
    introduce(starter, &arguments.name);

    let settings = place.settings(declaration, arguments)?;
    let input = place.input(declaration, arguments)?;
    let policy = place.retry()?;
    place.empty_tmp()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(events::follow_thread)
        .build()
        .map_err(|error| Faulted::new("failed to start the runtime", error.to_string()))?;
    notifier.send(Notice {
        contract: Some(ansar_contract::VERSION),
        announces: Some(declaration.announces),
        ..Notice::default()
    });
    let mut attempts = Attempts {
        function,
        name: &arguments.name,
        supply: Supply {
            context: starter.clone(),
            settings,
            input,
            notifier,
        },
        panics: &panics,
        patience: if declaration.takes_context {
            PATIENCE
        } else {
            Duration::ZERO
        },
    };
    let attempts = events::followed(attempts.run(starter, policy));
    let returned = LocalSet::new().block_on(&runtime, attempts);
    // A blocking task that ignores the request to stop does not delay the result.
    runtime.shutdown_background();
    Ok(returned)
}

/// Requests a stop when the process gets a signal to stop, or when its parent
/// ends, and announces it.
fn stop_on_signals(
    parent: Option<Parent>,
    stop: &Stop,
    notifier: &Notifier,
) -> Result<(), Faulted> {
    let (stop, notifier) = (stop.clone(), notifier.clone());
    let heard = move || {
        stop.request();
        notifier.try_send(Notice {
            stopping: true,
            ..Notice::default()
        });
    };
    signals::on_stop(parent, heard)
        .map_err(|error| Faulted::new("failed to listen for signals", error.to_string()))
}

/// Writes the result, and returns the exit code for it.
fn conclude(returned: &Typed, arguments: &Arguments, outlet: &Outlet) -> Prepared<ExitCode> {
    if let Some(path) = &arguments.output_file {
        files::write_named(path, &encode(returned))?;
    } else if arguments.signature.is_none_or(|signature| signature.output) {
        outlet
            .write(&encode(returned))
            .map_err(|error| Faulted::new("failed to write the result", error.to_string()))?;
    }
    Ok(match returned.decode::<Faulted>() {
        Some(Ok(faulted)) => ExitCode::from(faulted.exit_code.unwrap_or(FAULT)),
        Some(Err(_)) => ExitCode::from(FAULT),
        None if arguments.is_by_hand() => by_hand(returned),
        None => ExitCode::SUCCESS,
    })
}

/// Returns the exit code of a tool without a fault, by which a shell knows the
/// outcome, as an engine knows it by the result.
fn by_hand(returned: &Typed) -> ExitCode {
    let undone = returned.is::<Aborted>() || returned.is::<Maybe>() || returned.is::<Cannot>();
    match signals::first() {
        // The numbers of these signals are small.
        Some(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(FAULT)),
        None if undone => ExitCode::from(FAULT),
        None => ExitCode::SUCCESS,
    }
}
