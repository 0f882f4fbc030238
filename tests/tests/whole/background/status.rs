//! Output of `status` for each role.

use serde_json::Value;
use tests::eventually;

use super::{ansar, comes_to, down, engine, home_with, processes, set, statuses};

#[test]
fn every_field_as_text_and_as_json() {
    let sandbox = home_with(&["zombie", "noop"]);
    ansar(&sandbox, "start zombie-0").success();
    let pid = processes(&sandbox)["zombie-0"];
    let (_, engine) = engine(&sandbox).expect("it runs");
    let long = ansar(&sandbox, "status -l");
    let words: Vec<&str> = long.success().stdout.split_whitespace().collect();
    let [role, id, uptime, state, "cpu", _, "memory", memory, "MB"] = words[..] else {
        panic!("{words:?}");
    };
    assert_eq!(
        (role, id, state),
        ("zombie-0", &*format!("<{pid}>"), "ready")
    );
    assert!(uptime.ends_with('s'), "{uptime}");
    assert!(
        memory.parse::<f64>().is_ok_and(|memory| memory > 0.0),
        "{memory}"
    );

    let all = statuses(&sandbox);
    assert_eq!(all.len(), 1);
    let status = &all["zombie-0"];
    for (field, value) in [
        ("version", serde_json::json!(1)),
        ("executable", serde_json::json!("zombie")),
        ("pid", serde_json::json!(pid)),
        ("state", serde_json::json!("ready")),
        ("attempt", serde_json::json!(1)),
        ("restarts", serde_json::json!(0)),
        ("lost", serde_json::json!(0)),
        ("engine", serde_json::json!(engine)),
        ("host", serde_json::json!("background")),
    ] {
        assert_eq!(status[field], value, "{field} in {status}");
    }
    for field in ["uptime", "cpu", "memory"] {
        assert!(status[field].is_number(), "{field} in {status}");
    }
    ansar(&sandbox, "status noop.*").success().stdout_is("");
    ansar(&sandbox, "status none").code(2);
    ansar(&sandbox, "status --executable zombie").stdout_is("zombie-0\n");
    down(&sandbox);
}

#[test]
fn a_role_that_makes_another_attempt_is_retrying() {
    let sandbox = home_with(&[]);
    let host = format!("--host={}", tests::loopback());
    sandbox.ansar(["add", "client", &host]).run().success();
    set(
        &sandbox,
        "retry",
        "client-0",
        r#"{"first_steps": [0.05, 600.0]}"#,
    );
    ansar(&sandbox, "start client-0").success();
    let status = tests::eventually(|| {
        let status = statuses(&sandbox).remove("client-0")?;
        (status["attempt"] == 2 && status["state"] == "retrying").then_some(status)
    });
    assert!(status.is_some(), "{:?}", statuses(&sandbox));
    ansar(&sandbox, "status -l")
        .stdout_has("retrying")
        .stdout_has("attempt 2");
    down(&sandbox);
}

