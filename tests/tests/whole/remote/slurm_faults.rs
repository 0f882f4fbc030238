//! Faults of the parties of a run on Slurm, alone and in pairs: exactly the roles of
//! lost nodes fail, each loss is known in time, the nodes are clean in time, and the
//! next command leaves no job.

use std::thread;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Signal, eventually, eventually_before};

use super::super::cleanup::kills::{ROUNDS, SEED, now, pause, variable};
use super::cluster::{Cluster, NODES, Started, are_lost, start};
use super::hosts::{GATE, Process};

/// Time without a message after which both sides give up.
const LEASE: Duration = Duration::from_secs(2);
/// Time from a fault until the launcher knows what is lost.
const KNOWN: Duration = Duration::from_secs(4);
/// Time from a fault until nothing of the run is left on a node that it is lost for.
const CLEAN: Duration = Duration::from_secs(6);
/// Number of random kills, unless [`ROUNDS`] is set.
const USUAL_ROUNDS: u64 = 5;

/// A fault.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    /// Scripts that provoke it, each with its host. `$DIR` is the folder of the
    /// cluster, `$S2` and `$S3` are the ends of the names of the jobs on n2 and n3.
    scripts: &'static [(&'static str, &'static str)],
    /// A script that undoes it, with the time after it and the host.
    undone: Option<(u64, &'static str, &'static str)>,
    /// Nodes whose roles are lost, each with the reason.
    lost: &'static [(usize, &'static str)],
    /// True if the launcher is killed, so that all nodes are to be clean.
    ends_run: bool,
}

const USUAL: Fault = Fault {
    name: "",
    scripts: &[],
    undone: None,
    lost: &[],
    ends_run: false,
};

const SILENT: &str = "nothing heard for 2.";
const ENDED: &str = "its stream ended";

/// Cuts of links, each with the lease in seconds.
const CUTS: [(Fault, u64); 4] = [
    (
        Fault {
            name: "the link of n2 is down for 2 s",
            scripts: &[("ctl", "ip link set vn2 down")],
            undone: Some((2, "ctl", "ip link set vn2 up")),
            ..USUAL
        },
        5,
    ),
    (
        Fault {
            name: "the link of n2 is down for 8 s",
            scripts: &[("ctl", "ip link set vn2 down")],
            undone: Some((8, "ctl", "ip link set vn2 up")),
            lost: &[(2, SILENT)],
            ..USUAL
        },
        2,
    ),
    (
        Fault {
            name: "the link of n2 is down for 14 s",
            scripts: &[("ctl", "ip link set vn2 down")],
            undone: Some((14, "ctl", "ip link set vn2 up")),
            lost: &[(2, SILENT)],
            ..USUAL
        },
        2,
    ),
    (
        Fault {
            name: "the link of the launcher is down for 9 s",
            scripts: &[("ctl", "ip link set br0 down")],
            undone: Some((9, "ctl", "ip link set br0 up")),
            lost: &[(1, SILENT), (2, SILENT), (3, SILENT)],
            ..USUAL
        },
        2,
    ),
];

const LAUNCHER: (&str, &str) = ("ctl", "kill -9 $(pgrep -n -x cargo-ansar)");
const ALL_SRUN: (&str, &str) = ("ctl", "kill -9 $(pgrep -x srun)");
const SRUN_OF_N2: (&str, &str) = ("ctl", "kill -9 $(pgrep -f -- \"srun .*-$S2 -t\")");
const SRUN_OF_N3: (&str, &str) = ("ctl", "kill -9 $(pgrep -f -- \"srun .*-$S3 -t\")");
const AGENT: (&str, &str) = ("n2", "kill -9 $(pgrep -n -f 'store/[0-9a-f]* agent')");
const FROZEN: (&str, &str) = ("n2", "kill -STOP $(pgrep -n -f 'store/[0-9a-f]* agent')");
const STEPD: (&str, &str) = ("n2", "kill -9 $(pgrep -x slurmstepd)");
const SLURMD: (&str, &str) = ("n2", "kill -9 $(cat $DIR/pid/slurmd.n2)");
const SLURMD_BACK: (u64, &str, &str) = (3, "n2", "slurmd -N n2 -f $DIR/slurm.conf");
const CONTROLLER: (&str, &str) = ("ctl", "kill -9 $(cat $DIR/pid/slurmctld)");
const CONTROLLER_BACK: (u64, &str, &str) = (10, "ctl", "slurmctld -f $DIR/slurm.conf");

