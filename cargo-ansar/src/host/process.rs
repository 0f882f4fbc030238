//! The one door through which processes are started.
//!
//! A process is started in a group of its own, with empty stdin, and with
//! stdout and stderr as pipes that this command reads. Nothing runs between
//! fork and exec, so that starting one stays cheap however large this command
//! has grown.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use super::signal::{Signal, send_to_group};

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment; that of this command where unset.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The folder it works in; that of this command where unset.
    pub folder: Option<PathBuf>,
}

/// A process that was started here.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// What it writes on stdout.
    pub stdout: Pipe,
    /// What it writes on stderr.
    pub stderr: Pipe,
    /// Its end.
    pub end: End,
}

/// The end of a process, to be waited for.
#[derive(Debug)]
pub struct End(Child);

/// The reading end of a pipe.
#[derive(Debug)]
pub struct Pipe(Receiver);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// It died of this signal.
    Signal(i32),
}

impl Process {
    /// Starts a program; inside of the runtime only.
    ///
    /// An executable that is being replaced (ETXTBSY) is tried again, a few
    /// times.
    pub async fn start(program: &Program) -> io::Result<Self> {
        const ATTEMPTS: u32 = 20;
        let mut attempt = 1;
        loop {
            match Self::start_once(program) {
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other => return other,
            }
        }
    }

    fn start_once(program: &Program) -> io::Result<Self> {
        let mut child = program.command().stderr(Stdio::piped()).spawn()?;
        let pid = child.id().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?.into_owned_fd()?;
        let stderr = child.stderr.take().ok_or_else(gone)?.into_owned_fd()?;
        Ok(Self {
            pid,
            stdout: Pipe(Receiver::from_owned_fd(stdout)?),
            stderr: Pipe(Receiver::from_owned_fd(stderr)?),
            end: End(child),
        })
    }

    /// Its process id, which is also that of its group.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Program {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door through which processes are started"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(environment) = &self.environment {
            command.env_clear().envs(environment.iter().cloned());
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// Runs a program that ends by itself, and returns its exit, its stdout,
    /// and its stderr, which is empty where it went to where this command's
    /// goes. Dropping this in the middle kills the program's whole group.
    pub async fn run(&self, narrative: Narrative) -> io::Result<(Exit, Vec<u8>, Vec<u8>)> {
        let mut command = self.command();
        let child = match narrative {
            Narrative::Inherited => command.stderr(Stdio::inherit()).spawn()?,
            Narrative::Piped => command.stderr(Stdio::piped()).spawn()?,
        };
        let mut running = Running { group: child.id() };
        let output = child.wait_with_output().await?;
        running.group = None;
        Ok((exit(output.status), output.stdout, output.stderr))
    }
}

/// Where a program's stderr goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrative {
    /// To where this command's goes.
    Inherited,
    /// Into a pipe.
    Piped,
}

/// A program whose group ends with this.
struct Running {
    group: Option<u32>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = send_to_group(group, Signal::Kill);
        }
    }
}

impl End {
    /// Waits for it. May be dropped in the middle, and called again.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        Ok(exit(self.0.wait().await?))
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

impl Pipe {
    /// Waits until there may be something to read, or nobody left to write.
    pub async fn wait(&self) -> io::Result<()> {
        self.0.readable().await
    }

    /// Reads what is there: how much, 0 at the end, none where the pipe is
    /// empty. To be called after [`wait`](Self::wait).
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        empty_is_none(self.0.try_read(buffer))
    }

    /// The same, without having waited: the runtime is not asked whether it
    /// has heard of anything.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        empty_is_none(nix::unistd::read(&self.0, buffer).map_err(io::Error::from))
    }
}

fn empty_is_none(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn gone() -> io::Error {
    io::Error::other("the process was gone before it was looked at")
}
