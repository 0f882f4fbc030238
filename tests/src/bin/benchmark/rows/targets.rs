//! A test target with many empty tests.

use std::fs;

use super::{MANY, PAIRS, has_nextest};
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

const MANIFEST: &str = "[package]\nname = \"many\"\nedition = \"2024\"\n\n[workspace]\n\n\
    [workspace.metadata.ansar.role.test-isolated]\ntest = \"many\"\n\n\
    [workspace.metadata.ansar.role.test-shared]\ntest = \"many\"\nisolate = false\n";

/// A run of all tests in which nothing has changed, compared with a runner of
/// ordinary tests. `role` runs them in a process each, or in one.
pub(crate) fn row(world: &World, role: &str, budget: f64) -> Option<Judged> {
    has_nextest()?;
    let package = world.root().join("many");
    fs::create_dir_all(package.join("src")).expect("the workspace can be written");
    fs::create_dir_all(package.join("tests")).expect("the workspace can be written");
    fs::write(package.join("Cargo.toml"), MANIFEST).expect("the crate is written");
    fs::write(package.join("src/lib.rs"), "").expect("the crate is written");
    let tests = (0..MANY).map(|number| format!("#[test]\nfn test_{number}() {{}}\n"));
    let tests: String = tests.collect();
    fs::write(package.join("tests/many.rs"), tests).expect("the crate is written");
    let home = package.join(".ansar-home");
    let ours = || {
        let mut command = world.ansar(&home);
        command.args(["test", role]).current_dir(&package);
        timed(|| run(&mut command))
    };
    let nextest = || {
        let mut command = world.program("cargo-nextest");
        command.args(["nextest", "run"]).current_dir(&package);
        timed(|| run(&mut command))
    };
    Some(interleaved(PAIRS, budget, ours, nextest))
}
