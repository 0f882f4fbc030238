//! The standard streams, reserved for messages.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// The original stdout, for the result.
///
/// After [`Outlet::guard`], everything that the process or its children print on
/// stdout goes to stderr.
#[derive(Clone)]
pub(crate) struct Outlet(Arc<File>);

impl Outlet {
    /// Redirects stdout to stderr, and keeps the original.
    pub(crate) fn guard() -> io::Result<Self> {
        let kept = io::stdout().as_fd().try_clone_to_owned()?;
        dup2_stdout(io::stderr())?;
        Ok(Self(Arc::new(File::from(kept))))
    }

    /// Writes `text`. A closed pipe is no error.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        match (&*self.0).write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// Reads stdin to its end, and replaces it by an empty one.
pub(crate) fn take_input() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(text)
}

/// The output of the log. A closed pipe is no error: from then on the output of this
/// process is discarded.
pub(crate) struct LogStream;

impl Write for LogStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stderr().write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // Prints go to the same pipe, see [`Outlet::guard`], and a
                // `println!` that fails would panic.
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

/// Prints a message for the person who started the component by hand, outside of the
/// log.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints `text` on stdout.
pub(crate) fn print(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.and_then(|()| io::stdout().flush()),
    }
}
