//! Requests to a server on actix, `examples/wrapped`: as a role, compared with the
//! same executable that is started by hand.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::{eventually, loopback, repository};

use crate::bare;
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, profile, profile_flag, run};

/// Connections at once, each of a thread.
const CONNECTIONS: usize = 4;
/// Requests of each connection in one measurement.
const REQUESTS: usize = 5_000;
/// Pairs of measurements.
const PAIRS: usize = 20;
/// A role keeps at least 0.9 of the throughput.
const BUDGET: f64 = 1.0 / 0.9;

/// Time of many requests to the role, compared with that by hand.
pub(crate) fn row(world: &World) -> Judged {
    let example = repository().join("examples/wrapped");
    let built = target();
    let home = world.home("throughput");
    let ansar = |words: &[&str]| -> Command {
        let mut command = world.ansar(&home);
        command
            .args(words)
            .env("CARGO_TARGET_DIR", &built)
            // Its dependencies may have to be downloaded.
            .env("CARGO_NET_OFFLINE", "false")
            .current_dir(&example);
        command
    };
    fs::create_dir_all(world.root().join("homes")).expect("the workspace is writable");
    run(ansar(&["deploy", "--locked"]).args(profile_flag()));
    run(&mut ansar(&["start"]));
    let address = ansar(&["address", "greeter-0"]).output();
    let address = address.expect("the tool starts").stdout;
    let role = String::from_utf8_lossy(&address).trim().to_owned();

    let by_hand = format!("{}:47111", loopback());
    let server = built.join(profile()).join("wrapped");
    let server = world.program(server).arg(&by_hand).spawn();
    let mut server = server.expect("it is built");
    let listens = eventually(|| TcpStream::connect(&by_hand).ok());
    assert!(listens.is_some(), "{by_hand} accepts no connection");

    let judged = interleaved(PAIRS, BUDGET, || load(&role), || load(&by_hand));
    bare::signal(server.id());
    server.wait().expect("it ends");
    run(&mut ansar(&["stop"]));
    judged
}

/// Target folder of the example, which is kept for the next benchmark.
fn target() -> PathBuf {
    let own = std::env::current_exe().expect("it is known");
    let folder = own.ancestors().nth(2).map(Path::to_owned);
    folder.expect("it is in a target folder").join("wrapped")
}

/// Time of all requests.
fn load(address: &str) -> Duration {
    timed(|| {
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| ask(address));
            }
        });
    })
}

/// Sends requests over one connection, each after the answer to the last one.
fn ask(address: &str) {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("it is a TCP socket");
    let mut answers = BufReader::new(&stream);
    // All answers are as long as the first.
    let request = format!("GET /actix HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut first = [0; 4096];
    (&stream)
        .write_all(request.as_bytes())
        .expect("it accepts the request");
    let length = answers.read(&mut first).expect("it answers");
    assert!(first[..length].ends_with(b"hello, actix"));
    let mut answer = vec![0; length];
    for _ in 1..REQUESTS {
        (&stream)
            .write_all(request.as_bytes())
            .expect("it accepts the request");
        answers.read_exact(&mut answer).expect("it answers");
    }
    assert!(answer.ends_with(b"hello, actix"));
}
