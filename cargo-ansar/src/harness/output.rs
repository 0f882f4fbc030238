//! The output of one test: everything that explains its result.

use std::collections::VecDeque;

use crate::supervisor::last_output::{Panic, PanicReader};

/// Maximum number of lines of a message that are kept.
const MESSAGE_LINES: usize = 100;
/// Maximum number of panics that are kept.
const PANICS: usize = 50;
/// Maximum number of bytes at the end that are kept.
const TAIL: usize = 32 << 10;
/// Longest line that is kept, in bytes.
const LONGEST_LINE: usize = 4 << 10;
const PANICKED: &[u8] = b" panicked at ";
const THREAD: &[u8] = b"thread '";

/// The output of a test, which is passed line by line.
#[derive(Debug, Default)]
pub(super) struct Output {
    reader: PanicReader,
    panics: Vec<Panic>,
    /// The text of the last `Error: …`, after all panics.
    error: Option<Vec<String>>,
    is_error_open: bool,
    /// The lines of the last note about an expected panic.
    note: Option<Vec<String>>,
    is_note_open: bool,
    /// Threads that have overflowed their stack.
    overflowed: Vec<String>,
    /// The last line that tells a result: the part before ` ... `, and the word
    /// after it.
    result: Option<(String, String)>,
    /// True if the summary tells that the tests have passed.
    is_summary_ok: bool,
    tail: VecDeque<Vec<u8>>,
    tail_size: usize,
    /// Number of lines that were not kept.
    cut: u64,
}

impl Output {
    /// Adds a line, without its line feed.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.keep(line);
        self.find_panic(line);
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\r');
        if let Some((name, word)) = result(text) {
            self.result = Some((name.to_owned(), word.to_owned()));
            self.is_error_open = false;
        }
        self.find_error(text);
        self.find_note(text);
        if let Some(thread) = overflow(text) {
            self.overflowed.push(thread.to_owned());
        }
        if let Some(rest) = text.strip_prefix("test result: ") {
            self.is_summary_ok = rest.starts_with("ok. 1 passed; 0 failed;");
        }
    }

    fn find_panic(&mut self, line: &[u8]) {
        // A text without a line feed may stand before it.
        let at = memchr::memmem::find(line, PANICKED)
            .and_then(|end| memchr::memmem::rfind(&line[..end], THREAD));
        let before = self.reader.last().cloned();
        if self.reader.line(&line[at.unwrap_or(0)..], MESSAGE_LINES) {
            self.error = None;
            self.is_error_open = false;
            if let Some(panic) = before.filter(|_| self.panics.len() < PANICS) {
                self.panics.push(panic);
            }
        }
    }

    fn find_error(&mut self, text: &str) {
        if let Some(error) = text.strip_prefix("Error: ") {
            self.error = Some(vec![error.to_owned()]);
            self.is_error_open = true;
        } else if self.is_error_open {
            let error = self.error.as_mut();
            if let Some(error) = error.filter(|error| error.len() < MESSAGE_LINES) {
                error.push(text.to_owned());
            }
        }
    }

    fn find_note(&mut self, text: &str) {
        const BEGINS: [&str; 3] = [
            "test did not panic",
            "panic did not contain",
            "expected panic",
        ];
        let note = text.strip_prefix("note: ");
        let note = note.filter(|note| BEGINS.iter().any(|begin| note.starts_with(begin)));
        if let Some(note) = note {
            self.note = Some(vec![note.to_owned()]);
            self.is_note_open = true;
        } else if self.is_note_open {
            let Some(note) = &mut self.note else {
                return;
            };
            self.is_note_open = !text.is_empty() && note.len() < MESSAGE_LINES;
            if self.is_note_open {
                note.push(text.to_owned());
            }
        }
    }

    fn keep(&mut self, line: &[u8]) {
        let line = &line[..line.len().min(LONGEST_LINE)];
        self.tail.push_back(line.to_owned());
        self.tail_size += line.len() + 1;
        while self.tail_size > TAIL {
            let Some(first) = self.tail.pop_front() else {
                break;
            };
            self.tail_size -= first.len() + 1;
            self.cut += 1;
        }
    }

    /// Returns all panics, in their order.
    pub(super) fn panics(&self) -> impl DoubleEndedIterator<Item = &Panic> {
        self.panics.iter().chain(self.reader.last())
    }

    /// Returns the error that the test returned, as it was printed.
    pub(super) fn error(&self) -> Option<String> {
        let text = self.error.as_ref()?.join("\n");
        Some(text.trim_end().to_owned())
    }

    /// Returns the note about a panic that was expected.
    pub(super) fn note(&self) -> Option<String> {
        Some(self.note.as_ref()?.join("\n"))
    }

    /// Returns the threads that have overflowed their stack.
    pub(super) fn overflowed(&self) -> &[String] {
        &self.overflowed
    }

    /// Returns the result that the harness told of a test, such as `ok`.
    pub(super) fn result_of(&self, name: &str) -> Option<&str> {
        let (told, word) = self.result.as_ref()?;
        is_name(told, name).then_some(word)
    }

    /// Returns true if the harness told that this test alone has passed.
    pub(super) fn is_ok(&self, name: &str) -> bool {
        self.is_summary_ok && self.result_of(name) == Some("ok")
    }

    /// Returns the end of the output as text, without the words of the harness.
    pub(super) fn tail(&self) -> String {
        let mut text = String::new();
        if self.cut > 0 {
            text = format!("({} lines before are left out)\n", self.cut);
        }
        let lines = self.tail.iter().map(|line| String::from_utf8_lossy(line));
        for line in lines.take_while(|line| *line != "failures:") {
            if line != "running 1 test" && !(line.is_empty() && text.is_empty()) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text.trim_end().to_owned()
    }

    /// Returns the last line that is not blank.
    pub(super) fn last_line(&self) -> Option<String> {
        let mut lines = self.tail.iter().rev();
        let last = lines.find(|line| !line.trim_ascii().is_empty())?;
        Some(String::from_utf8_lossy(last.trim_ascii()).into_owned())
    }
}

