//! Requests and replies on the socket of an engine: one request, then its
//! replies.
//!
//! Both sides write one JSON object per line. `docs/src/reference/protocol.md`
//! specifies the protocol. Unknown fields are ignored, so that a newer version
//! may add fields.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::events::{Event, Until};
use crate::model::name::{ExecutableName, RoleName};

/// Version of the protocol.
pub const VERSION: u32 = 1;

/// A request to an engine: the only line that is sent to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Protocol version of the sender.
    pub version: u32,
    /// The request.
    #[serde(flatten)]
    pub ask: RequestKind,
}

/// The kinds of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum RequestKind {
    /// Report the running roles; answered by [`Reply::Status`].
    Status,
    /// Start roles of the home; answered by [`Reply::Accepted`], then by events
    /// until each role is ready or has ended.
    Start(Start),
    /// Stop roles; answered by events until all have stopped.
    Stop {
        /// The roles; those that do not run in this engine are ignored.
        roles: Vec<RoleName>,
    },
    /// Wait for roles of this engine; answered by events of these roles.
    Wait {
        /// The roles; those that do not run in this engine are ignored.
        roles: Vec<RoleName>,
        /// The state to wait for.
        until: Until,
    },
}

/// A request to start roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The roles.
    pub roles: Vec<RoleName>,
    /// The environment of the command that starts them.
    pub environment: Vec<(EnvText, EnvText)>,
    /// Time that each role gets to become ready, in seconds.
    pub ready_limit: f64,
    /// Time that a role without readiness notification must run before it
    /// counts as started, in seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub settle_time: f64,
    /// Settings for this run, by name, passed to each role as arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
    /// Options of single roles, which replace those above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<RoleName, RunOptions>,
}

/// Options for one run of a role, which are not stored in the home.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunOptions {
    /// Settings for this run, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
    /// Time to become ready, in seconds; the default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_limit: Option<f64>,
}

impl RunOptions {
    /// Returns true if no option is set.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.ready_limit.is_none()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

impl Start {
    /// Time that each role gets to become ready, limited to a year.
    pub fn ready_limit(&self) -> Duration {
        bounded(self.ready_limit)
    }

    /// Returns the time that a role may take to become ready.
    pub fn ready_limit_of(&self, role: &RoleName) -> Duration {
        let own = self.options.get(role);
        let own = own.and_then(|options| options.ready_limit);
        own.map_or_else(|| self.ready_limit(), bounded)
    }

    /// Returns the longest time that one of the roles may take to become ready.
    pub fn longest_ready_limit(&self) -> Duration {
        let limits = self.roles.iter().map(|role| self.ready_limit_of(role));
        limits.max().unwrap_or_default()
    }

    /// Returns the settings for this run of a role.
    pub fn settings_of(&self, role: &RoleName) -> &[(String, String)] {
        let own = self.options.get(role);
        own.map_or(&self.settings, |options| &options.settings)
    }

    /// Time that a role without readiness notification must run before it
    /// counts as started, limited to a year.
    pub fn settle_time(&self) -> Duration {
        bounded(self.settle_time)
    }
}

/// Converts seconds to a duration of at most a year, so that adding it to a
/// time cannot overflow.
fn bounded(seconds: f64) -> Duration {
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    let span = Duration::try_from_secs_f64(seconds);
    span.unwrap_or(LONGEST).min(LONGEST)
}

/// The kinds of replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// The running roles.
    Status {
        /// The engine.
        engine: Engine,
        /// Its running roles, sorted by name.
        roles: Vec<RoleStatus>,
    },
    /// The request was accepted.
    Accepted,
    /// An event of one of the roles.
    Event(Event),
    /// The request is completed; this is the last reply.
    Done,
    /// The request was refused, and no part of it done; this is the last reply.
    Refused(Refusal),
}

/// The reason for refusing a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, for people.
    pub reason: String,
    /// The command or step that resolves it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The kind of the reason, if the client must handle it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<RefusalKind>,
}

/// The kind of a reason for refusing a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// A role is already running.
    Running,
    /// A role or its executable does not exist.
    Missing,
    /// The engine is exiting; another one must be asked.
    Ending,
    /// A kind of a newer engine.
    #[serde(other)]
    Other,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self {
            reason,
            hint: None,
            why: None,
        }
    }
}

/// The processes of an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Process id of the engine.
    pub pid: u32,
    /// Process id of its guardian, which exits after it.
    pub guardian: u32,
    /// The kind of process that it runs in.
    pub host: Host,
}

/// The kind of process that an engine runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// A foreground command.
    Foreground,
    /// A background process, which accepts roles as long as it runs some.
    Background,
    /// An agent that runs a part of the roles for a command on another machine.
    Agent,
    /// A background process that runs roles for its parent command, and exits
    /// with it.
    Attached,
}

