//! The wall clock and the monotonic clock.

#![expect(
    clippy::disallowed_methods,
    reason = "the only module that accesses the clock"
)]

use std::time::{Duration, Instant};

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

/// Returns the time since the system was started, which goes on while it is
/// suspended.
pub fn boot_time() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    rustix::time::clock_gettime(clock)
        .try_into()
        .unwrap_or_default()
}

/// Returns an instant of the monotonic clock, for measuring durations.
pub fn instant() -> Instant {
    Instant::now()
}
