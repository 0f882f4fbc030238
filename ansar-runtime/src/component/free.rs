//! Free functions for code that has no parameter to take: an application that wraps its
//! `main`. They do nothing outside of a home.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use ansar_contract::line::Level;
use ansar_contract::notice::Notice;

use super::context::{Context, Process};
use super::identity::Identity;
use super::marker::mark_announcing;
use super::stop::Stop;
use crate::events;
use crate::host::notify::Notifier;
use crate::log::Log;

/// The component of this process, while it runs.
static OWN: RwLock<Option<Own>> = RwLock::new(None);
/// The context outside of a home.
static NONE: OnceLock<Context> = OnceLock::new();

#[derive(Clone)]
struct Own {
    context: Context,
    notifier: Notifier,
}

/// Sets what the free functions act upon. A process has one component.
pub(super) fn set(context: &Context, notifier: &Notifier) {
    replace(Some(Own {
        context: context.clone(),
        notifier: notifier.clone(),
    }));
}

/// Ends the effect of the free functions.
pub(super) fn clear() {
    replace(None);
}

fn replace(own: Option<Own>) {
    let mut current = OWN.write().unwrap_or_else(PoisonError::into_inner);
    // Logged as destroyed only after the lock is free.
    let before = std::mem::replace(&mut *current, own);
    drop(current);
    drop(before);
}

fn own() -> Option<Own> {
    OWN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Announces that this process is ready, as [`Ready::announce`](crate::Ready::announce)
/// does. Outside of a home, it does nothing.
///
/// A role of an application that [wraps](crate::wrap) its `main`, and calls this function
/// anywhere, is ready when it is called; the roles that start after it wait for that. If the
/// application calls it nowhere, the role is ready when it listens on its `{port}`, or else
/// once it has started, unless the manifest says `ready = …`.
#[inline]
pub fn ready() {
    mark_announcing();
    announce();
}

#[inline(never)]
fn announce() {
    if let Some(own) = own() {
        events::claim();
        own.context.trace("Ready");
        own.notifier.send(Notice {
            ready: true,
            ..Notice::default()
        });
    }
}

/// Waits until this process is asked to stop. Outside of a home, it never ends.
///
/// In an application that [wraps](crate::wrap) its `main`, the first use of this function, or
/// of a context to check for Stop, takes over SIGINT, SIGTERM, SIGHUP and SIGQUIT. Until then,
/// and in an application that does not ask, they do what they do without this library.
/// Handlers of others, such as those of `tokio::signal`, are called as well.
pub async fn stopped() {
    match own() {
        Some(own) => own.context.stopped().await,
        None => std::future::pending().await,
    }
}

/// Returns the context of this process: log, checks, Stop, folders and calls.
///
/// Outside of a home, it logs nothing and is never asked to stop.
pub fn context() -> Context {
    match own() {
        Some(own) => own.context,
        None => NONE.get_or_init(quiet).clone(),
    }
}

fn quiet() -> Context {
    let executable = crate::host::environment::executable().unwrap_or_default();
    let name = executable.file_stem().unwrap_or_default().to_string_lossy();
    let log = Log::new(std::process::id(), Level::None, std::io::sink());
    let process = Process::new(log, Stop::default(), Identity::by_hand(&name));
    Context::first(Arc::new(process), &name)
}
