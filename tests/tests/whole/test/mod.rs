//! `cargo ansar test` on real processes.

mod builds;
mod choices;
mod configuration;
mod demo;
mod descriptions;
pub(crate) mod formats;
mod interrupts;
mod operational;
mod places;
mod results;
mod streams;
mod together;
mod tries;
mod untrusted;
mod verdicts;

use std::fs;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use tests::{Output, Program, Workspace, loopback};

pub(crate) const SERVER: &str =
    r#"server-0 = { executable = "server", settings = { host = "HOST", port = 65432 } }"#;
pub(crate) const ZOMBIE: &str = r#"zombie-0 = { executable = "zombie" }"#;
pub(crate) const CLIENT: &str =
    r#"test-client = { executable = "client", settings = { host = "HOST", port = 65432 } }"#;

/// Line of `test-client` when its checks pass.
pub(crate) const PASSED: &str = "role \"test-client\" (pass/fail): 3/0\n";

pub(crate) const CLIENT_RS: &str = "test-fixtures/src/bin/client.rs";
pub(crate) const SERVER_RS: &str = "test-fixtures/src/bin/server.rs";
pub(crate) const WORDS: &str = "test-fixtures/testing/model-by-role/server-0";

/// A workspace that describes roles, with an address of its own.
pub(crate) struct Group {
    workspace: Workspace,
    address: Ipv4Addr,
}

impl Deref for Group {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

impl Group {
    /// Creates a workspace that describes `roles`, each a line of TOML in which
    /// `HOST` stands for the address.
    pub(crate) fn of(roles: &[&str]) -> Self {
        let group = Self {
            workspace: Workspace::new(),
            address: loopback(),
        };
        group.describe(roles);
        group
    }

    /// A server, an independent role, and a test of the server.
    pub(crate) fn demo() -> Self {
        Self::of(&[SERVER, ZOMBIE, CLIENT])
    }

    /// Describes exactly these roles.
    pub(crate) fn describe(&self, roles: &[&str]) {
        self.manifest(&self.description(roles));
    }

    fn description(&self, roles: &[&str]) -> String {
        let text = format!(
            "[workspace.metadata.ansar]\nsnapshot = \"test-fixtures/testing\"\n\n\
             [workspace.metadata.ansar.role]\n{}\n",
            roles.join("\n")
        );
        text.replace("HOST", &self.address.to_string())
    }

    /// `cargo ansar test ARGUMENTS`.
    pub(crate) fn test<const N: usize>(&self, arguments: [&str; N]) -> Program<'_> {
        self.ansar(["test"]).args(arguments)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join(".ansar-home")
    }

    /// Returns the stored log of a role.
    fn log(&self, role: &str) -> String {
        log(&self.home(), role)
    }

    /// Returns the number of the manifest's line that contains `text`, from 1.
    fn manifest_line(&self, text: &str) -> usize {
        let manifest = self.read("Cargo.toml");
        let line = manifest.lines().position(|line| line.contains(text));
        line.expect("the manifest holds it") + 1
    }
}

/// Returns the stored log of a role of the home at `home`.
fn log(home: &Path, role: &str) -> String {
    let folder = home.join("logs").join(role);
    let segments = fs::read_dir(&folder).expect("the role has a log");
    let mut segments: Vec<_> = segments.flatten().map(|entry| entry.path()).collect();
    segments.sort();
    let texts = segments.iter().map(fs::read_to_string);
    texts.map(|text| text.expect("a log is text")).collect()
}

/// A navigation line.
#[derive(Debug)]
struct Place {
    file: PathBuf,
    line: usize,
    text: String,
}

impl Place {
    /// Returns the line of the file that it names.
    #[track_caller]
    fn source(&self) -> String {
        let text = fs::read_to_string(&self.file).expect("the file that is named exists");
        let line = text.lines().nth(self.line - 1);
        line.expect("the line that is named exists").to_owned()
    }
}

/// Returns the navigation lines of a run, which follow all role lines; asserts
/// that the files and lines they name exist.
#[track_caller]
fn places(output: &Output) -> Vec<Place> {
    let is_role = |line: &&str| line.starts_with("role \"");
    let lines = output.stdout.lines().skip_while(is_role);
    let places: Vec<Place> = lines
        .map(|line| {
            let (place, text) = line.split_once(" - ").expect("a place, and a text");
            let (file, number) = place.rsplit_once(':').expect("a file, and a line");
            assert!(file.starts_with('/'), "`{file}` is absolute");
            Place {
                file: file.into(),
                line: number.parse().expect("a line is a number"),
                text: text.to_owned(),
            }
        })
        .collect();
    for place in &places {
        place.source();
    }
    places
}

/// Returns the only navigation line of a run.
#[track_caller]
fn only_place(output: &Output) -> Place {
    let mut places = places(output);
    output.check(places.len() == 1, || {
        format!("expected one navigation line, got {}", places.len())
    });
    places.remove(0)
}

/// Returns the roles that have a role line, in order.
fn roles(output: &Output) -> Vec<&str> {
    let lines = output.stdout.lines();
    let names = lines.filter_map(|line| line.strip_prefix("role \"")?.split('"').next());
    names.collect()
}
