//! What a role writes, as whole lines: stored, and shown where asked for.
//!
//! The one capture path. Owns the cutting into lines and the stamp on lines
//! that have none; memory is bounded by the longest line that is kept whole.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use ansar_contract::line::{ATOMIC, Level, STAMP_FORMAT, Tag};
use jiff::Timestamp;

use crate::events::{Events, Kind};
use crate::host::fs::Error as FilesError;
use crate::host::process::Pipe;
use crate::logs::header::Head;
use crate::logs::store::Writer;
use crate::model::name::RoleName;

/// The longest line that is kept whole, where the log has room for it.
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
    /// A line longer than this is cut; what follows is a line of its own.
    longest: usize,
    shown: Level,
    /// The tag of the last line that was no continuation.
    tag: Tag,
    /// Since when lines cannot be stored: how many there were, and why.
    failing: Option<(u64, String)>,
    lost: Rc<Cell<u64>>,
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
            longest: LONGEST.min(store.longest_line()),
            store,
            shown,
            tag: Tag::Console,
            failing: None,
            lost: Rc::default(),
        }
    }

    /// Says which process writes from now on.
    pub fn follow(&mut self, pid: u32) {
        self.pid = pid;
    }

    /// Counts in `lost` the lines that cannot be stored from now on.
    pub fn count(&mut self, lost: Rc<Cell<u64>>) {
        self.lost = lost;
    }

    /// Takes `bytes`, which were seen at the front of `pipe`, from there, as
    /// far as they are whole lines: all of them where `all` says so. How many
    /// were taken.
    ///
    /// Lines of our form are moved as they are, and cannot get lost in between,
    /// nor be stored twice. Others are stored first, then taken; and of those
    /// without an end, only what does not fit into an atomic write is taken.
    pub fn take_from(
        &mut self,
        pipe: &Pipe,
        bytes: &[u8],
        all: bool,
        now: Timestamp,
        events: &Events,
    ) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let formed = if self.partial.is_empty() && !self.cut {
                self.formed(rest, events)
            } else {
                0
            };
            if formed > 0 {
                if let Err((moved, error)) = self.store.take(pipe, &rest[..formed], now) {
                    pipe.skip(formed - moved)?;
                    let stored = memchr::memrchr(b'\n', &rest[..moved]).map_or(0, |end| end + 1);
                    self.failed(&rest[stored..formed], &error, events);
                } else {
                    self.works(events);
                }
                taken += formed;
                continue;
            }
            let others = others(rest);
            let length = match others {
                0 if all || rest.len() > ATOMIC || !self.partial.is_empty() => rest.len(),
                0 => break,
                length => length,
            };
            self.take(&rest[..length], now, events);
            pipe.skip(length)?;
            taken += length;
        }
        Ok(taken)
    }

    /// How long the lines of our form are that stand at the beginning; those
    /// that are shown become events.
    fn formed(&mut self, bytes: &[u8], events: &Events) -> usize {
        let mut length = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[length..end];
            let Some(head) = Head::of(line).filter(|_| line.len() <= self.longest) else {
                break;
            };
            self.show(head.tag, line, events);
            length = end + 1;
        }
        length
    }

    /// Takes what was read from the pipe.
    pub fn take(&mut self, bytes: &[u8], now: Timestamp, events: &Events) {
        let lines = self.lines(bytes, now, events);
        self.write(&lines, now, events);
    }

    /// The lines that `bytes` complete, as they are to be stored.
    pub(crate) fn lines(&mut self, bytes: &[u8], now: Timestamp, events: &Events) -> Vec<u8> {
        let mut lines = Vec::with_capacity(bytes.len() + self.partial.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.partial.extend_from_slice(text);
            while self.partial.len() > self.longest {
                let rest = self
                    .partial
                    .split_off(end_of_text(&self.partial, self.longest));
                self.complete(&mut lines, now, events);
                self.partial = rest;
                self.cut = true;
            }
            if text.len() < piece.len() {
                self.complete(&mut lines, now, events);
                self.cut = false;
            }
        }
        lines
    }

    /// Returns true where a line has begun and has not ended.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Takes the line that has begun as it is, for its end may be long in
    /// coming: what follows goes on with it.
    pub fn pause(&mut self, now: Timestamp, events: &Events) {
        if self.is_partial() {
            let lines = self.rest(now, events);
            self.write(&lines, now, events);
            self.cut = true;
        }
    }

    /// Takes what is left when nobody writes any more.
    pub fn finish(&mut self, now: Timestamp, events: &Events) {
        let lines = self.rest(now, events);
        self.write(&lines, now, events);
        self.works(events);
    }

    /// What is left when nobody writes any more, as a line.
    pub(crate) fn rest(&mut self, now: Timestamp, events: &Events) -> Vec<u8> {
        let mut lines = Vec::new();
        if !self.partial.is_empty() {
            self.complete(&mut lines, now, events);
            self.cut = false;
        }
        lines
    }

    /// Moves the line that is there to `lines`, stamped where it has no stamp. A
    /// line of our form that was written behind another one's beginning is one
    /// of its own.
    fn complete(&mut self, lines: &mut Vec<u8>, now: Timestamp, events: &Events) {
        if self.partial.is_empty() && self.cut {
            // Only the end was missing of what is stored already.
            return;
        }
        if let Some(at) = formed_inside(&self.partial) {
            let formed = self.partial.split_off(at);
            self.put(lines, now, events);
            self.partial = formed;
            self.cut = false;
        }
        self.put(lines, now, events);
    }

    fn put(&mut self, lines: &mut Vec<u8>, now: Timestamp, events: &Events) {
        let start = lines.len();
        let tag = match Head::of(&self.partial) {
            Some(head) => head.tag,
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
        lines.append(&mut self.partial);
        self.show(tag, &lines[start..], events);
        lines.push(b'\n');
    }

    /// A line becomes an event, where it is shown.
    fn show(&mut self, tag: Tag, line: &[u8], events: &Events) {
        if tag != Tag::Continued {
            self.tag = tag;
        }
        if self.shown.shows(self.tag) {
            events.emit(Kind::Line {
                role: self.role.clone(),
                tag,
                text: String::from_utf8_lossy(line).into_owned(),
            });
        }
    }

    /// Stores lines.
    fn write(&mut self, lines: &[u8], now: Timestamp, events: &Events) {
        if lines.is_empty() {
            return;
        }
        match self.store.append(lines, now) {
            Ok(()) => self.works(events),
            Err((stored, error)) => self.failed(&lines[stored..], &error, events),
        }
    }

    /// Lines could not be stored. The role goes on; it is said once, until it
    /// works again.
    fn failed(&mut self, lines: &[u8], error: &FilesError, events: &Events) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        self.lost.set(self.lost.get() + count);
        match &mut self.failing {
            Some((lost, _)) => *lost += count,
            None => {
                let why = crate::supervisor::with_causes(error);
                self.failing = Some((count, why.clone()));
                self.tell_lost(count, false, why, events);
            }
        }
    }

    /// Lines are stored again, or there are no more.
    fn works(&mut self, events: &Events) {
        if let Some((count, why)) = self.failing.take() {
            self.tell_lost(count, true, why, events);
        }
    }

    fn tell_lost(&self, count: u64, is_over: bool, why: String, events: &Events) {
        events.emit(Kind::Lost {
            role: self.role.clone(),
            count,
            is_over,
            why,
        });
    }
}

