//! Roles that were ready and no longer work.

use super::scratch::Scratch;

const SICK: &str = r#"
[web-0]
program = "serves"
args = ["{address}", "--status", "status"]
health = { http = "http://{address}/", every = "50ms", failures = 3 }
"#;

#[test]
fn failing_health_probe_is_shown_until_it_succeeds() {
    let scratch = Scratch::of(SICK);
    scratch.does("start");
    scratch.write("status", "503");
    scratch.shows("web-0", "unhealthy: GET http://127.0.0.1:");
    scratch.shows("web-0", ": 503, 3 times in a row");
    scratch.write("status", "204");
    scratch.shows_no("web-0", "unhealthy");
    let status = scratch.does("status -l web-0");
    status.check(!status.stdout.contains("restarts"), || {
        "a role without a restart policy goes on".to_owned()
    });
    scratch.stop();
}

#[test]
fn unhealthy_role_is_restarted_by_its_policy() {
    let scratch = Scratch::of(&format!("{SICK}restart = \"on-failure\"\n"));
    scratch.does("start");
    scratch.write("status", "503");
    scratch.shows("web-0", "restarts 1");
    scratch.write("status", "200");
    scratch.shows("web-0", " ready ");
    let history = scratch.does("history --format json web-0").json_lines();
    assert_eq!(history[0]["cause"], "stopped");
    assert_eq!(history[0]["returned"], "ansar.create.lifecycle.Faulted");
    scratch.stop();
}

#[test]
fn role_that_stops_listening_is_unhealthy() {
    let scratch = Scratch::of("\n[web-0]\nprogram = \"serves\"\nargs = [\"{address}\"]\n");
    scratch.does("start");
    scratch.get("web-0", "/close");
    let address = format!("127.0.0.1:{}", scratch.port("web-0"));
    let why = format!("unhealthy: no longer listens on {address}");
    scratch.shows("web-0", &why);
    scratch.stop();
}

#[test]
fn command_in_the_foreground_tells_changes_of_health() {
    let scratch = Scratch::of(SICK);
    let mut run = scratch.ansar(["run"]).start();
    scratch.write("status", "503");
    run.wait_for_next("role `web-0` is unhealthy: GET http://127.0.0.1:");
    scratch.write("status", "200");
    run.wait_for_next("Healthy");
    run.signal(tests::Signal::SIGINT);
    run.wait();
}