/// Kills of parties, in groups that each have a cluster.
///
/// A controller that was killed may list jobs of earlier runs again, which were
/// finished: it has a cluster of its own.
const KILLS: [&[Fault]; 5] = [
    &[Fault {
        name: "the launcher and slurmctld are killed",
        scripts: &[CONTROLLER, LAUNCHER],
        undone: Some(CONTROLLER_BACK),
        ends_run: true,
        ..USUAL
    }],
    &[Fault {
        name: "slurmctld is killed, and back after 10 s",
        scripts: &[CONTROLLER],
        undone: Some(CONTROLLER_BACK),
        ..USUAL
    }],
    &[
        Fault {
            name: "the launcher is killed",
            scripts: &[LAUNCHER],
            ends_run: true,
            ..USUAL
        },
        Fault {
            name: "the launcher and all srun are killed",
            scripts: &[("ctl", "kill -9 $(pgrep -x cargo-ansar) $(pgrep -x srun)")],
            ends_run: true,
            ..USUAL
        },
        Fault {
            name: "all srun are killed",
            scripts: &[ALL_SRUN],
            lost: &[(1, ENDED), (2, ENDED), (3, ENDED)],
            ..USUAL
        },
    ],
    &[
        Fault {
            name: "an agent is killed",
            scripts: &[AGENT],
            lost: &[(2, ENDED)],
            ..USUAL
        },
        Fault {
            name: "an agent is frozen",
            scripts: &[FROZEN],
            lost: &[(2, SILENT)],
            ..USUAL
        },
        Fault {
            name: "an agent and its srun are killed",
            scripts: &[SRUN_OF_N2, AGENT],
            lost: &[(2, ENDED)],
            ..USUAL
        },
        Fault {
            name: "an agent is frozen and its srun is killed",
            scripts: &[FROZEN, SRUN_OF_N2],
            lost: &[(2, ENDED)],
            ..USUAL
        },
        Fault {
            name: "slurmstepd is killed, and srun of another node",
            scripts: &[STEPD, SRUN_OF_N3],
            lost: &[(2, ""), (3, ENDED)],
            ..USUAL
        },
    ],
    &[
        Fault {
            name: "slurmstepd is killed",
            scripts: &[STEPD],
            // Its stream ends, or it is silent.
            lost: &[(2, "")],
            ..USUAL
        },
        Fault {
            name: "slurmd is killed, and back after 3 s",
            scripts: &[SLURMD],
            undone: Some(SLURMD_BACK),
            ..USUAL
        },
        Fault {
            name: "an agent and slurmd are killed",
            scripts: &[SLURMD, AGENT],
            undone: Some(SLURMD_BACK),
            lost: &[(2, ENDED)],
            ..USUAL
        },
    ],
];

impl Fault {
    /// Provokes the fault once all roles run, and checks what it leads to.
    #[expect(clippy::print_stderr, reason = "a failure is explained by its fault")]
    fn strike(&self, cluster: &Cluster) {
        eprintln!("{}", self.name);
        let mut started = start(cluster);
        let begun = now();
        for (host, script) in self.scripts {
            cluster.on(host, &started.script(cluster, script));
        }
        for _ in self.lost {
            let lost = "\"shard-lost\"";
            started
                .running
                .wait_for_next_on_stdout_before(lost, begun + KNOWN);
        }
        let nodes =
            (1..=3).filter(|nth| self.ends_run || self.lost.iter().any(|(lost, _)| lost == nth));
        let nodes = nodes.map(|nth| format!("n{nth}"));
        for host in nodes.chain(self.ends_run.then(|| "ctl".to_owned())) {
            let clean = eventually_before(begun + CLEAN, || {
                cluster.traces(&host).is_empty().then_some(())
            });
            assert!(
                clean.is_some(),
                "{}: {:#?}",
                self.name,
                cluster.traces(&host)
            );
        }
        if let Some((seconds, host, script)) = self.undone {
            pause(begun + Duration::from_secs(seconds));
            cluster.on(host, &started.script(cluster, script));
        }
        cluster.open_gates();
        if self.ends_run {
            started.running.wait();
        } else {
            are_lost(started, self.lost);
        }
        nothing_is_left(cluster);
    }
}

impl Started<'_> {
    /// Returns a script with its variables.
    fn script(&self, cluster: &Cluster, script: &str) -> String {
        let folder = cluster.folder.display();
        let [_, second, third] = self.shards.map(|shard| shard - 1);
        format!("DIR={folder}; S2={second}; S3={third}; {script}")
    }
}

/// Asserts that nothing is left after one more command.
#[track_caller]
fn nothing_is_left(cluster: &Cluster) {
    let next = cluster.divided("--shards 1 test-00").run();
    // Slurm may not have a node for it yet.
    if next.status.code() != Some(106) {
        next.success();
    }
    cluster.nodes_are_clean();
    cluster.is_idle();
    cluster.nothing_is_noted();
}

