//! Components, run by hand and as an engine would run them.

mod calls;
mod checks;
mod examples;
mod lifecycle;
mod role;
mod settings;
mod streams;
mod table;
mod talks;
mod terminals;

use std::path::PathBuf;

use tests::{Program, Sandbox};

const ACK: &str = "ansar.create.lifecycle.Ack";
const ABORTED: &str = "ansar.create.lifecycle.Aborted";
const FAULTED: &str = "ansar.create.lifecycle.Faulted";
const MAYBE: &str = "ansar.create.lifecycle.Maybe";
const REPORT: &str = "ansar.create.test.TestReport";

/// The part of a home that components read, written by hand.
struct Home<'s> {
    sandbox: &'s Sandbox,
}

impl<'s> Home<'s> {
    fn new(sandbox: &'s Sandbox) -> Self {
        let home = Self { sandbox };
        home.write("home.json", "{}");
        home
    }

    fn path(&self) -> PathBuf {
        self.sandbox.path().join("home")
    }

    fn write(&self, path: &str, text: &str) {
        self.sandbox.write(self.path().join(path), text);
    }

    /// `executable` in the role `role`, started as a user would; a missing role
    /// is added.
    fn role(&self, executable: &str, role: &str) -> Program<'s> {
        if !self.path().join(format!("entry/{role}.json")).exists() {
            self.write(&format!("entry/{role}.json"), "{\"value\": {}}");
        }
        self.sandbox.component(executable).args([
            "--call-signature=o",
            "--point-of-origin=3",
            &format!("--home-path={}", self.path().display()),
            &format!("--role-name={role}"),
        ])
    }
}

/// Returns the variable by which a component knows its parent: this process.
fn this_parent() -> (&'static str, String) {
    ("ANSAR_PARENT", std::process::id().to_string())
}
