//! The time of day, and random numbers.

use std::fmt::Display;

use ansar_contract::line::{CHECK_STAMP_FORMAT, STAMP_FORMAT};

/// Returns the current time in the form of a log line.
pub(crate) fn stamp() -> impl Display {
    now().strftime(STAMP_FORMAT)
}

/// Returns the current time in the form of a check.
pub(crate) fn check_stamp() -> String {
    now().strftime(CHECK_STAMP_FORMAT).to_string()
}

#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Returns a random number from 0 to `greatest`, uniformly distributed.
pub(crate) fn any_up_to(greatest: u64) -> u64 {
    fastrand::u64(..=greatest)
}
