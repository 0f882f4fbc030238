//! The log of the process that runs a test target.

use std::cell::RefCell;
use std::fmt::Write as _;

use ansar_contract::line::{STAMP_FORMAT, Tag};

use crate::host::{clock, environment};
use crate::model::text::floor_char_boundary;

/// Longest text of one line, in bytes; the rest continues on the next.
const LONGEST: usize = 3500;

/// Writes records in the form of components.
pub(super) struct Log {
    pid: u32,
    write: Box<dyn Fn(&str)>,
    /// Records that are not written yet.
    unwritten: RefCell<String>,
}

impl Log {
    pub(super) fn new(write: impl Fn(&str) + 'static) -> Self {
        Self {
            pid: environment::pid(),
            write: Box::new(write),
            unwritten: RefCell::default(),
        }
    }

    /// Writes a record, which may have several lines.
    pub(super) fn write(&self, tag: Tag, text: &str) {
        self.write_later(tag, text);
        self.flush();
    }

    /// Adds a record that is written with the next one.
    pub(super) fn write_later(&self, tag: Tag, text: &str) {
        let stamp = clock::now().strftime(STAMP_FORMAT).to_string();
        let record = record(self.pid, &stamp, tag, text);
        self.unwritten.borrow_mut().push_str(&record);
    }

    /// Writes what is not written yet.
    pub(super) fn flush(&self) {
        let unwritten = self.unwritten.take();
        if !unwritten.is_empty() {
            (self.write)(&unwritten);
        }
    }
}

fn record(pid: u32, stamp: &str, tag: Tag, text: &str) -> String {
    let mut record = String::new();
    let mut symbol = tag.symbol();
    for line in text.split('\n') {
        let mut rest = line;
        loop {
            let (piece, more) = rest.split_at(floor_char_boundary(rest, LONGEST));
            // Writing to memory cannot fail.
            let _ = writeln!(record, "[{pid:08}] {stamp} {symbol} {piece}");
            symbol = Tag::Continued.symbol();
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use ansar_contract::line::Line;

    use super::*;

    #[test]
    fn a_record_continues_on_further_lines() {
        let text = format!("one\ntwo\n{}", "x".repeat(LONGEST + 1));
        let record = record(7, "2023-04-06T01:52:17.317", Tag::Check, &text);
        let lines: Vec<Line<'_>> = record
            .lines()
            .map(|line| Line::parse(line).unwrap())
            .collect();
        let tags: Vec<Tag> = lines.iter().map(|line| line.tag).collect();
        let more = Tag::Continued;
        assert_eq!(tags, [Tag::Check, more, more, more]);
        let joined: Vec<&str> = lines[2..].iter().map(|line| line.text).collect();
        assert_eq!(joined.concat(), text[8..]);
    }
}
