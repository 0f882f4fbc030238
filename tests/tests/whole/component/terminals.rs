//! The guide's server and client, in a terminal each.

use std::path::Path;

use serde_json::json;
use tests::{Output, Running, Sandbox, Signal, executable, loopback, repository};

use super::{ABORTED, REPORT};

const CLIENT: &str = "test-fixtures/src/bin/client.rs";

/// Starts a server on an address of its own.
fn server(sandbox: &Sandbox) -> (Running<'_>, String) {
    let host = format!("--host={}", loopback());
    let server = sandbox.component("server").arg(&host);
    let server = server.arg("--debug-level=TRACE").start();
    server.wait_for("Ready");
    (server, host)
}

fn stop(server: Running<'_>) -> Output {
    server.signal(Signal::SIGINT);
    let output = server.wait();
    output.code(130).returned(ABORTED);
    output
}

/// Returns true if that line of a source file of this repository reports a
/// check.
fn makes_a_check(source: &str, line: usize) -> bool {
    let text = std::fs::read_to_string(repository().join(source));
    let text = text.unwrap_or_else(|error| panic!("`{source}` is not read: {error}"));
    let found = text.lines().nth(line - 1);
    found.is_some_and(|text| text.contains("cx.test("))
}

#[test]
fn a_client_of_a_server_without_words() {
    let sandbox = Sandbox::new();
    let (running, host) = server(&sandbox);
    let output = sandbox.component("client").arg(&host).run();
    output.success().stderr_has("Connected to ");

    let report = output.returned(REPORT);
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(0), &json!(3))
    );
    let checks = report["tested"].as_array().expect("checks are a list");
    let log = output.log(" = ");
    assert_eq!((checks.len(), log.len()), (3, 3));
    for ((check, line), text) in checks.iter().zip(log).zip([
        r#"expected b"eager" for b"fervent", got b"fervent""#,
        r#"expected b"define" for b"explain", got b"explain""#,
        r#"expected b"droll" for b"fly", got b"fly""#,
    ]) {
        let fields: Vec<_> = check
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys())
            .collect();
        assert_eq!(
            fields,
            [
                "condition",
                "line",
                "column",
                "name",
                "source",
                "stamp",
                "text"
            ]
        );
        assert_eq!(check["condition"], false);
        assert_eq!(check["name"], "client");
        assert_eq!(check["source"], CLIENT);
        assert_eq!(check["text"], text);
        let stamp = check["stamp"].as_str().unwrap_or_default();
        assert!(stamp.len() == "2023-04-06T01:52:17.317203".len(), "{stamp}");
        let number = check["line"].as_u64().expect("a line is a number");
        let number = usize::try_from(number).expect("a file has so many lines");
        assert!(makes_a_check(CLIENT, number), "line {number}");
        assert!(line.contains("client - "), "{line}");
        let end = format!("{text} (client.rs:{number})");
        assert!(line.ends_with(&end), "{line}");
    }
    stop(running).stderr_has("Accepted on ");
}

#[test]
fn a_client_of_a_server_with_words() {
    let sandbox = Sandbox::new();
    let words = repository().join("test-fixtures/testing/model-by-role/server-0/word-map.json");
    let words = std::fs::read_to_string(words).expect("the demonstration has words");
    let model = sandbox.config().join("ansar/server/model/word-map.json");
    sandbox.write(model, &words);

    let (running, host) = server(&sandbox);
    let output = sandbox.component("client").arg(&host).run();
    let report = output.success().returned(REPORT);
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(output.log(" = "), [""; 0]);
    stop(running);
}

#[test]
fn a_second_server_at_one_address() {
    let sandbox = Sandbox::new();
    let (running, host) = server(&sandbox);
    let output = sandbox.component("server").arg(&host).run();
    let fault = output.code(1).returned(super::FAULTED);
    assert_eq!(fault["source"], "test-fixtures/src/bin/server.rs");
    let line = fault["line"].as_u64().expect("a line is a number");
    output.stderr_has("Address already in use");
    let text = std::fs::read_to_string(repository().join("test-fixtures/src/bin/server.rs"));
    let text = text.expect("the server has a source");
    let line = usize::try_from(line).expect("a file has so many lines");
    assert!(
        text.lines()
            .nth(line - 1)
            .is_some_and(|text| text.contains("bind("))
    );
    stop(running);
}

#[test]
fn a_log_line_as_in_the_guide() {
    let sandbox = Sandbox::new();
    let running = sandbox.component("noop").start();
    let pid = running.pid();
    let output = running.wait();
    let line = output.stderr.lines().next().unwrap_or_default();
    let (head, text) = line.split_once(" ^ ").expect("a console line");
    let (process, stamp) = head.split_once(' ').expect("a time");
    assert_eq!(process, format!("[{pid:08}]"));
    assert_eq!(stamp.len(), "2023-04-06T01:52:17.317".len());
    assert_eq!(text, "<00000009>noop - Log this and exit");
    assert!(Path::new(executable("noop")).is_absolute());
}