/// Parses `test NAME ... WORD`, which may follow a text without a line feed.
/// Returns everything before ` ... `.
pub(super) fn result(line: &str) -> Option<(&str, &str)> {
    let (before, word) = line.rsplit_once(" ... ")?;
    let word = word.split_once(',').map_or(word, |(word, _)| word);
    let is_word = ["ok", "FAILED", "ignored"].contains(&word);
    (is_word && before.contains("test ")).then_some((before, word))
}

/// Returns true if a result belongs to this test.
pub(super) fn is_name(told: &str, name: &str) -> bool {
    without_note(told)
        .strip_suffix(name)
        .is_some_and(|before| before.ends_with("test "))
}

/// Removes the note that a test should panic.
pub(super) fn without_note(told: &str) -> &str {
    told.strip_suffix(" - should panic").unwrap_or(told)
}

/// Parses the message about a stack overflow; returns the name of the thread.
fn overflow(line: &str) -> Option<&str> {
    let thread = line.strip_prefix("thread '")?;
    let (thread, rest) = thread.rsplit_once('\'')?;
    rest.ends_with("has overflowed its stack").then_some(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        let mut output = Output::default();
        text.lines().for_each(|line| output.line(line.as_bytes()));
        output
    }

    #[test]
    fn results_are_those_of_the_test() {
        let passed = output(
            "running 1 test\nhellotest a::b ... ok\n\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured",
        );
        assert!(passed.is_ok("a::b") && !passed.is_ok("b"));
        let other = output("test a::b ... ok\n");
        assert!(!other.is_ok("a::b"), "without a summary");
        let panics = output("test b - should panic ... ok\ntest result: ok. 1 passed; 0 failed;");
        assert!(panics.is_ok("b"));
        let ignored = output("test c ... ignored, later\n");
        assert_eq!(ignored.result_of("c"), Some("ignored"));
    }

    #[test]
    fn panics_are_found_after_other_text() {
        let output = output(
            "thread 'a' (1) panicked at x.rs:1:2:\none\n\
             no line feedthread 'w' (2) panicked at y.rs:3:4:\ntwo\n",
        );
        let panics: Vec<_> = output
            .panics()
            .map(|it| (&*it.thread, &*it.source, &*it.message))
            .collect();
        assert_eq!(panics, [("a", "x.rs", "one"), ("w", "y.rs", "two")]);
    }

    #[test]
    fn errors_and_notes_have_all_their_lines() {
        let output = output(
            "Error: top\n\nCaused by:\n    deep\ntest a ... FAILED\n\nfailures:\n\n\
             note: panic did not contain expected string\n      panic message: \"x\"\n\n",
        );
        assert_eq!(output.error().unwrap(), "top\n\nCaused by:\n    deep");
        assert_eq!(
            output.note().unwrap(),
            "panic did not contain expected string\n      panic message: \"x\""
        );
    }

    #[test]
    fn the_end_of_a_long_output_is_kept() {
        let mut long = Output::default();
        for number in 0..100_000 {
            long.line(format!("line {number}").as_bytes());
        }
        let tail = long.tail();
        assert!(tail.len() < 2 * TAIL && tail.ends_with("line 99999"));
        assert!(tail.starts_with('('), "{}", &tail[..40]);
    }
}
