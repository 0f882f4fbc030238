//! Ends the command (the guardian) or its engine at random moments.
//!
//! The work is done in a process of its own, a second instance of this
//! executable. It is a subreaper: every orphan, however well hidden, becomes
//! its child and is counted.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tests::{Running, Signal, Workspace, children_of, eventually, processes_named};

use super::{describe, workspace};

/// Environment variable that marks the process that does the work.
pub(super) const INNER: &str = "ANSAR_KILL_INNER";
/// Environment variable with the number of kills.
pub(crate) const ROUNDS: &str = "ANSAR_KILL_ROUNDS";
/// Environment variable with the seed of the random moments.
pub(crate) const SEED: &str = "ANSAR_KILL_SEED";
/// Number of kills unless [`ROUNDS`] is set.
const USUAL_ROUNDS: u64 = 12;

/// Grace period of a stop.
const GRACE: Duration = Duration::from_secs(5);
/// Time until everything must be gone if there is no grace period.
const GONE: Duration = Duration::from_secs(2);

const STUBBORN: &str = r#"
[workspace.metadata.ansar.role.stubborn-0]
executable = "stubborn"
"#;
const CLIENT: &str = "test-fixtures/src/bin/client.rs";

#[test]
fn random_kills_leave_no_process() {
    let rounds = variable(ROUNDS).unwrap_or(USUAL_ROUNDS);
    if variable(INNER).is_some() {
        let seed = variable(SEED).expect("the outer process gives a seed");
        return kill_again_and_again(seed, rounds);
    }
    let (_, module) = module_path!().split_once("::").unwrap_or_default();
    run_inner(&format!("{module}::random_kills_leave_no_process"), rounds);
}

#[expect(
    clippy::disallowed_methods,
    reason = "what there is to vary is a number"
)]
pub(crate) fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the test `name` again, alone in a process of its own.
#[expect(clippy::disallowed_methods, reason = "tests start real processes")]
#[expect(clippy::print_stderr, reason = "the seed repeats the run")]
pub(super) fn run_inner(name: &str, rounds: u64) {
    let seed = variable(SEED).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{SEED}={seed} {ROUNDS}={rounds}");
    let this = std::env::current_exe().expect("this executable has a path");
    let output = Command::new(this)
        .args(["--exact", name, "--nocapture"])
        .envs([
            (INNER, "1"),
            (SEED, &seed.to_string()),
            (ROUNDS, &rounds.to_string()),
        ])
        .stdin(Stdio::null())
        .output()
        .expect("this executable runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    eprintln!("{stderr}");
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{SEED}={seed} fails\n{stdout}"
    );
}

/// The phase in which a process is killed: some time after a line of output.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// While it starts, and finds nothing to do.
    Begin,
    /// While Cargo compiles.
    Build,
    /// While it deploys, or a moment later.
    Deploy,
    /// While roles start, become ready, and are tested.
    Spawn,
    /// While roles stop.
    Stop,
}

/// One kill.
#[derive(Debug, Clone, Copy)]
struct Blow {
    phase: Phase,
    /// Delay after the line that begins the phase.
    after: Duration,
    signal: Signal,
    /// Sends the signal to the engine instead of the command.
    engine: bool,
    /// Adds a role that ignores every signal.
    stubborn: bool,
}

impl Blow {
    fn any(random: &mut fastrand::Rng, round: u64) -> Self {
        use Phase::{Begin, Build, Deploy, Spawn, Stop};

        // Builds take longest, and stopping is short.
        let phases = [Spawn, Build, Stop, Begin, Spawn, Deploy, Stop, Spawn];
        let phase = phases[usize::try_from(round).unwrap_or(0) % phases.len()];
        let most = match phase {
            Begin => 150,
            Build => 600,
            Deploy => 60,
            Spawn => 120,
            Stop => 25,
        };
        let stubborn = round % 6 == 4;
        let (signal, engine) = match random.u8(..4) {
            0 => (Signal::SIGINT, false),
            1 => (Signal::SIGTERM, false),
            2 => (Signal::SIGKILL, false),
            _ => (Signal::SIGKILL, true),
        };
        // Rarely, since its grace period is long.
        let signal = if stubborn && round % 24 != 10 {
            Signal::SIGKILL
        } else {
            signal
        };
        Self {
            phase,
            after: Duration::from_micros(random.u64(..most * 1000)),
            signal,
            engine,
            stubborn,
        }
    }

