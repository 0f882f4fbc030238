//! The head of a stored line, in bytes: a line need not be text, and a log of
//! gigabytes is not to be checked for it.

use ansar_runtime::contract::line::{STAMP_FORMAT, Tag};
use jiff::Timestamp;

/// How long a stamp is, `2023-04-06T01:52:17.317`.
const STAMP: usize = 23;
/// How many digits a process has at least.
const DIGITS: usize = 8;

/// The stamp of a line; stamps compare as the times that they tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp([u8; STAMP]);

impl Stamp {
    /// The earliest.
    pub const MIN: Self = Self(*b"0000-00-00T00:00:00.000");
    /// The latest.
    pub const MAX: Self = Self(*b"9999-99-99T99:99:99.999");

    /// The stamp of a line of this time.
    pub fn of(at: Timestamp) -> Self {
        let text = at.strftime(STAMP_FORMAT).to_string();
        match text.into_bytes().try_into() {
            Ok(stamp) => Self(stamp),
            // The years before the first, and nothing else, are longer.
            Err(_) => Self::MIN,
        }
    }

    /// The bytes, which are text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What stands before the text of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The process that wrote it.
    pub pid: u32,
    /// When.
    pub stamp: Stamp,
    /// What the line is about.
    pub tag: Tag,
    /// Where the stamp begins: in front of it is the process.
    pub shown: usize,
}

impl Head {
    /// The head of a line; `None` where it has none.
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
        let stamp: &[u8; STAMP] = rest.first_chunk()?;
        let [b' ', symbol, b' ', ..] = rest[STAMP..] else {
            return None;
        };
        is_stamp(stamp).then_some(())?;
        Some(Self {
            pid,
            stamp: Stamp(*stamp),
            tag: Tag::of(char::from(symbol))?,
            shown: digits + 3,
        })
    }
}

fn is_stamp(stamp: &[u8; STAMP]) -> bool {
    Stamp::MIN
        .0
        .iter()
        .zip(stamp)
        .all(|(shape, byte)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

#[cfg(test)]
mod tests {
    use ansar_runtime::contract::line::Line;
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "[00438217] 2023-04-06T01:52:17.317 ^ <00000009>x - y";

    #[test]
    fn a_stamp_tells_a_time() {
        let at = Timestamp::from_millisecond(1_680_745_937_317).unwrap();
        assert_eq!(Head::of(LINE.as_bytes()).unwrap().stamp, Stamp::of(at));
        assert_eq!(Stamp::of(Timestamp::MIN), Stamp::MIN);
        assert!(Stamp::of(Timestamp::MAX) < Stamp::MAX);
    }

    proptest! {
        /// Where the line is text, both readers of it agree.
        #[test]
        fn a_head_is_what_the_contract_says(at in 0..LINE.len(), byte: u8, cut in 0..=LINE.len()) {
            let mut line = LINE.as_bytes().to_vec();
            line[at] = byte;
            line.truncate(cut);
            let head = Head::of(&line);
            if let Ok(text) = std::str::from_utf8(&line) {
                let expected = Line::parse(text).map(|line| (line.pid, line.tag, line.stamp.as_bytes().to_vec()));
                let got = head.map(|head| (head.pid, head.tag, head.stamp.as_bytes().to_vec()));
                prop_assert_eq!(got, expected);
            }
        }
    }
}
