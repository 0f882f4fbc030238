//! Keeps what explains the end of one start: the last line of its output, and
//! the last Rust panic in it.

/// Maximum length of a line that is kept, in bytes.
const LONGEST: usize = 512;
/// Maximum number of lines of a panic's message that are kept.
const PANIC_LINES: usize = 10;
/// Lines after which the message of a panic is over.
const AFTER_MESSAGE: [&[u8]; 3] = [b"note: ", b"stack backtrace:", b"thread '"];

/// The end of the output of one start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastOutput {
    last: Vec<u8>,
    panic: PanicReader,
}

/// Finds Rust panics in the lines of an output, and keeps the last one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PanicReader {
    panic: Option<Panic>,
    /// Lines of the panic's message that are still expected.
    message_lines: usize,
}

/// A Rust panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// The name of the thread; for a test, that of the test.
    pub thread: String,
    /// The source file, as the compiler names it.
    pub source: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The message; several lines if it has them.
    pub message: String,
}

impl LastOutput {
    /// Adds a line, without its line feed.
    pub fn line(&mut self, line: &[u8]) {
        let line = &line[..line.len().min(LONGEST)];
        self.panic.line(line, PANIC_LINES);
        if !line.trim_ascii().is_empty() {
            self.last.clear();
            self.last.extend_from_slice(line.trim_ascii());
        }
    }

    /// Returns the last line that is not blank, or an empty text.
    pub fn last_line(&self) -> String {
        String::from_utf8_lossy(&self.last).into_owned()
    }

    /// Removes the last panic, and returns it.
    pub fn take_panic(&mut self) -> Option<Panic> {
        self.panic.take()
    }

    /// Returns the last panic.
    pub fn panic(&self) -> Option<&Panic> {
        self.panic.last()
    }
}

impl PanicReader {
    /// Adds a line, without its line feed. At most `longest` lines of a message
    /// are kept. Returns true if a panic begins with it.
    pub fn line(&mut self, line: &[u8], longest: usize) -> bool {
        if let Some(panic) = Panic::begins(line) {
            self.panic = Some(panic);
            self.message_lines = longest;
            return true;
        }
        if self.message_lines > 0 {
            self.add_to_message(line);
        }
        false
    }

    /// Returns the last panic.
    pub fn last(&self) -> Option<&Panic> {
        self.panic.as_ref()
    }

    fn add_to_message(&mut self, line: &[u8]) {
        let Some(panic) = &mut self.panic else {
            return;
        };
        let is_over = AFTER_MESSAGE.iter().any(|end| line.starts_with(end));
        if is_over || (line.is_empty() && !panic.message.is_empty()) {
            self.message_lines = 0;
            return;
        }
        self.message_lines -= 1;
        if !panic.message.is_empty() {
            panic.message.push('\n');
        }
        panic.message.push_str(&String::from_utf8_lossy(line));
    }

    /// Removes the last panic, and returns it.
    pub fn take(&mut self) -> Option<Panic> {
        self.message_lines = 0;
        self.panic.take()
    }
}

impl Panic {
    /// Parses the first line of a panic:
    /// `thread 'NAME' (TID) panicked at FILE:LINE:COLUMN:`, also without the
    /// thread id.
    pub fn begins(line: &[u8]) -> Option<Self> {
        // Checked first: almost every line is another one.
        let rest = line.strip_prefix(b"thread '")?;
        let rest = std::str::from_utf8(rest).ok()?;
        let (thread, place) = rest.split_once(" panicked at ")?;
        let (name, id) = thread.rsplit_once('\'')?;
        let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_digit());
        if !id.is_empty() && !is_id(id.strip_prefix(" (")?.strip_suffix(')')?) {
            return None;
        }
        let place = place.strip_suffix(':')?;
        let (place, column) = place.rsplit_once(':')?;
        let (source, line) = place.rsplit_once(':')?;
        Some(Self {
            thread: name.to_owned(),
            source: source.to_owned(),
            line: line.parse().ok()?,
            column: column.parse().ok()?,
            message: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> LastOutput {
        let mut output = LastOutput::default();
        text.lines().for_each(|line| output.line(line.as_bytes()));
        output
    }

    #[test]
    fn last_line_is_not_blank() {
        assert_eq!(output("one\n  two \n\n").last_line(), "two");
        assert_eq!(output("").last_line(), "");
        let long = "x".repeat(2 * LONGEST);
        assert_eq!(output(&long).last_line().len(), LONGEST);
    }

    #[test]
    fn panics_are_found_with_and_without_the_thread_id() {
        for thread in [
            "thread 'main' (4711)",
            "thread 'main'",
            "thread 'it's one' (1)",
        ] {
            let output = output(&format!(
                "listening\n\n{thread} panicked at src/main.rs:7:5:\nno table\n\
                 note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\
                 Error: x"
            ));
            let panic = output.panic().expect(thread);
            assert_eq!(
                (&*panic.source, panic.line, panic.column),
                ("src/main.rs", 7, 5)
            );
            assert_eq!(panic.message, "no table");
            assert_eq!(output.last_line(), "Error: x");
        }
    }

    #[test]
    fn message_of_several_lines_is_kept() {
        let text = "thread 'main' (1) panicked at a.rs:1:2:\n\
                    assertion `left == right` failed: x.rs:9:9\n  left: 1\n right: 2\n\n\
                    thread 'other' (2) panicked at b.rs:3:4:\nlater\nstack backtrace:\n   0: x";
        let first = text.split("\n\n").next().unwrap();
        let message = "assertion `left == right` failed: x.rs:9:9\n  left: 1\n right: 2";
        assert_eq!(output(first).panic().unwrap().message, message);
        let last = output(text);
        let last = last.panic().unwrap();
        assert_eq!((&*last.source, &*last.message), ("b.rs", "later"));
        let endless = format!("thread 'a' panicked at a.rs:1:2:\n{}", "more\n".repeat(100));
        let message = output(&endless).panic().unwrap().message.clone();
        assert_eq!(message.lines().count(), PANIC_LINES);
    }

    #[test]
    fn other_lines_are_no_panics() {
        for line in [
            "thread 'main' panicked",
            "thread 'main' panicked at 'old form', src/main.rs:7:5",
            "thread 'main' (x) panicked at src/main.rs:7:5:",
            "thread 'main' panicked at src/main.rs:x:5:",
        ] {
            assert_eq!(output(line).panic(), None, "{line}");
        }
    }
}