    /// Returns the time until everything must be gone.
    fn limit(self) -> Duration {
        match self.signal {
            Signal::SIGKILL => GONE,
            _ => GRACE + GONE,
        }
    }
}

fn kill_again_and_again(seed: u64, rounds: u64) {
    set_child_subreaper(true).expect("Linux has subreapers");
    let mut random = fastrand::Rng::with_seed(seed);
    let workspace = workspace("");
    let first = workspace.ansar(["test"]).run();
    first.success().stderr_has("Passed 3 checks");
    for round in 0..rounds {
        let blow = Blow::any(&mut random, round);
        strike(&workspace, round, blow);
    }
    describe(&workspace, "");
    let last = workspace.ansar(["test"]).run();
    last.success().stderr_has("Passed 3 checks");
}

#[expect(clippy::print_stderr, reason = "a failure is explained by its rounds")]
fn strike(workspace: &Workspace, round: u64, blow: Blow) {
    describe(workspace, if blow.stubborn { STUBBORN } else { "" });
    if let Phase::Build | Phase::Deploy = blow.phase {
        let text = workspace.read(CLIENT);
        workspace.write(CLIENT, &format!("{text}// {round}\n"));
    }
    let command = workspace.ansar(["test", "--verbose"]).start();
    match blow.phase {
        Phase::Begin => {}
        Phase::Build => drop(command.wait_for("Compiling")),
        Phase::Deploy => drop(command.wait_for("Deploying")),
        Phase::Spawn => drop(command.wait_for("Testing")),
        Phase::Stop => drop(command.wait_for("Stopping")),
    }
    let until = now() + blow.after;
    pause(until);
    let struck = now();
    let hit = if blow.engine {
        let engine = children_of(command.pid()).into_iter().next();
        engine.is_some_and(|engine| kill(Pid::from_raw(engine), blow.signal).is_ok())
    } else {
        command.signal(blow.signal);
        true
    };
    let gone = all_gone(workspace, &command, struck + blow.limit());
    let took = now() - struck;
    let output = command.wait();
    eprintln!(
        "round {round}: {blow:?} hit={hit} gone after {took:?}, {}",
        output.status
    );
    if let Err(left) = gone {
        panic!("round {round}: {blow:?} left {left:?}\n{}", output.stderr);
    }
    let next = workspace.ansar(["run", "noop-0"]).run();
    next.success();
    for word in ["warning", "lock", "earlier", "already"] {
        next.stderr_lacks(word);
    }
}

/// Waits until the command and its descendants are gone; returns those that are
/// not.
fn all_gone(
    workspace: &Workspace,
    command: &Running<'_>,
    until: Instant,
) -> Result<(), BTreeMap<i32, String>> {
    let own = i32::try_from(command.pid()).expect("it is a process");
    let gone = eventually(|| {
        let left = living(workspace, Some(own));
        (left.is_empty() || now() > until).then_some(left)
    });
    match gone {
        Some(left) if left.is_empty() => Ok(()),
        left => Err(left.unwrap_or_default()),
    }
}

/// Returns the processes of a workspace and the orphans adopted by this
/// subreaper. Reaps the exited ones, except `own`, which another thread waits
/// for.
pub(super) fn living(workspace: &Workspace, own: Option<i32>) -> BTreeMap<i32, String> {
    let mut left = workspace.processes();
    left.extend(processes_named(&workspace.path().display().to_string()));
    for child in children_of(std::process::id()) {
        let status = format!("/proc/{child}/stat");
        let stat = std::fs::read_to_string(status).unwrap_or_default();
        let ended = stat
            .rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('Z'));
        if !ended {
            left.entry(child).or_insert(stat);
        } else if Some(child) != own {
            let _ = waitpid(Pid::from_raw(child), Some(WaitPidFlag::WNOHANG));
        }
    }
    left
}

/// Waits until a random moment; no event marks it.
pub(crate) fn pause(until: Instant) {
    let (_never, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(until.saturating_duration_since(now()));
}

#[expect(clippy::disallowed_methods, reason = "the limits are of time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
