//! What a role writes, as whole lines: stored, and shown where asked for.
//!
//! The one capture path. Owns the cutting into lines and the stamp on lines
//! that have none; memory is bounded by the longest line that is kept whole.

use ansar_runtime::contract::line::{Level, Line, STAMP_FORMAT, Tag};
use jiff::Timestamp;

use crate::event::{Events, Kind};
use crate::home::log::Writer;
use crate::model::name::RoleName;

/// A line longer than this is cut; what follows is a line of its own.
const LONGEST: usize = 64 * 1024;

/// The log of one role, on its way from the pipe to the store.
#[derive(Debug)]
pub struct Capture {
    role: RoleName,
    pid: u32,
    partial: Vec<u8>,
    /// Whether the line before was cut, so that the next goes on with it.
    cut: bool,
    store: Writer,
    shown: Level,
    /// The tag of the last line that was no continuation.
    tag: Tag,
    failing: bool,
}

impl Capture {
    /// The log of `role`, stored by `store`; lines that `shown` shows become
    /// events, too.
    pub fn new(role: RoleName, store: Writer, shown: Level) -> Self {
        Self {
            role,
            pid: 0,
            partial: Vec::new(),
            cut: false,
            store,
            shown,
            tag: Tag::Console,
            failing: false,
        }
    }

    /// Says which process writes from now on.
    pub fn follow(&mut self, pid: u32) {
        self.pid = pid;
    }

    /// Takes what was read from the pipe.
    pub fn take(&mut self, bytes: &[u8], now: Timestamp, events: &Events) {
        let mut lines = Vec::with_capacity(bytes.len() + self.partial.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if self.partial.ends_with(b"\n") {
                self.partial.pop();
                self.complete(&mut lines, now, events);
                self.cut = false;
            }
            while self.partial.len() > LONGEST {
                let rest = self.partial.split_off(LONGEST);
                self.complete(&mut lines, now, events);
                self.partial = rest;
                self.cut = true;
            }
        }
        self.write(&lines, now, events);
    }

    /// Takes what is left when nobody writes any more.
    pub fn finish(&mut self, now: Timestamp, events: &Events) {
        if !self.partial.is_empty() {
            let mut lines = Vec::new();
            self.complete(&mut lines, now, events);
            self.cut = false;
            self.write(&lines, now, events);
        }
    }

    /// Moves the line that is there to `lines`, stamped where it has no stamp.
    fn complete(&mut self, lines: &mut Vec<u8>, now: Timestamp, events: &Events) {
        let start = lines.len();
        let parsed = std::str::from_utf8(&self.partial)
            .ok()
            .and_then(Line::parse);
        let tag = match parsed {
            Some(line) => line.tag,
            None => {
                let tag = if self.cut {
                    Tag::Continued
                } else {
                    Tag::Console
                };
                let stamp = now.strftime(STAMP_FORMAT);
                let head = format!("[{:08}] {stamp} {} ", self.pid, tag.symbol());
                lines.extend_from_slice(head.as_bytes());
                tag
            }
        };
        if tag != Tag::Continued {
            self.tag = tag;
        }
        lines.append(&mut self.partial);
        if self.shown.shows(self.tag) {
            events.emit(Kind::Line {
                role: self.role.clone(),
                tag,
                text: String::from_utf8_lossy(&lines[start..]).into_owned(),
            });
        }
        lines.push(b'\n');
    }

    /// Stores lines. The role goes on where that fails; it is said once, until
    /// it works again.
    fn write(&mut self, lines: &[u8], now: Timestamp, events: &Events) {
        if lines.is_empty() {
            return;
        }
        match self.store.append(lines, now) {
            Ok(()) => self.failing = false,
            Err(_) if self.failing => {}
            Err(error) => {
                self.failing = true;
                events.emit(Kind::Lost {
                    role: self.role.clone(),
                    why: error.to_string(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;
    use crate::home::log::{STORAGE, last_lines};

    const FORMED: &str = "[00000007] 2023-04-06T01:52:17.317 ^ <00000009>x - hello";

    /// What is stored and what is shown of `pieces`.
    fn capture(pieces: &[&[u8]], shown: Level) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let events = {
            let heard = heard.clone();
            Events::new(move |kind| {
                if let Kind::Line { text, .. } = kind {
                    heard.lock().unwrap().push(text);
                }
            })
        };
        let store = Writer::new(folder.path().to_owned(), STORAGE);
        let mut capture = Capture::new("x-0".parse().unwrap(), store, shown);
        capture.follow(42);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        for piece in pieces {
            capture.take(piece, now, &events);
        }
        capture.finish(now, &events);
        let stored = last_lines(folder.path(), u64::MAX, usize::MAX, |_| true).unwrap();
        let heard = heard.lock().unwrap().clone();
        (stored, heard)
    }

    #[test]
    fn lines_are_put_together_from_pieces_and_kept_as_they_are() {
        let text = format!("{FORMED}\n");
        let (first, second) = text.as_bytes().split_at(20);
        assert_eq!(capture(&[first, second], Level::Console).0, [FORMED]);
    }

    #[test]
    fn a_line_without_a_stamp_is_given_one() {
        let (stored, shown) = capture(&[b"hello\nunfinished"], Level::Console);
        let head = "[00000042] 2023-11-14T22:13:20.000 ^ ";
        assert_eq!(
            stored,
            [format!("{head}hello"), format!("{head}unfinished")]
        );
        assert_eq!(shown, stored);
    }

    #[test]
    fn only_what_the_level_shows_is_shown() {
        assert!(capture(&[b"hello\n"], Level::Warning).1.is_empty());
        let fault = "[00000007] 2023-04-06T01:52:17.317 ! <00000009>x - first\n\
                     [00000007] 2023-04-06T01:52:17.317 | <00000009>x - second\n";
        let (_, shown) = capture(&[fault.as_bytes()], Level::Fault);
        assert_eq!(shown.len(), 2, "a continuation goes with its line");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; 3 * LONGEST];
        let (stored, _) = capture(&[&long, b"\nnext\n"], Level::None);
        assert_eq!(stored.len(), 4);
        assert!(stored[1].contains(" | xxx") && stored[3].ends_with("^ next"));
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_every_line_is_formed(pieces: Vec<Vec<u8>>) {
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (stored, _) = capture(&slices, Level::None);
            let written = pieces.concat();
            let given = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let texts: Vec<_> = stored
                .iter()
                .map(|line| Line::parse(line).unwrap().text.to_owned())
                .filter(|text| !text.is_empty())
                .collect();
            let given: Vec<_> = given
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .filter(|text| !text.is_empty())
                .collect();
            prop_assert_eq!(texts, given);
        }
    }
}