/// The status of a running role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleStatus {
    /// Its name.
    pub role: RoleName,
    /// Its executable.
    pub executable: ExecutableName,
    /// Its process id; none while no process of it runs.
    pub pid: Option<u32>,
    /// Time of the start of its process, or of the exit of the last one.
    pub since: Timestamp,
    /// Its state.
    pub state: State,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Number of restarts.
    pub restarts: u32,
    /// Number of lost log lines.
    pub lost: u64,
    /// The reason why it still runs after it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unkillable: Option<String>,
    /// The conditions that it still has to meet to be ready, as far as its
    /// probes say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unready: Option<String>,
    /// The reason why it is unhealthy though it was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<String>,
    /// The options of this run.
    #[serde(default, skip_serializing_if = "RunOptions::is_empty")]
    pub options: RunOptions,
}

/// The state of a running role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for roles that it depends on.
    Waiting,
    /// It is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// An attempt failed; the next one follows.
    Retrying,
    /// It exited and will be restarted.
    Restarting,
    /// It is stopping.
    Stopping,
}

/// A name or value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EnvText {
    /// Valid UTF-8.
    Text(String),
    /// Other bytes.
    Bytes(Vec<u8>),
}

impl From<&OsStr> for EnvText {
    fn from(word: &OsStr) -> Self {
        match word.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(word.as_bytes().to_owned()),
        }
    }
}

impl From<EnvText> for OsString {
    fn from(word: EnvText) -> Self {
        match word {
            EnvText::Text(text) => text.into(),
            EnvText::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Retrying => "retrying",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::events::{DeployEvent, Kind, RoleEvent, RunEvent};

    /// Lines of the first version must stay readable.
    #[test]
    fn lines_of_version_1_round_trip() {
        let stop = json!({"version": 1, "ask": "stop", "roles": ["zombie-0"]});
        let start = json!({
            "version": 1, "ask": "start", "roles": ["server-0"],
            "environment": [["LANG", "C"], ["RAW", [255, 61]]], "ready_limit": 60.0
        });
        for line in [stop, start, json!({"version": 1, "ask": "status"})] {
            let request: Request = serde_json::from_value(line.clone()).unwrap();
            assert_eq!(serde_json::to_value(&request).unwrap(), line);
        }
        for line in [
            json!({"reply": "event", "at": "2023-04-06T01:52:17Z", "event": "ready", "role": "a-0"}),
            json!({"reply": "refused", "reason": "no"}),
            json!({"reply": "status", "engine": {"pid": 7, "guardian": 6, "host": "background"}, "roles": [{
                "role": "a-0", "executable": "a", "pid": 8, "since": "2023-04-06T01:52:17Z",
                "state": "ready", "attempt": 1, "restarts": 0, "lost": 0
            }]}),
        ] {
            let reply: Reply = serde_json::from_value(line.clone()).unwrap();
            assert_eq!(serde_json::to_value(&reply).unwrap(), line);
        }
    }

    /// The examples of the reference round-trip, and every kind has one.
    #[test]
    fn examples_round_trip() {
        let text = include_str!("../../docs/src/reference/protocol.md");
        let mut seen = BTreeSet::new();
        let mut is_json = false;
        for line in text.lines() {
            if let Some(language) = line.strip_prefix("```") {
                is_json = language == "json";
                continue;
            }
            if !is_json {
                continue;
            }
            let value: Value = serde_json::from_str(line).expect(line);
            let again = if value.get("ask").is_some() {
                let request: Request = serde_json::from_value(value.clone()).expect(line);
                assert_eq!(request.version, VERSION, "{line}");
                serde_json::to_value(&request).unwrap()
            } else {
                let reply: Reply = serde_json::from_value(value.clone()).expect(line);
                serde_json::to_value(&reply).unwrap()
            };
            assert_eq!(again, value, "{line}");
            for key in ["ask", "reply", "event"] {
                seen.extend(value[key].as_str().map(|word| format!("{key} {word}")));
            }
        }
        let all = [
            "ask start",
            "ask status",
            "ask stop",
            "ask wait",
            "event ended",
            "event ready",
            "event restarting",
            "event retrying",
            "event started",
            "event unkillable",
            "event waiting",
            "reply accepted",
            "reply done",
            "reply event",
            "reply refused",
            "reply status",
        ];
        assert_eq!(seen, all.map(str::to_owned).into());
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let line = json!({"version": 1, "ask": "status", "colour": "red"});
        assert!(serde_json::from_value::<Request>(line).is_ok());
    }

    #[test]
    fn events_round_trip() {
        let role: RoleName = "a-0".parse().unwrap();
        for kind in [
            Kind::Run(RunEvent::Waiting {
                roles: vec![role.clone()],
                until: Until::Stopped,
                why: [(role.clone(), "SIGINT was sent".to_owned())].into(),
            }),
            Kind::Role(RoleEvent::Retrying {
                role: role.clone(),
                delay: std::time::Duration::from_millis(1500),
            }),
            Kind::Deploy(DeployEvent::Blocked {
                home: "/somewhere".into(),
            }),
        ] {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<Kind>(&text).unwrap(), kind);
        }
    }
}
