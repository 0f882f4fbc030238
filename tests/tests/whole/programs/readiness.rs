//! Probes decide when a program is ready, and say why it is not.

use std::net::TcpListener;

use tests::{Signal, children_of, eventually};

use super::scratch::Scratch;

#[test]
fn dependents_start_when_probes_are_met() {
    let scratch = Scratch::of(
        r#"
[listen-0]
program = "serves"
args = ["{address}", "--after", "300"]

[log-0]
program = "sh"
args = ["-c", "sleep 0.2; touch {tmp}/up; echo ready to accept connections; exec sleep 1000"]
ready = { log = "ready to accept" }

[file-0]
program = "sh"
args = ["-c", "sleep 0.2; touch {tmp}/up; exec sleep 1000"]
ready = { file = "{tmp}/up" }

[command-0]
program = "sh"
args = ["-c", "echo LOADING > {tmp}/up; sleep 0.3; echo PONG > {tmp}/up; exec sleep 1000"]
ready = { command = ["cat", "{tmp}/up"], says = "PONG" }

[http-0]
program = "serves"
args = ["{address}", "--after", "300"]
ready = [{ http = "http://{address}/health" }, { log = "listening" }]

[tcp-0]
program = "sleep"
args = ["1000"]
ready = { tcp = "{address:listen-0}" }

[last-0]
program = "bash"
args = ["-c", """
set -e
test -e {home}/tmp/log-0/up
test -e {home}/tmp/file-0/up
grep PONG {home}/tmp/command-0/up
exec 3<>/dev/tcp/$(echo $LISTEN | tr : /) 4<>/dev/tcp/$(echo $HTTP | tr : /)
"""]
env = { LISTEN = "{address:listen-0}", HTTP = "{address:http-0}" }
ready = "done"
after = ["listen-0", "log-0", "file-0", "command-0", "http-0", "tcp-0"]
"#,
    );
    scratch.does("start");
    let history = scratch.does("history --format json last-0").json_lines();
    assert_eq!(history[0]["returned"], "ansar.create.lifecycle.Ack");
    scratch.stop();
}

#[test]
fn probes_that_are_not_met_explain_themselves() {
    let scratch = Scratch::of(
        r#"
[wrong-0]
program = "serves"
args = ["{bind}:0"]
env = { PORT = "{port}" }
ready-timeout = "3s"

[http-0]
program = "serves"
args = ["{address}", "--status", "busy"]
ready = { http = "http://{address}/health" }
ready-timeout = "3s"

[log-0]
program = "sh"
args = ["-c", "echo one; echo two; exec sleep 1000"]
ready = { log = "three" }
ready-timeout = "3s"

[command-0]
program = "sleep"
args = ["1000"]
ready = { command = ["echo", "-n", "LOADING"], says = "PONG" }
ready-timeout = "3s"

[file-0]
program = "sleep"
args = ["1000"]
ready = [{ file = "/missing" }, "notify"]
ready-timeout = "3s"

[early-0]
program = "sh"
args = ["-c", "echo could not create any sockets; exit 1"]
ready = { file = "/missing" }
"#,
    );
    scratch.write("busy", "503");
    let output = scratch.runs("start");
    let port = |role| format!("127.0.0.1:{}", scratch.port(role));
    let wrong = format!(", expected {}", port("wrong-0"));
    let http = format!(
        "(not ready after 3s: GET http://{}/health: 503 (",
        port("http-0")
    );
    for text in [
        "`wrong-0` (not ready after 3s: listens on 127.0.0.1:",
        &wrong,
        &http,
        "`log-0` (not ready after 3s: no log line matched `three`; 2 lines, last: two)",
        "`command-0` (not ready after 3s: `echo … LOADING` printed \"LOADING\", expected `PONG`)",
        "`file-0` (not ready after 3s: file `/missing` does not exist; \
         it did not send `READY=1` to `NOTIFY_SOCKET`)",
        "`early-0` (exited with 1 before it was ready: could not create any sockets)",
    ] {
        output.stderr_has(text);
    }
    scratch.becomes_still();
}

#[test]
fn stranger_on_the_port_is_named() {
    let scratch = Scratch::of(
        r#"
[web-0]
program = "sleep"
args = ["1000"]
env = { PORT = "{port}" }
hold = false
ready = "listen"
ready-timeout = "1s"
"#,
    );
    let address = format!("127.0.0.1:{}", scratch.port("web-0"));
    let _stranger = TcpListener::bind(&address).expect("it is free");
    let output = scratch.runs("start");
    output.stderr_has(&format!("{address} belongs to another process, "));
    output.stderr_has(&format!(" <{}>", std::process::id()));
    scratch.becomes_still();
}

#[test]
fn lines_of_an_earlier_start_do_not_count() {
    let scratch = Scratch::of(
        r#"
[once-0]
program = "sh"
args = ["-c", "test -e {model}/old || echo ready; touch {model}/old; exec sleep 1000"]
ready = { log = "ready" }
ready-timeout = "1s"
"#,
    );
    scratch.does("start");
    scratch.stop();
    let output = scratch.runs("start");
    output.stderr_has("not ready after 1s: no log line matched `ready`; no lines");
    scratch.becomes_still();
}

#[test]
fn status_shows_the_conditions_that_are_not_met() {
    let scratch = Scratch::of(
        r#"
[web-0]
program = "sleep"
args = ["1000"]
ready = { file = "/missing" }
"#,
    );
    scratch.does("start --no-wait");
    scratch.shows("web-0", "not ready: file `/missing` does not exist");
    scratch.stop();
}

#[test]
fn command_of_a_probe_ends_with_a_killed_engine() {
    let scratch = Scratch::of(
        r#"
[web-0]
program = "sleep"
args = ["1000"]
ready = { command = ["sh", "-c", "sleep 777"] }
"#,
    );
    let run = scratch.ansar(["run"]).start();
    let probed = eventually(|| {
        let mut running = scratch.processes().into_values();
        running.find(|command| command.starts_with("sleep 777"))
    });
    assert!(probed.is_some(), "{:?}", scratch.processes());
    let guardian = i32::try_from(run.pid()).expect("it is a process");
    for pid in children_of(run.pid()).into_iter().chain([guardian]) {
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it runs");
    }
    run.wait().killed_by(Signal::SIGKILL);
    scratch.does("status");
    scratch.becomes_still();
}
