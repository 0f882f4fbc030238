//! Corrects the stamps of lines that were written on a machine whose clock is
//! wrong.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::logs::header::{Head, STAMP, Stamp};

/// Returns lines whose stamps are earlier by `ahead`, the time by which the clock
/// was ahead. Lines without a stamp are unchanged.
pub fn correct(lines: &[u8], ahead: SignedDuration) -> Vec<u8> {
    let mut corrected = lines.to_vec();
    if ahead.is_zero() {
        return corrected;
    }
    let mut at = 0;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if let Some((head, time)) = head_of(line) {
            let stamp = Stamp::of(time.saturating_sub(ahead).unwrap_or(time)).to_string();
            // Those before year 0 and after year 9999 have another length.
            if stamp.len() == STAMP {
                let from = at + head.shown;
                corrected[from..from + STAMP].copy_from_slice(stamp.as_bytes());
            }
        }
        at += line.len();
    }
    corrected
}

/// Returns the time of the last line that has one.
pub fn last_time(lines: &[u8]) -> Option<Timestamp> {
    let mut lines = lines.split(|byte| *byte == b'\n').rev();
    lines.find_map(head_of).map(|(_, time)| time)
}

fn head_of(line: &[u8]) -> Option<(Head, Timestamp)> {
    let head = Head::of(line)?;
    let time = TimeZone::UTC.to_timestamp(head.stamp.civil()?).ok()?;
    Some((head, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_corrected_and_texts_are_not() {
        let ahead = SignedDuration::from_secs(86_400) + SignedDuration::from_millis(317);
        let lines = "[00438217] 2023-04-06T01:52:17.317 ^ at 2023-04-06T01:52:17.317\n\
                     no stamp\n\
                     [00438217] 2023-13-06T01:52:77.317 ^ no time\n\
                     [00438218] 2023-01-01T00:00:00.000 ^ torn";
        let corrected = correct(lines.as_bytes(), ahead);
        let expected = "[00438217] 2023-04-05T01:52:17.000 ^ at 2023-04-06T01:52:17.317\n\
                        no stamp\n\
                        [00438217] 2023-13-06T01:52:77.317 ^ no time\n\
                        [00438218] 2022-12-30T23:59:59.683 ^ torn";
        assert_eq!(String::from_utf8_lossy(&corrected), expected);
        assert_eq!(correct(&corrected, -ahead), lines.as_bytes());
        let last = last_time(&corrected).unwrap();
        assert_eq!(last.to_string(), "2022-12-30T23:59:59.683Z");
        assert_eq!(last_time(b"no stamp\n"), None);
    }
}
