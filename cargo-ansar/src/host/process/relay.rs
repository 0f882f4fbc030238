//! Passes the output of a foreground program on to the streams of this command,
//! byte by byte, and lets a reader see it.
//!
//! A stream that is a terminal stays one for a program that shall be read there:
//! the program writes to a pseudo-terminal of the same size, which changes no
//! byte. Only its output is one: the program keeps its stdin and its controlling
//! terminal.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::openpty;
use nix::sys::stat::fstat;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{tcgetwinsize, tcsetwinsize};
use tokio::sync::oneshot;

use crate::host::process::pipe;

/// Receives all bytes of the output, with the number of their stream.
pub type Reader = Arc<dyn Fn(usize, &[u8]) + Send + Sync>;

/// The reading of a program's output.
#[derive(Clone)]
pub struct Reading {
    /// The reader.
    pub reader: Reader,
    /// True if the program is read also where its output goes to a terminal.
    /// Otherwise it writes there directly, since it may change the terminal.
    pub on_terminals: bool,
}

/// Bytes that are read at once.
const SIZE: usize = 64 << 10;
/// Number of reads after all processes of the program have ended.
const LAST_READS: usize = 64;

/// The relays of a program's streams.
#[derive(Debug, Default)]
pub(super) struct Relays(Vec<Relay>);

#[derive(Debug)]
struct Relay {
    /// The other end says that nothing is written any more when this is dropped.
    until: OwnedFd,
    /// Completed by the thread.
    done: oneshot::Receiver<()>,
}

/// The end from which the output of a program is read.
struct Source {
    file: File,
    /// The terminal that it stands for.
    terminal: Option<OwnedFd>,
}

/// A relay that has not begun.
pub(super) struct Planned {
    source: Source,
    to: File,
    stream: usize,
}

/// Redirects the streams of a command that are to be read. The relays begin once
/// it was started.
pub(super) fn plan(command: &mut Command, reading: &Reading) -> io::Result<Vec<Planned>> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let is_read = |is_terminal: bool| reading.on_terminals || !is_terminal;
    let mut planned = Vec::new();
    let reads_stdout = is_read(stdout.is_terminal());
    if reads_stdout {
        let (source, end) = source(stdout.as_fd(), stdout.is_terminal())?;
        if is_same(stdout.as_fd(), stderr.as_fd()) {
            command.stderr(Stdio::from(end.try_clone()?));
        }
        command.stdout(Stdio::from(end));
        planned.push(Planned::new(source, stdout.as_fd(), 0)?);
    }
    let is_joined = reads_stdout && is_same(stdout.as_fd(), stderr.as_fd());
    if !is_joined && is_read(stderr.is_terminal()) {
        let (source, end) = source(stderr.as_fd(), stderr.is_terminal())?;
        command.stderr(Stdio::from(end));
        planned.push(Planned::new(source, stderr.as_fd(), 1)?);
    }
    Ok(planned)
}

/// Returns true if two streams are the same, so that the order of writes counts.
fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => {
            (one.st_dev, one.st_ino, one.st_rdev) == (other.st_dev, other.st_ino, other.st_rdev)
        }
        _ => false,
    }
}

/// Returns both ends of a pipe, or of a pseudo-terminal in place of `stream`.
fn source(stream: BorrowedFd<'_>, is_terminal: bool) -> io::Result<(Source, OwnedFd)> {
    if !is_terminal {
        let (reader, writer) = pipe::create()?;
        let file = File::from(reader);
        let terminal = None;
        return Ok((Source { file, terminal }, writer));
    }
    let mut modes = tcgetattr(stream)?;
    // The terminal itself does what its modes say.
    cfmakeraw(&mut modes);
    let pair = openpty(None, Some(&modes))?;
    for end in [&pair.master, &pair.slave] {
        // Processes are started on this thread only, so none inherits it.
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    tcsetattr(&pair.slave, SetArg::TCSANOW, &modes)?;
    let source = Source {
        file: File::from(pair.master),
        terminal: Some(stream.try_clone_to_owned()?),
    };
    source.resize();
    Ok((source, pair.slave))
}

impl Source {
    /// Gives the pseudo-terminal the size of the terminal.
    fn resize(&self) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        if let (Ok(size), Ok(before)) = (tcgetwinsize(terminal), tcgetwinsize(&self.file)) {
            if (size.ws_row, size.ws_col) != (before.ws_row, before.ws_col) {
                // Without it, only line breaks differ.
                let _ = tcsetwinsize(&self.file, size);
            }
        }
    }

    /// Reads some bytes; 0 at the end. A pseudo-terminal whose other end is
    /// closed has ended.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.unwrap_or(0),
            }
        }
    }
}

impl Planned {
    fn new(source: Source, to: BorrowedFd<'_>, stream: usize) -> io::Result<Self> {
        Ok(Self {
            source,
            to: File::from(to.try_clone_to_owned()?),
            stream,
        })
    }

    /// Begins to pass on what the program writes.
    fn begin(mut self, reader: Reader) -> io::Result<Relay> {
        let (ended, until) = pipe::create()?;
        let (finished, done) = oneshot::channel();
        thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || {
                self.run(&ended, &reader);
                // The command may have ended.
                let _ = finished.send(());
            })?;
        Ok(Relay { until, done })
    }

    /// Passes bytes on until all writers have closed the stream, until they
    /// cannot be passed on, or until `ended` says that the program has ended and
    /// nothing remains.
    fn run(&mut self, ended: &OwnedFd, reader: &Reader) {
        let mut buffer = vec![0; SIZE];
        let mut last_reads = 0;
        while last_reads < LAST_READS {
            let mut polled = [
                PollFd::new(&self.source.file, PollFlags::IN),
                PollFd::new(ended, PollFlags::IN),
            ];
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            let [has_output, has_ended] = polled.map(|it| !it.revents().is_empty());
            last_reads += usize::from(has_ended);
            if !has_output {
                return;
            }
            self.source.resize();
            let length = self.source.read(&mut buffer);
            let bytes = &buffer[..length];
            // A program whose output is not read any more is told so, since
            // this end is closed then.
            if bytes.is_empty() || self.to.write_all(bytes).is_err() {
                return;
            }
            reader(self.stream, bytes);
        }
    }
}

impl Relays {
    /// Begins all relays.
    pub(super) fn begin(planned: Vec<Planned>, reader: &Reader) -> io::Result<Self> {
        let planned = planned.into_iter();
        let begun = planned.map(|it| it.begin(reader.clone()));
        begun.collect::<io::Result<_>>().map(Self)
    }

    /// Waits until all output of a program was passed on. All its processes must
    /// have ended.
    pub(super) async fn finish(&mut self) {
        for Relay { until, done } in self.0.drain(..) {
            drop(until);
            // A thread that is gone has passed on what it could.
            let _ = done.await;
        }
    }
}
