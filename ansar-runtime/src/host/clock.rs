//! The time of day, and random numbers.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc;

/// A time in UTC, with a number of digits of the second.
pub(crate) struct Stamp {
    second: i64,
    micros: u32,
    digits: usize,
}

/// Returns the current time in the form of a log line.
pub(crate) fn stamp() -> Stamp {
    now(3)
}

/// Returns the current time in the form of a check.
pub(crate) fn check_stamp() -> String {
    now(6).to_string()
}

#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
fn now(digits: usize) -> Stamp {
    // A clock before 1970 shows 1970.
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = time.unwrap_or_default();
    Stamp {
        second: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        micros: time.subsec_micros(),
        digits,
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = civil(self.second);
        let fraction = self.micros / 10_u32.pow(6 - u32::try_from(self.digits).unwrap_or(6));
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{fraction:0digits$}",
            i64::from(parts.tm_year) + 1900,
            parts.tm_mon + 1,
            parts.tm_mday,
            parts.tm_hour,
            parts.tm_min,
            parts.tm_sec,
            digits = self.digits,
        )
    }
}

/// Returns the parts of a time in UTC.
#[expect(unsafe_code, reason = "a function of the C library")]
fn civil(second: i64) -> libc::tm {
    // SAFETY: all fields are numbers and a pointer, for which zeros are valid.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, which is thread-safe. If the year does
    // not fit, the function returns null and the parts stay as they are.
    unsafe { libc::gmtime_r(&raw const second, &raw mut parts) };
    parts
}

/// Returns a random number from 0 to `greatest`, uniformly distributed.
#[cfg(feature = "main")]
pub(crate) fn any_up_to(greatest: u64) -> u64 {
    fastrand::u64(..=greatest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_its_digits() {
        let stamp = |second, digits| Stamp {
            second,
            micros: 12_345,
            digits,
        };
        for (second, shown) in [
            (0, "1970-01-01T00:00:00.012"),
            (951_782_399, "2000-02-28T23:59:59.012"),
            (1_709_164_800, "2024-02-29T00:00:00.012"),
            (4_102_444_799, "2099-12-31T23:59:59.012"),
        ] {
            assert_eq!(stamp(second, 3).to_string(), shown);
        }
        assert_eq!(stamp(0, 6).to_string(), "1970-01-01T00:00:00.012345");
    }
}
