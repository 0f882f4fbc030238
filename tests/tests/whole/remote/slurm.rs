//! Runs on real Slurm, whose hosts are namespaces of this machine: three nodes that
//! see neither the workspace nor the launcher's home.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::{Output, Program, Running, Sandbox, eventually, executable, repository};

use super::super::cleanup::kills::{now, pause};

/// Exit code of the scripts of the cluster if this machine cannot run one.
const SKIPPED: i32 = 77;

/// A cluster of the hosts `ctl`, `n1`, `n2` and `n3`.
struct Cluster {
    folder: PathBuf,
    sandbox: Sandbox,
}

/// Runs a command, and returns its exit code and what it has printed. Daemons that
/// it starts keep its streams, so these are a file.
#[expect(
    clippy::disallowed_methods,
    reason = "the cluster outlives its commands"
)]
fn run(command: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut said = tempfile::tempfile().expect("a file is made");
    let stream = || said.try_clone().expect("it is open");
    let mut command = Command::new(command);
    command.args(arguments).stdin(Stdio::null());
    let status = command.stdout(stream()).stderr(stream()).status();
    let mut text = String::new();
    said.rewind().expect("it is a file");
    said.read_to_string(&mut text).expect("it is text");
    (status.expect("the script starts").code(), text)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a skipped test must not pass in CI"
)]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

impl Cluster {
    /// Starts a cluster; `None`, with a sentence, where that is not possible.
    #[expect(clippy::print_stderr, reason = "the reason of a skipped test")]
    fn start() -> Option<Self> {
        let sandbox = Sandbox::new();
        // A Unix socket lies in it, so its path must be short.
        let folder = sandbox.path().with_file_name("cluster");
        let script = repository().join("tests/cluster/slurm-up.sh");
        let (code, said) = run(&script, &[&folder.display().to_string(), "3"]);
        match code {
            Some(0) => Some(Self { folder, sandbox }),
            Some(SKIPPED) => {
                assert!(!is_ci(), "{said}");
                eprintln!("skipped: {said}");
                None
            }
            _ => panic!("{said}"),
        }
    }

    /// Writes the workspace, which only `ctl` sees.
    fn describe(&self, tables: &str) {
        let workspace = self.folder.join("ctl/ws");
        fs::create_dir_all(workspace.join("src")).expect("it is made");
        let manifest = format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n{}",
            tables.replace("\n[", "\n[workspace.metadata.ansar.")
        );
        fs::write(workspace.join("src/lib.rs"), "").expect("it is written");
        fs::write(workspace.join("Cargo.toml"), manifest).expect("it is written");
    }

    /// `cargo ansar WORDS` in the workspace, on `ctl`.
    fn ansar(&self, words: &str) -> Program<'_> {
        let program = self.sandbox.program(self.folder.join("on"));
        let program = program.env("ANSAR_WD", self.folder.join("ctl/ws"));
        // The temporary folder is that of each host.
        let program = program.env("TMPDIR", "/tmp").arg("ctl");
        let program = program.arg(executable("cargo-ansar")).arg("ansar");
        program.args(words.split(' '))
    }

    /// Runs a script on a host, and returns its output.
    fn on(&self, host: &str, script: &str) -> String {
        let (_, said) = run(&self.folder.join("on"), &[host, "sh", "-c", script]);
        said.trim().to_owned()
    }

    /// Takes the link of a host down or up.
    fn link(&self, verb: &str, host: &str) {
        run(&self.folder.join(verb), &[host]);
    }

    /// Returns the test roles of a shard, numbered from 1.
    fn roles(&self, shard: usize) -> BTreeSet<String> {
        let listed = self
            .ansar(&format!("test --list --partition {shard}/3"))
            .run();
        listed.success().stdout.lines().map(str::to_owned).collect()
    }

    /// Waits until no process and no folder of agents is left on the nodes.
    #[track_caller]
    fn nodes_are_clean(&self) {
        for node in ["n1", "n2", "n3"] {
            self.is_clean(node);
        }
    }

    #[track_caller]
    fn is_clean(&self, node: &str) {
        let script = "ps -e -o args | grep -v '^sleep 1000000' | grep -E '^(sleep|perl|[./]*store/)'; \
                      ls -d /tmp/ansar-0/run-* 2>/dev/null";
        let clean = eventually(|| self.on(node, script).is_empty().then_some(()));
        let left = || self.on(node, "ps -e -o pid,args; ls /tmp/ansar-0");
        assert!(clean.is_some(), "{node}: {}", left());
    }

    /// Waits until all nodes are idle and no job is listed, which takes Slurm up to a
    /// minute.
    #[track_caller]
    fn is_idle(&self) {
        let script = "sinfo -h -N -t idle -o %N | sort -u | wc -l; squeue -h";
        let idle = || eventually(|| (self.on("ctl", script) == "3").then_some(()));
        let is_idle = (0..3).any(|_| idle().is_some());
        assert!(is_idle, "{}", self.on("ctl", "sinfo; squeue"));
    }

    /// Asserts that the home notes no job to release.
    #[track_caller]
    fn nothing_is_noted(&self) {
        let folder = self.folder.join("ctl/ws/.ansar-home/remote");
        let noted = self.on("ctl", &format!("ls {}", folder.display()));
        assert_eq!(noted, "hashes.json");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let script = repository().join("tests/cluster/hosts-down.sh");
        run(&script, &[&self.folder.display().to_string()]);
    }
}

