//! A running program.

use std::io::Write;
use std::marker::PhantomData;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::deadline::{PATIENCE, eventually, time_until};
use crate::output::Output;
use crate::sandbox::Sandbox;
use crate::stream::Stream;

/// A running program. Dropping it kills its process group.
pub struct Running<'s> {
    command: String,
    child: Child,
    pid: Pid,
    ended: Receiver<()>,
    stdin: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
    /// Position that [`Running::wait_for_next`] has read to, on stdout and
    /// stderr.
    seen: [usize; 2],
    /// The sandbox, which checks for remaining processes, outlives the program.
    sandbox: PhantomData<&'s Sandbox>,
}

impl Running<'_> {
    pub(crate) fn new(
        command: String,
        child: Child,
        stdin: Option<ChildStdin>,
        stdout: Stream,
        stderr: Stream,
    ) -> Self {
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("it is a process"));
        let (end, ended) = channel();
        // Observes the exit and leaves the reaping to `wait`: until then, the
        // pid cannot be reused.
        thread::spawn(move || {
            let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            let _ = end.send(());
        });
        Self {
            command,
            child,
            pid,
            ended,
            stdin,
            stdout,
            stderr,
            seen: [0; 2],
            sandbox: PhantomData,
        }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line of stderr contains `text`, and returns the first such
    /// line, which may have been written before the call.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        match self.stderr.line_with(text, 0, PATIENCE) {
            Some((line, _)) => line,
            None => self.fail(&format!("no line of stderr holds `{text}`")),
        }
    }

    /// Waits until a line of stderr contains `text`, after the line that the
    /// previous call found.
    #[track_caller]
    pub fn wait_for_next(&mut self, text: &str) -> String {
        self.next_line(1, text, PATIENCE)
    }

    /// Like [`Running::wait_for_next`], for a line that must be there before the
    /// `deadline`.
    #[track_caller]
    pub fn wait_for_next_before(&mut self, text: &str, deadline: Instant) -> String {
        self.next_line(1, text, time_until(deadline))
    }

    /// Waits until a line of stdout contains `text`, after the line that the
    /// previous call found.
    #[track_caller]
    pub fn wait_for_next_on_stdout(&mut self, text: &str) -> String {
        self.next_line(0, text, PATIENCE)
    }

    /// Like [`Running::wait_for_next_on_stdout`], for a line that must be there before
    /// the `deadline`.
    #[track_caller]
    pub fn wait_for_next_on_stdout_before(&mut self, text: &str, deadline: Instant) -> String {
        self.next_line(0, text, time_until(deadline))
    }

    /// Waits for a line of stdout (0) or stderr (1) after the one found last.
    #[track_caller]
    fn next_line(&mut self, stream: usize, text: &str, limit: Duration) -> String {
        let (from, name) = [(&self.stdout, "stdout"), (&self.stderr, "stderr")][stream];
        let Some((line, seen)) = from.line_with(text, self.seen[stream], limit) else {
            self.fail(&format!(
                "no further line of {name} holds `{text}` within {limit:?}"
            ))
        };
        self.seen[stream] = seen;
        line
    }

    /// Waits until stdout contains `text`, in a whole line or not, after the
    /// text that the previous call found.
    #[track_caller]
    pub fn wait_for_text_on_stdout(&mut self, text: &str) {
        let Some(seen) = self.stdout.after(text, self.seen[0]) else {
            self.fail(&format!("no further text of stdout holds `{text}`"))
        };
        self.seen[0] = seen;
    }

    /// Sends a signal to the process alone, as `kill PID` does.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).expect("a process that is not reaped can be signalled");
    }

    /// Sends a signal to the whole process group, as control-c does.
    #[track_caller]
    pub fn signal_group(&self, signal: Signal) {
        killpg(self.pid, signal).expect("a process that is not reaped has a group");
    }

    /// Waits until every signal sent so far was delivered; returns true if the
    /// process still runs.
    #[track_caller]
    pub fn outlives_its_signals(&self) -> bool {
        let path = format!("/proc/{}/status", self.pid);
        let status = eventually(|| {
            let status = fs::read_to_string(&path).ok()?;
            let pending = |line: &str| {
                let (name, mask) = line.split_once(':')?;
                (name == "SigPnd" || name == "ShdPnd").then(|| mask.trim().to_owned())
            };
            let mut masks = status.lines().filter_map(pending);
            masks
                .all(|mask| mask.bytes().all(|digit| digit == b'0'))
                .then_some(status)
        });
        match status {
            Some(status) => !status.contains("\nState:\tZ"),
            None => self.fail("a signal does not reach the process"),
        }
    }

    /// Writes to the stdin that was kept open.
    #[track_caller]
    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin was kept open");
        stdin.write_all(text.as_bytes()).expect("it is read");
        stdin.flush().expect("it is read");
    }

    /// Closes the stdin that was kept open.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the exit of the process and the end of its streams, also of
    /// those that its descendants hold open.
    ///
    /// # Panics
    ///
    /// If that takes longer than [`PATIENCE`]; the process group is killed.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        if self.ended.recv_timeout(PATIENCE).is_err() {
            let _ = killpg(self.pid, Signal::SIGKILL);
            self.fail("the process does not end");
        }
        let status = self.reap();
        if !(self.stdout.ended() && self.stderr.ended()) {
            self.fail("the process has ended, but its streams are still open");
        }
        self.output(status)
    }

    fn reap(&mut self) -> ExitStatus {
        // Called once: the status stays with the child.
        self.child.wait().expect("a child can be waited for")
    }

    fn output(&self, status: ExitStatus) -> Output {
        Output {
            command: self.command.clone(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            status,
        }
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let so_far = self.output(ExitStatus::from_raw(0));
        panic!(
            "{what}\n$ {}\n--- stdout so far\n{}\n--- stderr so far\n{}",
            so_far.command, so_far.stdout, so_far.stderr
        )
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // After `wait`, the child is reaped and its group id may be reused.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = killpg(self.pid, Signal::SIGKILL);
            let _ = self.child.wait();
            // The other members of the group are not children of this process.
            let _ = eventually(|| killpg(self.pid, None).err());
        }
    }
}
