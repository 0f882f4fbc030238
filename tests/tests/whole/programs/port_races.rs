//! Ports that other programs take between the deploy and the start.

use std::net::TcpListener;

use super::Group;

use tests::eventually;

const SLOW: &str = r#"
[slow-0]
program = "sleep"
args = ["600"]
ready = { file = "{home}/up" }

[test-web]
program = "true"
"#;

const WEB: &str = r#"
[workspace.metadata.ansar.role.web-0]
program = "sleep"
args = ["600"]
env = { PORT = "{port}" }
ready = "started"
"#;

#[test]
fn a_port_taken_after_the_deploy_is_replaced() {
    let group = Group::of(SLOW);
    group.does("deploy");
    let start = group.ansar(["start", "slow-0"]).start();
    start.wait_for("Waiting for slow-0 to be ready");
    // The run deploys, and then waits for the role in the background.
    let manifest = group.read("Cargo.toml");
    group.write("Cargo.toml", &format!("{manifest}{WEB}"));
    let test = group.ansar(["test"]).start();
    let before = eventually(|| {
        let address = group.ansar(["address", "web-0"]).run();
        let is_there = address.status.success();
        is_there.then(|| address.stdout.trim().to_owned())
    });
    let before = before.expect("the port is allocated");
    let taken = TcpListener::bind(&before).expect("no role has it yet");
    group.write(".ansar-home/up", "");
    let output = test.wait();
    let after = group.address("web-0");
    let (_, port) = after.split_once(':').expect("it has a port");
    let moved = format!("is used by another program; it gets port {port}\n");
    output.success().stderr_has(&moved);
    assert_ne!(after, before);
    start.wait().success();
    drop(taken);
    group.does("stop slow-0");
}

#[test]
fn a_fixed_port_is_not_replaced() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("one is free");
    let port = taken.local_addr().expect("it is bound").port();
    let group = Group::of("");
    let manifest = group.read("Cargo.toml");
    let fixed = format!("{manifest}{WEB}ports = {{ port = {port} }}\n");
    group.write("Cargo.toml", &fixed);
    group.does("deploy");
    let output = group.ansar(["start", "web-0"]).run();
    output.check(!output.status.success(), || "expected a refusal".to_owned());
    output
        .stderr_has(&format!("role `web-0`: port {port} is in use by process "))
        .stderr_has("hint: end that process, or change the port in `ports`");
    // The engine that refused ends by itself.
    let quiet = eventually(|| group.processes().is_empty().then_some(()));
    assert!(quiet.is_some(), "{:?}", group.processes());
}
