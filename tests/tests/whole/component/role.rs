//! A component as a role of a home, started as by an engine.

use serde_json::json;
use tests::{Notices, Sandbox, Signal, loopback};

use super::{ABORTED, FAULTED, Home, MAYBE, REPORT, this_parent};

#[test]
fn a_role_has_its_settings_and_model() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let host = loopback().to_string();
    let settings = json!({"value": {"host": host}}).to_string();
    home.write("settings/server-0.json", &settings);
    home.write("settings/test-client.json", &settings);
    home.write(
        "model/server-0/word-map.json",
        r#"{"value": [["fervent", "eager"], ["fly", "droll"]]}"#,
    );
    let server = home.role("server", "server-0").start();
    server.wait_for("Ready");
    let output = home.role("client", "test-client").run();
    let report = output.success().returned(REPORT);
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(2), &json!(1))
    );
    server.signal(Signal::SIGTERM);
    server.wait().success().returned(ABORTED);
}

#[test]
fn a_redirected_area_is_read() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let elsewhere = sandbox.path().join("elsewhere");
    let redirect = json!({"redirect": {"settings": elsewhere}});
    home.write("home.json", &redirect.to_string());
    home.write("settings/nap.json", r#"{"value": {"seconds": 600}}"#);
    sandbox.write("elsewhere/nap.json", r#"{"value": {"seconds": 0.5}}"#);
    let output = home.role("snooze", "nap").run();
    output.success().stderr_has("Do nothing for 0.5 seconds");
}

#[test]
fn the_home_and_the_role_must_exist() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let in_role = |home: &std::path::Path, role: &str| {
        let home = format!("--home-path={}", home.display());
        let role = format!("--role-name={role}");
        let noop = sandbox.component("noop").args([home, role]);
        noop.args(["--call-signature=o", "--point-of-origin=1"])
            .run()
    };
    let nowhere = sandbox.path().join("nowhere");
    in_role(&nowhere, "noop-0")
        .code(2)
        .stdout_is("")
        .stderr_has(&format!("error: home `{}` not found", nowhere.display()));
    assert!(!nowhere.exists());
    in_role(&home.path(), "noop-0")
        .code(2)
        .stdout_is("")
        .stderr_has("error: role `noop-0` not found in home `");
    home.write("entry/noop-0.json", "{\"value\": {}}");
    in_role(&home.path(), "noop-0").success();
}

#[test]
fn a_role_is_one_process() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let first = home.role("zombie", "zombie-0").start();
    first.wait_for("Do nothing until interrupted");
    let refused = format!(
        "error: role `zombie-0` is already running (process {})",
        first.pid()
    );
    for words in [&[][..], &["--store-settings"]] {
        let second = home.role("zombie", "zombie-0").args(words).run();
        second.code(1).stdout_is("").stderr_has(&refused);
    }
    // Another role is not affected, and a query is not either.
    home.role("noop", "zombie-1").run().success();
    let asked = home.role("zombie", "zombie-0").arg("--dump-settings").run();
    asked.success();
    first.signal(Signal::SIGKILL);
    first.wait().killed_by(Signal::SIGKILL);
    home.role("noop", "zombie-0").run().success();
}

#[test]
fn a_role_runs_once_at_a_time() {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    let home = sandbox.path().join(".ansar-home");
    std::os::unix::fs::symlink(tests::executable("zombie"), home.join("bin/zombie"))
        .expect("it is new");
    sandbox.ansar(["add", "zombie"]).run().success();
    let by_hand = || {
        let zombie = sandbox.component("zombie");
        let home = format!("--home-path={}", home.display());
        zombie.args([
            "--call-signature=o",
            "--point-of-origin=1",
            "--role-name=zombie-0",
            &home,
        ])
    };
    let run = sandbox.ansar(["run", "--debug-level=CONSOLE"]).start();
    run.wait_for("Do nothing until interrupted");
    by_hand()
        .run()
        .code(1)
        .stderr_has("error: role `zombie-0` is already running (process ")
        .stderr_lacks("Do nothing");
    run.signal(Signal::SIGINT);
    run.wait();
    let zombie = by_hand().start();
    zombie.wait_for("Do nothing until interrupted");
    for words in [&["run"][..], &["start"]] {
        let refused = sandbox.ansar(words).run();
        refused.code(104).stderr_has(&format!(
            "already running: `zombie-0` (process {})",
            zombie.pid()
        ));
    }
    zombie.signal(Signal::SIGINT);
    zombie.wait().success();
}

