//! Processes that a component starts: calls.
//!
//! Nothing runs between fork and exec. A process stays in the process group of its
//! parent, so that a signal to a role reaches all its processes. It shares stderr
//! with its parent.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ansar_contract::launch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A program to start.
#[derive(Debug)]
pub(crate) struct Program {
    /// The executable.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// The text for its stdin; `None` for an empty stdin.
    pub(crate) input: Option<String>,
}

/// The exit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// An exit code.
    Code(i32),
    /// The signal that killed it.
    Signal(i32),
}

/// The signals that stop a process, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopStep {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// The time that a process gets to stop.
const GRACE: Duration = Duration::from_secs(5);
/// The largest result, in bytes.
pub(crate) const LARGEST_RESULT: usize = 64 << 20;
/// The size of the read buffer, in bytes.
const READ_SIZE: usize = 16 * 1024;

/// A started process.
///
/// If it is dropped before it has exited, it is asked to stop, and killed after its
/// grace time; its exit is awaited in the background.
#[derive(Debug)]
pub(crate) struct Process {
    child: Option<Child>,
    pid: Pid,
    stdin: Option<ChildStdin>,
    stdout: Receiver,
    input: Option<String>,
}

/// Creates a pipe whose ends are closed on exec.
#[cfg(not(target_vendor = "apple"))]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// Creates a pipe whose ends are closed on exec. A process that is started by another
/// thread in between inherits them.
#[cfg(target_vendor = "apple")]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    let ends = nix::unistd::pipe()?;
    for end in [&ends.0, &ends.1] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(ends)
}

impl Process {
    /// Starts a process. Must be called in the runtime. An executable that is being
    /// replaced (ETXTBSY) is tried again a few times.
    pub(crate) async fn start(mut program: Program) -> io::Result<Self> {
        const ATTEMPTS: u32 = 20;
        let mut attempt = 1;
        loop {
            match Self::start_once(&mut program) {
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

    fn start_once(program: &mut Program) -> io::Result<Self> {
        // This process owns both ends, so that it can read what is left in the pipe
        // after the exit, even if other processes hold it open.
        let (ours, theirs) = pipe()?;
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env(launch::PARENT, std::process::id().to_string())
            // Its notifications are not those of its parent.
            .env_remove(launch::NOTIFY_SOCKET)
            .stdin(match program.input {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(theirs)
            .spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Self {
            pid: Pid::from_raw(pid.ok_or_else(|| io::Error::other("no process id"))?),
            stdin: child.stdin.take(),
            child: Some(child),
            stdout: Receiver::from_file(File::from(ours))?,
            input: program.input.take(),
        })
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Writes the input and waits for the exit. When `stop` completes, the process
    /// gets SIGINT, then SIGTERM and SIGKILL within its grace time.
    pub(crate) async fn end(&mut self, stop: impl Future<Output = ()>) -> io::Result<Ended> {
        let Some(child) = &mut self.child else {
            return Err(io::Error::other("it has ended already"));
        };
        let (stdin, input) = (self.stdin.take(), self.input.take());
        let mut give = pin!(async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // The process may exit without reading its input.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        });
        let mut stop = pin!(async {
            stop.await;
            StopStep::Interrupt
        });
        let mut step_time = pin!(tokio::time::sleep(GRACE));
        let mut buffer = vec![0; READ_SIZE];
        let mut output = Vec::new();
        let (mut giving, mut open, mut sent) = (true, true, None);
        let status = loop {
            tokio::select! {
                () = &mut give, if giving => giving = false,
                ready = self.stdout.readable(), if open => {
                    ready?;
                    let read = empty_is_none(self.stdout.try_read(&mut buffer))?;
                    open = keep(&mut output, &buffer, read);
                }
                status = child.wait() => break status?,
                first = &mut stop, if sent.is_none() => {
                    sent = Some(first);
                    send(self.pid, first);
                    step_time.as_mut().reset(Instant::now() + GRACE / 2);
                }
                () = &mut step_time, if sent.is_some_and(|sent| sent != StopStep::Kill) => {
                    let next = match sent {
                        Some(StopStep::Interrupt) => StopStep::Terminate,
                        _ => StopStep::Kill,
                    };
                    sent = Some(next);
                    send(self.pid, next);
                    step_time.as_mut().reset(Instant::now() + GRACE / 2);
                }
            }
        };
        self.child = None;
        // The process has exited: read what is left in the pipe.
        while open {
            let read = nix::unistd::read(&self.stdout, &mut buffer);
            let read = empty_is_none(read.map_err(io::Error::from))?;
            open = read.is_some() && keep(&mut output, &buffer, read);
        }
        Ok(Ended {
            exit: exit(status),
            asked: sent.is_some(),
            output,
        })
    }
}

/// The outcome of a process.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit.
    pub(crate) exit: Exit,
    /// True if it was asked to stop before.
    pub(crate) asked: bool,
    /// The output on stdout.
    pub(crate) output: Vec<u8>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        send(self.pid, StopStep::Terminate);
        // Without a runtime the component ends, and its processes end with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(stop_and_reap(child));
        }
    }
}

/// Waits for the exit of a process that was asked to stop.
async fn stop_and_reap(mut child: Child) {
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// Sends a signal. The process has not been waited for, so its id is still its own.
fn send(pid: Pid, step: StopStep) {
    let signal = match step {
        StopStep::Interrupt => Signal::SIGINT,
        StopStep::Terminate => Signal::SIGTERM,
        StopStep::Kill => Signal::SIGKILL,
    };
    let _ = kill(pid, signal);
    // A suspended process does not act on other signals.
    let _ = kill(pid, Signal::SIGCONT);
}

/// Appends what was read to `output`. Returns true if there may be more.
fn keep(output: &mut Vec<u8>, buffer: &[u8], read: Option<usize>) -> bool {
    let length = read.unwrap_or(0);
    // One more byte shows that the result is too large.
    let room = (LARGEST_RESULT + 1).saturating_sub(output.len());
    output.extend_from_slice(&buffer[..length.min(room)]);
    read != Some(0)
}

fn empty_is_none(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// Returns the name of a signal.
pub(crate) fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(
        |_| format!("signal {number}"),
        |signal| signal.as_str().to_owned(),
    )
}

/// Returns true if the signal is a request to stop.
pub(crate) fn means_stop(number: i32) -> bool {
    let stops = [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ];
    Signal::try_from(number).is_ok_and(|signal| stops.contains(&signal))
}
