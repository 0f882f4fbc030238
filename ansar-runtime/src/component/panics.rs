//! Panics: a fault in the log, and the explanation of a [`Faulted`] result.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread;

use ansar_contract::envelope::{Envelope, Typed};
use ansar_contract::lifecycle::Faulted;
use ansar_contract::line::Tag;

use crate::host::streams::Outlet;
use crate::log::Log;

/// The last panic of this process, as a fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panics(Arc<Mutex<Option<Faulted>>>);

impl Panics {
    /// Logs every panic in the name of `speaker`, and stores it.
    ///
    /// If panics abort, the fault is written to `outlet` at once, as nothing runs
    /// after it.
    pub(crate) fn watch(log: Arc<Log>, speaker: String, outlet: Outlet) -> Self {
        let panics = Self::default();
        let latest = panics.clone();
        panic::set_hook(Box::new(move |info| {
            let faulted = describe(info);
            log.write(Tag::Fault, &speaker, &account(&faulted));
            if cfg!(panic = "abort") {
                let text = Typed::encode(&faulted)
                    .and_then(|typed| serde_json::to_string(&Envelope::of(typed)));
                let _ = text.map(|text| outlet.write(&text));
            }
            *latest.latest() = Some(faulted);
        }));
        panics
    }

    /// Awaits `attempt`, and returns a panic in it as the error.
    pub(crate) async fn catch<T>(&self, attempt: impl Future<Output = T>) -> Result<T, Faulted> {
        let mut attempt = pin!(attempt);
        std::future::poll_fn(|context| {
            let poll = AssertUnwindSafe(|| attempt.as_mut().poll(context));
            match panic::catch_unwind(poll) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
                Err(_) => Poll::Ready(Err(self.take())),
            }
        })
        .await
    }

    fn take(&self) -> Faulted {
        let unknown = || Faulted::new("component panicked", "");
        self.latest().take().unwrap_or_else(unknown)
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Option<Faulted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(info: &PanicHookInfo<'_>) -> Faulted {
    let message = text_of(info.payload()).unwrap_or("(no message)");
    let faulted = Faulted::new("component panicked", message);
    match info.location() {
        Some(place) => faulted.at(place.file(), place.line()),
        None => faulted,
    }
}

/// Returns the message of a panic.
fn text_of(payload: &dyn Any) -> Option<&str> {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

fn account(faulted: &Faulted) -> String {
    let mut text = String::new();
    if let Some(name) = thread::current().name().filter(|name| *name != "main") {
        text = format!("thread `{name}`: ");
    }
    let _ = write!(text, "panicked: {}", faulted.explanation);
    if let (Some(source), Some(line)) = (&faulted.source, faulted.line) {
        let _ = write!(text, " ({source}:{line})");
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        let _ = write!(text, "\n{backtrace}");
    }
    text
}
