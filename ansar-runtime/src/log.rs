//! The log of a process: objects, tags, levels, and records of whole lines.
//!
//! A record is one or several [log lines](mod@ansar_contract::line), which go to a
//! sink. Objects are numbered here.

use std::fmt::{self, Display};
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ansar_contract::line::{ATOMIC, Level, Tag};

use crate::host::clock;

/// The log of one process.
pub(crate) struct Log {
    pid: u32,
    level: Level,
    next: AtomicU32,
    sink: Mutex<Box<dyn Write + Send>>,
}

impl Log {
    /// Creates a log that writes the records that `level` shows. If the sink fails,
    /// records are lost and the component goes on.
    pub(crate) fn new(pid: u32, level: Level, sink: impl Write + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            pid,
            level,
            next: AtomicU32::new(Id::FIRST.0),
            sink: Mutex::new(Box::new(sink)),
        })
    }

    /// Returns the number of a new object.
    pub(crate) fn number(&self) -> Id {
        Id(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Writes a record if the level shows it.
    pub(crate) fn write(&self, tag: Tag, speaker: &dyn Display, text: &dyn Display) {
        if !self.level.shows(tag) {
            return;
        }
        let head = format!("[{:08}] {} ", self.pid, clock::stamp());
        let speaker = format!(" {speaker} - ");
        let text = text.to_string();
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in batches(&head, tag, &speaker, &text) {
            let _ = sink.write_all(batch.as_bytes());
        }
    }

    /// Returns true if a record with this tag would be written.
    #[cfg(feature = "tracing")]
    pub(crate) fn shows(&self, tag: Tag) -> bool {
        self.level.shows(tag)
    }
}

/// The number of an object; unique in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(u32);

impl Id {
    /// The parent of the first object.
    pub(crate) const ROOT: Self = Self(1);
    /// The first number.
    const FIRST: Self = Self(8);
}

impl Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{:08x}>", self.0)
    }
}

/// Formats a record as one or more writes, each of whole lines and short enough to
/// be atomic on a pipe.
fn batches(head: &str, tag: Tag, speaker: &str, text: &str) -> Vec<String> {
    let overhead = head.len() + 1 + speaker.len() + 1;
    // A head without room behind it (a very long object name) still makes progress.
    let room = ATOMIC.saturating_sub(overhead).max(64);
    let mut batches = vec![String::new()];
    let mut tag = tag.symbol();
    for line in text.trim_end_matches('\n').split('\n') {
        let mut rest = line.strip_suffix('\r').unwrap_or(line);
        loop {
            let mut end = room.min(rest.len());
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, more) = rest.split_at(end);
            let has_room = |batch: &String| batch.len() + overhead + piece.len() <= ATOMIC;
            if !batches.last().is_some_and(has_room) {
                batches.push(String::new());
            }
            if let Some(batch) = batches.last_mut() {
                batch.extend([head, tag.encode_utf8(&mut [0; 4]), speaker, piece, "\n"]);
            }
            tag = Tag::Continued.symbol();
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ansar_contract::line::Line;

    const HEAD: &str = "[00000001] 2023-04-06T01:52:17.317 ";

    fn lines(text: &str) -> Vec<String> {
        batches(HEAD, Tag::Console, " <00000009>x - ", text)
            .concat()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(
            lines("factorial(5)"),
            [format!("{HEAD}^ <00000009>x - factorial(5)")]
        );
        assert_eq!(lines(""), [format!("{HEAD}^ <00000009>x - ")]);
    }

    #[test]
    fn further_lines_are_tagged_as_continued() {
        assert_eq!(
            lines("a\nb\n"),
            [
                format!("{HEAD}^ <00000009>x - a"),
                format!("{HEAD}| <00000009>x - b")
            ]
        );
    }

    proptest! {
        #[test]
        fn every_write_is_atomic_and_nothing_is_lost(
            text in proptest::collection::vec("[a-zü ]{0,6000}", 0..4).prop_map(|parts| parts.join("\n")),
        ) {
            let batches = batches(HEAD, Tag::Debug, " <00000009>x - ", &text);
            let mut joined = String::new();
            for batch in &batches {
                prop_assert!(batch.len() <= ATOMIC && batch.ends_with('\n'));
                for line in batch.lines() {
                    let line = Line::parse(line).unwrap();
                    joined.push_str(line.text.strip_prefix("<00000009>x - ").unwrap());
                }
            }
            prop_assert_eq!(joined, text.replace('\n', ""));
        }
    }
}
