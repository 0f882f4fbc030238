//! Finds all Rust panics in the output of a command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstream::adapter::strip_bytes;
use jiff::Timestamp;

use crate::host::clock;
use crate::host::process::relay::Reader;
use crate::supervisor::last_output::{LastOutput, Panic};

/// Longest incomplete line that is kept, in bytes. No panic begins later in a
/// line.
const LONGEST: usize = 4096;
/// Largest number of panics that are kept.
const MOST: usize = 1000;

/// The panics in the output of a command, in the order of their messages.
///
/// Colours are ignored, and so is the indentation of a panic: tools that run
/// tests indent the output of a test that has failed. A panic that is printed
/// again, as in a summary, is the same one.
#[derive(Debug, Clone, Default)]
pub struct OutputPanics(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    streams: [Stream; 2],
    panics: Vec<(Panic, Timestamp)>,
}

#[derive(Debug, Default)]
struct Stream {
    /// The bytes of a line that is not complete.
    partial: Vec<u8>,
    /// The indentation of the last panic.
    indent: usize,
    output: LastOutput,
    /// Time of the last panic.
    at: Timestamp,
}

impl OutputPanics {
    /// Returns the function that receives the output. Each line goes to `also` as
    /// well, with its stream and without colours.
    pub fn reader(&self, also: impl Fn(usize, &[u8]) + Send + Sync + 'static) -> Reader {
        let this = self.clone();
        Arc::new(move |stream, bytes| {
            let mut found = this.found();
            found.read(stream, bytes, clock::now(), &also);
        })
    }

    /// Returns what was found so far, with the times of the panics, and the last
    /// line that is not blank.
    pub fn take(&self) -> (Vec<(Panic, Timestamp)>, String) {
        let mut found = self.found();
        for stream in 0..found.streams.len() {
            found.read(
                stream,
                b"\n",
                Timestamp::UNIX_EPOCH,
                &|_: usize, _: &[u8]| {},
            );
            found.complete(stream);
        }
        let lines = found.streams.iter().rev();
        let mut lines = lines.map(|stream| stream.output.last_line());
        let last = lines.find(|line| !line.is_empty());
        (std::mem::take(&mut found.panics), last.unwrap_or_default())
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn read(&mut self, stream: usize, bytes: &[u8], now: Timestamp, also: &impl Fn(usize, &[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let partial = &mut self.streams[stream].partial;
            let room = LONGEST.saturating_sub(partial.len());
            partial.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < piece.len() {
                let line = std::mem::take(partial);
                self.line(stream, &line, now, also);
            }
        }
    }

    fn line(&mut self, stream: usize, line: &[u8], now: Timestamp, also: &impl Fn(usize, &[u8])) {
        let plain;
        let line = if memchr::memchr(b'\x1b', line).is_some() {
            plain = strip_bytes(line).into_vec();
            &plain
        } else {
            line
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        also(stream, line);
        let indent = line.len() - line.trim_ascii_start().len();
        if Panic::begins(&line[indent..]).is_some() {
            self.complete(stream);
            let stream = &mut self.streams[stream];
            (stream.indent, stream.at) = (indent, now);
        }
        let stream = &mut self.streams[stream];
        stream.output.line(&line[indent.min(stream.indent)..]);
    }

    /// Keeps the last panic of a stream.
    fn complete(&mut self, stream: usize) {
        let stream = &mut self.streams[stream];
        let Some(panic) = stream.output.take_panic() else {
            return;
        };
        let is_known = self.panics.iter().any(|(known, _)| *known == panic);
        if !is_known && self.panics.len() < MOST {
            self.panics.push((panic, stream.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the panics in `pieces` of one stream, as navigation lines.
    fn panics(pieces: &[&[u8]]) -> Vec<String> {
        let panics = OutputPanics::default();
        let reader = panics.reader(|_: usize, _: &[u8]| {});
        for piece in pieces {
            reader(0, piece);
        }
        let (panics, _) = panics.take();
        let panics = panics.into_iter().map(|(panic, _)| {
            let Panic {
                source,
                line,
                thread,
                message,
                ..
            } = panic;
            format!("{source}:{line} - {thread}: {message}")
        });
        panics.collect()
    }

    const CARGO: &str = "test fails ... FAILED\n\nfailures:\n\n---- fails stdout ----\n\n\
        thread 'fails' (7) panicked at src/lib.rs:5:5:\nassertion failed: a\n  left: 1\n\
        note: run with `RUST_BACKTRACE=1`\n\n\nfailures:\n    fails\n";

    #[test]
    fn each_panic_is_found_once() {
        let other = CARGO.replace("fails", "other").replace(":5:5:", ":9:5:");
        let twice = format!("{CARGO}{other}{CARGO}");
        assert_eq!(
            panics(&[twice.as_bytes()]),
            [
                "src/lib.rs:5 - fails: assertion failed: a\n  left: 1",
                "src/lib.rs:9 - other: assertion failed: a\n  left: 1",
            ]
        );
    }

    #[test]
    fn coloured_and_indented_panics_are_found() {
        let text = "\x1b[31m stderr\x1b[0m\n\n    \x1b[0m\n    \x1b[31;1mthread 'm::fails' (7) \
             panicked at tests/a.rs:5:5:\r\n    assertion `left == right` failed\n      left: 1\n\
             \x20    right: 2\x1b[0m\n    note: x\n    \x1b[0m\n";
        assert_eq!(
            panics(&[text.as_bytes()]),
            ["tests/a.rs:5 - m::fails: assertion `left == right` failed\n  left: 1\n right: 2"]
        );
    }

    #[test]
    fn last_line_is_not_blank() {
        let panics = OutputPanics::default();
        let reader = panics.reader(|_: usize, _: &[u8]| {});
        reader(0, b"one\n\ntwo");
        assert_eq!(panics.take(), (Vec::new(), "two".to_owned()));
        reader(1, b"error: x\n\n");
        assert_eq!(panics.take().1, "error: x");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(cuts in prop::collection::vec(0..CARGO.len(), 0..5)) {
            let mut cuts = cuts;
            cuts.extend([0, CARGO.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &CARGO.as_bytes()[cut[0]..cut[1]]);
            let pieces: Vec<&[u8]> = pieces.collect();
            prop_assert_eq!(panics(&pieces), panics(&[CARGO.as_bytes()]));
        }

        #[test]
        fn any_output_is_read(pieces: Vec<Vec<u8>>) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            panics(&pieces);
        }
    }
}
