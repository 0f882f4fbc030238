//! Roles that call: trees of processes under `run`.

use std::collections::BTreeSet;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use test_fixtures::messages::Job;
use tests::{Output, Sandbox, Signal, children_of, eventually, executable};

use super::{ABORTED, FAULTED, completed, ends, pairs, with_home};

const FACTORIAL: &str = "lib.factorial_if.FactorialReturned";
const JOB: &str = "lib.job_if.JobReturned";

/// Creates a home with one role of `executable`, and its input.
fn with_input(executable: &str, input: &Value) -> Sandbox {
    let sandbox = with_home();
    let input = json!({ "value": input }).to_string();
    let input = sandbox.write("given", &input);
    let add = sandbox.ansar(["add", executable, "--input-file"]);
    add.arg(input).run().success();
    sandbox
}

/// Returns the pids of the processes that wrote these lines.
fn pids(lines: &[&str]) -> BTreeSet<String> {
    let pids = lines.iter().filter_map(|line| line.split(']').next());
    pids.map(str::to_owned).collect()
}

/// Returns the factorial processes of the sandbox, the first one first.
fn chain(sandbox: &Sandbox) -> Vec<i32> {
    let mut next: Vec<i32> = sandbox
        .processes()
        .into_iter()
        .filter(|(_, command)| command.contains("--role-name=factorial-0 "))
        .map(|(pid, _)| pid)
        .collect();
    let mut chain = Vec::new();
    while let [pid] = next.as_slice() {
        chain.push(*pid);
        next = children_of(pid.unsigned_abs());
    }
    chain
}

fn log_of(sandbox: &Sandbox, role: &str) -> String {
    let folder = sandbox.path().join(".ansar-home/logs").join(role);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("it has a log")
        .flatten()
        .map(|file| file.path())
        .collect();
    files.sort();
    let texts = files.iter().map(std::fs::read_to_string);
    texts.map(Result::unwrap).collect()
}

#[test]
fn the_factorial_of_7_uses_eight_processes() {
    let sandbox = with_input("factorial", &json!(7));
    let run = sandbox.ansar(["run", "--debug-level=CONSOLE"]).run();
    let all = completed(run.success());
    assert_eq!(ends(&run), pairs(&[("factorial-0", FACTORIAL)]));
    assert_eq!(all[0].2, json!({"value": 5040}));
    let shown = run.log("factorial - factorial(");
    assert_eq!(shown.len(), 8);
    assert_eq!(pids(&shown).len(), 8);
    let stored = log_of(&sandbox, "factorial-0");
    let stored: Vec<_> = stored.lines().collect();
    assert_eq!(pids(&stored).len(), 8);
    // Called processes do not appear as roles.
    let list = sandbox.ansar(["list"]).run();
    list.success().stdout_is("factorial-0\n");
}

#[test]
fn a_factorial_beyond_the_limit() {
    let sandbox = with_input("factorial", &json!(21));
    let run = sandbox.ansar(["run"]).run();
    let all = completed(run.code(1));
    assert_eq!(all[0].1, "ansar.create.lifecycle.Cannot");
    assert_eq!(
        log_of(&sandbox, "factorial-0")
            .matches("factorial(")
            .count(),
        2
    );
}

#[test]
fn a_killed_process_faults_the_root() {
    let sandbox = with_input("factorial", &json!(12));
    let sub_role = |depth: usize| format!("factorial-0{}", ".factorial".repeat(depth));
    // The last one is slow, so that there is time to observe.
    sandbox.write(
        format!(".ansar-home/settings/{}.json", sub_role(12)),
        r#"{"value": {"seconds": 600}}"#,
    );
    let running = sandbox.ansar(["run", "--debug-level=CONSOLE"]).start();
    running.wait_for("factorial(0)");
    let chain = chain(&sandbox);
    assert_eq!(chain.len(), 13, "{:?}", sandbox.processes());
    let sixth = chain[5];
    kill(Pid::from_raw(sixth), Signal::SIGKILL).expect("it runs");
    let output = running.wait();
    let all = completed(output.code(1));
    assert_eq!(ends(&output), pairs(&[("factorial-0", FAULTED)]));
    assert_eq!(
        all[0].2["condition"],
        format!("`{}` (process {sixth}) was killed by SIGKILL", sub_role(5))
    );
    let source = all[0].2["source"].as_str().unwrap_or_default();
    assert!(source.ends_with("src/bin/factorial.rs"), "{source}");
    sandbox.is_still();
}

