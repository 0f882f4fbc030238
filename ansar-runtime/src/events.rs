//! Events of the `tracing` crate, from any library, as log lines.

#[cfg(feature = "tracing")]
#[path = "events/followed.rs"]
mod chosen;
#[cfg(not(feature = "tracing"))]
#[path = "events/none.rs"]
mod chosen;

pub(crate) use self::chosen::{Shown, claim, offer};
#[cfg(feature = "main")]
pub(crate) use self::chosen::{follow, follow_thread, followed};
