//! Runs on real Slurm, whose hosts are namespaces of this machine: three nodes that
//! see neither the workspace nor the launcher's home.

use std::collections::BTreeSet;

use tests::{Output, eventually};

use super::cluster::{self, Cluster, start};
use super::runs::{lines, results};

impl Cluster {
    /// Waits until all nodes are idle and no job is listed, which takes Slurm up to a
    /// minute.
    #[track_caller]
    pub(super) fn is_idle(&self) {
        let script = "sinfo -h -N -t idle -o %N | sort -u | wc -l; squeue -h";
        let idle = || eventually(|| (self.on("ctl", script) == "3").then_some(()));
        let is_idle = (0..3).any(|_| idle().is_some());
        assert!(is_idle, "{}", self.on("ctl", "sinfo; squeue"));
    }

    /// Asserts that the home notes no job to release.
    #[track_caller]
    pub(super) fn nothing_is_noted(&self) {
        let folder = self.folder.join("ctl/ws/.ansar-home/remote");
        let noted = self.on("ctl", &format!("ls {}", folder.display()));
        assert_eq!(noted, "hashes.json");
    }
}

/// Returns the options of the driver, and roles that run for some seconds.
fn sleeping(count: usize, seconds: u32) -> String {
    let roles = cluster::sleeping(count, seconds);
    format!("\n[on.slurm]\nlease = \"3s\"\nshards = 3\n{roles}")
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
    let Some(cluster) = Cluster::slurm() else {
        return;
    };
    let clients = (10..22).map(|nth| CLIENT.replace("NUMBER", &nth.to_string()));
    let roles = SERVER.to_owned() + &clients.collect::<String>();
    cluster.describe(&format!("\n[on.slurm]\nshards = 3\n{roles}"));
    let local = cluster.ansar("test").run();
    let divided = cluster.divided("").run();
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
    let late = cluster.divided("").run();
    late.code(106).stderr_has("no agent has joined for shard");
    cluster.nodes_are_clean();
    cluster.is_idle();
}

#[test]
fn a_thousand_clients_over_three_nodes() {
    let Some(cluster) = Cluster::slurm() else {
        return;
    };
    let clients = CLIENT.replace("test-NUMBER]", "\"test-{number}\"]\ncount = 1000");
    let roles = format!("\n[on.slurm]\nshards = 3\n{SERVER}{clients}");
    cluster.describe(&roles);
    let local = cluster.ansar("test --format json").run();
    let divided = cluster.divided("--format json").run();
    assert_eq!(results(divided.success()), results(local.success()));
    let verdict = divided.stdout.lines().last().unwrap_or_default();
    assert!(verdict.contains("\"passed\":1000"), "{verdict:.300}");
    let failing = (1..=3).map(|nth| format!("\n[role.test-no-{nth}]\nprogram = \"false\"\n"));
    cluster.describe(&(roles + &failing.collect::<String>()));
    let local = cluster.ansar("test").run();
    let divided = cluster.divided("").run();
    assert_eq!(lines(divided.code(100)), lines(local.code(100)));
    let places = divided.stdout.lines().filter(|line| line.contains(" - "));
    assert_eq!(places.count(), 3);
    cluster.nodes_are_clean();
    cluster.is_idle();
}

#[test]
fn killed_launchers_leave_nothing() {
    let Some(cluster) = Cluster::slurm() else {
        return;
    };
    cluster.describe(&sleeping(9, 600));
    // The launcher, its guardian, their commands, and the agents with their guardians:
    // the next run releases the jobs, and its agents remove what is on the nodes.
    let started = start(&cluster);
    cluster.on("ctl", "kill -9 $(pgrep -x cargo-ansar) $(pgrep -x srun)");
    for node in ["n1", "n2", "n3"] {
        cluster.on(node, "kill -9 $(pgrep -f 'store/[0-9a-f]* agent')");
    }
    started.running.wait();
    cluster.describe(&sleeping(9, 0));
    cluster.divided("").run().success();
    cluster.nodes_are_clean();
    cluster.is_idle();
    cluster.nothing_is_noted();
}

#[test]
fn a_controller_that_was_away() {
    let Some(cluster) = Cluster::slurm() else {
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
    cluster.divided("").run();
    cluster.nodes_are_clean();
    cluster.is_idle();
    cluster.nothing_is_noted();
}
