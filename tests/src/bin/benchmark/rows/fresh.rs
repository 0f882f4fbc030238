//! A test target with a database of its own, compared with a copy of the
//! database that is made, started, tested, stopped and removed by hand.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;

use tests::{executable, server};

use super::PAIRS;
use crate::bare;
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

/// Address of the database that is started by hand.
const HOST: &str = "127.44.0.9";
const PORT: &str = "25432";

pub(crate) fn row(world: &World) -> Option<Judged> {
    let postgres = server("postgres")?;
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
    // The setup makes the database; the copy is taken while it does not run.
    ansar(&["deploy"]);
    ansar(&["start"]);
    ansar(&["stop"]);
    let copy = |from: &Path, to: &Path| run(world.program("cp").arg("-a").args([from, to]));
    let (made, copied) = (package.join("made"), package.join("copied"));
    copy(&home.join("model/db-0/data"), &made);
    ansar(&["start"]);
    let ours = || timed(|| ansar(&["test", "test-own"]));
    let by_hand = || {
        timed(|| {
            copy(&made, &copied);
            let database = start(world, &postgres, &copied);
            let mut tests = world.program(world.cargo());
            tests
                .args(["test", "--quiet", "--test", "db"])
                .env("ANSAR_DB_0_ADDRESS", format!("{HOST}:{PORT}"))
                .current_dir(&package);
            run(&mut tests);
            let database = [database];
            bare::interrupt(&database);
            bare::finish(database.into());
            run(world.program("rm").arg("-rf").arg(&copied));
        })
    };
    let judged = interleaved(PAIRS, 1.25, ours, by_hand);
    ansar(&["stop"]);
    Some(judged)
}

/// Starts a database as the role does, and waits until it is ready.
fn start(world: &World, postgres: &Path, data: &Path) -> Child {
    let mut command = world.program(executable("cargo-ansar"));
    command
        .arg("unprivileged")
        .arg(postgres)
        .arg("-D")
        .arg(data)
        .args(["-p", PORT, "-k", "", "-c", "fsync=off", "-c"])
        .arg(format!("listen_addresses={HOST}"));
    let mut child = command.spawn().expect("the program starts");
    let log = child.stderr.as_mut().expect("it is a pipe");
    let mut lines = BufReader::new(log).lines();
    let is_ready = lines.any(|line| {
        let line = line.expect("it logs text");
        line.contains("ready to accept connections")
    });
    assert!(is_ready, "the database has ended");
    child
}
