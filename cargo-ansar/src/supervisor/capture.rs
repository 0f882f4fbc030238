//! Captures the output of a role as whole lines: stores them, and emits those
//! to show.
//!
//! All output takes this path. Splits output into lines and adds a time stamp
//! to lines without one. Memory is bounded by the longest line that is kept
//! whole.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use ansar_contract::line::{ATOMIC, Level, STAMP_FORMAT, Tag};
use jiff::Timestamp;

use crate::events::{Events, LogEvent};
use crate::host::fs::Error as FilesError;
use crate::host::process::Pipe;
use crate::logs::header::Head;
use crate::logs::store::Writer;
use crate::model::name::RoleName;
use crate::supervisor::last_output::LastOutput;
use crate::supervisor::readiness::Lines;

/// Longest line that is kept whole, in bytes, if the log has room for it.
const LONGEST: usize = 64 * 1024;

/// Moves the output of a role from its pipe to its log.
#[derive(Debug)]
pub struct Capture {
    role: RoleName,
    pid: u32,
    partial: Vec<u8>,
    /// True if the previous line was cut, so that the next continues it.
    cut: bool,
    store: Writer,
    /// Length at which a line is cut, in bytes. The rest becomes a
    /// continuation.
    longest: usize,
    shown: Level,
    /// Tag of the last line that was not a continuation.
    tag: Tag,
    /// The number of lines lost, and the reason, while lines cannot be stored.
    failing: Option<(u64, String)>,
    lost: Rc<Cell<u64>>,
    /// Log probes that are not met yet.
    probes: Option<Rc<Lines>>,
    /// The end of the output, if it is to explain the exit.
    last: Option<LastOutput>,
}

impl Capture {
    /// Returns a capture of the output of `role` that writes to `store` and
    /// emits the lines that `shown` includes.
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
            probes: None,
            last: None,
        }
    }

    /// Sets the process that writes from now on.
    pub fn follow(&mut self, pid: u32) {
        self.pid = pid;
    }

    /// Counts lines that cannot be stored in `lost` from now on.
    pub fn count(&mut self, lost: Rc<Cell<u64>>) {
        self.lost = lost;
    }

    /// Passes each line to these log probes from now on, until all are met.
    pub fn pass_to(&mut self, probes: Option<Rc<Lines>>) {
        self.probes = probes;
    }

    /// Keeps the end of the output from now on.
    pub fn keep_last(&mut self) {
        self.last = Some(LastOutput::default());
    }

    /// Returns the end of the output.
    pub fn into_last(self) -> LastOutput {
        self.last.unwrap_or_default()
    }

    /// Consumes whole lines of `bytes`, which were peeked at the front of
    /// `pipe`; with `all`, an incomplete last line too. Returns the number of
    /// bytes consumed.
    ///
    /// Lines with a valid head are moved to the log in one step, so they are
    /// neither lost nor stored twice if this process is killed. Other lines are
    /// stored first and consumed afterwards. An incomplete line is consumed
    /// only if it exceeds an atomic write.
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
                    self.storing_works(events);
                }
                taken += formed;
                continue;
            }
            let unformed = unformed(rest);
            let length = match unformed {
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

    /// Returns the length of the lines with a valid head at the beginning of
    /// `bytes`, and emits those to show.
    fn formed(&mut self, bytes: &[u8], events: &Events) -> usize {
        let mut length = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[length..end];
            let Some(head) = Head::of(line).filter(|_| line.len() <= self.longest) else {
                break;
            };
            self.show(head.tag, line, head.text_at(), events);
            length = end + 1;
        }
        length
    }

    /// Processes bytes that were read from the pipe.
    pub fn take(&mut self, bytes: &[u8], now: Timestamp, events: &Events) {
        let lines = self.lines(bytes, now, events);
        self.write(&lines, now, events);
    }

    /// Returns the lines completed by `bytes`, in stored form.
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

    /// Returns true if the last line is incomplete.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Stores and shows an incomplete line now, as the rest may be late. The
    /// rest becomes its continuation.
    pub fn pause(&mut self, now: Timestamp, events: &Events) {
        if self.is_partial() {
            let lines = self.rest(now, events);
            self.write(&lines, now, events);
            self.cut = true;
        }
    }

    /// Stores an incomplete line at the end of the output.
    pub fn finish(&mut self, now: Timestamp, events: &Events) {
        let lines = self.rest(now, events);
        self.write(&lines, now, events);
        self.storing_works(events);
    }

    /// Returns an incomplete line at the end of the output, in stored form.
    pub(crate) fn rest(&mut self, now: Timestamp, events: &Events) -> Vec<u8> {
        let mut lines = Vec::new();
        if !self.partial.is_empty() {
            self.complete(&mut lines, now, events);
            self.cut = false;
        }
        lines
    }

    /// Moves the current line to `lines`, with a stamp if it has none. If a
    /// line with a valid head follows an incomplete one, splits them.
    fn complete(&mut self, lines: &mut Vec<u8>, now: Timestamp, events: &Events) {
        if self.partial.is_empty() && self.cut {
            // Only the newline of the stored part was missing.
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
        let (tag, text_at) = match Head::of(&self.partial) {
            Some(head) => (head.tag, head.text_at()),
            None => {
                let tag = if self.cut {
                    Tag::Continued
                } else {
                    Tag::Console
                };
                let stamp = now.strftime(STAMP_FORMAT);
                let head = format!("[{:08}] {stamp} {} ", self.pid, tag.symbol());
                lines.extend_from_slice(head.as_bytes());
                (tag, head.len())
            }
        };
        lines.append(&mut self.partial);
        self.show(tag, &lines[start..], text_at, events);
        lines.push(b'\n');
    }

    /// Emits a line whose text begins at `text_at` if its level is shown. Every
    /// line of a start passes here.
    fn show(&mut self, tag: Tag, line: &[u8], text_at: usize, events: &Events) {
        let words = line.get(text_at..).unwrap_or_default();
        self.probes.take_if(|probes| !probes.line(words));
        if let Some(last) = &mut self.last {
            last.line(words);
        }
        if tag != Tag::Continued {
            self.tag = tag;
        }
        if self.shown.shows(self.tag) {
            events.emit(LogEvent::Line {
                role: self.role.clone(),
                tag,
                text: String::from_utf8_lossy(line).into_owned(),
            });
        }
    }

    /// Appends lines to the log.
    fn write(&mut self, lines: &[u8], now: Timestamp, events: &Events) {
        if lines.is_empty() {
            return;
        }
        match self.store.append(lines, now) {
            Ok(()) => self.storing_works(events),
            Err((stored, error)) => self.failed(&lines[stored..], &error, events),
        }
    }

    /// Reports lines that could not be stored, once until storing works again.
    /// The role keeps running.
    fn failed(&mut self, lines: &[u8], error: &FilesError, events: &Events) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        self.lost.set(self.lost.get() + count);
        match &mut self.failing {
            Some((lost, _)) => *lost += count,
            None => {
                let why = crate::error::with_causes(error);
                self.failing = Some((count, why.clone()));
                self.emit_lost(count, false, why, events);
            }
        }
    }

    /// Reports the end of a failure to store lines.
    fn storing_works(&mut self, events: &Events) {
        if let Some((count, why)) = self.failing.take() {
            self.emit_lost(count, true, why, events);
        }
    }

    fn emit_lost(&self, count: u64, is_over: bool, why: String, events: &Events) {
        events.emit(LogEvent::Lost {
            role: self.role.clone(),
            count,
            is_over,
            why,
        });
    }
}

