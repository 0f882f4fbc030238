//! Log lines, on stderr and in the log of a role:
//!
//! ```text
//! [00438217] 2023-04-06T01:52:17.317 ^ <00000009>factorial - factorial(5)
//! ```
//!
//! The process id, the time (UTC), a tag, the object's id and name, the text.
//! A record longer than an atomic write to a pipe, or of several lines,
//! continues on lines tagged `|`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest line in bytes, its end included, that is written to a pipe as a
/// whole while others write to it.
pub const ATOMIC: usize = 4096;

/// The subject of a log line, shown as one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "char", try_from = "char")]
pub enum Tag {
    /// `+` an object was created.
    Created,
    /// `X` an object was destroyed.
    Destroyed,
    /// `>` something was sent.
    Sent,
    /// `<` something was received.
    Received,
    /// `(` a process started.
    Started,
    /// `)` a process ended.
    Ended,
    /// `=` a check failed.
    Check,
    /// `!` a failure.
    Fault,
    /// `?` a warning.
    Warning,
    /// `^` a message for the person at the console.
    Console,
    /// `~` a step of the component or of the runtime.
    Trace,
    /// `_` a message for the developer.
    Debug,
    /// `|` a continuation of the line before.
    Continued,
}

impl Tag {
    /// All tags.
    pub const ALL: [Self; 13] = [
        Self::Created,
        Self::Destroyed,
        Self::Sent,
        Self::Received,
        Self::Started,
        Self::Ended,
        Self::Check,
        Self::Fault,
        Self::Warning,
        Self::Console,
        Self::Trace,
        Self::Debug,
        Self::Continued,
    ];

    /// Returns the character of the tag.
    pub const fn symbol(self) -> char {
        match self {
            Self::Created => '+',
            Self::Destroyed => 'X',
            Self::Sent => '>',
            Self::Received => '<',
            Self::Started => '(',
            Self::Ended => ')',
            Self::Check => '=',
            Self::Fault => '!',
            Self::Warning => '?',
            Self::Console => '^',
            Self::Trace => '~',
            Self::Debug => '_',
            Self::Continued => '|',
        }
    }

    /// Returns the tag with the character `symbol`.
    pub fn of(symbol: char) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.symbol() == symbol)
    }

    /// Returns the first level that shows the tag. A continuation is shown with its
    /// line.
    pub const fn level(self) -> Level {
        match self {
            Self::Fault => Level::Fault,
            Self::Warning | Self::Check => Level::Warning,
            Self::Console => Level::Console,
            Self::Created
            | Self::Destroyed
            | Self::Sent
            | Self::Received
            | Self::Started
            | Self::Ended => Level::Object,
            Self::Trace => Level::Trace,
            Self::Debug | Self::Continued => Level::Debug,
        }
    }
}

impl From<Tag> for char {
    fn from(tag: Tag) -> Self {
        tag.symbol()
    }
}

impl TryFrom<char> for Tag {
    type Error = String;

    fn try_from(symbol: char) -> Result<Self, Self::Error> {
        Self::of(symbol).ok_or_else(|| format!("`{symbol}` is no tag of a log line"))
    }
}

/// The log lines that are written or shown. Each level includes the levels before
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    None,
    /// Faults.
    Fault,
    /// Warnings and failed checks.
    Warning,
    /// Messages for the person at the console.
    Console,
    /// Objects and processes that are created and destroyed.
    Object,
    /// Steps of the runtime.
    Trace,
    /// Everything.
    Debug,
}

impl Level {
    /// All levels, from the one that shows least.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Fault,
        Self::Warning,
        Self::Console,
        Self::Object,
        Self::Trace,
        Self::Debug,
    ];

    /// Returns the name of the level on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Fault => "FAULT",
            Self::Warning => "WARNING",
            Self::Console => "CONSOLE",
            Self::Object => "OBJECT",
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
        }
    }

    /// Returns true if lines with this tag are written or shown.
    pub fn shows(self, tag: Tag) -> bool {
        self >= tag.level()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|level| level.name()).collect();
                format!("expected one of {}", names.join(", "))
            })
    }
}

