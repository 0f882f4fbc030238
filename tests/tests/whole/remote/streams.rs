//! Streams with a party in between, which counts, repeats and holds back what agents
//! say, and the sockets of a run.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;
use tests::{Output, Signal, repository};

use super::super::test::{CLIENT, SERVER, ZOMBIE};
use super::runs::results;
use super::{Remote, SLEEPS};

impl Remote {
    /// Runs the tests on two agents whose streams pass a relay.
    fn relayed(&self, mode: &str, options: &str) -> Output {
        let relay = repository().join("tests/tests/whole/remote/relay.pl");
        let words = json!(["perl", relay, mode, self.path().join("counted")]);
        let before = self.read("Cargo.toml");
        self.describe_driver(&format!("command]\ncommand = {words}\n{options}"));
        let output = self.on("command", ["--format=json"]).run();
        self.write("Cargo.toml", &before);
        self.nothing_is_left();
        output
    }

    /// Returns the bytes, and the pieces of files, that the last run has sent.
    fn counted(&self) -> (u64, u64) {
        let text = self.read("counted");
        let numbers = text.lines().map(|line| {
            let (bytes, pieces) = line.split_once(' ').expect("two numbers");
            let number = |text: &str| text.parse::<u64>().expect("a number");
            (number(bytes), number(pieces))
        });
        numbers.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }
}

#[test]
fn repeated_events_change_no_verdict() {
    let failing = r#"test-no = { program = "false" }"#;
    let remote = Remote::of(&[SERVER, ZOMBIE, CLIENT, failing]);
    let local = remote.test(["--format=json"]).run();
    let twice = remote.relayed("twice", "");
    assert_eq!(results(twice.code(100)), results(local.code(100)));
}

#[test]
fn late_events_change_no_verdict() {
    let both = ["a", "b"].map(|name| format!("test-{name} = {{ program = \"true\" }}"));
    let remote = Remote::of(&[&both[0], &both[1]]);
    let late = remote.relayed("late", "lease = \"2s\"");
    let verdict = late.code(100).stdout.lines().last().unwrap_or_default();
    for role in ["test-a", "test-b"] {
        assert!(verdict.contains(role), "{verdict}");
    }
    assert_eq!(
        verdict.matches("nothing heard for 2.").count(),
        2,
        "{verdict}"
    );
}

#[test]
fn a_second_run_sends_manifests_only() {
    let remote = Remote::of(&[SERVER, CLIENT, r#"test-prints = { executable = "prints" }"#]);
    remote.relayed("count", "").success();
    let (_, pieces) = remote.counted();
    assert!(pieces > 0);
    remote.write("counted", "");
    remote.relayed("count", "").success();
    let (bytes, pieces) = remote.counted();
    assert_eq!(pieces, 0);
    assert!(bytes < 64 << 10, "{bytes} bytes were sent");
}

#[test]
fn events_and_logs_have_the_time_of_the_launcher() {
    let says = r#"test-says = { program = "sh", args = ["-c", "echo said; exit 1"] }"#;
    let remote = Remote::of(&[says]);
    let output = remote.relayed("clock", "");
    let events = output.code(100).json_lines();
    let year = |text: &str| text[..4].parse::<u32>().expect("a year");
    let of = |name: &str| {
        let event = events.iter().find(|event| event["event"] == name);
        year(event.expect("it is there")["at"].as_str().expect("a time"))
    };
    // The relay has changed the clock alone, so times are corrected the other way.
    assert_eq!(of("ended"), of("placing") - 1);
    let log = remote
        .ansar(["log", "test-says", "--from=2020-01-01T00:00:00"])
        .run();
    let line = log.success().stdout.lines().find(|it| it.ends_with("said"));
    assert_eq!(year(line.expect("it is there")), of("placing") - 1);
}

#[test]
fn no_port_is_opened() {
    let more = r#"test-sleep-b = { program = "sleep", args = ["600"] }"#;
    let remote = Remote::of(&[SLEEPS, more]);
    let running = remote.local(["-v"]).start();
    running.wait_for("Started test-sleep");
    running.wait_for("Started test-sleep-b");
    let processes = remote.processes();
    let of_agents = processes.values().filter(|it| it.contains("./store/"));
    assert_eq!(of_agents.count(), 4, "{processes:?}");
    let own: BTreeSet<String> = processes.keys().flat_map(|pid| sockets(*pid)).collect();
    assert!(!own.is_empty());
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        for socket in table.lines().skip(1) {
            let inode = socket.split_ascii_whitespace().nth(9).unwrap_or_default();
            assert!(!own.contains(inode), "{socket}");
        }
    }
    running.signal(Signal::SIGINT);
    running.wait().code(130);
    remote.nothing_is_left();
}

/// Returns the numbers of the sockets that a process has open.
fn sockets(pid: i32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let links = files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok());
    let names = links.map(|link| link.to_string_lossy().into_owned());
    let sockets = names.filter_map(|name| {
        let number = name.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(number.to_owned())
    });
    sockets.collect()
}