#[test]
fn a_role_started_by_hand_is_shown_and_stopped() {
    let sandbox = Sandbox::new();
    sandbox.ansar(["create"]).run().success();
    let home = sandbox.path().join(".ansar-home");
    for name in ["zombie", "stubborn"] {
        let executable = tests::executable(name);
        std::os::unix::fs::symlink(executable, home.join("bin").join(name)).expect("it is new");
        sandbox.ansar(["add", name]).run().success();
    }
    let by_hand = |name: &str| {
        let role = format!("--role-name={name}-0");
        let home = format!("--home-path={}", home.display());
        let words = ["--call-signature=o", "--point-of-origin=1", &role, &home];
        sandbox.component(name).args(words).start()
    };
    let zombie = by_hand("zombie");
    zombie.wait_for("Do nothing until interrupted");
    let pid = zombie.pid().to_string();
    let status = sandbox.ansar(["status", "-l"]).run();
    let words: Vec<_> = status.stdout.split_whitespace().collect();
    assert_eq!(words[..2], ["zombie-0", &format!("<{pid}>")]);
    assert_eq!(words[3..5], ["by", "hand"]);
    let json = sandbox.ansar(["status", "--format=json"]).run();
    let json = json.success().json();
    assert_eq!(
        (&json["by_hand"], &json["state"]),
        (&true.into(), &().into())
    );
    sandbox
        .ansar(["stop", "zombie-0"])
        .run()
        .success()
        .stderr_has("Stopped `zombie-0`");
    zombie.wait().success();
    sandbox
        .ansar(["stop", "zombie-0"])
        .run()
        .code(105)
        .stdout_is("");
    // One that ignores signals is killed, and `-f` of other commands stops it.
    let stubborn = by_hand("stubborn");
    stubborn.wait_for("Ignoring every signal");
    let deleted = sandbox.ansar(["delete", "stubborn-0"]).run();
    deleted
        .code(104)
        .stderr_has("already running: `stubborn-0`");
    sandbox
        .ansar(["delete", "-f", "stubborn-0"])
        .run()
        .success();
    stubborn.wait().killed_by(Signal::SIGKILL);
}

#[test]
fn a_query_prints_defaults() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write("settings/client-0.json", r#"{"value": {"port": 7}}"#);
    let stored = sandbox.component("client");
    stored
        .args(["--store-settings", "--port=8"])
        .run()
        .success();
    let ask = |argument: &str| {
        let asked = home.role("client", "client-0").arg("--dump-settings");
        asked.arg(argument).run().success().json()["value"]["port"].clone()
    };
    assert_eq!(ask("--debug-level=NONE"), 65432);
    assert_eq!(ask("--port=9"), 9);
    home.write("input/t.json", r#"{"value": "many"}"#);
    let asked = home.role("talks", "t").arg("--dump-input").run();
    assert_eq!(asked.success().json(), json!({"value": "children"}));
}

#[test]
fn a_role_without_an_output_signature_prints_nothing() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let output = home.role("noop", "noop-0").arg("--call-signature=").run();
    output.success().stdout_is("");
}

#[test]
fn invalid_files_of_a_home_are_named() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write("settings/client-0.json", "{\"value\": {\n\"port\": -1}}");
    let output = home.role("client", "client-0").run();
    output
        .code(2)
        .stderr_has("settings/client-0.json:2:")
        .stderr_has("field `port`")
        .returned(FAULTED);
    home.write(
        "entry/noop-0.json",
        r#"{"value": {"retry": {"first_steps": [-1]}}}"#,
    );
    let output = home.role("noop", "noop-0").run();
    output
        .code(2)
        .stderr_has("entry/noop-0.json")
        .stderr_has("first_steps");
    home.write("home.json", "{");
    let output = home.role("noop", "noop-1").run();
    output.code(2).stderr_has("home.json:1:");
}

#[test]
fn attempts_without_a_server_are_exhausted() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write(
        "entry/test-client.json",
        r#"{"value": {"executable": "client", "retry": {"first_steps": [0.01, 0.02]}}}"#,
    );
    let host = format!("--host={}", loopback());
    let output = home.role("client", "test-client").arg(host).run();
    let fault = output.code(1).returned(FAULTED);
    assert_eq!(fault["attempts"], 3);
    assert_eq!(fault["last"][0], MAYBE);
    let reason = fault["last"][1]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("Connection refused"), "{reason}");
    assert_eq!(output.log("Pausing for 0.010000 seconds").len(), 1);
    assert_eq!(output.log("Pausing for 0.020000 seconds").len(), 1);
    assert_eq!(output.log("Session error").len(), 3);
    let said = " ! <00000009>Retry[ATTEMPTING] - retries exhausted after 3 attempts, ";
    assert_eq!(output.log(said).len(), 1);
}

