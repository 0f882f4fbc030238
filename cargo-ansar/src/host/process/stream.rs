//! Byte streams between processes: the stdio of this process or of a child, as
//! one stream in both directions.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::host::process::signal::ignoring_sigttou;
use crate::host::process::{End, Pipe, Program, rlimit};

/// The writing side of a stream. Dropping it closes it.
#[derive(Debug)]
pub struct Writer(AsyncFd<OwnedFd>);

impl Writer {
    /// Takes over a write end and makes it non-blocking.
    fn new(stream: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&stream, true)?;
        #[expect(unsafe_code, reason = "there is no safe way to watch a descriptor")]
        // SAFETY: `AsyncFd` owns the descriptor and neither closes nor replaces
        // it while it is registered.
        let watched = unsafe { AsyncFd::register_with_interest(stream, Interest::WRITABLE) };
        Ok(Self(watched.map_err(io::Error::from)?))
    }

    /// Writes all bytes. Waits while the peer does not read.
    pub async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self
                .0
                .async_io(Interest::WRITABLE, |stream| {
                    Ok(nix::unistd::write(stream, bytes)?)
                })
                .await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }
}

/// Returns stdin and stdout of this process as a stream.
pub fn own() -> io::Result<(Pipe, Writer)> {
    let stdin = rustix::stdio::stdin().as_fd().try_clone_to_owned()?;
    let stdout = rustix::stdio::stdout().as_fd().try_clone_to_owned()?;
    Ok((Pipe::new(stdin)?, Writer::new(stdout)?))
}

/// A child process whose stdin and stdout are a stream.
#[derive(Debug)]
pub struct Streamed {
    /// Its stdout.
    pub stdout: Pipe,
    /// Its stdin.
    pub stdin: Writer,
    /// Its stderr.
    pub stderr: Pipe,
    /// Its exit.
    pub end: End,
}

impl Streamed {
    /// Starts a program. Must be called within the runtime.
    pub fn start(program: &Program) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;

        let mut command = program.command();
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = ignoring_sigttou(|| rlimit::spawn(&mut command, program.tag()))
            .map_err(|error| program.with_its_folder(error))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take();
        let end = End::of(child)?;
        let no_pipe = || io::Error::other("no pipe for its stdio");
        Ok(Self {
            stdout: Pipe::new(stdout.ok_or_else(no_pipe)?.into())?,
            stdin: Writer::new(stdin.ok_or_else(no_pipe)?.into())?,
            stderr: Pipe::new(stderr.ok_or_else(no_pipe)?.into())?,
            end,
        })
    }
}
