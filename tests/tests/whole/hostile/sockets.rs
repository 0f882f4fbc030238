//! Damaged requests and notices to the engine in the background.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::{Sandbox, executable};

use super::cases;
use super::mutation::mutate;

/// One request of each kind, for existing roles and for an unknown one.
const REQUESTS: [&str; 6] = [
    r#"{"version": 1, "ask": "status"}"#,
    r#"{"version": 1, "ask": "stop", "roles": ["zombie-9"]}"#,
    r#"{"version": 1, "ask": "wait", "roles": ["zombie-9"], "until": "ready"}"#,
    r#"{"version": 1, "ask": "wait", "roles": [], "until": "stopped"}"#,
    r#"{"version": 1, "ask": "start", "roles": ["zombie-9"], "environment": [["PATH", "/usr/bin"], ["RAW", [255, 61]]], "ready_limit": 60.0}"#,
    r#"{"version": 1, "ask": "start", "roles": [], "environment": [], "ready_limit": 0.5}"#,
];

/// One notice of each kind that a component sends, all of the role `sleeper`,
/// which the engine may stop if its notices announce another contract.
const NOTICES: [&str; 6] = [
    "X_ANSAR_ROLE=sleeper\nX_ANSAR_CONTRACT=1\nX_ANSAR_ANNOUNCES=1\n",
    "X_ANSAR_ROLE=sleeper\nREADY=1\n",
    "X_ANSAR_ROLE=sleeper\nX_ANSAR_ATTEMPT=2\n",
    "X_ANSAR_ROLE=sleeper\nX_ANSAR_RETRY_IN=1.5\n",
    "X_ANSAR_ROLE=sleeper.call-1\nSTOPPING=1\n",
    "X_ANSAR_ROLE=nothing\nSTATUS=hello\nWATCHDOG=1\nMAINPID=1\n",
];

/// Deadline of an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Creates a home whose role `zombie-0` runs in the background, with a short
/// path to the folder of its engine's sockets.
fn running() -> Sandbox {
    let sandbox = Sandbox::new();
    let bin = executable("noop").parent().expect("a file is in a folder");
    let create = format!("create --redirect-bin={}", bin.display());
    for words in [&*create, "add zombie", "add zombie sleeper", "start"] {
        sandbox.ansar(words.split(' ')).run().success();
    }
    sandbox
}

/// Returns the engine's file with this extension.
fn of_the_engine(sandbox: &Sandbox, extension: &str) -> PathBuf {
    let engines = sandbox.path().join(".ansar-home/engine");
    let files = std::fs::read_dir(engines).expect("a home has engines");
    let mut paths = files.flatten().map(|entry| entry.path());
    let found = paths.find(|path| path.extension().is_some_and(|found| found == extension));
    found.expect("an engine runs")
}

/// Asserts that the role still runs in the same process.
#[track_caller]
fn unchanged(sandbox: &Sandbox, pid: &Value, case: &str) {
    let status = sandbox.ansar(["status", "--format", "json"]).run();
    let lines = status.success().json_lines();
    let is_same = |line: &Value| line["role"] == "zombie-0" && line["pid"] == *pid;
    status.check(lines.iter().any(is_same), || {
        format!("expected `zombie-0` as before, after: {case}")
    });
}

fn pid(sandbox: &Sandbox) -> Value {
    let status = sandbox
        .ansar(["status", "zombie-0", "--format", "json"])
        .run();
    status.success().json_lines()[0]["pid"].clone()
}

/// Sends bytes to the socket and returns the whole answer.
fn answers(socket: &Path, request: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).expect("the engine listens");
    stream
        .set_read_timeout(Some(ANSWER))
        .expect("a time limit is set");
    // An engine that has refused the request may not read the rest.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answers = Vec::new();
    match stream.read_to_end(&mut answers) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the engine neither answers nor closes: {error}"),
    }
    answers
}

#[test]
fn damaged_requests_are_answered_or_closed() {
    let sandbox = running();
    let (mut rng, count) = cases("requests");
    let (socket, pid) = (of_the_engine(&sandbox, "sock"), pid(&sandbox));
    for number in 0..count {
        let request = rng.choice(REQUESTS).expect("there are requests");
        let (changed, change) = mutate(&mut rng, format!("{request}\n").as_bytes());
        let case = format!("case {number}, {request} {change}");
        for line in answers(&socket, &changed).split_inclusive(|byte| *byte == b'\n') {
            let answer: Value = serde_json::from_slice(line).expect("an answer is JSON");
            assert!(answer["reply"].is_string(), "{case}: {answer}");
        }
        if number % 25 == 0 {
            unchanged(&sandbox, &pid, &case);
        }
    }
    unchanged(&sandbox, &pid, "all requests");
    sandbox.ansar(["stop"]).run().success();
}

#[test]
fn damaged_notices_change_no_other_role() {
    let sandbox = running();
    let (mut rng, count) = cases("notices");
    let (socket, pid) = (of_the_engine(&sandbox, "notify"), pid(&sandbox));
    let sender = UnixDatagram::unbound().expect("a socket is made");
    for number in 0..count {
        let notice = rng.choice(NOTICES).expect("there are notices");
        let (changed, change) = mutate(&mut rng, notice.as_bytes());
        // The kernel refuses datagrams that are too long.
        let _ = sender.send_to(&changed, &socket);
        if number % 25 == 0 {
            unchanged(
                &sandbox,
                &pid,
                &format!("case {number}, {notice:?} {change}"),
            );
        }
    }
    unchanged(&sandbox, &pid, "all notices");
    sandbox.ansar(["stop"]).run().success();
}