/// Returns the number of processes that wrote to the log that was shown.
fn processes_seen(output: &Output) -> u64 {
    let starts = output.log("+ <00000008>start_vector - Created by <00000001>");
    let pids = pids(&starts);
    assert_eq!(pids.len(), starts.len(), "every process starts once");
    pids.len() as u64
}

fn job(duties: &[&str], management_levels: u32, managers: u32) -> Job {
    Job {
        duties: duties.iter().map(|duty| (*duty).to_owned()).collect(),
        management_levels,
        managers,
    }
}

/// Returns the number of processes: a factorial of 5 calls five others.
fn processes(job: &Job) -> u64 {
    let managers = job.processes() / (1 + job.duties.len() as u64);
    let factorials = job.duties.iter().filter(|duty| *duty == "factorial");
    job.processes() + 5 * managers * factorials.count() as u64
}

#[test]
fn large_trees_run_with_few_descriptors() {
    let job = job(&["noop", "snooze", "factorial"], 5, 3);
    let sandbox = with_input("busy", &json!(job));
    let script = "ulimit -n 256; exec \"$@\"";
    let shell = sandbox.program("sh").args(["-c", script, "sh"]);
    let run = shell.arg(executable("cargo-ansar"));
    let run = run.args(["ansar", "run", "--debug-level=OBJECT"]).run();
    let all = completed(run.success());
    assert_eq!(all[0].1, JOB);
    assert_eq!(all[0].2, json!({"processes": 484}));
    assert_eq!(processes(&job), 1089);
    assert_eq!(processes_seen(&run), 1089);
}

#[test]
fn random_trees_return_their_closed_form() {
    let sandbox = with_input("busy", &json!(job(&[], 1, 0)));
    for _ in 0..8 {
        let mut duties = Vec::new();
        for _ in 0..fastrand::usize(0..=3) {
            duties.push(fastrand::choice(["noop", "factorial"]).unwrap());
        }
        let job = job(&duties, fastrand::u32(1..=3), fastrand::u32(0..=3));
        let input = json!({"value": job}).to_string();
        sandbox.write(".ansar-home/input/busy-0.json", &input);
        let run = sandbox.ansar(["run", "--debug-level=OBJECT"]).run();
        let all = completed(run.success());
        assert_eq!(all[0].2["processes"], job.processes(), "{job:?}");
        assert_eq!(processes_seen(&run), processes(&job), "{job:?}");
    }
}

#[test]
fn control_c_leaves_no_process_of_a_tree() {
    let sandbox = with_input("busy", &json!(job(&["noop", "snooze", "factorial"], 4, 3)));
    // A different moment each time: after so many processes have started.
    for moment in [1, 2, 5, 10, 20, 40, 80, 120, 160, 200] {
        let mut run = sandbox.ansar(["run", "--debug-level=OBJECT"]).start();
        for _ in 0..moment {
            run.wait_for_next("start_vector - Created by");
        }
        run.signal(Signal::SIGINT);
        let output = run.wait();
        assert_eq!(ends(output.code(130)), pairs(&[("busy-0", ABORTED)]));
        sandbox.is_still();
    }
}

#[test]
fn a_killed_command_leaves_no_process() {
    let sandbox = with_input("busy", &json!(job(&["snooze", "factorial"], 3, 3)));
    let mut run = sandbox.ansar(["run", "--debug-level=OBJECT"]).start();
    for _ in 0..20 {
        run.wait_for_next("start_vector - Created by");
    }
    run.signal(Signal::SIGKILL);
    run.wait().killed_by(Signal::SIGKILL);
    let gone = eventually(|| sandbox.processes().is_empty().then_some(()));
    assert_eq!(gone, Some(()), "{:?}", sandbox.processes());
}

#[test]
fn an_unknown_duty_faults_the_tree() {
    let sandbox = with_input("busy", &json!(job(&["missing", "zombie"], 2, 2)));
    let run = sandbox.ansar(["run"]).run();
    let all = completed(run.code(1));
    let condition = all[0].2["condition"].as_str().unwrap_or_default();
    assert!(
        condition.contains("executable `missing` not found"),
        "{condition}"
    );
    sandbox.is_still();
}
