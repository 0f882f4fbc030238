//! Display formats of durations.

use std::fmt;
use std::time::Duration;

/// A duration in its two largest units, rounded down: `12.7s`, `4m44.6s`,
/// `7h30m`, `3d4h`. Used for measured times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let seconds = self.0.as_secs();
        let tenths = self.0.subsec_millis() / 100;
        match seconds {
            0..MINUTE => write!(f, "{seconds}.{tenths}s"),
            MINUTE..HOUR => {
                let (minutes, rest) = (seconds / MINUTE, seconds % MINUTE);
                write!(f, "{minutes}m{rest}.{tenths}s")
            }
            HOUR..DAY => write!(f, "{}h{}m", seconds / HOUR, seconds % HOUR / MINUTE),
            _ => write!(f, "{}d{}h", seconds / DAY, seconds % DAY / HOUR),
        }
    }
}

/// A duration in seconds or milliseconds: `2s`, `1.5s`, `20ms`. Used for limits
/// and delays.
pub struct ShortDuration(pub Duration);

impl fmt::Display for ShortDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let seconds = format!("{:.2}", self.0.as_secs_f64());
        let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_largest_units_are_shown() {
        for (ms, text) in [
            (0, "0.0s"),
            (59_999, "59.9s"),
            (65_400, "1m5.4s"),
            (284_600, "4m44.6s"),
            (27_000_000, "7h30m"),
            (273_600_000, "3d4h"),
        ] {
            assert_eq!(HumanDuration(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
