//! Starting processes and waiting for them; no other module starts one.
//!
//! A process runs in its own process group, with an empty stdin, and with
//! stdout and stderr as pipes that this command reads. No code runs between
//! fork and exec, so spawning stays cheap as this command grows. A process
//! group is registered for as long as it may exist.

pub mod command_lines;
pub mod copy_folder;
pub mod daemonize;
pub mod fd_store;
pub mod guardian;
pub mod interrupts;
pub mod orphans;
pub mod pipe;
pub mod procfs;
pub mod relay;
pub mod rlimit;
pub mod sd_notify;
pub mod signal;
pub mod stream;
pub mod tag;
pub mod unprivileged;
pub mod usage;
pub mod wait;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal as signal_stream};

use ansar_contract::launch;

pub use crate::host::process::pipe::Pipe;
use crate::host::process::relay::{Reading, Relays};
use crate::host::process::signal::Signal;
use crate::host::{clock, terminal};
use crate::model::stop::StopSignal;

/// A program to start.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The whole environment; that of this command if unset.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The working directory; that of this command if unset.
    pub folder: Option<PathBuf>,
    /// The file it reads as stdin; empty if unset. Its offset is shared, so it
    /// can be read only once.
    pub stdin: Option<Arc<File>>,
}

/// A child process.
///
/// Dropping it before it has exited kills its process group.
#[derive(Debug)]
pub struct Process {
    /// Its stdout.
    pub stdout: Pipe,
    /// Its stderr; `None` if it is inherited from this command, or joined with
    /// stdout.
    pub stderr: Option<Pipe>,
    /// Its exit.
    pub end: End,
}

/// The exit of a child process.
///
/// Dropping it before the process has exited kills the process group and reaps
/// the child.
#[derive(Debug)]
pub struct End {
    child: Child,
    exit: Option<Exit>,
    watch: Watch,
}

/// The exit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Exited with this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

/// The destination of a program's stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StderrMode {
    /// The stderr of this command.
    Inherited,
    /// A pipe.
    Piped,
    /// The same pipe as stdout, so that the order of writes is kept.
    Joined,
}

/// Time that a killed process gets to exit.
pub(super) const EXIT_TIMEOUT: Duration = Duration::from_secs(3);

/// Interval of polling a process that has no pidfd.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Groups of processes started here that may still exist.
static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn groups() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the leaders of the groups that were started here and may still
/// exist.
pub fn started() -> BTreeSet<u32> {
    groups().clone()
}

/// Returns those of `pids` that were not started here.
pub fn strangers(mut pids: BTreeSet<u32>) -> BTreeSet<u32> {
    let groups = groups();
    pids.retain(|pid| !groups.contains(pid));
    pids
}

/// Returns true if a process was started here and not yet reaped.
pub(super) fn is_waited_for(pid: u32) -> bool {
    groups().contains(&pid)
}

