//! Requests of other programs to the socket of an engine.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;
use tests::{Sandbox, eventually};

use super::{ansar, down, engine, home_with, statuses};

/// Connects to the engine in the background.
fn connect(sandbox: &Sandbox) -> UnixStream {
    let (_, engine) = engine(sandbox).expect("it runs");
    let path = format!(".ansar-home/engine/{engine}.sock");
    UnixStream::connect(sandbox.path().join(path)).expect("it listens")
}

/// Sends bytes and returns the first line of the answer.
fn answer(sandbox: &Sandbox, sent: &[u8]) -> Value {
    let mut stream = connect(sandbox);
    stream.write_all(sent).expect("it reads");
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut line).expect("it answers");
    serde_json::from_str(&line).expect("it answers with JSON")
}

/// Asserts a refusal and returns its reason.
#[track_caller]
fn refusal(sandbox: &Sandbox, sent: &str) -> String {
    let answer = answer(sandbox, format!("{sent}\n").as_bytes());
    assert_eq!(answer["reply"], "refused", "{sent}: {answer}");
    answer["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_engine_refuses_malformed_requests_and_goes_on() {
    let sandbox = home_with(&["zombie", "noop"]);
    ansar(&sandbox, "start zombie-0").success();
    for (sent, reason) in [
        ("", "invalid request"),
        ("nonsense", "invalid request"),
        ("[]", "no version"),
        ("{}", "no version"),
        (r#"{"version": -1, "ask": "status"}"#, "no version"),
        (
            r#"{"version": 2, "ask": "dance"}"#,
            "protocol version 2 is not supported",
        ),
        (
            r#"{"version": 1, "ask": "dance"}"#,
            "unknown variant `dance`",
        ),
        (r#"{"version": 1, "ask": "stop"}"#, "missing field `roles`"),
        (
            r#"{"version": 1, "ask": "stop", "roles": ["../x"]}"#,
            "role name",
        ),
        (
            r#"{"version": 1, "ask": "start", "roles": ["none"], "environment": [], "ready_limit": 1}"#,
            "no role `none`",
        ),
        (
            r#"{"version": 1, "ask": "start", "roles": ["noop-0", "noop-0"], "environment": [], "ready_limit": 1}"#,
            "already running",
        ),
        (
            r#"{"version": 1, "ask": "start", "roles": ["zombie-0"], "environment": [], "ready_limit": 1}"#,
            "already running",
        ),
    ] {
        let found = refusal(&sandbox, sent);
        assert!(found.contains(reason), "{sent}: {found}");
    }
    let deep = "[".repeat(1 << 20);
    assert!(refusal(&sandbox, &deep).contains("invalid request"));
    assert!(refusal(&sandbox, "\u{0}\u{1}").contains("invalid request"));
    for limit in ["1e300", "-1", "0"] {
        let sent = format!(
            r#"{{"version": 1, "ask": "start", "roles": ["noop-0"], "environment": [["A=", "B"]], "ready_limit": {limit}}}"#
        );
        let answer = answer(&sandbox, format!("{sent}\n").as_bytes());
        assert_eq!(answer["reply"], "accepted", "{answer}");
        ansar(&sandbox, "status --wait stopped noop-0").success();
    }
    assert_eq!(statuses(&sandbox).len(), 1);
    down(&sandbox);
}

#[test]
fn a_request_without_an_end_is_refused() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let mut stream = connect(&sandbox);
    let mebibyte = vec![b'x'; 1 << 20];
    // The engine may stop reading early.
    let sent = (0..32).take_while(|_| stream.write_all(&mebibyte).is_ok());
    assert!(sent.count() < 32, "it reads without an end");
    assert_eq!(statuses(&sandbox).len(), 1);
    down(&sandbox);
}

#[test]
fn silent_clients_do_not_block_others() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let silent = connect(&sandbox);
    let mut half = connect(&sandbox);
    half.write_all(b"{\"version\": 1, ").expect("it listens");
    let mut deaf = connect(&sandbox);
    let wait = br#"{"version": 1, "ask": "wait", "roles": ["zombie-0"], "until": "stopped"}"#;
    deaf.write_all(wait)
        .and_then(|()| deaf.write_all(b"\n"))
        .expect("it listens");
    assert_eq!(statuses(&sandbox).len(), 1);
    ansar(&sandbox, "restart").success();
    down(&sandbox);
    // A late reader still receives the answer.
    let mut told = String::new();
    deaf.read_to_string(&mut told).expect("it was told");
    assert!(told.ends_with("{\"reply\":\"done\"}\n"), "{told}");
    drop((silent, half));
}

#[test]
fn a_client_that_disconnects_is_forgotten() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let (_, engine) = engine(&sandbox).expect("it runs");
    let descriptors = || {
        let all = std::fs::read_dir(format!("/proc/{engine}/fd"));
        all.map_or(0, Iterator::count)
    };
    let before = descriptors();
    for _ in 0..20 {
        let mut stream = connect(&sandbox);
        let wait = "{\"version\": 1, \"ask\": \"wait\", \"roles\": [\"zombie-0\"], \"until\": \"stopped\"}\n";
        stream.write_all(wait.as_bytes()).expect("it listens");
    }
    let forgotten = eventually(|| (descriptors() <= before).then_some(()));
    assert!(forgotten.is_some(), "{} of {before}", descriptors());
    down(&sandbox);
}

#[test]
fn a_half_closed_connection_is_answered() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let mut stream = connect(&sandbox);
    stream
        .write_all(b"{\"version\": 1, \"ask\": \"status\"}\n")
        .expect("it listens");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("it answers");
    assert!(told.contains("\"role\":\"zombie-0\""), "{told}");
    down(&sandbox);
}