/// The sequences of the guide, a hundred times faster.
#[test]
fn one_more_attempt_than_delays() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let host = format!("--host={}", loopback());
    let first = json!([0.01, 0.02, 0.04]);
    for (policy, delays) in [
        (json!({}), 0),
        (json!({"first_steps": first}), 3),
        (json!({"regular_steps": 0.01, "step_limit": 4}), 4),
        (
            json!({"first_steps": first, "regular_steps": 0.08, "step_limit": 6}),
            6,
        ),
        (
            json!({
                "first_steps": first, "regular_steps": 0.08, "step_limit": 6,
                "randomized": 0.0025, "truncated": 0.5,
            }),
            6,
        ),
    ] {
        let entry = json!({"value": {"retry": policy}}).to_string();
        home.write("entry/test-client.json", &entry);
        let output = home.role("client", "test-client").arg(&host).run();
        let fault = output.code(1).returned(FAULTED);
        assert_eq!(fault["attempts"], delays + 1, "{policy}");
        assert_eq!(fault["last"][0], MAYBE);
        assert_eq!(output.log("Pausing for ").len(), delays, "{policy}");
    }
    // Without a limit, they are endless.
    home.write(
        "entry/test-client.json",
        r#"{"value": {"retry": {"regular_steps": 0.001}}}"#,
    );
    let mut client = home.role("client", "test-client").arg(host).start();
    for _ in 0..50 {
        client.wait_for_next("Pausing for 0.001000 seconds");
    }
    client.signal(Signal::SIGINT);
    client.wait().success().returned(ABORTED);
}

#[test]
fn an_attempt_that_succeeds_ends_the_retries() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write(
        "entry/test-client.json",
        r#"{"value": {"retry": {"regular_steps": 0.01}}}"#,
    );
    let host = format!("--host={}", loopback());
    let notices = Notices::listen(&sandbox);
    let client = home.role("client", "test-client").arg(&host);
    let client = client.env("NOTIFY_SOCKET", notices.path()).start();
    client.wait_for("Pausing for");
    let server = home.role("server", "server-0").arg(&host).start();
    let output = client.wait();
    let report = output.success().returned(REPORT);
    assert_eq!(report["failed"], 3);
    // Pause notices may be lost, but not the introduction.
    assert_eq!(notices.next()["X_ANSAR_CONTRACT"], "1");
    assert_eq!(notices.next()["X_ANSAR_ATTEMPT"], "1");
    assert_eq!(notices.next()["X_ANSAR_RETRY_IN"], "0.01");
    assert_eq!(notices.next()["X_ANSAR_ATTEMPT"], "2");
    server.signal(Signal::SIGINT);
    server.wait().success();
}

#[test]
fn stop_ends_a_pause_between_attempts() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    home.write(
        "entry/test-client.json",
        r#"{"value": {"retry": {"regular_steps": 600}}}"#,
    );
    let host = format!("--host={}", loopback());
    let client = home.role("client", "test-client").arg(host).start();
    client.wait_for("Pausing for");
    client.signal(Signal::SIGTERM);
    client.wait().success().returned(ABORTED);
}

#[test]
fn a_component_tells_its_engine_what_it_does() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let notices = Notices::listen(&sandbox);
    let address = loopback();
    let server = home
        .role("server", "server-0")
        .arg(format!("--host={address}"))
        .env("NOTIFY_SOCKET", notices.path())
        .envs([this_parent()])
        .start();
    let hello = notices.next();
    assert_eq!(hello["X_ANSAR_ROLE"], "server-0");
    assert_eq!(hello["X_ANSAR_CONTRACT"], "1");
    assert_eq!(hello["X_ANSAR_ANNOUNCES"], "1");
    assert_eq!(notices.next()["READY"], "1");
    assert!(std::net::TcpStream::connect((address, 65432)).is_ok());
    server.signal(Signal::SIGINT);
    let stopping = notices.next();
    assert_eq!(stopping["STOPPING"], "1");
    assert_eq!(stopping["X_ANSAR_ROLE"], "server-0");
    server.wait().success().returned(ABORTED);

    let noop = home.role("noop", "noop-0");
    noop.env("NOTIFY_SOCKET", notices.path()).run().success();
    assert_eq!(notices.next()["X_ANSAR_ANNOUNCES"], "0");
}

#[test]
fn a_component_run_by_hand_sends_no_notices() {
    let sandbox = Sandbox::new();
    let notices = Notices::listen(&sandbox);
    let by_hand = sandbox.component("noop");
    by_hand.env("NOTIFY_SOCKET", notices.path()).run().success();
    let home = Home::new(&sandbox);
    let in_a_home = home.role("noop", "noop-0");
    in_a_home
        .env("NOTIFY_SOCKET", notices.path())
        .run()
        .success();
    assert_eq!(notices.next()["X_ANSAR_ROLE"], "noop-0");
}

#[test]
fn an_engine_that_is_gone_is_no_failure() {
    let sandbox = Sandbox::new();
    let home = Home::new(&sandbox);
    let noop = home.role("noop", "noop-0");
    noop.env("NOTIFY_SOCKET", "/nowhere/notify").run().success();
}