impl Process {
    /// Starts a program. Must be called within the runtime.
    ///
    /// Retries a few times if the executable is being replaced (ETXTBSY).
    pub async fn start(program: &Program, stderr_mode: StderrMode) -> io::Result<Self> {
        const ATTEMPTS: u32 = 20;
        let mut attempt = 1;
        loop {
            match Self::start_once(program, stderr_mode) {
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

    fn start_once(program: &Program, stderr_mode: StderrMode) -> io::Result<Self> {
        let mut command = program.command();
        command
            .process_group(0)
            .stdin(program.stdin()?)
            .stdout(Stdio::piped())
            .stderr(match stderr_mode {
                StderrMode::Inherited => Stdio::inherit(),
                StderrMode::Piped | StderrMode::Joined => Stdio::piped(),
            });
        let joined = match stderr_mode {
            StderrMode::Joined => Some(joined(&mut command)?),
            StderrMode::Inherited | StderrMode::Piped => None,
        };
        let mut child = match stderr_mode {
            StderrMode::Piped | StderrMode::Joined => rlimit::spawn(&mut command, program.tag()),
            StderrMode::Inherited => {
                signal::ignoring_sigttou(|| rlimit::spawn(&mut command, program.tag()))
            }
        }
        .map_err(|error| program.with_its_folder(error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let end = End::of(child)?;
        let stdout = stdout.map(OwnedFd::from).or(joined);
        let stdout = stdout.ok_or_else(|| io::Error::other("no pipe for stdout"))?;
        Ok(Self {
            stdout: Pipe::new(stdout)?,
            stderr: stderr.map(|stderr| Pipe::new(stderr.into())).transpose()?,
            end,
        })
    }

    /// Returns the process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.end.pid()
    }

    /// Waits until every process that holds its stdout has closed it.
    pub async fn stdout_closed(&mut self) -> io::Result<()> {
        let mut output = Vec::new();
        self.stdout.read_to_end(&mut output).await
    }

    /// Reads its stdout into `output` until `is_enough` returns true for it.
    /// Returns false if stdout was closed before.
    pub async fn read_until(
        &mut self,
        output: &mut Vec<u8>,
        is_enough: impl Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        loop {
            if !self.stdout.read_more(output).await? {
                return Ok(false);
            }
            if is_enough(output) {
                return Ok(true);
            }
        }
    }

    /// Waits for its exit.
    pub async fn end(&mut self) -> io::Result<Exit> {
        self.end.wait().await
    }

    /// Returns true if it has exited.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        self.end.try_wait().map(|exit| exit.is_some())
    }

    /// Sends it SIGINT and waits for its exit; kills it after `patience`.
    pub async fn stop(mut self, patience: Duration) {
        // A process that is gone has stopped.
        let _ = signal::send_to_group(self.pid(), Signal::Stop(StopSignal::INTERRUPT));
        let _ = tokio::time::timeout(patience, self.end.wait()).await;
    }
}

/// Makes stdout and stderr of a command the same pipe, and returns its read end.
fn joined(command: &mut Command) -> io::Result<OwnedFd> {
    let (reader, writer) = pipe::create()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    Ok(reader)
}

/// A program with the streams and the terminal of this command.
///
/// Dropping it before it has exited kills its process group.
#[derive(Debug)]
pub struct Foreground {
    end: End,
    relays: Relays,
    stops: tokio::signal::unix::Signal,
}

impl Foreground {
    /// Starts a program in its own group and gives it the terminal's
    /// foreground. With `reading`, its output is read on its way.
    pub fn start(program: &Program, reading: Option<&Reading>) -> io::Result<Self> {
        // Listen before the child can stop.
        let stops = signal_stream(SignalKind::child())?;
        let mut command = program.command();
        command.process_group(0);
        let planned = reading.map(|reading| relay::plan(&mut command, reading));
        let planned = planned.transpose()?;
        let child = rlimit::spawn(&mut command, program.tag());
        // Its ends of the streams are closed here.
        drop(command);
        let end = End::of(child.map_err(|error| program.with_its_folder(error))?)?;
        terminal::lend(end.child.id());
        // It may have stopped because it asked for the terminal too early.
        signal::wake_group(end.child.id());
        let relays = match (planned, reading) {
            (Some(planned), Some(reading)) => Relays::begin(planned, &reading.reader)?,
            _ => Relays::default(),
        };
        Ok(Self { end, relays, stops })
    }

    /// Waits until all of its output was passed on. Must be called after all of
    /// its processes have ended.
    pub async fn finish_output(&mut self) {
        self.relays.finish().await;
    }

    /// Returns the process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.end.child.id()
    }

    /// Waits for its exit. When it is suspended, everything is suspended until
    /// it continues.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        loop {
            tokio::select! {
                exit = self.end.wait() => {
                    terminal::take_back();
                    return exit;
                }
                _ = self.stops.recv() => {
                    if signal::has_stopped(self.end.child.id()) {
                        signal::ask_to_suspend();
                    }
                }
            }
        }
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        terminal::take_back();
    }
}

impl Program {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place where processes are created"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        if let Some(environment) = &self.environment {
            command.env_clear().envs(environment.iter().cloned());
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    fn stdin(&self) -> io::Result<Stdio> {
        Ok(match &self.stdin {
            Some(file) => Stdio::from(file.try_clone()?),
            None => Stdio::null(),
        })
    }

    /// Returns the tag for the process and its descendants, if the environment
    /// has an engine's token.
    fn tag(&self) -> Option<u64> {
        let mut environment = self.environment.iter().flatten();
        let (_, token) = environment.find(|(name, _)| name == launch::TOKEN)?;
        Some(tag::of_text(token.to_str()?))
    }

    /// Returns the reason the program could not be started, naming the file at
    /// fault.
    pub fn refusal(&self, error: &io::Error) -> String {
        let path = self.path.display();
        let is_missing = error.raw_os_error() == Some(nix::errno::Errno::ENOENT as i32);
        if is_missing && self.path.exists() {
            format!("cannot start `{path}`: its interpreter or loader was not found: {error}")
        } else {
            format!("cannot start `{path}`: {error}")
        }
    }

