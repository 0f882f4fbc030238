//! A cluster of virtual hosts, which are namespaces of this machine.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;
use tests::{Output, Program, Running, Sandbox, Signal, eventually, executable, repository};

use super::super::cleanup::kills::{now, pause};

/// Exit code of the scripts of the cluster if this machine cannot run one.
const SKIPPED: i32 = 77;

/// The hosts that run roles.
pub(super) const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// A cluster of the hosts `ctl`, `n1`, `n2` and `n3`.
pub(super) struct Cluster {
    /// The folder of its commands and files.
    pub(super) folder: PathBuf,
    /// The workspace, which no node sees.
    pub(super) workspace: PathBuf,
    sandbox: Sandbox,
    /// The driver that reaches its nodes.
    driver: &'static str,
    /// The test roles of each shard, once they were asked for.
    shards: RefCell<Vec<BTreeSet<String>>>,
}

/// Runs a command, and returns its exit code and what it has printed. Daemons that
/// it starts keep its streams, so these are a file.
#[expect(
    clippy::disallowed_methods,
    reason = "the cluster outlives its commands"
)]
pub(super) fn run(command: &Path, arguments: &[&str]) -> (Option<i32>, String) {
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

/// Returns the folders of programs of this machine.
#[expect(clippy::disallowed_methods, reason = "others are put before them")]
fn paths() -> Vec<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a skipped test must not pass in CI"
)]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

impl Cluster {
    /// Starts Slurm; commands run on `ctl`.
    pub(super) fn slurm() -> Option<Self> {
        let mut cluster = Self::start("slurm", "slurm-up.sh", &[])?;
        cluster.workspace = cluster.folder.join("ctl/ws");
        Some(cluster)
    }

    /// Starts hosts without an engine; commands run on this machine.
    pub(super) fn hosts() -> Option<Self> {
        Self::start("command", "hosts-up.sh", &[])
    }

    /// Starts Kubernetes, whose programs are in `folder`; commands run on this
    /// machine.
    pub(super) fn kubernetes(folder: &str) -> Option<Self> {
        Self::start("kubernetes", "k8s-up.sh", &[folder])
    }

    /// Starts a cluster; `None`, with a sentence, where that is not possible.
    #[expect(clippy::print_stderr, reason = "the reason of a skipped test")]
    fn start(driver: &'static str, script: &str, more: &[&str]) -> Option<Self> {
        let sandbox = Sandbox::new();
        // A Unix socket lies in it, so its path must be short.
        let folder = sandbox.path().with_file_name("cluster");
        let script = repository().join("tests/cluster").join(script);
        let path = folder.display().to_string();
        let words: Vec<&str> = [&[path.as_str()], more, &["3"]].concat();
        let (code, said) = run(&script, &words);
        match code {
            Some(0) => Some(Self {
                folder,
                workspace: sandbox.path(),
                sandbox,
                driver,
                shards: RefCell::default(),
            }),
            Some(SKIPPED) => {
                assert!(!is_ci(), "{said}");
                eprintln!("skipped: {said}");
                None
            }
            _ => panic!("{said}"),
        }
    }

    /// Uses another driver to reach the nodes.
    pub(super) fn with_driver(mut self, driver: &'static str) -> Self {
        self.driver = driver;
        self
    }

