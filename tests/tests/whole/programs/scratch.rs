//! A workspace without anything to compile, whose roles are programs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Deref;

use tests::{Output, Sandbox, eventually, executable};

use super::package::{is_quiet, workspace};

/// A sandbox whose working folder is a workspace that describes roles.
pub(super) struct Scratch(Sandbox);

impl Deref for Scratch {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Scratch {
    /// Creates a workspace with these roles, and deploys them.
    pub(super) fn of(roles: &str) -> Self {
        let scratch = Self::new(roles);
        scratch.does("deploy");
        scratch
    }

    /// Creates a workspace with these roles. In the tables, `[ROLE]` stands for
    /// `[workspace.metadata.ansar.role.ROLE]`, and `serves` as a program for the
    /// path of that executable.
    pub(super) fn new(roles: &str) -> Self {
        let serves = format!("program = \"{}\"", executable("serves").display());
        let roles = roles
            .replace("\n[", "\n[workspace.metadata.ansar.role.")
            .replace("program = \"serves\"", &serves);
        Self(workspace(&roles, &[]))
    }

    /// Runs `cargo ansar WORDS`.
    pub(super) fn runs(&self, words: &str) -> Output {
        self.ansar(words.split(' ')).run()
    }

    /// Runs `cargo ansar WORDS`, which must succeed.
    #[track_caller]
    pub(super) fn does(&self, words: &str) -> Output {
        self.runs(words).success().clone()
    }

    /// Stops all roles.
    #[track_caller]
    pub(super) fn stop(&self) {
        self.does("stop");
        self.is_still();
    }

    /// Waits until no process is left: an engine whose roles have failed ends.
    #[track_caller]
    pub(super) fn becomes_still(&self) {
        is_quiet(self);
    }

    /// Returns the port of a role.
    #[track_caller]
    pub(super) fn port(&self, role: &str) -> u16 {
        let ports = self.read(".ansar-home/ports.json");
        let ports: serde_json::Value = serde_json::from_str(&ports).expect("it is JSON");
        let port = ports[role]["port"].as_u64().expect("it has a port");
        port.try_into().expect("it is a port")
    }

    /// Waits until the details of a running role contain `text`.
    #[track_caller]
    pub(super) fn shows(&self, role: &str, text: &str) {
        self.status_meets(role, text, |status| status.contains(text));
    }

    /// Waits until the details of a running role do not contain `text`.
    #[track_caller]
    pub(super) fn shows_no(&self, role: &str, text: &str) {
        self.status_meets(role, text, |status| !status.contains(text));
    }

    #[track_caller]
    fn status_meets(&self, role: &str, text: &str, is_met: impl Fn(&str) -> bool) {
        let mut last = String::new();
        let met = eventually(|| {
            last = self.does(&format!("status -l {role}")).stdout;
            is_met(&last).then_some(())
        });
        assert!(met.is_some(), "`{text}` was to change in {last}");
    }

    /// Sends `GET PATH` to a role.
    #[track_caller]
    pub(super) fn get(&self, role: &str, path: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port(role))).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
    }
}
