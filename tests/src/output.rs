//! The result of a program that has exited: its streams and exit status.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use serde_json::Value;

/// Streams and exit status of a program. Every assertion returns the output, so
/// that assertions chain; a failed one shows all of it.
#[derive(Debug, Clone)]
pub struct Output {
    pub(crate) command: String,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
    /// The exit status.
    pub status: ExitStatus,
}

impl Output {
    /// Asserts exit code 0.
    #[track_caller]
    pub fn success(&self) -> &Self {
        self.code(0)
    }

    /// Asserts the exit code `code`.
    #[track_caller]
    pub fn code(&self, code: i32) -> &Self {
        let ended = self.status.code() == Some(code);
        self.check(ended, || format!("expected exit code {code}"))
    }

    /// Asserts that `signal` killed the program.
    #[track_caller]
    pub fn killed_by(&self, signal: Signal) -> &Self {
        let killed = self.status.signal() == Some(signal as i32);
        self.check(killed, || format!("expected an end by {signal}"))
    }

    /// Asserts that stdout is exactly `text`.
    #[track_caller]
    pub fn stdout_is(&self, text: &str) -> &Self {
        let same = self.stdout == text;
        self.check(same, || format!("expected {text:?} on stdout"))
    }

    /// Asserts that stdout contains `text`.
    #[track_caller]
    pub fn stdout_has(&self, text: &str) -> &Self {
        let found = self.stdout.contains(text);
        self.check(found, || format!("expected `{text}` on stdout"))
    }

    /// Asserts that stderr contains `text`.
    #[track_caller]
    pub fn stderr_has(&self, text: &str) -> &Self {
        let found = self.stderr.contains(text);
        self.check(found, || format!("expected `{text}` on stderr"))
    }

    /// Asserts that stderr does not contain `text`.
    #[track_caller]
    pub fn stderr_lacks(&self, text: &str) -> &Self {
        let found = self.stderr.contains(text);
        self.check(!found, || format!("expected no `{text}` on stderr"))
    }

    /// Returns the lines of stderr that contain `text`.
    pub fn log(&self, text: &str) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines.filter(|line| line.contains(text)).collect()
    }

    /// Returns the body of the message on stdout, which must be of type `name`.
    #[track_caller]
    pub fn returned(&self, name: &str) -> Value {
        let (found, body) = self.message();
        self.check(found == name, || format!("expected a `{name}`"));
        body
    }

    /// Parses the message on stdout into the name of its type and its body.
    #[track_caller]
    pub fn message(&self) -> (String, Value) {
        let envelope = self.json();
        match envelope["value"].as_array().map(Vec::as_slice) {
            Some([Value::String(name), body, Value::Array(shared)]) if shared.is_empty() => {
                (name.clone(), body.clone())
            }
            _ => self.fail("expected a message on stdout"),
        }
    }

    /// Parses stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("expected JSON on stdout: {error}")),
        }
    }

    /// Parses stdout as one JSON value per line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        let read = lines.map(|line| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("expected JSON, got `{line}`: {error}")),
        });
        read.collect()
    }

    /// Fails the test unless `holds`.
    #[track_caller]
    pub fn check(&self, holds: bool, expectation: impl FnOnce() -> String) -> &Self {
        if !holds {
            self.fail(&expectation());
        }
        self
    }

    #[track_caller]
    fn fail(&self, expectation: &str) -> ! {
        let Self {
            command,
            stdout,
            stderr,
            status,
        } = self;
        panic!("{expectation}\n$ {command}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