/// How long the whole lines are at the beginning that go on with another
/// line, or have no form.
fn others(bytes: &[u8]) -> usize {
    let mut length = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        if length > 0 && Head::of(&bytes[length..end]).is_some() {
            break;
        }
        length = end + 1;
    }
    length
}

/// Where a line of our form begins behind something else on the same line.
fn formed_inside(line: &[u8]) -> Option<usize> {
    if Head::of(line).is_some() {
        return None;
    }
    memchr::memchr_iter(b'[', line).find(|at| Head::of(&line[*at..]).is_some())
}

/// The last place up to `most` that is not in the middle of a character.
fn end_of_text(text: &[u8], most: usize) -> usize {
    let is_inside = |at: &usize| text[*at] & 0b1100_0000 == 0b1000_0000;
    let mut places = (most.saturating_sub(3)..=most).rev();
    places.find(|at| !is_inside(at)).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ansar_contract::line::Line;
    use proptest::prelude::*;

    use super::*;
    use crate::host::process::pipe::Peeking;
    use crate::logs::store::{STORAGE, last_lines};

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

    /// What is stored of `pieces`, each written to a pipe when the one before
    /// has been taken.
    fn piped(pieces: &[Vec<u8>], folder: &std::path::Path) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let (out, into) = nix::unistd::pipe().unwrap();
        let pipe = Pipe::new(out).unwrap();
        let (peeking, events) = (Peeking::new().unwrap(), Events::new(|_| {}));
        let store = Writer::new(folder.to_owned(), STORAGE);
        let mut capture = Capture::new("x-0".parse().unwrap(), store, Level::None);
        capture.follow(42);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut buffer = vec![0; LONGEST];
        let mut take = |all| {
            while let Some(length @ 1..) = peeking.peek(&pipe, &mut buffer).unwrap() {
                let bytes = &buffer[..length];
                if capture.take_from(&pipe, bytes, all, now, &events).unwrap() < length {
                    break;
                }
            }
        };
        for piece in pieces {
            let mut written = 0;
            while written < piece.len() {
                written += nix::unistd::write(&into, &piece[written..]).unwrap();
            }
            take(false);
        }
        take(true);
        capture.finish(now, &events);
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
        names.sort_by_key(std::fs::DirEntry::file_name);
        let texts = names.iter().map(|name| std::fs::read(name.path()).unwrap());
        texts.collect::<Vec<_>>().concat()
    }

    fn any_piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(format!("{FORMED}\n").into_bytes()),
            Just(FORMED.as_bytes()[..30].to_vec()),
            Just(b"raw\n".to_vec()),
            Just(vec![b'x'; 5000]),
            prop::collection::vec(any::<u8>(), 0..200),
        ]
    }

    proptest! {
        #[test]
        fn a_pipe_is_stored_as_if_it_had_been_read(
            pieces in prop::collection::vec(any_piece(), 0..30),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let stored = piped(&pieces, folder.path());
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (expected, _) = capture(&[&slices.concat()], Level::None);
            let stored = String::from_utf8_lossy(&stored);
            let stored: Vec<_> = stored.lines().collect();
            prop_assert_eq!(stored, expected);
        }

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
