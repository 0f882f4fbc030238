//! Runs in pods of Kubernetes: of a real one whose programs are in the folder that
//! `ANSAR_KUBERNETES` names, or else of a `kubectl` that stands in for it and runs its
//! commands on virtual hosts.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use serde_json::json;
use tests::{Output, eventually, repository};

use super::super::cleanup::kills::now;
use super::cluster::{Cluster, Started, are_lost, run, sleeping, start, wait};

/// Starts a cluster, and returns it with the options of the driver.
pub(super) fn cluster() -> Option<(Cluster, String)> {
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

/// Starts a cluster as [`cluster`] does; `None`, with a sentence, unless it is a real
/// one.
#[expect(clippy::print_stderr, reason = "the reason of a skipped test")]
fn real_cluster() -> Option<(Cluster, String)> {
    if real().is_none() {
        eprintln!("skipped: needs a real Kubernetes, see `ANSAR_KUBERNETES`");
        return None;
    }
    cluster()
}

/// The lease of these runs, in seconds.
const LEASE: u64 = 3;

/// The commands that look for processes of agents and roles on a node, and not for
/// those of a pod itself.
const ROLES_LEFT: &str = "ps -e -o args | grep -v '^sleep 1000000' | grep -v '^sleep 3600' | \
                          grep -E '^(sleep|perl|[./]*store/)'";

impl Cluster {
    /// Asserts that no agent and no role runs on these nodes, soon after a fault.
    #[track_caller]
    fn roles_are_gone(&self, nodes: &[&str], since: Instant) {
        for node in nodes {
            let gone = eventually(|| self.on(node, ROLES_LEFT).is_empty().then_some(()));
            assert!(gone.is_some(), "{node}: {}", self.on(node, ROLES_LEFT));
        }
        let elapsed = now() - since;
        assert!(elapsed.as_secs() < LEASE + 4, "{elapsed:?}");
    }

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

    /// Asserts that a run that has ended has left no pod, and soon nothing on the
    /// nodes.
    #[track_caller]
    pub(super) fn no_pod_is_left(&self) {
        self.no_pod_is_listed();
        self.nodes_are_clean();
    }

    #[track_caller]
    fn no_pod_is_listed(&self) {
        assert_eq!(self.pods(), "");
        let noted = fs::read_dir(self.workspace.join(".ansar-home/remote"));
        let noted = noted.into_iter().flatten().flatten();
        let names: Vec<_> = noted.map(|file| file.file_name()).collect();
        assert!(names.iter().all(|name| name == "hashes.json"), "{names:?}");
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

/// Waits until shards are lost, soon after a fault.
#[track_caller]
fn are_known(started: &mut Started<'_>, count: usize, since: Instant) {
    for _ in 0..count {
        started.running.wait_for_next_on_stdout("\"shard-lost\"");
    }
    let elapsed = now() - since;
    assert!(elapsed.as_secs() < LEASE + 2, "{elapsed:?}");
}

#[test]
fn a_pod_that_another_user_deletes() {
    let Some((cluster, options)) = cluster() else {
        return;
    };
    cluster.describe(&(options + &sleeping(9, 8)));
    let mut started = start(&cluster);
    let pods = cluster.pods();
    let mut pods: Vec<&str> = pods.lines().collect();
    pods.sort_unstable();
    let pod = pods[1].trim_start_matches("pod/");
    let node = started.node_of(2);
    let fault = now();
    let words = ["delete", "pods", "--grace-period=0", "--force", pod];
    run(&cluster.folder.join("bin/kubectl"), &words);
    are_known(&mut started, 1, fault);
    cluster.roles_are_gone(&[&format!("n{node}")], fault);
    are_lost(started, &[(node, "")]);
    cluster.no_pod_is_left();
}

#[test]
fn killed_launchers_leave_pods_to_the_next_run() {
    let Some((cluster, options)) = cluster() else {
        return;
    };
    // The launcher with its guardian; with the commands that it has started as well.
    for more in [&[][..], &["kubectl"]] {
        cluster.describe(&(options.clone() + &sleeping(9, 600)));
        let started = start(&cluster);
        let fault = now();
        cluster.kill_launcher(more);
        cluster.roles_are_gone(&["n1", "n2", "n3"], fault);
        started.running.wait();
        assert_eq!(cluster.pods().lines().count(), 3);
        cluster.describe(&(options.clone() + &sleeping(9, 0)));
        cluster.divided("").run().success();
        cluster.no_pod_is_left();
    }
}

#[test]
fn a_node_that_is_cut() {
    let Some((cluster, options)) = real_cluster() else {
        return;
    };
    cluster.describe(&(options.clone() + &sleeping(9, 12)));
    let mut started = start(&cluster);
    let fault = now();
    cluster.link("cut", "n2");
    are_known(&mut started, 1, fault);
    // While it is out of reach.
    cluster.roles_are_gone(&["n2"], fault);
    let elapsed = (now() - fault).as_secs();
    wait(8_u64.saturating_sub(elapsed));
    cluster.link("mend", "n2");
    are_lost(started, &[(2, "")]);
    cluster.no_pod_is_left();
    // It takes part again.
    cluster.describe(&(options + &sleeping(9, 0)));
    cluster.divided("").run().success();
    cluster.no_pod_is_left();
}

#[test]
fn killed_commands_lose_their_shards() {
    let Some((cluster, options)) = real_cluster() else {
        return;
    };
    cluster.describe(&(options + &sleeping(9, 600)));
    let mut started = start(&cluster);
    let fault = now();
    cluster.on("ctl", "kill -9 $(pgrep -x kubectl)");
    are_known(&mut started, 3, fault);
    cluster.roles_are_gone(&["n1", "n2", "n3"], fault);
    are_lost(started, &[1, 2, 3].map(|node| (node, "")));
    cluster.no_pod_is_left();
}

#[test]
fn a_killed_kubelet_loses_its_shard() {
    let Some((cluster, options)) = real_cluster() else {
        return;
    };
    cluster.describe(&(options + &sleeping(9, 8)));
    let kubelet = "tr '\\0' ' ' </proc/$(pgrep -x kubelet)/cmdline";
    let kubelet = cluster.on("n2", kubelet);
    let mut started = start(&cluster);
    let fault = now();
    cluster.on("n2", "kill -9 $(pgrep -x kubelet)");
    are_known(&mut started, 1, fault);
    cluster.roles_are_gone(&["n2"], fault);
    are_lost(started, &[(2, "")]);
    // Its pod is no longer listed, although nothing has confirmed its end; the next
    // kubelet ends it.
    cluster.no_pod_is_listed();
    let again = format!("setsid {kubelet} >/dev/null 2>&1 </dev/null &");
    cluster.on("n2", &again);
    cluster.no_pod_is_left();
}

/// Returns the objects of the guide, which give an account its rights.
fn rights() -> String {
    let guide = fs::read_to_string(repository().join("docs/src/guides/machines.md"));
    let guide = guide.expect("there is a guide");
    let blocks = guide.split("```yaml\n").skip(1);
    let mut blocks = blocks.filter_map(|block| Some(block.split_once("```")?.0));
    let rights = blocks.find(|block| block.contains("kind: Role\n"));
    rights.expect("it has the role").to_owned()
}

#[test]
fn the_rights_of_the_guide_are_enough() {
    let Some((cluster, options)) = real_cluster() else {
        return;
    };
    let folder = cluster.folder.display();
    let rights = rights();
    let apply = |rights: &str| {
        fs::write(cluster.folder.join("rights.yaml"), rights).expect("it is written");
        cluster.on("ctl", &format!("kubectl apply -f {folder}/rights.yaml"))
    };
    cluster.on("ctl", "kubectl create namespace ci");
    apply(&rights);
    let token = cluster.on("ctl", "kubectl create token ansar --namespace=ci");
    let own = fs::read_to_string(cluster.folder.join("kubeconfig")).expect("there is one");
    let own = own.lines().map(|line| match line.split_once("{token: ") {
        Some((before, _)) => format!("{before}{{token: \"{token}\"}}}}]\n"),
        None => format!("{line}\n"),
    });
    fs::write(cluster.folder.join("account"), own.collect::<String>()).expect("it is written");
    let described = format!(
        "{options}namespace = \"ci\"\nargs = [\"--kubeconfig={folder}/account\"]\n{}",
        sleeping(1, 0)
    );
    cluster.describe(&described);
    let pods = || cluster.on("ctl", "kubectl get pods --all-namespaces -o name");
    cluster.divided("").run().success();
    assert_eq!(pods(), "");
    // Nothing else is allowed, and nothing can be left out.
    let may = |verb: &str, what: &str| {
        let script = format!("kubectl --kubeconfig={folder}/account auth can-i {verb} {what}");
        cluster.on("ctl", &format!("{script} --namespace=ci")) == "yes"
    };
    for (verb, what) in [("list", "pods"), ("patch", "pods"), ("get", "secrets")] {
        assert!(!may(verb, what), "{verb} {what}");
    }
    for (all, less, verb, what) in [
        ("[create, get, delete]", "[get, delete]", "create", "pods"),
        ("[create, get, delete]", "[create, delete]", "get", "pods"),
        // This server knows no `exec` by `get`.
        (
            "[create, get]",
            "[get]",
            "create",
            "pods --subresource=exec",
        ),
        ("[create, get, delete]", "[create, get]", "delete", "pods"),
    ] {
        assert!(rights.contains(all), "{all}");
        apply(&rights.replace(all, less));
        let is_in_force = eventually(|| (!may(verb, what)).then_some(()));
        assert!(is_in_force.is_some());
        let output = cluster.divided("").run();
        if verb == "delete" {
            output.success();
            assert_ne!(pods(), "");
        } else {
            output.code(96).stderr_has("forbidden");
        }
        apply(&rights);
        let is_in_force = eventually(|| may(verb, what).then_some(()));
        assert!(is_in_force.is_some());
    }
    // The next run deletes what those without a right have left.
    cluster.divided("").run().success();
    assert_eq!(pods(), "");
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
