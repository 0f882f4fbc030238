//! Processes that a component starts: calls.
//!
//! Nothing runs between fork and exec, and a process stays in the group of its
//! parent, so that whoever signals or kills a role means everything of it. Its
//! stderr is its parent's.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ansar_contract::launch;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Program {
    /// The executable.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// What it reads on stdin; nothing where unset.
    pub(crate) input: Option<String>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It exited with this code.
    Code(i32),
    /// It died of this signal.
    Signal(i32),
}

/// The rungs of the stop ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    /// Please stop.
    Interrupt,
    /// Stop.
    Terminate,
    /// Be gone.
    Kill,
}

/// How long a process may take to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Most bytes that a result may have.
pub(crate) const LARGEST_RESULT: usize = 64 << 20;
/// How much is read at once.
const READ_SIZE: usize = 16 * 1024;

/// A process that was started here.
///
/// Dropped before it has ended, it is asked to stop, and killed where it does
/// not within its grace time. Its end is awaited in the background.
#[derive(Debug)]
pub(crate) struct Process {
    child: Option<Child>,
    pid: Pid,
    stdin: Option<ChildStdin>,
    stdout: Receiver,
    input: Option<String>,
}

impl Process {
    /// Starts a process; inside of the runtime only. An executable that is
    /// being replaced (ETXTBSY) is tried again, a few times.
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
        // A pipe of our own: what is in it can be read when the process has
        // ended, whoever else may hold it open.
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env(launch::PARENT, std::process::id().to_string())
            // Whatever it announces, it does not speak for its parent.
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
            stdout: Receiver::from_owned_fd(ours)?,
            input: program.input.take(),
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Gives it its input and waits for its end. Once `stop` comes it is asked
    /// to stop, ever more firmly over its grace time.
    pub(crate) async fn end(&mut self, stop: impl Future<Output = ()>) -> io::Result<Ended> {
        let Some(child) = &mut self.child else {
            return Err(io::Error::other("it has ended already"));
        };
        let (stdin, input) = (self.stdin.take(), self.input.take());
        let mut give = pin!(async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // One that does not read its input needs none.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        });
        let mut stop = pin!(async {
            stop.await;
            Rung::Interrupt
        });
        let mut climb = pin!(tokio::time::sleep(GRACE));
        let mut buffer = vec![0; READ_SIZE];
        let mut output = Vec::new();
        let (mut giving, mut open, mut rung) = (true, true, None);
        let status = loop {
            tokio::select! {
                () = &mut give, if giving => giving = false,
                ready = self.stdout.readable(), if open => {
                    ready?;
                    let read = empty_is_none(self.stdout.try_read(&mut buffer))?;
                    open = keep(&mut output, &buffer, read);
                }
                status = child.wait() => break status?,
                first = &mut stop, if rung.is_none() => {
                    rung = Some(first);
                    send(self.pid, first);
                    climb.as_mut().reset(Instant::now() + GRACE / 2);
                }
                () = &mut climb, if rung.is_some_and(|rung| rung != Rung::Kill) => {
                    let next = match rung {
                        Some(Rung::Interrupt) => Rung::Terminate,
                        _ => Rung::Kill,
                    };
                    rung = Some(next);
                    send(self.pid, next);
                    climb.as_mut().reset(Instant::now() + GRACE / 2);
                }
            }
        };
        self.child = None;
        // Nobody writes any more: what is in the pipe is all there is.
        while open {
            let read = nix::unistd::read(&self.stdout, &mut buffer);
            let read = empty_is_none(read.map_err(io::Error::from))?;
            open = read.is_some() && keep(&mut output, &buffer, read);
        }
        Ok(Ended {
            exit: exit(status),
            asked: rung.is_some(),
            output,
        })
    }
}

/// What came of a process.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) exit: Exit,
    /// Whether it was asked to stop before that.
    pub(crate) asked: bool,
    /// What it wrote on stdout.
    pub(crate) output: Vec<u8>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        send(self.pid, Rung::Terminate);
        // Where the runtime has ended, so has the component, and what it
        // started ends with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(see_off(child));
        }
    }
}

/// Waits for the end of a process that was asked to stop.
async fn see_off(mut child: Child) {
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// The process was not waited for yet, so that its id is no other's.
fn send(pid: Pid, rung: Rung) {
    let signal = match rung {
        Rung::Interrupt => Signal::SIGINT,
        Rung::Terminate => Signal::SIGTERM,
        Rung::Kill => Signal::SIGKILL,
    };
    let _ = kill(pid, signal);
    // One that was suspended hears nothing else.
    let _ = kill(pid, Signal::SIGCONT);
}

/// Keeps what was read, nothing of it where the pipe was empty; whether there
/// may be more.
fn keep(output: &mut Vec<u8>, buffer: &[u8], read: Option<usize>) -> bool {
    let length = read.unwrap_or(0);
    // One byte more tells that it is too large.
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

/// A signal's name.
pub(crate) fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(
        |_| format!("signal {number}"),
        |signal| signal.as_str().to_owned(),
    )
}

/// Whether a signal means Stop.
pub(crate) fn means_stop(number: i32) -> bool {
    let stops = [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ];
    Signal::try_from(number).is_ok_and(|signal| stops.contains(&signal))
}
