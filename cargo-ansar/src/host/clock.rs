//! The wall clock and the monotonic clock.

#![expect(
    clippy::disallowed_methods,
    reason = "the only module that accesses the clock"
)]

use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Returns the current time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Returns the system's time zone, or UTC if it is not configured.
pub fn zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Returns an instant of the monotonic clock, for measuring durations.
pub fn instant() -> Instant {
    Instant::now()
}
