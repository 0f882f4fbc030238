//! The standard streams: kept for messages, out of reach of stray prints.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Where the result goes.
///
/// From [`Outlet::guard`] on, whatever the process or its children print on
/// stdout lands on stderr.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<File>);

impl Outlet {
    /// Takes stdout away from everybody else.
    pub(crate) fn guard() -> io::Result<Self> {
        let kept = io::stdout().as_fd().try_clone_to_owned()?;
        dup2_stdout(io::stderr())?;
        Ok(Self(Arc::new(File::from(kept))))
    }

    /// Writes all of `text`. A reader that is gone is no error.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        match (&*self.0).write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// Reads stdin to its end and leaves an empty one behind.
pub(crate) fn take_input() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(text)
}

/// The log's way out. A reader that is gone is no error: what is written from
/// then on, by anyone in this process, goes nowhere.
pub(crate) struct LogStream;

impl Write for LogStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stderr().write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // Stray prints go the same way, see [`Outlet::guard`], and a
                // `println!` that fails would be a panic.
                let nowhere = File::options().write(true).open("/dev/null")?;
                dup2_stdout(&nowhere)?;
                dup2_stderr(&nowhere)?;
                Ok(bytes.len())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says something to the person who started the component by hand, outside of
/// the log.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints `text` on stdout, for a component that is asked about itself.
pub(crate) fn print(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.and_then(|()| io::stdout().flush()),
    }
}