/// Returns the options of the driver, and `count` roles that run for some seconds.
fn sleeping(count: usize, seconds: u32) -> String {
    let role = |nth: usize| {
        format!("\n[role.test-{nth:02}]\nprogram = \"sleep\"\nargs = [\"{seconds}\"]\n")
    };
    let roles: String = (0..count).map(role).collect();
    format!("\n[on.slurm]\nlease = \"3s\"\nshards = 3\n{roles}")
}

/// A run whose roles have started, and the shard of each node.
struct Started<'c> {
    running: Running<'c>,
    /// Roles of the nodes n1, n2 and n3.
    roles: [BTreeSet<String>; 3],
}

/// Starts a run, and waits until all of its roles have started.
fn start(cluster: &Cluster) -> Started<'_> {
    let mut running = cluster.ansar("test --on slurm --format json").start();
    let mut roles = [(); 3].map(|()| BTreeSet::new());
    for _ in 0..3 {
        let line = running.wait_for_next_on_stdout("\"placed\"");
        let event: Value = serde_json::from_str(&line).expect("an event");
        let node = event["node"].as_str().and_then(|it| it.strip_prefix('n'));
        let node: usize = node.and_then(|it| it.parse().ok()).expect("a node");
        let shard = event["shard"].as_u64().expect("a shard");
        roles[node - 1] = cluster.roles(usize::try_from(shard).expect("it is small"));
    }
    let all: usize = roles.iter().map(BTreeSet::len).sum();
    for _ in 0..all {
        running.wait_for_next_on_stdout("\"started\"");
    }
    Started { running, roles }
}

/// Returns the roles that were lost, each with its node and reason.
fn lost(output: &Output) -> Vec<(String, String)> {
    let verdict = output.stdout.lines().last().unwrap_or_default();
    let verdict: Value = serde_json::from_str(verdict).expect("a verdict");
    let failures = verdict["failures"].as_array().cloned().unwrap_or_default();
    let text = |failure: &Value, name: &str| failure[name].as_str().unwrap_or_default().to_owned();
    let failures = failures.iter();
    failures
        .map(|failure| (text(failure, "role"), text(failure, "text")))
        .collect()
}

