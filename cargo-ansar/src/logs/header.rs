//! Parses the head of a stored log line.
//!
//! Works on bytes: a line may not be valid UTF-8, and validating gigabytes of
//! log would be slow.

use std::fmt;

use ansar_contract::line::Tag;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The layout of a time stamp: `0` stands for a digit.
const SHAPE: &[u8; STAMP] = b"0000-00-00T00:00:00.000";
/// Length of a stamp, in bytes.
pub const STAMP: usize = 23;
/// Minimum number of digits of a process ID.
const DIGITS: usize = 8;

/// The time stamp of a line, such as `2023-04-06T01:52:17.317`, stored as the
/// number that its digits form. Stamps order like the times they denote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// The earliest stamp.
    pub const MIN: Self = Self(0);
    /// The latest stamp.
    pub const MAX: Self = Self(99_999_999_999_999_999);

    /// Returns the stamp of a line written at this time.
    pub fn of(at: Timestamp) -> Self {
        let at = TimeZone::UTC.to_datetime(at);
        let fields = [
            (100, i64::from(at.month())),
            (100, i64::from(at.day())),
            (100, i64::from(at.hour())),
            (100, i64::from(at.minute())),
            (100, i64::from(at.second())),
            (1_000, i64::from(at.millisecond())),
        ];
        let number = fields
            .iter()
            .fold(i64::from(at.year()), |number, (size, field)| {
                number * size + field
            });
        // Years before year 0 have no stamp.
        u64::try_from(number).map_or(Self::MIN, Self)
    }

    /// Returns the time in UTC, or `None` if the digits are not a valid time.
    pub fn civil(self) -> Option<DateTime> {
        let [year, month, day, hour, minute, second, milli] = self.fields();
        let narrow = |field: u64| i8::try_from(field).ok();
        DateTime::new(
            i16::try_from(year).ok()?,
            narrow(month)?,
            narrow(day)?,
            narrow(hour)?,
            narrow(minute)?,
            narrow(second)?,
            i32::try_from(milli).ok()? * 1_000_000,
        )
        .ok()
    }

    /// Returns years, months, days, hours, minutes, seconds and milliseconds.
    fn fields(self) -> [u64; 7] {
        let mut left = self.0;
        let mut take = |size| {
            let field = left % size;
            left /= size;
            field
        };
        let mut fields = [1_000, 100, 100, 100, 100, 100, 10_000].map(&mut take);
        fields.reverse();
        fields
    }

    /// Parses a stamp; returns `None` if the layout does not match. Digits are
    /// not checked to form a valid time.
    fn read(bytes: &[u8; STAMP]) -> Option<Self> {
        let mut number = 0;
        let mut fits = true;
        for (shape, byte) in SHAPE.iter().zip(bytes) {
            if *shape == b'0' {
                let digit = byte.wrapping_sub(b'0');
                fits &= digit <= 9;
                number = number * 10 + u64::from(digit);
            } else {
                fits &= byte == shape;
            }
        }
        fits.then_some(Self(number))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second, milli] = self.fields();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}"
        )
    }
}

/// The parsed head of a line: everything before its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The process that wrote the line.
    pub pid: u32,
    /// The time at which the line was written.
    pub stamp: Stamp,
    /// The tag of the line.
    pub tag: Tag,
    /// Offset of the stamp in the line; the process ID comes before it.
    pub shown: usize,
}

impl Head {
    /// Parses the head of a line; returns `None` if it has none.
    pub fn of(line: &[u8]) -> Option<Self> {
        let digits = match line {
            [b'[', rest @ ..] => rest.iter().take(11).position(|byte| *byte == b']')?,
            _ => return None,
        };
        if digits < DIGITS {
            return None;
        }
        let mut pid: u32 = 0;
        for byte in &line[1..=digits] {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            pid = pid.checked_mul(10)?.checked_add(digit)?;
            if digit > 9 {
                return None;
            }
        }
        let rest = line[1 + digits..].strip_prefix(b"] ")?;
        let (stamp, rest) = rest.split_first_chunk()?;
        let [b' ', symbol, b' ', ..] = *rest else {
            return None;
        };
        Some(Self {
            pid,
            stamp: Stamp::read(stamp)?,
            tag: Tag::of(char::from(symbol))?,
            shown: digits + 3,
        })
    }

    /// Returns the offset of the text in the line.
    pub fn text_at(&self) -> usize {
        self.shown + STAMP + 3
    }
}