/// A parsed log line.
///
/// ```
/// use ansar_contract::line::{Line, Tag};
///
/// let line = Line::parse("[00438217] 2023-04-06T01:52:17.317 ^ <00000009>main - hello");
/// let line = line.unwrap();
/// assert_eq!((line.pid, line.tag), (438_217, Tag::Console));
/// assert_eq!(line.text, "<00000009>main - hello");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The process that wrote it.
    pub pid: u32,
    /// The time in UTC, ISO 8601 with milliseconds.
    pub stamp: &'a str,
    /// The subject.
    pub tag: Tag,
    /// The rest of the line, with the id and the name of the object:
    /// `<00000009>factorial - factorial(5)`.
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// Parses a line; returns `None` if it is not a log line.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (pid, rest) = line.strip_prefix('[')?.split_once("] ")?;
        if pid.len() < 8 || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (stamp, rest) = rest.split_at_checked(STAMP.len())?;
        let shaped = stamp
            .bytes()
            .zip(STAMP.bytes())
            .all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            });
        let mut symbols = rest.strip_prefix(' ')?.chars();
        let tag = Tag::of(symbols.next()?)?;
        let text = symbols.as_str().strip_prefix(' ')?;
        shaped.then_some(Self {
            pid: pid.parse().ok()?,
            stamp,
            tag,
            text,
        })
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{:08}] {} {} {}",
            self.pid,
            self.stamp,
            self.tag.symbol(),
            self.text
        )
    }
}

/// The shape of a time stamp; `strftime` in [`STAMP_FORMAT`].
const STAMP: &str = "0000-00-00T00:00:00.000";

/// The time stamp of a line, UTC.
pub const STAMP_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.3f";

/// The time stamp of a check, UTC.
pub const CHECK_STAMP_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.6f";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "[00438217] 2023-04-06T01:52:17.317 ^ <00000009>factorial - factorial(5)";

    #[test]
    fn a_line_is_taken_apart_and_put_together_again() {
        let line = Line::parse(LINE).unwrap();
        assert_eq!(line.pid, 438_217);
        assert_eq!(line.tag, Tag::Console);
        assert_eq!(line.text, "<00000009>factorial - factorial(5)");
        assert_eq!(line.to_string(), LINE);
    }

    #[test]
    fn what_does_not_follow_the_form_is_no_line() {
        for text in [
            "",
            "[",
            "thread 'main' panicked at src/main.rs:3:5:",
            "[438217] 2023-04-06T01:52:17.317 ^ short pid",
            "[00438217] 2023-04-06 01:52:17.317 ^ no T",
            "[00438217] 2023-04-06T01:52:17.317 # no such tag",
            "[00438217] 2023-04-06T01:52:17.317 ^",
            "[99999999999999] 2023-04-06T01:52:17.317 ^ pid too large",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_level_shows_what_the_levels_before_it_show() {
        for tag in Tag::ALL {
            assert_eq!(Tag::of(tag.symbol()), Some(tag));
            let shown: Vec<_> = Level::ALL.iter().map(|level| level.shows(tag)).collect();
            assert!(shown.is_sorted(), "{tag:?}");
        }
        assert!(!Level::None.shows(Tag::Fault));
        assert!(Level::Warning.shows(Tag::Check));
        assert!(!Level::Console.shows(Tag::Created));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in "\\PC*") {
            let _ = Line::parse(&text);
        }

        #[test]
        fn any_text_behind_the_head_survives(text in "\\PC*") {
            let whole = format!("[00000001] 2023-04-06T01:52:17.317 _ {text}");
            prop_assert_eq!(Line::parse(&whole).unwrap().text, text);
        }
    }
}
