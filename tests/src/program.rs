//! A program to start in a sandbox.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::output::Output;
use crate::running::Running;
use crate::sandbox::Sandbox;
use crate::stream::Stream;

/// A program to start in the working folder of its sandbox, without the
/// developer's environment, in a process group of its own, with empty stdin and
/// captured output.
pub struct Program<'s> {
    sandbox: &'s Sandbox,
    command: Command,
    stdin: Stdin,
}

enum Stdin {
    Empty,
    Holds(String),
    Open,
    From(Stdio),
}

impl<'s> Program<'s> {
    #[expect(clippy::disallowed_methods, reason = "tests start real processes")]
    pub(crate) fn new(sandbox: &'s Sandbox, program: &OsStr) -> Self {
        hear_signals();
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(sandbox.path())
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            sandbox,
            command,
            stdin: Stdin::Empty,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn envs<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.command.envs(variables);
        self
    }

    /// Sets the working folder, relative to the sandbox's.
    #[must_use]
    pub fn in_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(self.sandbox.path().join(folder));
        self
    }

    /// Writes `text` to stdin, then closes it.
    #[must_use]
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Stdin::Holds(text.to_owned());
        self
    }

    /// Keeps stdin open until [`Running::close_stdin`].
    #[must_use]
    pub fn open_stdin(mut self) -> Self {
        self.stdin = Stdin::Open;
        self
    }

    /// Redirects stdin.
    #[must_use]
    pub fn stdin_from(mut self, from: impl Into<Stdio>) -> Self {
        self.stdin = Stdin::From(from.into());
        self
    }

    /// Redirects stdout.
    #[must_use]
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// Redirects stderr.
    #[must_use]
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stderr(to);
        self
    }

    /// Wraps the program in a shell with `redirections`: `2>&-` closes stderr,
    /// `>/dev/full` makes writes to stdout fail.
    #[must_use]
    pub fn redirected(self, redirections: &str) -> Self {
        let mut shell = Self::new(self.sandbox, "sh".as_ref());
        shell
            .command
            .args(["-c", &format!("exec \"$0\" \"$@\" {redirections}")])
            .arg(self.command.get_program())
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                shell.command.env(name, value);
            }
        }
        if let Some(folder) = self.command.get_current_dir() {
            shell.command.current_dir(folder);
        }
        shell.stdin = self.stdin;
        shell
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn run(self) -> Output {
        self.start().wait()
    }

    /// Starts the program.
    #[track_caller]
    pub fn start(mut self) -> Running<'s> {
        let (stdin, text) = match self.stdin {
            Stdin::Empty => (Stdio::null(), None),
            Stdin::Holds(text) => (Stdio::piped(), Some(text)),
            Stdin::Open => (Stdio::piped(), None),
            Stdin::From(stdin) => (stdin, None),
        };
        self.command.stdin(stdin);
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{:?} does not start: {error}", self.command),
        };
        let stdin = match (text, child.stdin.take()) {
            (Some(text), Some(mut pipe)) => {
                // On a thread: the program may read late or never.
                std::thread::spawn(move || {
                    let _ = pipe.write_all(text.as_bytes());
                });
                None
            }
            (_, pipe) => pipe,
        };
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        Running::new(
            format!("{:?}", self.command),
            child,
            stdin,
            stdout.map_or_else(Stream::nothing, Stream::of),
            stderr.map_or_else(Stream::nothing, Stream::of),
        )
    }
}

/// Restores default signal handling, since signals may be ignored by
/// inheritance: `nohup` ignores SIGHUP, a shell ignores SIGINT in background
/// jobs.
fn hear_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for number in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
            #[expect(unsafe_code, reason = "there is no safe way to set a disposition")]
            // SAFETY: no handler is installed, and the former disposition is
            // unused.
            let former = unsafe { signal(number, SigHandler::SigDfl) };
            former.expect("these signals have a disposition");
        }
    });
}
