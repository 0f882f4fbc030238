//! Output of a process that follows the contract of components.

use std::io;
use std::io::Write;

/// Writes whole lines of the log. A log that cannot be written is lost.
pub fn log(lines: &str) {
    let _ = io::stderr().write_all(lines.as_bytes());
}

/// Writes the result.
pub fn result(message: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(message)?;
    stdout.flush()
}