/// Runs groups of faults at once, each in a cluster of its own.
fn strike<'f>(groups: impl Iterator<Item = (Vec<&'f Fault>, u64)>) {
    thread::scope(|scope| {
        for (faults, lease) in groups {
            scope.spawn(move || {
                let Some(cluster) = Cluster::slurm() else {
                    return;
                };
                cluster.store_tool();
                cluster.describe(&waiting(9, lease));
                for fault in faults {
                    cluster.close_gates();
                    fault.strike(&cluster);
                }
            });
        }
    });
}

/// Returns the options of the driver, and roles that wait for the gate of their node.
fn waiting(count: usize, lease: u64) -> String {
    let role =
        |nth: usize| format!("\n[role.test-{nth:02}]\nprogram = \"cat\"\nargs = [\"{GATE}\"]\n");
    let roles: String = (0..count).map(role).collect();
    format!("\n[on.slurm]\nlease = \"{lease}s\"\nplace-timeout = \"20s\"\nshards = 3\n{roles}")
}

#[test]
fn cut_nodes_lose_exactly_their_roles() {
    strike(CUTS.iter().map(|(fault, lease)| (vec![fault], *lease)));
}

#[test]
fn killed_parties_lose_exactly_their_roles() {
    strike(
        KILLS
            .iter()
            .map(|faults| (faults.iter().collect(), LEASE.as_secs())),
    );
}

fn hosts() -> impl Iterator<Item = &'static str> {
    ["ctl"].into_iter().chain(NODES)
}

/// A party of a run.
#[derive(Debug, Clone, Copy)]
enum Party {
    Launcher,
    Guardian,
    Srun,
    Agent,
    GuardianOfAgent,
    Slurmstepd,
}

const PARTIES: [Party; 6] = [
    Party::Launcher,
    Party::Guardian,
    Party::Srun,
    Party::Agent,
    Party::GuardianOfAgent,
    Party::Slurmstepd,
];

impl Party {
    /// Returns the processes that are this party, on any host.
    fn processes(self, cluster: &Cluster) -> Vec<i32> {
        let all: Vec<Process> = hosts().flat_map(|host| cluster.processes(host)).collect();
        let is_ours = |it: &Process| match self {
            Self::Launcher | Self::Guardian => it.name == "cargo-ansar",
            Self::Srun => it.name == "srun",
            Self::Agent | Self::GuardianOfAgent => it.command.contains("./store/"),
            Self::Slurmstepd => it.name == "slurmstepd",
        };
        let ours: Vec<&Process> = all.iter().filter(|it| is_ours(it)).collect();
        let below = |it: &&&Process| ours.iter().any(|other| other.pid == it.parent);
        let chosen = ours.iter().filter(|it| match self {
            Self::Launcher | Self::Agent => below(it),
            Self::Guardian | Self::GuardianOfAgent => !below(it),
            Self::Srun | Self::Slurmstepd => true,
        });
        chosen.map(|it| it.pid).collect()
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed repeats the run")]
fn random_kills_of_all_parties_leave_nothing() {
    let Some(cluster) = Cluster::slurm() else {
        return;
    };
    let rounds = variable(ROUNDS).unwrap_or(USUAL_ROUNDS);
    let seed = variable(SEED).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{SEED}={seed} {ROUNDS}={rounds}");
    let mut random = fastrand::Rng::with_seed(seed);
    cluster.store_tool();
    cluster.describe(&waiting(9, LEASE.as_secs()));
    cluster.close_gates();
    for round in 0..rounds {
        let running = cluster.divided("-v").start();
        running.wait_for("Placing");
        pause(now() + Duration::from_millis(random.u64(0..2000)));
        let mut killed = Vec::new();
        for _ in 0..random.usize(1..3) {
            let party = PARTIES[random.usize(..PARTIES.len())];
            if let Some(victim) = random.choice(party.processes(&cluster)) {
                let _ = kill(Pid::from_raw(victim), Signal::SIGKILL);
                killed.push(party);
            }
        }
        eprintln!("round {round}: {killed:?}");
        // Those that no kill has ended would wait for ever.
        for launcher in Party::Guardian.processes(&cluster) {
            let _ = kill(Pid::from_raw(launcher), Signal::SIGINT);
        }
        running.wait();
        let left = || {
            hosts()
                .flat_map(|host| cluster.of_runs(host))
                .collect::<Vec<_>>()
        };
        let gone = eventually(|| left().is_empty().then_some(()));
        assert!(gone.is_some(), "{:#?}", left());
    }
    cluster.open_gates();
    nothing_is_left(&cluster);
    let left: Vec<String> = hosts().flat_map(|host| cluster.traces(host)).collect();
    assert!(left.is_empty(), "{left:#?}");
}
