//! A test target with a database of its own, compared with the same target on
//! the database that runs.

use std::fs;

use tests::server;

use super::PAIRS;
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

const MANIFEST: &str = r#"[package]
name = "fresh"
edition = "2024"

[workspace]

[workspace.metadata.ansar.role.db-0]
program = ["postgres", "/usr/lib/postgresql/*/bin/postgres"]
args = ["-D", "{model}/data", "-p", "{port}", "-c", "listen_addresses={bind}", "-k", "", "-c", "fsync=off"]
setup = [["initdb", "-D", "{model}/data", "-A", "trust", "-U", "postgres", "-N"]]
ready = { log = "ready to accept connections" }
unprivileged = true

[workspace.metadata.ansar.role.test-own]
test = "db"
fresh = ["db-0"]

[workspace.metadata.ansar.role.test-shared]
test = "db"
"#;

const TEST: &str = r#"#[test]
fn connects() {
    let address = std::env::var("ANSAR_DB_0_ADDRESS").unwrap();
    std::net::TcpStream::connect(address).unwrap();
}
"#;

/// The database runs in the background, so the difference is what an instance
/// costs: the copy of what its setup has made, its start and its stop.
pub(crate) fn row(world: &World) -> Option<Judged> {
    server("postgres")?;
    let package = world.root().join("fresh");
    for folder in ["src", "tests"] {
        fs::create_dir_all(package.join(folder)).expect("the workspace can be written");
    }
    for (file, text) in [
        ("Cargo.toml", MANIFEST),
        ("src/lib.rs", ""),
        ("tests/db.rs", TEST),
    ] {
        fs::write(package.join(file), text).expect("the crate is written");
    }
    let home = package.join(".ansar-home");
    let ansar = |words: &[&str]| {
        let mut command = world.ansar(&home);
        command.args(words).current_dir(&package);
        run(&mut command);
    };
    ansar(&["deploy"]);
    ansar(&["start"]);
    let ours = || timed(|| ansar(&["test", "test-own"]));
    let shared = || timed(|| ansar(&["test", "test-shared"]));
    let judged = interleaved(PAIRS, 3.0, ours, shared);
    ansar(&["stop"]);
    Some(judged)
}
