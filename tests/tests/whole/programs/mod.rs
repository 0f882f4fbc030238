//! Roles of programs that do not link `ansar-runtime`.

mod around;
mod exclusive;
mod fresh;
mod health;
mod interactive;
mod lifecycle;
mod messages;
mod network;
mod one_shot;
mod orders;
mod package;
mod port_races;
mod ports;
mod progress;
mod readiness;
mod scratch;
mod servers;
mod setup;
mod stop;
mod wrapped;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tests::{Output, Workspace};

/// A workspace whose roles are programs, deployed.
struct Group(Workspace);

impl Deref for Group {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.0
    }
}

impl Group {
    /// Creates a workspace that describes `roles`, tables of TOML in which
    /// `[ROLE]` stands for `[workspace.metadata.ansar.role.ROLE]`.
    fn of(roles: &str) -> Self {
        let workspace = Workspace::new();
        let tables = roles.replace("\n[", "\n[workspace.metadata.ansar.role.");
        workspace.manifest(&format!("[workspace.metadata.ansar]\n{tables}"));
        Self(workspace)
    }

    /// Writes an executable file, relative to the workspace root.
    #[track_caller]
    fn script(&self, path: &str, text: &str) {
        let script = self.write(path, text);
        let mode = Permissions::from_mode(0o755);
        fs::set_permissions(script, mode).expect("it is there");
    }

    /// Runs `cargo ansar WORDS`, which must succeed.
    #[track_caller]
    fn does(&self, words: &str) -> Output {
        let output = self.ansar(words.split(' ')).run();
        output.success().clone()
    }

    /// Deploys, and starts all roles in the background.
    #[track_caller]
    fn start(&self) {
        self.does("deploy");
        self.does("start");
    }

    /// Stops all roles; asserts that each stopped in time and when it was asked
    /// to.
    #[track_caller]
    fn stop(&self) {
        let roles = self.does("list");
        self.does("stop").stderr_lacks("killed");
        for role in roles.stdout.lines() {
            assert_eq!(self.ends(role).last().unwrap(), "stopped", "{role}");
        }
        self.is_still();
    }

    /// Returns the cause of each end of a role, oldest first.
    #[track_caller]
    fn ends(&self, role: &str) -> Vec<String> {
        let history = self.does(&format!("history --format json {role}"));
        let runs = history.json_lines().into_iter();
        // Causes with details, such as a signal, are objects.
        let end = |run: serde_json::Value| {
            let end = run["cause"].as_str().or(run["state"].as_str());
            end.expect("each run has a state").to_owned()
        };
        runs.map(end).collect()
    }

    /// Returns `HOST:PORT` of a role.
    #[track_caller]
    fn address(&self, role: &str) -> String {
        let address = self.does(&format!("address {role}"));
        address.stdout.trim().to_owned()
    }

    /// Returns the addresses of these roles.
    #[track_caller]
    fn addresses<'r>(&self, roles: &[&'r str]) -> BTreeMap<&'r str, String> {
        let roles = roles.iter();
        roles.map(|role| (*role, self.address(role))).collect()
    }

    /// Returns the texts of a role's log lines.
    #[track_caller]
    fn log(&self, role: &str) -> Vec<String> {
        let log = self.does(&format!("log --format json {role}"));
        let lines = log.json_lines().into_iter();
        lines
            .map(|line| {
                let line = line["text"].as_str().expect("it has a text");
                // After the process, the time and the tag.
                let text = line.splitn(4, ' ').nth(3);
                text.expect("it has a head").to_owned()
            })
            .collect()
    }
}

/// Sends `words` to a server, and returns its answer until it closes the
/// connection, or `enough` of it is there.
#[track_caller]
fn says(address: &str, words: &str, enough: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).expect("it is not zero");
    stream.write_all(words.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains(enough) {
        match stream.read(&mut part).expect("it answers") {
            0 => break,
            length => answer.extend_from_slice(&part[..length]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns the answer of a server to `GET PATH`, with its head.
#[track_caller]
fn get(address: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let answer = says(address, &request, "\0");
    assert!(answer.starts_with("HTTP/1."), "{answer}");
    answer
}