#[test]
fn a_role_that_waits_for_another() {
    let sandbox = home_with(&["zombie"]);
    let host = format!("--host={}", tests::loopback());
    sandbox.ansar(["add", "client", &host]).run().success();
    sandbox.ansar(["add", "panics"]).run().success();
    set(&sandbox, "after", "zombie-0", r#"["panics-0"]"#);
    set(&sandbox, "restart", "panics-0", r#""on-failure""#);
    set(&sandbox, "retry", "panics-0", r#"{"regular_steps": 600.0}"#);
    ansar(&sandbox, "start --no-wait zombie-0 panics-0").success();
    comes_to(&sandbox, "panics-0", "restarting");
    // A component counts as ready when it starts.
    down(&sandbox);
}

#[test]
fn a_silent_engine_is_shown_from_its_locks() {
    let sandbox = home_with(&["zombie"]);
    ansar(&sandbox, "start").success();
    let pid = processes(&sandbox)["zombie-0"];
    let (_, engine) = engine(&sandbox).expect("it runs");
    let engine = nix::unistd::Pid::from_raw(engine);
    nix::sys::signal::kill(engine, tests::Signal::SIGSTOP).expect("it runs");
    ansar(&sandbox, "status").success().stdout_is("zombie-0\n");
    let long = ansar(&sandbox, "status -l");
    long.success()
        .stdout_has(&format!("<{pid}>"))
        .stdout_has("no answer");
    ansar(&sandbox, "start").code(104);
    down(&sandbox);
}

#[test]
fn lost_log_lines_are_counted() {
    let sandbox = home_with(&["floods"]);
    let logs = sandbox.path().join(".ansar-home/logs/floods-0");
    std::fs::create_dir_all(&logs).expect("the home is there");
    let full = logs.join("9000-01-01T00-00-00.000000.log");
    std::os::unix::fs::symlink("/dev/full", &full).expect("the folder is empty");
    set(&sandbox, "restart", "floods-0", r#""always""#);
    set(&sandbox, "retry", "floods-0", r#"{"first_steps": [600.0]}"#);
    // It may end before it counts as started: then these commands wait for the next try.
    let start = sandbox.ansar(["start", "floods-0"]).start();
    let told = comes_to(&sandbox, "floods-0", "restarting");
    let lost = told["lost"].as_u64().expect("it is a count");
    assert!(lost >= 100_000, "{told}");
    ansar(&sandbox, "status -l").stdout_has(&format!("lost log lines {lost}"));

    std::fs::remove_file(full).expect("it is there");
    let restart = sandbox.ansar(["restart", "floods-0"]).start();
    let is_whole = |line: &Value| line["state"] == "restarting" && line["lost"] == 0;
    let whole = eventually(|| statuses(&sandbox).remove("floods-0").filter(is_whole));
    assert!(whole.is_some(), "{:?}", statuses(&sandbox));
    let log = ansar(&sandbox, "log floods-0 --last=MONTH");
    let stored = log.success().stdout.matches(" - Line ").count();
    assert_eq!(stored, 100_000);
    ansar(&sandbox, "stop -f").success();
    start.wait();
    restart.wait();
    sandbox.is_still();
}

#[test]
fn called_processes_are_shown_on_request() {
    let sandbox = home_with(&["zombie"]);
    let duties = r#"{"value": {"duties": ["zombie"], "management_levels": 2, "managers": 1}}"#;
    let input = sandbox.write("input", duties).display().to_string();
    let add = sandbox.ansar(["add", "busy", "--input-file", &input]);
    add.run().success();
    ansar(&sandbox, "start busy-0").success();
    let called = ["busy-0.busy", "busy-0.busy.zombie", "busy-0.zombie"];
    let expected = [&["busy-0"][..], &called].concat().join("\n") + "\n";
    let shown = |words: &str| ansar(&sandbox, words).success().stdout.clone();
    let all = tests::eventually(|| {
        let all = shown("status --all-roles");
        (all == expected).then_some(all)
    });
    assert_eq!(all.unwrap_or_else(|| shown("status --all-roles")), expected);
    assert_eq!(shown("status"), "busy-0\n");
    assert_eq!(shown("list --all-roles"), format!("{expected}zombie-0\n"));
    assert_eq!(shown("list"), "busy-0\nzombie-0\n");
    assert_eq!(shown("status --all-roles busy-0.zombie"), "busy-0.zombie\n");

    let pid = processes(&sandbox)["busy-0.zombie"];
    let long = shown("status -l --all-roles busy-0.zombie");
    let words: Vec<&str> = long.split_whitespace().collect();
    let [role, id, uptime, state] = words[..] else {
        panic!("{words:?}");
    };
    assert_eq!(
        (role, id, state),
        ("busy-0.zombie", &*format!("<{pid}>"), "called")
    );
    assert!(uptime.ends_with('s'), "{uptime}");
    let json = ansar(&sandbox, "status --all-roles --format=json");
    for line in json.success().json_lines() {
        let is_called = line["role"] != "busy-0";
        assert_eq!(line["called"], is_called, "{line}");
        assert_eq!(line["state"].is_null(), is_called, "{line}");
    }
    down(&sandbox);
    ansar(&sandbox, "status --all-roles")
        .success()
        .stdout_is("");
}