    /// Starts a program that outlives this process, and returns what it writes
    /// to stdout until it closes it. It inherits this process's stderr.
    ///
    /// Dropping the future leaves the program running.
    pub async fn spawn_detached(&self) -> io::Result<Vec<u8>> {
        let mut command = self.command();
        command
            // In this process's group: it starts a session, and a group leader
            // cannot.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = rlimit::spawn(&mut command, None)?;
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| io::Error::other("no pipe for stdout"))?;
        let mut output = Vec::new();
        let stdout = Pipe::new(OwnedFd::from(stdout))?;
        stdout.read_to_end(&mut output).await?;
        Ok(output)
    }

    /// Adds the working directory to a spawn error that it caused.
    fn with_its_folder(&self, error: io::Error) -> io::Error {
        match &self.folder {
            Some(folder) if !folder.is_dir() => {
                let folder = folder.display();
                let text = format!("working directory `{folder}`: {error}");
                io::Error::new(error.kind(), text)
            }
            _ => error,
        }
    }

    /// Runs a program to its exit, and returns its exit, its stdout, and its
    /// stderr if that is a pipe. Dropping the future kills the program's group.
    pub async fn run(&self, stderr_mode: StderrMode) -> io::Result<(Exit, Vec<u8>, Vec<u8>)> {
        let mut process = Process::start(self, stderr_mode).await?;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let stderr = &mut process.stderr;
        let read_errors = async {
            match stderr {
                Some(stderr) => stderr.read_to_end(&mut errors).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(process.stdout.read_to_end(&mut output), read_errors)?;
        let exit = process.end.wait().await?;
        Ok((exit, output, errors))
    }
}

impl End {
    /// Starts a program whose output is discarded. Must be called within the
    /// runtime.
    pub fn start_silent(program: &Program) -> io::Result<Self> {
        let mut command = program.command();
        command
            .process_group(0)
            .stdin(program.stdin()?)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self::of(rlimit::spawn(&mut command, None)?)
    }

    /// Registers a new child first, so that its group is killed if anything
    /// fails from here on.
    fn of(child: Child) -> io::Result<Self> {
        groups().insert(child.id());
        let mut end = Self {
            child,
            exit: None,
            watch: Watch::Timer,
        };
        end.watch = Watch::over(&end.child)?;
        Ok(end)
    }

    /// Returns the process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the exit. Cancel safe; can be called again.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            self.watch.wait().await?;
            if self.try_wait()?.is_none() {
                // It has exited but cannot be reaped yet, for example while
                // traced.
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// Returns the exit if the process has exited.
    fn try_wait(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait()?.map(exit);
        }
        Ok(self.exit)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let group = self.child.id();
        if self.exit.is_none() {
            let limit = match signal::send_to_group(group, Signal::Kill) {
                Ok(_) => EXIT_TIMEOUT,
                // It belongs to another user, so waiting is pointless.
                Err(_) => Duration::ZERO,
            };
            let _ = reaped_within(group, limit);
        }
        groups().remove(&group);
    }
}

/// Waits up to `limit` for a killed child to exit, and reaps it. Returns true
/// if it has exited.
#[expect(
    clippy::disallowed_methods,
    reason = "a destructor cannot wait for an event"
)]
pub(super) fn reaped_within(pid: u32, limit: Duration) -> bool {
    const LONGEST_PAUSE: Duration = Duration::from_millis(20);
    let Ok(pid) = i32::try_from(pid).map(Pid::from_raw) else {
        return true;
    };
    let begun = clock::instant();
    let mut pause = Duration::from_micros(50);
    while waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
        if begun.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
    true
}

/// Returns true if an error means that the system cannot create another process
/// or descriptor.
pub fn is_exhaustion(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, WouldBlock};
    use nix::errno::Errno;

    let descriptors = [Errno::EMFILE, Errno::ENFILE].map(|errno| Some(errno as i32));
    matches!(error.kind(), WouldBlock | OutOfMemory) || descriptors.contains(&error.raw_os_error())
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// Notifies of a process that may have exited.
#[derive(Debug)]
enum Watch {
    /// A pidfd, which becomes readable on exit.
    #[cfg(target_os = "linux")]
    Descriptor(AsyncFd<OwnedFd>),
    /// Polling, for platforms without pidfds.
    Timer,
}

impl Watch {
    #[cfg(target_os = "linux")]
    fn over(child: &Child) -> io::Result<Self> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        let descriptor = pidfd_open(Pid::from_child(child), PidfdFlags::empty());
        match descriptor {
            Ok(descriptor) => {
                #[expect(unsafe_code, reason = "there is no safe way to watch a descriptor")]
                // SAFETY: `AsyncFd` owns the descriptor and neither closes nor
                // replaces it while it is registered.
                let watched = unsafe {
                    AsyncFd::register_with_interest(descriptor, tokio::io::Interest::READABLE)
                };
                Ok(Self::Descriptor(watched.map_err(io::Error::from)?))
            }
            // The kernel is older than pidfds.
            Err(rustix::io::Errno::NOSYS) => Ok(Self::Timer),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn over(_: &Child) -> io::Result<Self> {
        Ok(Self::Timer)
    }

    async fn wait(&self) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Descriptor(descriptor) => descriptor.readable().await.map(drop),
            Self::Timer => {
                tokio::time::sleep(POLL_INTERVAL).await;
                Ok(())
            }
        }
    }
}
