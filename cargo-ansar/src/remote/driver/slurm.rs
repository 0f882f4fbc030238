//! The driver that runs agents as jobs of Slurm, each on one node.

use std::time::Duration;

use crate::model::remote::DriverOptions;

/// Options of `srun` unless others are described: no other job shares the node.
const ARGS: [&str; 1] = ["--exclusive"];
/// Time limit of a job, which ends it in every case.
const TIME_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Returns the words that run `script` in a job of this name.
///
/// Output is passed on unchanged and at once (`-u`). A job of its own for each
/// shard: a cut node takes no other shard down.
pub(super) fn place(options: &DriverOptions, name: &str, script: &str) -> Vec<String> {
    let usual = || ARGS.map(str::to_owned).to_vec();
    let args = options.args.clone().unwrap_or_else(usual);
    let limit = options.time_limit.unwrap_or(TIME_LIMIT);
    words(options, name, limit, &args, script)
}

/// Returns the words that run `script` for a moment on a node, beside other jobs.
pub(super) fn place_on(
    options: &DriverOptions,
    node: &str,
    name: &str,
    script: &str,
) -> Vec<String> {
    let mut args = vec![format!("--nodelist={node}")];
    args.extend(options.args.iter().flatten().cloned());
    words(options, name, Duration::from_secs(60), &args, script)
}

fn words(
    options: &DriverOptions,
    name: &str,
    limit: Duration,
    args: &[String],
    script: &str,
) -> Vec<String> {
    // Slurm counts in minutes.
    let minutes = limit.as_secs().div_ceil(60).max(1).to_string();
    let fixed = ["srun", "-Q", "-N1", "-n1", "-u", "-J", name, "-t", &minutes];
    let fixed = fixed.map(str::to_owned).into_iter();
    let own = args.iter().chain(&options.more_args).cloned();
    let shell = ["/bin/sh", "-c", script].map(str::to_owned);
    fixed.chain(own).chain(shell).collect()
}

/// Returns the words that cancel the jobs of these names, of this user alone.
///
/// A number alone does not identify a job: Slurm may give it a second time.
pub(super) fn release(names: &[String]) -> Vec<String> {
    // `scancel` takes one name.
    let each = names.iter().map(|name| format!("scancel --name={name}"));
    let script = each.collect::<Vec<_>>().join("; ");
    ["/bin/sh", "-c", &script].map(str::to_owned).to_vec()
}

/// States of a job that holds nodes or waits for them. One that is completing does
/// not: that may take a minute in which Slurm repeats its own messages.
const STATES: &str = "PENDING,CONFIGURING,RUNNING,SUSPENDED";

/// Returns the words that list the jobs of these names.
pub(super) fn look(names: &[String]) -> Vec<String> {
    let names = names.join(",");
    ["squeue", "-h", "-o", "%i", "-t", STATES, "-n", &names]
        .map(str::to_owned)
        .to_vec()
}