/// Asserts that exactly the roles of these nodes were lost.
#[track_caller]
fn are_lost(started: Started<'_>, nodes: &[usize]) {
    let Started { running, roles } = started;
    let output = running.wait();
    let expected: BTreeSet<String> = nodes
        .iter()
        .flat_map(|&nth| roles[nth - 1].clone())
        .collect();
    let found = lost(&output);
    let names: BTreeSet<String> = found.iter().map(|(role, _)| role.clone()).collect();
    output.check(names == expected, || {
        format!("expected {expected:?} to be lost")
    });
    output.code(if nodes.is_empty() { 0 } else { 100 });
    for (role, text) in &found {
        let node = nodes.iter().find(|&&nth| roles[nth - 1].contains(role));
        let node = format!("lost with node n{}, ", node.expect("it is expected"));
        output.check(text.contains(&node), || format!("`{text}` names no node"));
    }
}

fn wait(seconds: u64) {
    pause(now() + Duration::from_secs(seconds));
}

/// A server that accepts connections.
const SERVER: &str = r#"
[role.server-0]
program = "perl"
args = ["-MIO::Socket::INET", "-e", "$s = IO::Socket::INET->new(LocalAddr => shift, LocalPort => shift, Listen => 99, ReuseAddr => 1) or die $!; close $s->accept while 1", "{bind}", "{port}"]
"#;

/// A client of it, which fails unless it runs on another node than the server or the
/// server is on all of them.
const CLIENT: &str = r#"
[role.test-NUMBER]
program = "bash"
args = ["-c", "test $ADDRESS = $ANSAR_SERVER_0_ADDRESS && exec 3<>/dev/tcp/$ANSAR_SERVER_0_HOST/$ANSAR_SERVER_0_PORT"]
env = { ADDRESS = "{address:server-0}" }
"#;

#[test]
fn roles_run_on_three_nodes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let clients = (10..22).map(|nth| CLIENT.replace("NUMBER", &nth.to_string()));
    let roles = SERVER.to_owned() + &clients.collect::<String>();
    cluster.describe(&format!("\n[on.slurm]\nshards = 3\n{roles}"));
    let local = cluster.ansar("test").run();
    let divided = cluster.ansar("test --on slurm").run();
    let lines = |output: &Output| -> BTreeSet<String> {
        output.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(lines(divided.success()), lines(local.success()));
    divided.stderr_has("Placing 3 shards on slurm");
    cluster.nodes_are_clean();
    cluster.is_idle();
    // What was sent is private, and nothing else is there.
    for node in ["n1", "n2", "n3"] {
        let seen = cluster.on(
            node,
            "ls /tmp/ansar-0; stat -c %a /tmp/ansar-0 /tmp/ansar-0/store",
        );
        assert_eq!(seen, "lock\nstore\n700\n700", "{node}");
    }
    let partition = cluster
        .ansar("test --on slurm --on-arg=--partition=none")
        .run();
    partition
        .code(96)
        .stderr_has("nvalid partition name specified");
    partition.stderr_has("hint: choose other options for `srun` with `args` or `--on-arg`");
    // More shards than nodes: one is waited for in vain.
    cluster.describe(&format!(
        "\n[on.slurm]\nshards = 4\nplace-timeout = \"3s\"\n{roles}"
    ));
    let late = cluster.ansar("test --on slurm").run();
    late.code(106).stderr_has("no agent has joined for shard");
    cluster.nodes_are_clean();
    cluster.is_idle();
}

