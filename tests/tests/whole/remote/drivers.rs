//! One description, with each of the drivers that run agents.

use std::fs;

use serde_json::Value;
use tests::Output;

use super::Remote;
use super::cluster::Cluster;
use super::kubernetes;
use super::runs::results;

/// A server, tests of it, and tests that fail in different ways.
const ROLES: [&str; 5] = [
    r#"server-0 = { executable = "server", settings = { host = "{bind}", port = "{port}" } }"#,
    r#""test-asks-{number}" = { executable = "asks", settings = { server = "{address:server-0}" }, count = 9 }"#,
    r#"test-panic = { executable = "panics" }"#,
    r#"test-ack = { executable = "noop" }"#,
    r#"test-exit = { program = "sh", args = ["-c", "exit 3"] }"#,
];

/// A client with an address in its settings, one of whose checks fails.
const ASKS: &str = r#"
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use ansar_runtime::{Context, Result, Settings, TestReport};

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Asks {
    server: String,
}

async fn asks(cx: Context, Settings(asks): Settings<Asks>) -> Result<TestReport> {
    let mut stream = TcpStream::connect(&asks.server)?;
    for (word, expected) in [("fervent", "eager"), ("fly", "walk")] {
        stream.write_all(word.as_bytes())?;
        let mut reply = [0; 64];
        let length = stream.read(&mut reply)?;
        cx.test_eq(String::from_utf8_lossy(&reply[..length]), expected);
    }
    Ok(cx.report())
}

fn main() -> ExitCode {
    ansar_runtime::main(asks)
}
"#;

/// An analyzer whose result is what it was given.
const SUITE: &str = r"
use std::process::ExitCode;

use ansar_runtime::{Input, Result, TestSuite};

async fn suite(Input(suite): Input<TestSuite>) -> Result<TestSuite> {
    Ok(suite)
}

fn main() -> ExitCode {
    ansar_runtime::main(suite)
}
";

/// Returns the suite of a run.
#[track_caller]
fn suite(output: &Output) -> Value {
    let verdict = output.stdout.lines().last().unwrap_or_default();
    let verdict: Value = serde_json::from_str(verdict).expect("a verdict");
    let result = &verdict["result"];
    assert_eq!(result[0], "ansar.create.test.TestSuite", "{verdict}");
    let mut suite = result[1].clone();
    super::runs::without_stamps(&mut suite);
    suite
}

#[test]
fn every_driver_has_the_same_suite() {
    let Some(slurm) = Cluster::slurm() else {
        return;
    };
    let Some((pods, on_kubernetes)) = kubernetes::cluster() else {
        return;
    };
    let remote = Remote::of(&ROLES);
    remote.write("test-fixtures/src/bin/asks.rs", ASKS);
    remote.write("test-fixtures/src/bin/suite.rs", SUITE);
    let described = remote.read("Cargo.toml");
    let described = described.replace("snapshot =", "analyzer = \"suite\"\nsnapshot =");
    let on = "\n[on.local]\nshards = 3\n\n[on.slurm]\nshards = 3\n".to_owned() + &on_kubernetes;
    let on = on.replace("\n[", "\n[workspace.metadata.ansar.");
    remote.write("Cargo.toml", &(described + &on));
    if let Ok(pod) = fs::read_to_string(pods.workspace.join("pod.json")) {
        remote.write("pod.json", &pod);
    }
    slurm.hide(&remote.path());

    let here = remote.test(["--format=json"]).run();
    let expected = (suite(here.code(100)), results(&here));
    assert_eq!(expected.0["passed"], 9);
    assert_eq!(expected.0["navigation"].as_array().map(Vec::len), Some(12));
    let local = remote.local(["--format=json"]).run();
    let on_slurm = "test --on slurm --format=json";
    let on_slurm = slurm.ansar_in(&remote, on_slurm).run();
    let in_pods = remote.on("kubernetes", ["--format=json"]);
    let in_pods = in_pods.env("PATH", pods.path()).run();
    for (driver, output) in [
        ("local", local),
        ("slurm", on_slurm),
        ("kubernetes", in_pods),
    ] {
        output.code(100);
        let placing = format!(r#""event":"placing","on":"{driver}","shards":3"#);
        output.stdout_has(&placing);
        assert_eq!((suite(&output), results(&output)), expected, "{driver}");
    }
    slurm.nodes_are_clean();
    pods.no_pod_is_left();
    remote.nothing_is_left();
}
