//! The messages between launcher and agent.
//!
//! One conversation lasts as long as the run. The agent says hello with
//! [`FromAgent::Joined`], gets its files, starts roles on request, and sends
//! each event with a number. Unknown fields are ignored, so that a newer version
//! may add some.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::events::Event;
use crate::home::ports::Hosts;
use crate::home::role::Entry;
use crate::host::fs::Hash;
use crate::model::instance::Instance;
use crate::model::name::RoleName;
use crate::supervisor::test_options::TestOptions;
use crate::sync::path::RelPath;

/// A message of the launcher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum ToAgent {
    /// The first message: names the conversation. Answered by
    /// [`FromAgent::Joined`].
    Join {
        /// Version of the protocol.
        version: u32,
        /// Id of the run.
        run: String,
        /// Number of the shard, from 0.
        shard: usize,
        /// Number of shards.
        of: usize,
        /// The epoch, which every event repeats.
        epoch: u64,
        /// Seconds without a message after which both sides give up.
        lease: f64,
        /// Words of the command by which an agent whose launcher is gone gives its
        /// place back; empty if there is none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cancel: Vec<String>,
        /// True if the agent must tell the address of its node.
        #[serde(default)]
        needs_address: bool,
    },
    /// Lists all files of the run. Answered by [`FromAgent::Want`], and by
    /// [`FromAgent::Placed`] when all have arrived.
    Manifest {
        /// Id of the launcher's home, which the agent's home gets as well.
        home: String,
        /// The files, sorted by path: in `home` or in `work`, which stands for the
        /// workspace.
        files: Vec<File>,
        /// Folders that exist even if they have no files.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        folders: Vec<RelPath>,
        /// Symlinks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        links: Vec<Link>,
    },
    /// A piece of a wanted file; the bytes follow. Pieces come in order, the
    /// next file after the last piece of the one before.
    Blob {
        /// The hash of the whole file.
        hash: Hash,
        /// The size of the whole file.
        size: u64,
    },
    /// Start the operational roles. Test roles wait for [`ToAgent::Test`].
    Start(Box<Start>),
    /// The roles that this one waits for on other shards are ready: let it start.
    Admit {
        /// The role.
        role: RoleName,
    },
    /// The operational roles of all shards are ready: start the test roles.
    Test,
    /// The test roles of all shards have ended: stop the operational roles.
    Finish,
    /// Stop all roles.
    Stop {
        /// True if they are killed.
        at_once: bool,
    },
    /// Send the log of a role, and the results of its tests. Answered by
    /// [`FromAgent::Log`] and [`FromAgent::Results`].
    Log {
        /// The role.
        role: RoleName,
        /// False if only the results are wanted.
        #[serde(default)]
        has_lines: bool,
    },
    /// Nothing but a sign of life.
    Heartbeat,
    /// The last message: remove everything, and exit.
    Bye,
}

/// A file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the folder of the run.
    pub path: RelPath,
    /// The hash of its bytes.
    pub hash: Hash,
    /// Its size in bytes.
    pub size: u64,
    /// Its permission bits.
    pub mode: u32,
}

/// A symlink of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its path.
    pub path: RelPath,
    /// The path that it leads to.
    pub target: PathBuf,
}

/// A request to start the roles of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The roles of the shard.
    pub roles: BTreeMap<RoleName, StartRole>,
    /// The machines of the roles; empty if all are on one.
    #[serde(default)]
    pub hosts: Hosts,
    /// Environment variables of all roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<(String, String)>,
    /// Minimum level of log lines that become events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// Options for the test roles.
    pub tests: TestOptions,
    /// Settings of this run, for the test roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
    /// Test roles that start first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<RoleName>,
}

/// A role to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartRole {
    /// True if it is a test role.
    pub is_test: bool,
    /// File and line that describe it, on the launcher's machine.
    pub described: (PathBuf, u32),
    /// Its description.
    pub entry: Entry,
    /// True if it waits for [`ToAgent::Admit`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_held: bool,
    /// The test role that it belongs to, if it is an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
}

/// A message of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum FromAgent {
    /// The agent runs.
    Joined {
        /// Version of the protocol.
        version: u32,
        /// Name of the node.
        host: String,
        /// Address by which other nodes reach it, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Ipv4Addr>,
        /// Process id of the agent on its node.
        pid: u32,
        /// The folder of its home.
        home: PathBuf,
        /// The time on its node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<Timestamp>,
    },
    /// The files that are not in the store yet, in the order in which they are
    /// expected.
    Want {
        /// Their hashes.
        hashes: Vec<Hash>,
    },
    /// The home is made.
    Placed,
    /// Something happened to a role of the shard.
    Event(Numbered),
    /// All test roles of the shard have ended, retries included.
    Tested,
    /// All roles of the shard have ended.
    Done,
    /// A piece of a file of a role's log; the bytes follow.
    Log {
        /// The role.
        role: RoleName,
        /// The name of the file; unset after the last piece of the last file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// A piece of the file with the results of a role's tests; the bytes follow.
    Results {
        /// The role.
        role: RoleName,
    },
    /// Nothing but a sign of life.
    Heartbeat,
    /// The agent cannot go on; its last message.
    Refused {
        /// The reason.
        reason: String,
    },
}

/// An event with its place in the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// Id of the run.
    pub run: String,
    /// The shard.
    pub shard: usize,
    /// The epoch that the launcher gave.
    pub epoch: u64,
    /// Number of the event, from 1.
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn messages_round_trip() {
        let hash = Hash::of(b"x");
        for line in [
            json!({"ask": "join", "version": 1, "run": "a1", "shard": 0, "of": 3, "epoch": 1, "lease": 10.0, "needs_address": true}),
            json!({"ask": "manifest", "home": "id", "files": [
                {"path": "bin/server", "hash": hash, "size": 1, "mode": 0o700},
            ]}),
            json!({"ask": "blob", "hash": hash, "size": 1}),
            json!({"ask": "stop", "at_once": true}),
            json!({"ask": "admit", "role": "server-0"}),
            json!({"ask": "log", "role": "server-0", "has_lines": true}),
            json!({"ask": "bye"}),
        ] {
            let message: ToAgent = serde_json::from_value(line.clone()).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap(), line);
        }
        for line in [
            json!({"say": "joined", "version": 1, "host": "n1", "address": "10.0.0.1", "pid": 7, "home": "/tmp/x"}),
            json!({"say": "want", "hashes": [hash]}),
            json!({"say": "event", "run": "a1", "shard": 0, "epoch": 1, "seq": 1,
                   "at": "2026-11-22T10:00:00Z", "event": "ready", "role": "server-0"}),
            json!({"say": "refused", "reason": "no space left on device"}),
        ] {
            let message: FromAgent = serde_json::from_value(line.clone()).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap(), line);
        }
    }

    #[test]
    fn files_outside_of_the_home_are_refused() {
        for path in [
            "../x",
            "/etc/passwd",
            "bin/../../x",
            "",
            "bin//x",
            "./x",
            "a\u{0}b",
        ] {
            let file: Value =
                json!({"path": path, "hash": Hash::of(b""), "size": 0, "mode": 0o600});
            assert!(serde_json::from_value::<File>(file).is_err(), "{path}");
        }
        for (key, wrong) in [
            ("size", json!(-1)),
            ("hash", json!("00")),
            ("mode", json!("x")),
        ] {
            let mut file = json!({"path": "x", "hash": Hash::of(b""), "size": 0, "mode": 0o600});
            file[key] = wrong;
            assert!(serde_json::from_value::<File>(file).is_err(), "{key}");
        }
    }
}
