//! Events of the `tracing` crate, from any library, as log lines.

#[cfg(feature = "tracing")]
#[path = "events/followed.rs"]
mod chosen;
#[cfg(not(feature = "tracing"))]
#[path = "events/none.rs"]
mod chosen;

pub(crate) use self::chosen::{claim, offer};
#[cfg(feature = "main")]
pub(crate) use self::chosen::{follow, follow_thread, followed};

/// The events that are logged.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "only the feature `tracing` reads them")
)]
pub(crate) enum Shown<'a> {
    /// Those that the value of `RUST_LOG` selects.
    Filter(&'a str),
    /// All that the level of the log shows.
    #[cfg(feature = "main")]
    All,
    /// All of this crate; those of libraries from the level INFO.
    AllOf(&'a str),
}
