//! The time of day, and chance.

use std::fmt::Display;

use ansar_contract::line::{CHECK_STAMP_FORMAT, STAMP_FORMAT};

/// Now, as a log line shows it.
pub(crate) fn stamp() -> impl Display {
    now().strftime(STAMP_FORMAT)
}

/// Now, as a check records it.
pub(crate) fn check_stamp() -> String {
    now().strftime(CHECK_STAMP_FORMAT).to_string()
}

#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A whole number from 0 to `greatest`, each as likely as the others.
pub(crate) fn any_up_to(greatest: u64) -> u64 {
    fastrand::u64(..=greatest)
}
