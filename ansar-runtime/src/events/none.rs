//! Events of the `tracing` crate, without the feature `tracing`: none is logged.

use std::sync::Arc;

use super::Shown;
use crate::log::Log;

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
