//! Killed and frozen parties of a divided run: exactly the roles of a lost shard
//! fail, and nothing is left behind. Both happen in time.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;
use tests::{Running, Signal, eventually, eventually_before, repository};

use super::super::cleanup::kills::{ROUNDS, SEED, now, pause, variable};
use super::Remote;

/// Number of random kills, unless [`ROUNDS`] is set.
const USUAL_ROUNDS: u64 = 8;

/// Time from a fault until the launcher knows what is lost: the lease and 2 s.
const KNOWN: Duration = Duration::from_secs(4);
/// Time from a fault until nothing of a lost shard is left: the lease and 4 s.
const CLEAN: Duration = Duration::from_secs(6);

/// Two roles that run until they are stopped, in a shard each, and a short lease.
fn sleeping() -> Remote {
    sleeping_on("local]")
}

/// Like [`sleeping`], with a driver and its options.
fn sleeping_on(driver: &str) -> Remote {
    let remote = Remote::of(&[
        r#"test-sleep = { program = "sleep", args = ["600"] }"#,
        r#"test-other = { program = "sleep", args = ["600"] }"#,
    ]);
    remote.describe_driver(&format!("{driver}\nlease = \"2s\"\nshards = 2"));
    remote
}

/// A party of a run, by its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Party(i32);

impl Party {
    fn signal(self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.0), signal);
    }

    fn parent(self) -> i32 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
        let parent = fields.split_ascii_whitespace().nth(1);
        parent.and_then(|pid| pid.parse().ok()).unwrap_or_default()
    }
}

/// The parties of a run.
#[derive(Debug)]
struct Parties {
    /// The launcher below its guardian.
    launcher: Party,
    /// Guardians of agents.
    guardians: Vec<Party>,
    /// Agents.
    agents: Vec<Party>,
}

/// Starts a run, and waits until its roles run.
fn start(remote: &Remote) -> (Running<'_>, Parties) {
    start_on(remote, "local")
}

fn start_on<'r>(remote: &'r Remote, driver: &str) -> (Running<'r>, Parties) {
    let running = remote.on(driver, ["-v"]).start();
    running.wait_for("Started test-other");
    running.wait_for("Started test-sleep");
    let found = parties(remote, &running);
    (running, found)
}

fn parties(remote: &Remote, running: &Running<'_>) -> Parties {
    let of = |text: &str| {
        let all = remote.processes().into_iter();
        let found = all.filter(|(_, command)| command.contains(text));
        found.map(|(pid, _)| Party(pid)).collect::<Vec<_>>()
    };
    let guardian = i32::try_from(running.pid()).expect("it is a process");
    let mut own = of(" test --on ").into_iter();
    let launcher = own.find(|party| party.parent() == guardian);
    let all = of("./store/");
    let is_guardian = |party: &&Party| all.iter().any(|other| other.parent() == party.0);
    Parties {
        launcher: launcher.expect("the launcher runs"),
        guardians: all.iter().filter(is_guardian).copied().collect(),
        agents: all.iter().filter(|it| !is_guardian(it)).copied().collect(),
    }
}

/// Asserts that nothing of the run is left in time after a fault at `begun`.
#[track_caller]
fn all_is_gone(remote: &Remote, begun: Instant) {
    is_left(remote, begun, 0);
}

/// Asserts that so many agents, with their guardians and folders, are left in time
/// after a fault at `begun`, and no process if there is none.
#[track_caller]
fn is_left(remote: &Remote, begun: Instant, count: usize) {
    let gone = eventually_before(begun + CLEAN, || {
        let processes = remote.processes();
        let agents = processes.values().filter(|it| it.contains("./store/"));
        let is_left = agents.count() == 2 * count && remote.runs().len() == count;
        (is_left && (count > 0 || processes.is_empty())).then_some(())
    });
    assert!(
        gone.is_some(),
        "{:?}, {:?}",
        remote.processes(),
        remote.runs()
    );
}

/// Asserts that exactly one role was lost in time after a fault at `begun`, and nothing
/// of its shard is left; the other is stopped.
#[track_caller]
fn one_is_lost(remote: &Remote, mut running: Running<'_>, begun: Instant, reason: &str) {
    let warning = "is lost, 1 role without an outcome";
    let warning = running.wait_for_next_before(warning, begun + KNOWN);
    assert!(warning.contains(reason), "{warning}");
    is_left(remote, begun, 1);
    running.signal(Signal::SIGINT);
    let output = running.wait();
    output.code(130);
    let lost = output
        .stdout
        .lines()
        .filter(|line| line.contains("lost with node"));
    let lost: Vec<&str> = lost.collect();
    assert!(lost.len() == 1 && lost[0].contains(reason), "{lost:?}");
    remote.nothing_is_left();
}

#[test]
fn a_killed_agent_loses_its_roles() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    let begun = now();
    parties.agents[0].signal(Signal::SIGKILL);
    one_is_lost(&remote, running, begun, "its stream ended (exit code 137)");
}

#[test]
fn a_killed_guardian_of_an_agent_loses_its_roles() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    let begun = now();
    parties.guardians[0].signal(Signal::SIGKILL);
    one_is_lost(&remote, running, begun, "its agent was interrupted");
}