#[test]
fn faults_lose_exactly_their_roles() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    cluster.describe(&sleeping(9, 8));
    let srun = "kill -9 $(pgrep -x srun)";

    // A short cut is not noticed.
    let started = start(&cluster);
    cluster.link("cut", "n2");
    wait(1);
    cluster.link("mend", "n2");
    are_lost(started, &[]);
    cluster.nodes_are_clean();
    cluster.is_idle();

    // A cut that is longer than the lease: n2 is clean while it is unreachable, and
    // changes nothing when it comes back.
    let started = start(&cluster);
    cluster.link("cut", "n2");
    cluster.is_clean("n2");
    cluster.link("mend", "n2");
    are_lost(started, &[2]);
    cluster.nodes_are_clean();
    cluster.is_idle();

    // The launcher's own link.
    let started = start(&cluster);
    cluster.link("cut", "ctl");
    wait(5);
    cluster.link("mend", "ctl");
    are_lost(started, &[1, 2, 3]);
    cluster.nodes_are_clean();
    cluster.is_idle();

    // An agent, killed and frozen.
    for signal in ["KILL", "STOP"] {
        let started = start(&cluster);
        cluster.on(
            "n2",
            &format!("kill -{signal} $(pgrep -n -f 'store/[0-9a-f]* agent')"),
        );
        are_lost(started, &[2]);
        cluster.nodes_are_clean();
        cluster.is_idle();
    }

    // The commands that placed the agents.
    let started = start(&cluster);
    cluster.on("ctl", srun);
    are_lost(started, &[1, 2, 3]);
    cluster.nodes_are_clean();
    cluster.is_idle();

    // Parts of Slurm.
    let started = start(&cluster);
    cluster.on("n2", "kill -9 $(pgrep -x slurmstepd)");
    are_lost(started, &[2]);
    cluster.nodes_are_clean();
    cluster.is_idle();
    let started = start(&cluster);
    let folder = cluster.folder.display().to_string();
    cluster.on(
        "n2",
        &format!(
            "kill -9 $(cat {folder}/pid/slurmd.n2); sleep 1; slurmd -N n2 -f {folder}/slurm.conf"
        ),
    );
    are_lost(started, &[]);
    cluster.nodes_are_clean();
    cluster.is_idle();
}

#[test]
fn killed_launchers_leave_nothing() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    cluster.describe(&sleeping(9, 600));
    for script in [
        // The launcher; with its guardian; with the commands that it has started.
        "kill -9 $(pgrep -n -x cargo-ansar)",
        "kill -9 $(pgrep -x cargo-ansar)",
        "kill -9 $(pgrep -x cargo-ansar) $(pgrep -x srun)",
    ] {
        let started = start(&cluster);
        cluster.on("ctl", script);
        started.running.wait();
        cluster.nodes_are_clean();
        cluster.is_idle();
    }
    // All of that and the agents with their guardians: the next run releases the jobs,
    // and its agents remove what is on the nodes.
    let started = start(&cluster);
    cluster.on("ctl", "kill -9 $(pgrep -x cargo-ansar) $(pgrep -x srun)");
    for node in ["n1", "n2", "n3"] {
        cluster.on(node, "kill -9 $(pgrep -f 'store/[0-9a-f]* agent')");
    }
    started.running.wait();
    cluster.describe(&sleeping(9, 0));
    cluster.ansar("test --on slurm").run().success();
    cluster.nodes_are_clean();
    cluster.is_idle();
    cluster.nothing_is_noted();
}

#[test]
fn a_controller_that_was_away() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    cluster.describe(&sleeping(9, 600));
    let started = start(&cluster);
    let folder = cluster.folder.display().to_string();
    cluster.on("ctl", &format!("kill -9 $(cat {folder}/pid/slurmctld)"));
    let launcher = cluster.on("ctl", "pgrep -o -x cargo-ansar");
    cluster.on("ctl", &format!("kill -INT {launcher}"));
    started.running.wait();
    cluster.nodes_are_clean();
    cluster.on("ctl", &format!("slurmctld -f {folder}/slurm.conf"));
    let answers = "squeue -h && echo up";
    let is_up = eventually(|| cluster.on("ctl", answers).ends_with("up").then_some(()));
    assert!(is_up.is_some());
    // The next run releases the jobs. Slurm may not have free nodes for it yet.
    let next = sleeping(3, 0).replace("lease", "place-timeout = \"2s\"\nlease");
    cluster.describe(&next);
    cluster.ansar("test --on slurm").run();
    cluster.nodes_are_clean();
    cluster.is_idle();
    cluster.nothing_is_noted();
}