/// Parses the heads of consecutive lines.
///
/// Most lines have the process and the second of the previous line; for those,
/// only the rest of the head is parsed.
#[derive(Debug, Default)]
pub struct Heads {
    /// The bytes of the last parsed head, without its milliseconds.
    known: Vec<u8>,
    /// The last parsed head, with its milliseconds set to 0.
    head: Option<Head>,
}

impl Heads {
    /// Parses the head of a line, with the same result as [`Head::of`].
    pub fn of(&mut self, line: &[u8]) -> Option<Head> {
        if let (
            Some(known),
            Some(
                &[
                    a @ b'0'..=b'9',
                    b @ b'0'..=b'9',
                    c @ b'0'..=b'9',
                    b' ',
                    symbol,
                    b' ',
                    ..,
                ],
            ),
        ) = (self.head, line.strip_prefix(&*self.known))
        {
            let [a, b, c] = [a, b, c].map(|digit| u64::from(digit - b'0'));
            return Some(Head {
                stamp: Stamp(known.stamp.0 + 100 * a + 10 * b + c),
                tag: Tag::of(char::from(symbol))?,
                ..known
            });
        }
        let head = Head::of(line)?;
        self.known.clear();
        let milliseconds = head.shown + STAMP - 3;
        self.known.extend_from_slice(&line[..milliseconds]);
        self.head = Some(Head {
            stamp: Stamp(head.stamp.0 - head.stamp.0 % 1_000),
            ..head
        });
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use ansar_contract::line::{Line, STAMP_FORMAT};
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "[00438217] 2023-04-06T01:52:17.317 ^ <00000009>x - y";

    #[test]
    fn stamp_of_a_time() {
        let at = Timestamp::from_millisecond(1_680_745_937_317).unwrap();
        assert_eq!(Head::of(LINE.as_bytes()).unwrap().stamp, Stamp::of(at));
        assert_eq!(Stamp::of(Timestamp::MIN), Stamp::MIN);
        assert!(Stamp::of(Timestamp::MAX) < Stamp::MAX);
    }

    #[test]
    fn invalid_time_is_still_a_stamp() {
        let head = Head::of(b"[00438217] 2023-13-06T01:52:77.317 ^ x").unwrap();
        assert_eq!(head.stamp.to_string(), "2023-13-06T01:52:77.317");
        assert_eq!(head.stamp.civil(), None);
        assert_eq!(Stamp::MAX.to_string(), "9999-99-99T99:99:99.999");
    }

    proptest! {
        /// Formatting and parsing a stamp yields the same time.
        #[test]
        fn stamp_round_trips(ms in 0..253_402_207_200_000_i64) {
            let at = Timestamp::from_millisecond(ms).unwrap();
            let stamp = Stamp::of(at);
            prop_assert_eq!(stamp.to_string(), at.strftime(STAMP_FORMAT).to_string());
            prop_assert_eq!(stamp.civil(), Some(TimeZone::UTC.to_datetime(at)));
            let text = stamp.to_string();
            prop_assert_eq!(Stamp::read(text.as_bytes().first_chunk().unwrap()), Some(stamp));
        }

        /// The result does not depend on the previously parsed line.
        #[test]
        fn head_does_not_depend_on_previous_lines(
            changes in prop::collection::vec((0..LINE.len(), any::<u8>(), 0..=LINE.len()), 1..9)
        ) {
            let mut heads = Heads::default();
            for (at, byte, cut) in changes {
                let mut line = LINE.as_bytes().to_vec();
                // Replacing a digit by another digit is the most interesting
                // change.
                line[at] = if byte < 200 { b'0' + byte % 10 } else { byte };
                line.truncate(cut.max(at));
                prop_assert_eq!(heads.of(&line), Head::of(&line));
            }
        }

        /// For valid UTF-8, both parsers agree.
        #[test]
        fn head_agrees_with_contract_parser(at in 0..LINE.len(), byte: u8, cut in 0..=LINE.len()) {
            let mut line = LINE.as_bytes().to_vec();
            line[at] = byte;
            line.truncate(cut);
            let head = Head::of(&line);
            if let Ok(text) = std::str::from_utf8(&line) {
                let expected = Line::parse(text).map(|line| (line.pid, line.tag, line.stamp.to_owned()));
                let got = head.map(|head| (head.pid, head.tag, head.stamp.to_string()));
                prop_assert_eq!(got, expected);
            }
        }
    }
}
