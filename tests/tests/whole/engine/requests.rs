//! Incomplete requests to an engine, and replies that are not read.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tests::Sandbox;

use super::{ansar, engine, home_with, number};

fn connect(sandbox: &Sandbox, engine: u32) -> UnixStream {
    let path = format!(".ansar-home/engine/{engine}.sock");
    let stream = UnixStream::connect(sandbox.path().join(path)).expect("it listens");
    let limit = Some(Duration::from_millis(100));
    stream.set_write_timeout(limit).expect("it is a socket");
    stream
}

#[test]
fn incomplete_long_requests_use_little_memory() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let engine = engine(&sandbox);
    let before = number(engine, "VmRSS:");
    let long = vec![b' '; 12_000_000];
    let open: Vec<UnixStream> = (0..40)
        .map(|_| {
            let mut stream = connect(&sandbox, engine);
            // It reads as much as it wants.
            let _ = stream
                .write_all(b"{")
                .and_then(|()| stream.write_all(&long));
            stream
        })
        .collect();
    let grown = number(engine, "VmRSS:").saturating_sub(before);
    assert!(grown < 100_000, "{grown} kB");
    // Short requests are answered meanwhile.
    ansar(&sandbox, "status").success().stdout_is("zombie-0\n");
    for mut stream in open {
        let mut told = String::new();
        // It may have closed the connection with unread data.
        let _ = stream.read_to_string(&mut told);
        assert!(told.is_empty() || told.contains("refused"), "{told}");
    }
    ansar(&sandbox, "stop").success();
    sandbox.is_still();
}

#[test]
fn a_long_request_is_answered() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let mut stream = connect(&sandbox, engine(&sandbox));
    stream.set_write_timeout(None).expect("it is a socket");
    let padding = " ".repeat(1 << 20);
    let request = format!("{{\"version\": 1, {padding} \"ask\": \"status\"}}\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut told = String::new();
    let read = BufReader::new(stream).read_line(&mut told);
    read.expect("it answers");
    assert!(told.contains("\"role\":\"zombie-0\""), "{told}");
    ansar(&sandbox, "stop").success();
    sandbox.is_still();
}

#[test]
fn too_many_connections_do_not_block_others() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let engine = engine(&sandbox);
    let silent: Vec<UnixStream> = (0..200).map(|_| connect(&sandbox, engine)).collect();
    ansar(&sandbox, "stop zombie-0").success();
    drop(silent);
    sandbox.is_still();
}
