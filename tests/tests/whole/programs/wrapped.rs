//! Applications that wrap their own `main`.

use tests::{Sandbox, Signal};

use super::Group;

const SERVERS: &str = r#"
[api-0]
executable = "wraps"
args = ["serve", "{address}"]

[deaf-0]
executable = "wraps"
args = ["hear", "{address}"]
after = ["api-0"]
"#;

#[test]
fn by_hand_they_are_what_they_were() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| sandbox.component("wraps").args(arguments).run();
    let plain = run(&["--role-name=a", "--home-path=b"]);
    plain.success().stdout_is("");
    assert_eq!(
        plain.stderr,
        "Arguments: [\"--role-name=a\", \"--home-path=b\"]\n"
    );
    let failed = run(&["fail", "open"]);
    failed.code(1).stdout_is("");
    failed.stderr_has("Error: \"cannot open\\nfor a reason\"\n");
    run(&["check"]).success().stdout_is("In the role None\n");
    run(&["panic"]).code(101);

    let address = format!("{}:0", tests::loopback());
    let server = sandbox.component("wraps").args(["serve", &address]).start();
    server.wait_for("Listening");
    server.signal(Signal::SIGINT);
    server.wait().killed_by(Signal::SIGINT);
}

#[test]
fn they_serve_with_arguments_readiness_and_stop() {
    let group = Group::of(SERVERS);
    group.start();
    let address = group.address("api-0");
    group.stop();
    let log = group.log("api-0");
    let arguments = format!("Arguments: [\"serve\", \"{address}\"]");
    for text in [&arguments, "Listening", "Ready", "Stopped gracefully"] {
        let found = log.iter().filter(|line| line.ends_with(text));
        assert_eq!(found.count(), 1, "{text} in {log:#?}");
    }
    assert!(
        !group
            .log("deaf-0")
            .iter()
            .any(|it| it.contains("gracefully"))
    );
}

#[test]
fn as_tests_they_report_checks_errors_and_panics() {
    let group = Group::of(
        r#"
[test-check]
executable = "wraps"
args = ["check"]

[test-fail]
executable = "wraps"
args = ["fail", "open"]

[test-panic]
executable = "wraps"
args = ["panic"]

[test-pass]
executable = "wraps"
"#,
    );
    let run = group.ansar(["test"]).run();
    let text = run.code(100).stdout.as_str();
    for expected in [
        "src/bin/wraps.rs:28 - a check of an application",
        "test-fail: cannot open, for a reason",
        "src/bin/wraps.rs:23 - this application panics",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let log = group.log("test-check");
    assert!(
        log.iter().any(|line| line.contains("Some(\"test-check\")")),
        "{log:#?}"
    );
}

#[test]
fn they_take_no_settings() {
    let group = Group::of("\n[api-0]\nexecutable = \"wraps\"\nsettings = { port = 1 }\n");
    let refused = group.ansar(["deploy"]).run();
    refused.stderr_has("`settings` is for components, and `wraps` wraps its own `main`");
    refused.stderr_has("hint: use `args` and `env`");
}

#[test]
fn a_process_that_inherits_a_launch_plays_no_role() {
    let sandbox = Sandbox::new();
    // The parent that the launch names is not its parent.
    let wraps = sandbox.component("wraps").arg("check").envs([
        ("ANSAR_LAUNCH", "3:/nothing"),
        ("ANSAR_PARENT", "1"),
        ("ANSAR_ROLE", "api-0"),
    ]);
    wraps.run().success().stdout_is("In the role None\n");
}