/// Returns the length of the whole lines at the beginning of `bytes` before the
/// next line with a valid head; the first may have one.
fn unformed(bytes: &[u8]) -> usize {
    let mut length = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        if length > 0 && Head::of(&bytes[length..end]).is_some() {
            break;
        }
        length = end + 1;
    }
    length
}

/// Returns the offset of a valid head in the middle of a line.
fn formed_inside(line: &[u8]) -> Option<usize> {
    if Head::of(line).is_some() {
        return None;
    }
    memchr::memchr_iter(b'[', line).find(|at| Head::of(&line[*at..]).is_some())
}

/// Returns the last offset up to `most` that does not split a UTF-8 character.
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
    use crate::events::Kind;
    use crate::host::process::pipe::Peeking;
    use crate::logs::store::{STORAGE, last_lines};

    const FORMED: &str = "[00000007] 2023-04-06T01:52:17.317 ^ <00000009>x - hello";

    /// Returns the lines stored and the lines shown for `pieces`.
    fn capture(pieces: &[&[u8]], shown: Level) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let shown_lines = Arc::new(Mutex::new(Vec::new()));
        let events = {
            let shown_lines = shown_lines.clone();
            Events::new(move |kind| {
                if let Kind::Log(LogEvent::Line { text, .. }) = kind {
                    shown_lines.lock().unwrap().push(text);
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
        let shown_lines = shown_lines.lock().unwrap().clone();
        (stored, shown_lines)
    }

    #[test]
    fn lines_are_joined_from_pieces_unchanged() {
        let text = format!("{FORMED}\n");
        let (first, second) = text.as_bytes().split_at(20);
        assert_eq!(capture(&[first, second], Level::Console).0, [FORMED]);
    }

    #[test]
    fn line_without_a_stamp_gets_one() {
        let (stored, shown) = capture(&[b"hello\nunfinished"], Level::Console);
        let head = "[00000042] 2023-11-14T22:13:20.000 ^ ";
        assert_eq!(
            stored,
            [format!("{head}hello"), format!("{head}unfinished")]
        );
        assert_eq!(shown, stored);
    }

    #[test]
    fn only_lines_of_the_level_are_shown() {
        assert!(capture(&[b"hello\n"], Level::Warning).1.is_empty());
        let fault = "[00000007] 2023-04-06T01:52:17.317 ! <00000009>x - first\n\
                     [00000007] 2023-04-06T01:52:17.317 | <00000009>x - second\n";
        let (_, shown) = capture(&[fault.as_bytes()], Level::Fault);
        assert_eq!(shown.len(), 2, "a continuation goes with its line");
    }

    #[test]
    fn endless_line_is_cut() {
        let long = vec![b'x'; 3 * LONGEST];
        let (stored, _) = capture(&[&long, b"\nnext\n"], Level::None);
        assert_eq!(stored.len(), 4);
        assert!(stored[1].contains(" | xxx") && stored[3].ends_with("^ next"));
    }

    /// Returns the bytes stored for `pieces`, each written to a pipe after the
    /// previous one was consumed.
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
        fn piped_and_read_output_are_stored_alike(
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
        fn all_bytes_are_stored_with_valid_heads(pieces: Vec<Vec<u8>>) {
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
