//! Events of the `tracing` crate, from any library, as log lines.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use ansar_contract::line::Tag;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::log::Log;

/// Sends all events of this process to `log`, in the name of `speaker`, filtered by
/// `filter` in the form of `RUST_LOG`.
///
/// A subscriber that the component has installed before stays.
pub(crate) fn follow(log: Arc<Log>, speaker: String, filter: Option<&str>) {
    let events = Events { log, speaker };
    let everything = || Targets::new().with_default(tracing::Level::TRACE);
    let filter = filter.and_then(|text| text.parse().ok());
    let subscriber = tracing_subscriber::registry().with(filter.unwrap_or_else(everything));
    let _ = tracing::subscriber::set_global_default(subscriber.with(events));
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