#[test]
fn an_agent_and_its_guardian_killed_at_once() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    let guardian = parties.guardians[0];
    let agent = parties.agents.iter().find(|it| it.parent() == guardian.0);
    let agent = *agent.expect("the guardian has an agent");
    for party in [guardian, agent] {
        party.signal(Signal::SIGSTOP);
    }
    // The agent first: the kernel wakes a stopped process whose parent exits.
    for party in [agent, guardian] {
        party.signal(Signal::SIGKILL);
    }
    let warning = running.wait_for("is lost, 1 role without an outcome");
    assert!(warning.contains("SIGKILL"), "{warning}");
    running.signal(Signal::SIGINT);
    running.wait().code(130);
    // Neither was left to remove the folder: another agent has.
    remote.nothing_is_left();
}

#[test]
fn an_agent_that_was_asked_to_end_loses_its_roles() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    let begun = now();
    parties.guardians[0].signal(Signal::SIGTERM);
    one_is_lost(&remote, running, begun, "its agent was interrupted");
}

#[test]
fn a_frozen_agent_is_lost_after_its_lease() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    let begun = now();
    parties.agents[0].signal(Signal::SIGSTOP);
    one_is_lost(&remote, running, begun, "nothing heard for 2.");
}

#[test]
fn a_frozen_agent_ends_with_its_stream() {
    // As behind `ssh`, no signal reaches it.
    let relay = repository().join("tests/tests/whole/remote/relay.pl");
    let words = json!(["perl", relay, "pass", "-", "setsid", "--wait"]);
    let remote = sleeping_on(&format!("command]\ncommand = {words}"));
    let (running, parties) = start_on(&remote, "command");
    let begun = now();
    parties.agents[0].signal(Signal::SIGSTOP);
    one_is_lost(&remote, running, begun, "nothing heard for 2.");
}

#[test]
fn a_launcher_and_an_agent_killed_at_once() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    let begun = now();
    parties.launcher.signal(Signal::SIGKILL);
    parties.agents[0].signal(Signal::SIGKILL);
    running.wait();
    all_is_gone(&remote, begun);
}

#[test]
fn a_launcher_killed_while_an_agent_is_frozen() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    parties.agents[0].signal(Signal::SIGSTOP);
    let begun = now();
    parties.launcher.signal(Signal::SIGKILL);
    running.wait();
    all_is_gone(&remote, begun);
}

#[test]
fn a_frozen_launcher_loses_all_shards() {
    let remote = sleeping();
    let (running, parties) = start(&remote);
    let launcher = parties.launcher;
    let begun = now();
    launcher.signal(Signal::SIGSTOP);
    // The agents end by their own lease.
    let ended = eventually_before(begun + CLEAN, || {
        let left = remote.processes();
        let agents = left.values().filter(|it| it.contains("./store/")).count();
        (agents == 0 && remote.runs().is_empty()).then_some(())
    });
    assert!(ended.is_some(), "{:?}", remote.processes());
    launcher.signal(Signal::SIGCONT);
    let output = running.wait();
    output.code(100);
    for role in ["test-sleep", "test-other"] {
        output.stdout_has(&format!("{role}: lost with node"));
    }
    remote.nothing_is_left();
}

#[test]
fn a_killed_launcher_leaves_nothing() {
    let remote = sleeping();
    for both in [false, true] {
        let (running, parties) = start(&remote);
        let begun = now();
        if both {
            running.signal(Signal::SIGSTOP);
            parties.launcher.signal(Signal::SIGSTOP);
            running.signal(Signal::SIGKILL);
        }
        parties.launcher.signal(Signal::SIGKILL);
        running.wait();
        all_is_gone(&remote, begun);
    }
    // A run that was killed is judged by what it recorded.
    let report = remote.ansar(["report"]).run();
    report.success().stderr_has("Killed");
}

#[test]
fn a_killed_guardian_of_the_launcher_leaves_nothing() {
    let remote = sleeping();
    let (running, _) = start(&remote);
    let begun = now();
    running.signal(Signal::SIGKILL);
    running.wait().killed_by(Signal::SIGKILL);
    all_is_gone(&remote, begun);
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed repeats the run")]
fn random_kills_leave_nothing() {
    let rounds = variable(ROUNDS).unwrap_or(USUAL_ROUNDS);
    let seed = variable(SEED).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{SEED}={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let remote = sleeping();
    for _ in 0..rounds {
        let running = remote.local(["-v"]).start();
        running.wait_for("Placing");
        pause(now() + Duration::from_millis(random.u64(0..600)));
        let all: Vec<Party> = remote.processes().into_keys().map(Party).collect();
        for _ in 0..random.usize(1..3) {
            if let Some(victim) = random.choice(&all) {
                victim.signal(Signal::SIGKILL);
            }
        }
        running.signal(Signal::SIGINT);
        running.wait();
        let gone = eventually(|| remote.processes().is_empty().then_some(()));
        assert!(gone.is_some(), "{:?}", remote.processes());
    }
    // An agent that was killed before it had joined, together with its guardian,
    // leaves a folder to the next one.
    remote.describe(&[r#"test-true = { program = "true" }"#]);
    remote.local([]).run().success();
    remote.nothing_is_left();
}
