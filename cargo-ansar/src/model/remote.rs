//! Drivers, which find nodes for the agents of a run, and errors about them.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::model::duration::ShortDuration;
use crate::model::name::RoleName;
use crate::model::quoted::escaped;

/// A way to run agents: a value of `--on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriverName {
    /// Processes on this machine.
    Local,
    /// A command of the user, such as `ssh`.
    Command,
    /// Jobs of Slurm.
    Slurm,
    /// Pods of Kubernetes.
    Kubernetes,
}

impl DriverName {
    /// The drivers, as they are written.
    pub const ALL: [(&str, Self); 4] = [
        ("local", Self::Local),
        ("command", Self::Command),
        ("slurm", Self::Slurm),
        ("kubernetes", Self::Kubernetes),
    ];

    /// Returns the name as it is written.
    pub fn as_str(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(_, driver)| *driver == self);
        named.map_or("", |(name, _)| name)
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Options of a driver, as the manifest describes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DriverOptions {
    /// Number of shards.
    pub shards: Option<usize>,
    /// Time without a message after which a shard is lost.
    pub lease: Option<Duration>,
    /// Time until all agents must have joined.
    pub place_timeout: Option<Duration>,
    /// Words of the command that runs another command on a node, with `{shard}`.
    pub command: Vec<String>,
    /// True if that command passes its words to a shell.
    pub quote: Option<bool>,
    /// Options of the command of a cluster, in place of the usual ones.
    pub args: Option<Vec<String>>,
    /// Options of the command line for the command of the driver.
    pub more_args: Vec<String>,
    /// Time after which a cluster ends a shard.
    pub time_limit: Option<Duration>,
    /// The image of pods.
    pub image: Option<String>,
    /// The namespace of pods.
    pub namespace: Option<String>,
    /// The file that describes a pod, as a path from the workspace root.
    pub pod: Option<String>,
    /// The content of that file.
    pub pod_template: Option<Value>,
}

/// An error about a run on agents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The manifest names no command.
    #[error("no command to run on other machines with `--on command`")]
    NoCommand,
    /// The command line has options for a driver that takes none.
    #[error("`--on local` takes no arguments")]
    NoArguments,
    /// The command line asks for agents in a command that cannot use them.
    #[error("`{0}` does not run roles on other machines")]
    NotWith(String),
    /// The command that places an agent cannot be started.
    #[error("shard {}: {reason}", shard + 1)]
    CannotPlace {
        /// The shard, from 0.
        shard: usize,
        /// The driver.
        driver: DriverName,
        /// The reason.
        reason: String,
    },
    /// The command that places an agent has ended, and no agent has joined.
    #[error("shard {}: no agent has joined: {reason}", shard + 1)]
    Unplaced {
        /// The shard, from 0.
        shard: usize,
        /// The reason.
        reason: String,
        /// The driver.
        driver: DriverName,
        /// True if the node has the program and cannot run it.
        is_foreign: bool,
    },
    /// Not all agents have joined in time.
    #[error(
        "no agent has joined for {} after {}{}",
        shard_list(.shards), ShortDuration(*limit), after_colon(said)
    )]
    NotPlaced {
        /// The shards, from 0.
        shards: Vec<usize>,
        /// The time limit.
        limit: Duration,
        /// The last line that a command which places them has printed.
        said: String,
    },
    /// A role has a property that only works on one machine.
    #[error("role `{role}` cannot run on other machines: {reason}")]
    Role {
        /// The role.
        role: RoleName,
        /// The reason.
        reason: String,
    },
    /// A role names a shard that the run does not have.
    #[error("role `{role}` runs in shard {shard}, and there are only {count}")]
    NoShard {
        /// The role.
        role: RoleName,
        /// The shard, from 1.
        shard: usize,
        /// The number of shards.
        count: usize,
    },
    /// A text of a role names this machine, and the role runs on another one than
    /// the operational roles.
    #[error(
        "role `{role}` cannot run on other machines: `{}` is an address of one machine",
        escaped(text)
    )]
    Loopback {
        /// The role.
        role: RoleName,
        /// The text.
        text: String,
    },
    /// A component has stored a path or an address in another form.
    #[error(
        "role `{role}` cannot run on other machines: its settings have `{}`, but not as the manifest writes it, so that it cannot be replaced",
        escaped(text)
    )]
    Setting {
        /// The role.
        role: RoleName,
        /// The text with placeholders.
        text: String,
    },
    /// The file that describes a pod cannot be used.
    #[error("invalid pod in `{file}`: {reason}")]
    Pod {
        /// The file.
        file: String,
        /// The reason.
        reason: String,
    },
    /// An agent cannot go on.
    #[error("{0}")]
    Agent(String),
}

impl RemoteError {
    /// Returns the step that resolves the error.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoCommand => "write `command = [\"ssh\", \"node{shard}\"]` in \
                                `[workspace.metadata.ansar.on.command]`"
                .to_owned(),
            Self::NotWith(_) => "run tests there with `cargo ansar test --on`".to_owned(),
            Self::Unplaced {
                is_foreign: true, ..
            } => "install a `cargo-ansar` that was built for the node, as its C library or \
                  architecture differs from this machine's"
                .to_owned(),
            Self::CannotPlace {
                driver: DriverName::Slurm,
                ..
            } => "run this where `srun` is installed and finds its cluster".to_owned(),
            Self::Unplaced {
                driver: DriverName::Slurm,
                ..
            } => "choose other options for `srun` with `args` or `--on-arg`".to_owned(),
            Self::Unplaced {
                driver: DriverName::Kubernetes,
                ..
            } => "install `kubectl`, let its user create pods, and choose options for it with \
                  `args` or `--on-arg`"
                .to_owned(),
            Self::Pod { .. } => {
                "use the structure of `kubectl get pod -o json`, and write only the \
                                 fields to change"
                    .to_owned()
            }
            Self::NoArguments => "leave `--on-arg` out".to_owned(),
            Self::NotPlaced { .. } => {
                "see what it waits for, or give it more time with `place-timeout`".to_owned()
            }
            Self::Loopback { .. } => {
                "refer to the role that listens there, with `{address:ROLE}`".to_owned()
            }
            Self::NoShard { shard, .. } => format!("divide the run with `--shards {shard}`"),
            Self::CannotPlace { .. }
            | Self::Unplaced { .. }
            | Self::Role { .. }
            | Self::Setting { .. }
            | Self::Agent(_) => return None,
        })
    }
}

/// Names shards, numbered from 1.
fn shard_list(shards: &[usize]) -> String {
    let noun = if shards.len() == 1 { "shard" } else { "shards" };
    let numbers: Vec<String> = shards.iter().map(|shard| (shard + 1).to_string()).collect();
    format!("{noun} {}", numbers.join(", "))
}

fn after_colon(line: &str) -> String {
    if line.is_empty() {
        String::new()
    } else {
        format!(": {}", escaped(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_numbered_from_one() {
        let error = |shards: &[usize], said: &str| RemoteError::NotPlaced {
            shards: shards.to_vec(),
            limit: Duration::from_secs(5 * 60),
            said: said.to_owned(),
        };
        let one = error(&[1], "");
        assert_eq!(
            one.to_string(),
            "no agent has joined for shard 2 after 300s"
        );
        let two = error(&[0, 2], "queued");
        let text = "no agent has joined for shards 1, 3 after 300s: queued";
        assert_eq!(two.to_string(), text);
    }
}
