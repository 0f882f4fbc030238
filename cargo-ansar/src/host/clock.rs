//! The time of day, and the time that only goes forward.

#![expect(clippy::disallowed_methods, reason = "this is the door to the clock")]

use std::time::Instant;

use jiff::Timestamp;

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A point in time to measure from; never goes back.
pub fn instant() -> Instant {
    Instant::now()
}
