//! Sanitising of untrusted text for a terminal, a pipe and the log of a CI
//! runner.
//!
//! Logs, checks, file names, settings and errors of other programs may contain
//! anything. `Filter` shows control characters, direction marks and invalid
//! UTF-8 as numbers, so that none of them affects the reader.
//! [`Shell`](crate::report::shell::Shell) is its only caller, and prints
//! nothing without it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::{memchr, memmem};

use crate::model::quoted::is_unseen;

/// Bytes that are checked together.
const BLOCK: usize = 4096;
/// Longest colour sequence that is recognised.
const LONGEST_COLOR: usize = 32;
/// Returns to the terminal's own colours.
const RESET: &str = "\x1b[0m";
/// Prefixes of runner commands that are recognised anywhere in a line.
const COMMANDS: [&str; 3] = ["##[", "##vso[", "##teamcity["];

/// Makes text safe for one stream.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// Keeps colour sequences; otherwise they are removed.
    pub colors: bool,
    /// True if a CI runner reads the stream and would execute commands in it.
    pub runner: bool,
}

impl Filter {
    /// Returns the text as exactly one line, without an end.
    pub fn line(self, text: &str) -> Cow<'_, str> {
        if memchr(b'\n', text.as_bytes()).is_none() {
            return self.lines(text.as_bytes());
        }
        let mut out = String::with_capacity(text.len() + 8);
        for (nth, line) in text.split('\n').enumerate() {
            if nth > 0 {
                out.push_str("\\n");
            }
            self.put_line(&mut out, line.as_bytes());
        }
        // Joining lines may have moved a command to the beginning.
        Cow::Owned(self.without_commands(out, 0))
    }

    /// Returns true if the text is safe unchanged, as most texts are: ASCII
    /// without control characters and commands.
    pub fn passes(self, text: &[u8]) -> bool {
        is_clean(text) && !(self.runner && may_have_command(text))
    }

    /// Returns the text with its line ends unchanged, except that a carriage
    /// return before a line end is removed.
    pub fn lines(self, text: &[u8]) -> Cow<'_, str> {
        if self.passes(text) {
            if let Ok(text) = std::str::from_utf8(text) {
                return Cow::Borrowed(text);
            }
        }
        let mut out = String::with_capacity(text.len() + text.len() / 8);
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let mut line = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[], |end| &rest[end + 1..]);
            if end.is_some() {
                line = line.strip_suffix(b"\r").unwrap_or(line);
            }
            let start = out.len();
            self.put_line(&mut out, line);
            out = self.without_commands(out, start);
            if end.is_some() {
                out.push('\n');
            }
        }
        Cow::Owned(out)
    }

    /// Returns equivalent JSON with unsafe characters escaped in its strings.
    pub fn json(self, text: &str) -> Cow<'_, str> {
        let has_command = self.runner && COMMANDS.iter().any(|it| text.contains(it));
        if is_clean(text.as_bytes()) && !has_command {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            if c != '\n' && c != '\t' && is_unseen(c) {
                // All such characters are in the Basic Multilingual Plane.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            } else {
                out.push(c);
            }
        }
        if has_command {
            for command in COMMANDS {
                out = out.replace(command, &format!("#\\u0023{}", &command[2..]));
            }
        }
        Cow::Owned(out)
    }

    /// Appends a line without its end.
    fn put_line(self, out: &mut String, line: &[u8]) {
        if is_clean(line) {
            if let Ok(line) = std::str::from_utf8(line) {
                return out.push_str(line);
            }
        }
        let mut is_colored = false;
        for chunk in line.utf8_chunks() {
            self.put_text(out, chunk.valid(), &mut is_colored);
            for byte in chunk.invalid() {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
        if is_colored {
            out.push_str(RESET);
        }
    }

    fn put_text(self, out: &mut String, text: &str, is_colored: &mut bool) {
        let mut rest = text;
        while let Some(at) = suspect(rest) {
            let (clean, from) = rest.split_at(at);
            out.push_str(clean);
            if let Some(length) = color(from) {
                let (sequence, behind) = from.split_at(length);
                if self.colors {
                    out.push_str(sequence);
                    *is_colored = !matches!(sequence, "\x1b[m" | RESET);
                }
                rest = behind;
                continue;
            }
            let mut chars = from.chars();
            match chars.next() {
                Some(c) if c != '\t' && is_unseen(c) => put_escaped(out, c),
                Some(c) => out.push(c),
                None => {}
            }
            rest = chars.as_str();
        }
        out.push_str(rest);
    }

    /// Escapes runner commands in the line that begins at `start`.
    fn without_commands(self, mut out: String, start: usize) -> String {
        if !self.runner {
            return out;
        }
        let line = &out[start..];
        let mut rest = line.trim_start();
        while let Some(length) = color(rest) {
            rest = rest[length..].trim_start();
        }
        if rest.starts_with("::") {
            let at = start + (line.len() - rest.len());
            out.replace_range(at..=at, "\\x3a");
        }
        for command in COMMANDS {
            while let Some(at) = out[start..].find(command) {
                let second = start + at + 1;
                out.replace_range(second..=second, "\\x23");
            }
        }
        out
    }
}

/// Returns true if every byte is printable ASCII, a tab or a line end.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch, the compiler vectorises the loop over a block"
)]
fn is_clean(text: &[u8]) -> bool {
    text.chunks(BLOCK).all(|block| {
        block.iter().fold(true, |is_clean, byte| {
            let is_printable = byte.wrapping_sub(b' ') <= b'~' - b' ';
            is_clean & (is_printable | (*byte == b'\n') | (*byte == b'\t'))
        })
    })
}

/// Returns true if a runner may find a command in the text.
fn may_have_command(text: &[u8]) -> bool {
    memmem::find(text, b"::").is_some() || memmem::find(text, b"##").is_some()
}

/// Returns the place of the first character that may have to be escaped.
fn suspect(text: &str) -> Option<usize> {
    // The first bytes of the characters of `is_unseen` beyond ASCII.
    text.bytes()
        .position(|byte| matches!(byte, ..0x20 | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef))
}

/// Returns the length of the colour sequence at the beginning of the text: a
/// control sequence of numbers that ends with `m`.
fn color(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\x1b[")?;
    let mut bytes = numbers.bytes().take(LONGEST_COLOR);
    let end = bytes.position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (numbers.as_bytes()[end] == b'm').then_some(end + 3)
}

/// Appends a character as Rust writes it in a string.
fn put_escaped(out: &mut String, c: char) {
    // Writing to a string cannot fail.
    let _ = match c {
        '\r' => write!(out, "\\r"),
        c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "{}", c.escape_unicode()),
    };
}
