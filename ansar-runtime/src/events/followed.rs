//! Events of the `tracing` crate, from any library, as log lines.
//!
//! The global subscriber belongs to the component: one that sets it, early or late, must
//! not find it taken. Until the component has announced that it is ready, events are
//! therefore followed on the threads of its runtime only. Then, if it has set none, the
//! global subscriber is set here, which also covers threads of its own.

#[cfg(feature = "main")]
use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
#[cfg(feature = "main")]
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use ansar_contract::line::Tag;
#[cfg(feature = "main")]
use tracing::dispatcher::DefaultGuard;
use tracing::dispatcher::{self, Dispatch};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
#[cfg(feature = "main")]
use tracing::subscriber::NoSubscriber;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::Shown;
use crate::log::Log;

/// The subscriber of this process.
static OWN: OnceLock<Dispatch> = OnceLock::new();

#[cfg(feature = "main")]
thread_local! {
    /// The guard of this thread, while its events are followed.
    static FOLLOWED: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

/// Sends the events of this process to `log`, in the name of `speaker`.
#[cfg(feature = "main")]
pub(crate) fn follow(log: Arc<Log>, speaker: String, shown: &Shown<'_>) {
    offer(log, speaker, shown);
    follow_thread();
}

/// Does the same, but only from [`claim`] on.
pub(crate) fn offer(log: Arc<Log>, speaker: String, shown: &Shown<'_>) {
    let subscriber = tracing_subscriber::registry().with(shown.targets());
    let subscriber = subscriber.with(Events { log, speaker });
    // A process has one component.
    let _ = OWN.set(Dispatch::new(subscriber));
}

/// Follows the events of this thread, unless the component has set a subscriber.
#[cfg(feature = "main")]
pub(crate) fn follow_thread() {
    FOLLOWED.with_borrow_mut(|guard| {
        // Without this thread's own default, the global subscriber is the current one.
        *guard = None;
        let own = OWN
            .get()
            .filter(|_| dispatcher::get_default(Dispatch::is::<NoSubscriber>));
        *guard = own.map(dispatcher::set_default);
    });
}

/// Awaits `work` on a followed thread. As soon as the work has set a subscriber, that one
/// gets the events.
#[cfg(feature = "main")]
pub(crate) async fn followed<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let poll = work.as_mut().poll(context);
        if FOLLOWED.with_borrow(Option::is_some) {
            follow_thread();
        }
        poll
    })
    .await
}

/// Follows the events of all threads, unless the component has set a subscriber.
pub(crate) fn claim() {
    if let Some(own) = OWN.get() {
        let _ = dispatcher::set_global_default(own.clone());
    }
}

impl Shown<'_> {
    fn targets(&self) -> Targets {
        let all = || Targets::new().with_default(LevelFilter::TRACE);
        match self {
            Self::Filter(text) => text.parse().unwrap_or_else(|_| all()),
            #[cfg(feature = "main")]
            Self::All => all(),
            Self::AllOf(name) => Targets::new()
                .with_default(LevelFilter::INFO)
                .with_target(name.replace('-', "_"), LevelFilter::TRACE),
        }
    }
}

struct Events {
    log: Arc<Log>,
    speaker: String,
}

impl<S: Subscriber> Layer<S> for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span() || self.log.shows(tag(*metadata.level()))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(format!("{}:", event.metadata().target()));
        event.record(&mut text);
        self.log
            .write(tag(*event.metadata().level()), &self.speaker, &text.0);
    }
}

fn tag(level: tracing::Level) -> Tag {
    match level {
        tracing::Level::ERROR => Tag::Fault,
        tracing::Level::WARN => Tag::Warning,
        tracing::Level::INFO => Tag::Console,
        tracing::Level::DEBUG => Tag::Trace,
        tracing::Level::TRACE => Tag::Debug,
    }
}

/// `target: message field=value …`
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}
