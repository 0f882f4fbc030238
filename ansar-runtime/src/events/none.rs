//! Events of the `tracing` crate, without the feature `tracing`: none is logged.

use std::sync::Arc;

use crate::log::Log;

/// The events that are logged.
#[derive(Debug)]
#[expect(dead_code, reason = "only the feature `tracing` reads them")]
pub(crate) enum Shown<'a> {
    /// Those that the value of `RUST_LOG` selects.
    Filter(&'a str),
    /// All that the level of the log shows.
    #[cfg(feature = "main")]
    All,
    /// All of this crate; those of libraries from the level INFO.
    AllOf(&'a str),
}

/// Follows no events.
#[cfg(feature = "main")]
pub(crate) fn follow(_: Arc<Log>, _: String, _: &Shown<'_>) {}

/// Follows no events.
pub(crate) fn offer(_: Arc<Log>, _: String, _: &Shown<'_>) {}

/// Follows no events.
#[cfg(feature = "main")]
pub(crate) fn follow_thread() {}

/// Follows no events.
#[cfg(feature = "main")]
pub(crate) async fn followed<T>(work: impl Future<Output = T>) -> T {
    work.await
}

/// Follows no events.
pub(crate) fn claim() {}
