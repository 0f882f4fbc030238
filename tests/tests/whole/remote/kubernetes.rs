//! Runs in pods of Kubernetes: of a real one whose programs are in the folder that
//! `ANSAR_KUBERNETES` names, or else of a `kubectl` that stands in for it and runs its
//! commands on virtual hosts.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tests::{Output, eventually, repository};

use super::cluster::{Cluster, are_lost, run, sleeping, start, wait};

/// Starts a cluster, and returns it with the options of the driver.
fn cluster() -> Option<(Cluster, String)> {
    let real = real();
    let cluster = match &real {
        Some(folder) => Cluster::kubernetes(folder)?,
        None => Cluster::hosts()?.with_driver("kubernetes"),
    };
    let bin = cluster.folder.join("bin");
    fs::create_dir_all(&bin).expect("it is made");
    let kubectl = bin.join("kubectl");
    let options = if real.is_some() {
        let on = cluster.folder.join("on");
        let script = format!(
            "#!/bin/sh\nPATH=${{PATH#*:}} exec {} ctl kubectl \"$@\"\n",
            on.display()
        );
        fs::write(&kubectl, script).expect("it is written");
        let pod = json!({"spec": {
            "hostNetwork": true,
            "containers": [{"imagePullPolicy": "Never"}],
        }});
        fs::write(cluster.workspace.join("pod.json"), pod.to_string()).expect("it is written");
        "\n[on.kubernetes]\nimage = \"ansar.local/base:1\"\npod = \"pod.json\"\n"
    } else {
        fs::copy(repository().join("tests/cluster/kubectl"), &kubectl).expect("it is copied");
        "\n[on.kubernetes]\n"
    };
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(kubectl, mode).expect("it is ours");
    Some((cluster, format!("{options}shards = 3\nlease = \"3s\"\n")))
}

#[expect(clippy::disallowed_methods, reason = "the developer has built it")]
fn real() -> Option<String> {
    std::env::var("ANSAR_KUBERNETES").ok()
}

impl Cluster {
    /// Returns the pods that are listed.
    fn pods(&self) -> String {
        let kubectl = self.folder.join("bin/kubectl");
        if real().is_some() {
            return self.on("ctl", "kubectl get pods -o name");
        }
        let pods = fs::read_dir(kubectl.with_file_name("../pods"));
        let names = pods.into_iter().flatten().flatten();
        names
            .map(|pod| pod.file_name().to_string_lossy().into_owned() + "\n")
            .collect()
    }

    #[track_caller]
    fn no_pod_is_left(&self) {
        self.nodes_are_clean();
        let none = eventually(|| self.pods().is_empty().then_some(()));
        assert!(none.is_some(), "{}", self.pods());
        let noted = fs::read_dir(self.workspace.join(".ansar-home/remote"));
        assert_eq!(noted.expect("it is read").count(), 1);
    }
}

/// A server, and a client that connects to it, of the programs of an image or of
/// this machine.
const ROLES: &str = r#"
[role.server-0]
program = "sh"
args = ["-c", "command -v perl >/dev/null && exec perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalAddr => shift, LocalPort => shift, Listen => 99, ReuseAddr => 1) or die $!; close $s->accept while 1' $0 $1; exec nc -ll -p $1 -e /bin/hostname", "{bind}", "{port}"]
"#;
const CLIENT: &str = r#"
[role.test-NUMBER]
program = "sh"
args = ["-c", "test $ADDRESS = $ANSAR_SERVER_0_ADDRESS || exit 2; c='exec 3<>/dev/tcp/'$ANSAR_SERVER_0_HOST/$ANSAR_SERVER_0_PORT; command -v bash >/dev/null && exec bash -c \"$c\"; exec nc -w 9 $ANSAR_SERVER_0_HOST $ANSAR_SERVER_0_PORT </dev/null"]
env = { ADDRESS = "{address:server-0}" }
"#;

