//! A damaged `Cargo.toml`.

use std::fs;

use tests::Sandbox;

use super::mutation::mutate;
use super::{bounded, cases, well_behaved};

/// Commands that read the manifest and start no build.
const COMMANDS: [&str; 6] = [
    "list",
    "status",
    "why server-0",
    "create",
    "report",
    "get env x-1",
];

const MANIFEST: &str = r#"[package]
name = "app"
version = "0.1.0"
edition = "2021"

[workspace]
exclude = ["apart"]

[workspace.metadata.ansar]
tests = "test-.*"
snapshot = "testing"
home = ".ansar-home"
deploy = "copy"
analyzer = "analyzer"
retries = 2
slow-timeout = "60s"

[workspace.metadata.ansar.role.server-0]
executable = "server"
package = "app"
settings = { host = "127.0.0.1", port = 65432, list = [1, 2.5, { deep = true }] }
input = [1, "two", { three = 3.0 }]
env = { RUST_LOG = "debug" }
timeout = "30s"
after = ["db-0"]
restart = "on-failure"
storage = 16777216

[workspace.metadata.ansar.role.db-0]
executable = "db"

[workspace.metadata.ansar.role."test-client-{number}"]
executable = "client"
start = 10
count = 40
step = 2
retry = { first_steps = [1.0, 2.0, 4.0], regular_steps = 5.0, step_limit = 9 }
"#;

#[test]
fn damaged_manifests_are_refused_with_their_place() {
    let sandbox = Sandbox::new();
    let (mut rng, count) = cases("manifests");
    for number in 0..count {
        let (changed, change) = mutate(&mut rng, MANIFEST.as_bytes());
        fs::write(sandbox.path().join("Cargo.toml"), changed).expect("the manifest is written");
        let command = rng.choice(COMMANDS).expect("there are commands");
        let case = format!("case {number}, the manifest: {change}");
        well_behaved(&bounded(&sandbox, command, &case), &case);
        let _ = fs::remove_dir_all(sandbox.path().join(".ansar-home"));
    }
}
