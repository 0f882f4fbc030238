//! `examples/orders` on real Slurm: its servers on one node, its tests on three.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tests::{Output, Workspace, server};

use super::cluster::Cluster;

/// A role that ends when its node has been looked at.
const LOOK: &str = r#"
[workspace.metadata.ansar.role.test-look]
program = "sh"
args = ["-c", "until test -e /tmp/seen; do sleep 0.1; done"]

[workspace.metadata.ansar.on.slurm]
shards = 3
"#;

/// A test that returns an error, and its place in the file.
const FAILS: &str = "\n#[test]\nfn it_returns_an_error() -> Result<(), String> {\n    \
                     Err(get(\"/health\").status.to_string())\n}\n";

fn lines(output: &Output) -> BTreeSet<&str> {
    output.stdout.lines().collect()
}

#[test]
fn orders_run_over_three_nodes() {
    let servers = ["postgres", "redis-server", "curl"];
    if servers.map(server).iter().any(Option::is_none) {
        return;
    }
    let Some(cluster) = Cluster::slurm() else {
        return;
    };
    let orders = Workspace::orders();
    cluster.hide(&orders.path());

    // As it stands.
    let local = orders.ansar(["test"]).run();
    let words = "test --on slurm --shards 3";
    let divided = cluster.ansar_in(&orders, words).run();
    assert_eq!(lines(divided.success()), lines(local.success()));
    divided
        .stdout_has("role \"test-api\" (pass/fail): 25/0\n")
        .stdout_has("role \"test-smoke\" (pass/fail): 1/0\n");
    cluster.nodes_are_clean();

    // The servers are on one node, and each node has a test.
    let manifest = orders.read("Cargo.toml");
    orders.write("Cargo.toml", &format!("{manifest}{LOOK}"));
    let words = "test --on slurm --format json";
    let mut running = cluster.ansar_in(&orders, words).start();
    let mut nodes = BTreeSet::new();
    for _ in 0..3 {
        let line = running.wait_for_next_on_stdout("\"placed\"");
        let event: Value = serde_json::from_str(&line).expect("an event");
        nodes.insert(event["node"].as_str().expect("a node").to_owned());
    }
    assert_eq!(nodes, ["n1", "n2", "n3"].map(str::to_owned).into());
    let started = r#""event":"started","role":"test-look""#;
    running.wait_for_next_on_stdout(started);
    let count = |program: &str| {
        let counts = nodes.iter().map(|node| {
            let count = cluster.on(node, &format!("pgrep -c -x {program}"));
            count.parse::<usize>().expect("a number")
        });
        counts.filter(|count| *count > 0).count()
    };
    assert_eq!(["postgres", "redis-server", "api"].map(count), [1, 1, 1]);
    for node in &nodes {
        cluster.on(node, "touch /tmp/seen");
    }
    let passed = r#""exit":0,"interrupted":false,"#;
    running.wait().success().stdout_has(passed);
    cluster.nodes_are_clean();

    // A test that fails has the same place.
    let tests = orders.path().join("api/tests/api.rs");
    let text = fs::read_to_string(&tests).expect("it is there") + FAILS;
    let line = text.lines().position(|line| line.contains("fn it_returns"));
    orders.write(&tests, &text);
    let local = orders.ansar(["test", "test-api"]).run();
    let divided = cluster.ansar_in(&orders, "test --on slurm").run();
    let places = |output: &Output| {
        let places = output.stdout.lines().filter(|line| line.contains(" - "));
        places.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(places(divided.code(100)), places(local.code(100)));
    let line = line.expect("it was added") + 1;
    let place = format!("{}:{line} - it_returns_an_error: ", tests.display());
    divided.stdout_has(&place);
    divided.stdout_has("role \"test-api\" (pass/fail): 25/1\n");
    cluster.nodes_are_clean();
}
