//! The time of day, and the time that only goes forward.

#![expect(clippy::disallowed_methods, reason = "this is the door to the clock")]

use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The zone of this machine's clock; UTC where it does not say.
pub fn zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// A point in time to measure from; never goes back.
pub fn instant() -> Instant {
    Instant::now()
}
