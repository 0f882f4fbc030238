//! What is said over the socket of an engine: one request, then its replies.
//!
//! Either side writes one JSON object per line. `docs/src/reference/protocol.md` is the contract;
//! what is unknown in an object is passed over, so that a newer side may say
//! more. Owns no socket and no byte.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::events::{Event, Until};
use crate::model::name::{ExecutableName, RoleName};

/// The version of the protocol that is spoken here.
pub const VERSION: u32 = 1;

/// What is asked of an engine; the first and only line that is sent to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The version that the asking side speaks.
    pub version: u32,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Which roles run; answered by [`Reply::Status`].
    Status,
    /// Start roles of the home; answered by [`Reply::Accepted`], then by what
    /// happens to them, until each of them is ready or has ended.
    Start(Start),
    /// Stop roles; answered by what happens to them, until they are gone.
    Stop {
        /// The roles; those that do not run here are passed over.
        roles: Vec<RoleName>,
    },
    /// Wait for roles that run here; answered by what happens to them.
    Wait {
        /// The roles; those that do not run here are passed over.
        roles: Vec<RoleName>,
        /// For what.
        until: Until,
    },
}

/// Roles to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The roles.
    pub roles: Vec<RoleName>,
    /// The environment of the command that starts them.
    pub environment: Vec<(Word, Word)>,
    /// How long each may take to become ready, in seconds.
    pub ready_limit: f64,
    /// How long a role that does not announce itself must survive before it
    /// counts as started, in seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub settle_time: f64,
    /// Settings for this run, by name, that each role is given as arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
    /// The options of roles that have options of their own, instead of those
    /// above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<RoleName, RunOptions>,
}

/// Options for one run of a role, which a command was given and the home does
/// not have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunOptions {
    /// Settings, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
    /// Time to become ready, in seconds; none for the usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_limit: Option<f64>,
}

impl RunOptions {
    /// Returns true if there is no option.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.ready_limit.is_none()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

impl Start {
    /// How long each role may take to become ready: never longer than clocks
    /// are good for.
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

    /// Returns how long a role that does not announce itself must survive
    /// before it counts as started.
    pub fn settle_time(&self) -> Duration {
        bounded(self.settle_time)
    }
}

/// Returns a duration of so many seconds that clocks are good for.
fn bounded(seconds: f64) -> Duration {
    const LONGEST: Duration = Duration::from_hours(366 * 24);
    let span = Duration::try_from_secs_f64(seconds);
    span.unwrap_or(LONGEST).min(LONGEST)
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// What runs.
    Status {
        /// The engine.
        engine: Engine,
        /// Its roles that run, by name.
        roles: Vec<RoleStatus>,
    },
    /// Everything is in place to do what was asked.
    Accepted,
    /// Something happened to one of the roles.
    Event(Event),
    /// What was asked is done; nothing follows.
    Done,
    /// What was asked is not done, and nothing of it; nothing follows.
    Refused(Refusal),
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub reason: String,
    /// What to type next, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The kind of the reason, if it is one that a command would have met by
    /// itself a moment later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

/// The kind of a reason for which something is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A role runs already.
    Running,
    /// A role or its executable is not there.
    Missing,
    /// The engine is ending; another one can be asked.
    Ending,
    /// A kind that a newer engine knows.
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

/// An engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Its process.
    pub pid: u32,
    /// The process above it, which ends after it.
    pub guardian: u32,
    /// Where it lives.
    pub host: Host,
}

/// Where an engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// In a command at a terminal.
    Foreground,
    /// In a process of its own, which takes roles as long as it has some.
    Background,
    /// In a process of its own, which takes roles of the command above it, and
    /// ends with that.
    Attached,
}

/// A role that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleStatus {
    /// Its name.
    pub role: RoleName,
    /// What it runs.
    pub executable: ExecutableName,
    /// Its process; none between two of them.
    pub pid: Option<u32>,
    /// When its process was started, or when the last one ended.
    pub since: Timestamp,
    /// What it is doing.
    pub state: State,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often it was started again after it had ended by itself.
    pub restarts: u32,
    /// How many lines of its log were lost.
    pub lost: u64,
    /// The reason why it goes on though it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unkillable: Option<String>,
    /// The options for this run of it.
    #[serde(default, skip_serializing_if = "RunOptions::is_empty")]
    pub options: RunOptions,
}

/// What a role is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for roles that it comes after.
    Waiting,
    /// It is not ready yet.
    Starting,
    /// It can be used.
    Ready,
    /// Its attempt was not successful; it makes another.
    Retrying,
    /// It has ended by itself, and is started again soon.
    Restarting,
    /// It was asked to stop.
    Stopping,
}

/// A name or a value in an environment: text, or bytes that are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl From<&OsStr> for Word {
    fn from(word: &OsStr) -> Self {
        match word.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(word.as_bytes().to_owned()),
        }
    }
}

impl From<Word> for OsString {
    fn from(word: Word) -> Self {
        match word {
            Word::Text(text) => text.into(),
            Word::Bytes(bytes) => Self::from_vec(bytes),
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
    use crate::events::Kind;

    /// What the first version said, and later ones must read.
    #[test]
    fn the_lines_of_version_1_are_read_and_written() {
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

    /// The examples of `docs/src/reference/protocol.md` are what is spoken here, and everything
    /// that is spoken here has one.
    #[test]
    fn the_examples_are_what_is_spoken() {
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
    fn a_newer_side_may_say_more() {
        let line = json!({"version": 1, "ask": "status", "colour": "red"});
        assert!(serde_json::from_value::<Request>(line).is_ok());
    }

    #[test]
    fn every_event_that_is_told_comes_back_as_it_was() {
        let role: RoleName = "a-0".parse().unwrap();
        for kind in [
            Kind::Waiting {
                roles: vec![role.clone()],
                until: Until::Stopped,
            },
            Kind::Retrying {
                role: role.clone(),
                delay: std::time::Duration::from_millis(1500),
            },
            Kind::Blocked {
                home: "/somewhere".into(),
            },
        ] {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<Kind>(&text).unwrap(), kind);
        }
    }
}