    /// Writes the workspace.
    pub(super) fn describe(&self, tables: &str) {
        let workspace = &self.workspace;
        self.shards.take();
        fs::create_dir_all(workspace.join("src")).expect("it is made");
        let manifest = format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n{}",
            tables.replace("\n[", "\n[workspace.metadata.ansar.")
        );
        fs::write(workspace.join("src/lib.rs"), "").expect("it is written");
        fs::write(workspace.join("Cargo.toml"), manifest).expect("it is written");
    }

    /// `cargo ansar WORDS` in the workspace.
    pub(super) fn ansar(&self, words: &str) -> Program<'_> {
        let words = words.split(' ');
        if self.driver != "slurm" {
            return self.sandbox.ansar(words).env("PATH", self.path());
        }
        let program = self.sandbox.program(self.folder.join("on"));
        let program = program.env("ANSAR_WD", &self.workspace);
        // The temporary folder is that of each host.
        let program = program.env("TMPDIR", "/tmp").arg("ctl");
        let program = program.arg(executable("cargo-ansar")).arg("ansar");
        program.args(words)
    }

    /// `cargo ansar WORDS` on `ctl`, in the workspace of a sandbox.
    pub(super) fn ansar_in<'s>(&self, sandbox: &'s Sandbox, words: &str) -> Program<'s> {
        let on = self.folder.join("on");
        let script = format!("exec {} ctl cargo-ansar ansar {words}", on.display());
        let program = sandbox.shell(&script).env("TMPDIR", "/tmp");
        program.env("ANSAR_WD", sandbox.path())
    }

    /// Hides a folder of the disk from all nodes.
    pub(super) fn hide(&self, folder: &Path) {
        for node in ["n1", "n2", "n3"] {
            let folder = folder.display();
            let said = self.on(node, &format!("mount -t tmpfs own {folder}"));
            assert_eq!(said, "");
        }
    }

    /// Returns the `PATH` with the folder of the cluster's commands first.
    pub(super) fn path(&self) -> OsString {
        let own = self.folder.join("bin");
        let path = std::env::join_paths([own].into_iter().chain(paths()));
        path.expect("no path has a colon")
    }

    /// `cargo ansar test --on DRIVER WORDS` in the workspace.
    pub(super) fn divided(&self, words: &str) -> Program<'_> {
        let words = format!("test --on {} {words}", self.driver);
        self.ansar(words.trim())
    }

    /// Runs a script on a host, and returns its output.
    pub(super) fn on(&self, host: &str, script: &str) -> String {
        let (_, said) = run(&self.folder.join("on"), &[host, "sh", "-c", script]);
        said.trim().to_owned()
    }

    /// Kills the commands of this machine that run roles elsewhere, with their
    /// guardians, and the processes that have one of the words `more`.
    pub(super) fn kill_launcher(&self, more: &[&str]) {
        let launcher = format!("--on {}", self.driver);
        let words: Vec<&str> = [&[launcher.as_str()], more].concat();
        for (pid, command) in self.sandbox.processes() {
            if words.iter().any(|word| command.contains(word)) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// Takes the link of a host down or up.
    pub(super) fn link(&self, verb: &str, host: &str) {
        run(&self.folder.join(verb), &[host]);
    }

    /// Returns the test roles of a shard, numbered from 1.
    fn roles(&self, shard: usize) -> BTreeSet<String> {
        let list = |shard| {
            let words = format!("test --list --partition {shard}/3");
            let listed = self.ansar(&words).run();
            listed.success().stdout.lines().map(str::to_owned).collect()
        };
        let mut shards = self.shards.borrow_mut();
        if shards.is_empty() {
            shards.extend((1..=3).map(list));
        }
        shards[shard - 1].clone()
    }

    /// Waits until no process and no folder of agents is left on the nodes.
    #[track_caller]
    pub(super) fn nodes_are_clean(&self) {
        for node in NODES {
            self.is_clean(node);
        }
    }

    #[track_caller]
    fn is_clean(&self, node: &str) {
        let script = "ps -e -o args | grep -v '^sleep 1000000' | grep -E '^(sleep|perl|cat|[./]*store/)'; \
                      ls -d /tmp/ansar-0/run-* /tmp/*/ansar-0/run-* 2>/dev/null";
        let clean = eventually(|| self.on(node, script).is_empty().then_some(()));
        let left = || self.on(node, "ps -e -o pid,args; ls /tmp/ansar-0");
        assert!(clean.is_some(), "{node}: {}", left());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let script = repository().join("tests/cluster/hosts-down.sh");
        run(&script, &[&self.folder.display().to_string()]);
    }
}

/// Returns `count` roles that run for some seconds.
pub(super) fn sleeping(count: usize, seconds: u32) -> String {
    let role = |nth: usize| {
        format!("\n[role.test-{nth:02}]\nprogram = \"sleep\"\nargs = [\"{seconds}\"]\n")
    };
    (0..count).map(role).collect()
}

/// A run whose roles have started, and the shard of each node.
pub(super) struct Started<'c> {
    pub(super) running: Running<'c>,
    /// Roles of the nodes n1, n2 and n3.
    pub(super) roles: [BTreeSet<String>; 3],
    /// Shards of these nodes, numbered from 1.
    pub(super) shards: [usize; 3],
}