fn lines(output: &Output) -> BTreeSet<String> {
    output.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn roles_run_in_pods() {
    let Some((cluster, options)) = cluster() else {
        return;
    };
    let clients = (10..22).map(|nth| CLIENT.replace("NUMBER", &nth.to_string()));
    let roles = ROLES.to_owned() + &clients.collect::<String>();
    cluster.describe(&format!("{options}{roles}"));
    let local = cluster.ansar("test").run();
    let divided = cluster.divided("--format json").run();
    for node in ["n1", "n2", "n3"] {
        divided
            .success()
            .stdout_has(&format!("\"node\":\"{node}\""));
    }
    cluster.no_pod_is_left();
    let divided = cluster.divided("").run();
    assert_eq!(lines(divided.success()), lines(local.success()));
    cluster.no_pod_is_left();
}

#[test]
fn pods_that_are_gone_lose_their_roles() {
    let Some((cluster, options)) = cluster() else {
        return;
    };
    let roles = |seconds| sleeping(9, seconds);
    cluster.describe(&(options.clone() + &roles(8)));
    // Deleted by another user.
    let started = start(&cluster);
    let kubectl = cluster.folder.join("bin/kubectl");
    let pod = cluster.pods();
    let mut pods: Vec<&str> = pod
        .lines()
        .map(|pod| pod.trim_start_matches("pod/"))
        .collect();
    pods.sort_unstable();
    let node = started.node_of(2);
    let words = ["delete", "pods", "--grace-period=0", "--force", pods[1]];
    run(&kubectl, &words);
    are_lost(started, &[node]);
    cluster.no_pod_is_left();
    // A killed launcher: its agents end, and the next run deletes the pods.
    cluster.describe(&(options.clone() + &roles(600)));
    let started = start(&cluster);
    cluster.kill_launcher();
    started.running.wait();
    cluster.nodes_are_clean();
    assert_eq!(cluster.pods().lines().count(), 3);
    cluster.describe(&(options.clone() + &roles(0)));
    cluster.divided("").run().success();
    cluster.no_pod_is_left();
    if real().is_none() {
        return;
    }
    cluster.describe(&(options + &roles(9)));
    // A cut that is longer than the lease.
    let started = start(&cluster);
    cluster.link("cut", "n2");
    wait(8);
    cluster.link("mend", "n2");
    are_lost(started, &[2]);
    cluster.divided("--list").run().success();
    cluster.nodes_are_clean();
    // The commands that reach the pods.
    let started = start(&cluster);
    cluster.on("ctl", "kill -9 $(pgrep -x kubectl)");
    are_lost(started, &[1, 2, 3]);
    cluster.no_pod_is_left();
    // The daemon of a node: its stream ends.
    let started = start(&cluster);
    cluster.on("n2", "kill -9 $(pgrep -x kubelet)");
    are_lost(started, &[2]);
    cluster.nodes_are_clean();
}

#[test]
fn what_kubernetes_needs_is_named() {
    let Some((cluster, options)) = cluster() else {
        return;
    };
    cluster.describe(&(options.clone() + &sleeping(1, 0)));
    fs::remove_file(cluster.folder.join("bin/kubectl")).expect("it is there");
    let kubectl = cluster.folder.join("bin/kubectl");
    fs::write(&kubectl, "#!/bin/sh\necho 'error: forbidden' >&2; exit 1\n").expect("it is written");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(kubectl, mode).expect("it is ours");
    let refused = cluster.divided("").run();
    refused.code(96).stderr_has(
        "no agent has joined: its stream ended (exit code 1): error: forbidden\n\
         hint: install `kubectl`, let its user create pods",
    );
    fs::write(cluster.workspace.join("pod.json"), "{\"spec\": []}").expect("it is written");
    cluster.describe(&("\n[on.kubernetes]\npod = \"pod.json\"\n".to_owned() + &sleeping(1, 0)));
    let refused = cluster.divided("").run();
    refused.code(96).stderr_has(
        "error: invalid pod in `pod.json`: `/spec` has another type than in a pod\nhint: ",
    );
}
