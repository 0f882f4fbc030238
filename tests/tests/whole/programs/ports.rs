//! Ports that a home gives to its roles.

use tests::Signal;

use super::scratch::Scratch;

const SERVER: &str = r#"
[web-0]
program = "serves"
args = ["{address}"]
restart = "always"
"#;

#[test]
fn port_stays_the_same() {
    let scratch = Scratch::of(SERVER);
    let port = scratch.port("web-0");
    scratch.does("start");
    scratch.get("web-0", "/");
    scratch.does("restart web-0");
    scratch.get("web-0", "/");
    let pid = scratch.does("status --format json").json_lines()[0]["pid"].as_i64();
    let pid = pid
        .and_then(|pid| i32::try_from(pid).ok())
        .expect("it runs");
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, Signal::SIGKILL).expect("it runs");
    scratch.shows("web-0", "restarts 1");
    scratch.shows("web-0", " ready ");
    scratch.get("web-0", "/");
    scratch.does("deploy");
    assert_eq!(scratch.port("web-0"), port);
    scratch.stop();
}

#[test]
fn clones_share_no_port() {
    let scratches: Vec<_> = (0..5).map(|_| Scratch::of(SERVER)).collect();
    for scratch in &scratches {
        scratch.does("start");
    }
    for scratch in &scratches {
        scratch.get("web-0", "/");
        scratch.stop();
    }
}

#[test]
fn port_is_held_before_its_program_listens() {
    let waits = |ports: &str| {
        format!(
            "\n[web-0]\nprogram = \"sleep\"\nargs = [\"1000\"]\n\
             env = {{ PORT = \"{{port}}\" }}\nready = \"started\"\n{ports}"
        )
    };
    let first = Scratch::of(&waits(""));
    first.does("start");
    // Another home that asks for the same port.
    let port = first.port("web-0");
    let second = Scratch::new(&waits(&format!("ports = {{ port = {port} }}\n")));
    let refused = second.runs("start");
    refused.stderr_has(&format!("port {port}"));
    refused.check(!refused.status.success(), || {
        "expected a refusal".to_owned()
    });
    first.stop();
    second.does("start");
    second.stop();
}