impl Started<'_> {
    /// Returns the number of the node whose roles are those of a shard, from 1.
    pub(super) fn node_of(&self, shard: usize) -> usize {
        let of = |node: &usize| self.shards[node - 1] == shard;
        (1..=3).find(of).expect("each shard has a node")
    }
}

/// Starts a run, and waits until all of its roles have started.
pub(super) fn start(cluster: &Cluster) -> Started<'_> {
    let mut running = cluster.divided("--format json").start();
    let mut roles = [(); 3].map(|()| BTreeSet::new());
    let mut shards = [0; 3];
    for _ in 0..3 {
        let line = running.wait_for_next_on_stdout("\"placed\"");
        let event: Value = serde_json::from_str(&line).expect("an event");
        let node = event["node"].as_str().and_then(|it| it.strip_prefix('n'));
        let node: usize = node.and_then(|it| it.parse().ok()).expect("a node");
        let shard = event["shard"].as_u64().expect("a shard");
        shards[node - 1] = usize::try_from(shard).expect("it is small");
        roles[node - 1] = cluster.roles(shards[node - 1]);
    }
    let all: usize = roles.iter().map(BTreeSet::len).sum();
    for _ in 0..all {
        running.wait_for_next_on_stdout("\"started\"");
    }
    Started {
        running,
        roles,
        shards,
    }
}

/// Returns the roles that were lost, each with its node and reason.
pub(super) fn lost(output: &Output) -> Vec<(String, String)> {
    let verdict = output.stdout.lines().last().unwrap_or_default();
    let verdict: Value = serde_json::from_str(verdict).expect("a verdict");
    let failures = verdict["failures"].as_array().cloned().unwrap_or_default();
    let text = |failure: &Value, name: &str| failure[name].as_str().unwrap_or_default().to_owned();
    let failures = failures.iter();
    failures
        .map(|failure| (text(failure, "role"), text(failure, "text")))
        .collect()
}

/// Asserts that exactly the roles of these nodes were lost, each for a reason that
/// begins so.
#[track_caller]
pub(super) fn are_lost(started: Started<'_>, nodes: &[(usize, &str)]) {
    let Started { running, roles, .. } = started;
    let output = running.wait();
    let expected: BTreeSet<String> = nodes
        .iter()
        .flat_map(|(nth, _)| roles[nth - 1].clone())
        .collect();
    let found = lost(&output);
    let names: BTreeSet<String> = found.iter().map(|(role, _)| role.clone()).collect();
    output.check(names == expected, || {
        format!("expected {expected:?} to be lost")
    });
    output.code(if nodes.is_empty() { 0 } else { 100 });
    for (role, text) in &found {
        let node = nodes.iter().find(|(nth, _)| roles[nth - 1].contains(role));
        let (nth, reason) = node.expect("it is expected");
        let lost = format!("lost with node n{nth}, {reason}");
        output.check(text.contains(&lost), || format!("`{text}` has no `{lost}`"));
    }
}

pub(super) fn wait(seconds: u64) {
    pause(now() + Duration::from_secs(seconds));
}
