//! Probes: conditions under which a role counts as ready or as healthy.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::did_you_mean::did_you_mean;
use crate::model::placeholder::Template;
use crate::model::quoted::{escaped, quoted_list};

/// A condition that a role must meet to be ready.
///
/// `T` is the type of its texts: a template with placeholders in a description,
/// a plain text once the placeholders are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "StoredProbe<T>",
    into = "StoredProbe<T>",
    bound(
        serialize = "T: Clone + Serialize",
        deserialize = "T: Deserialize<'de>"
    )
)]
pub enum Probe<T> {
    /// A process of the role listens on this TCP port; on its port `port` if
    /// unset.
    Listen(Option<T>),
    /// A TCP connection to this `HOST:PORT` succeeds, no matter which process
    /// listens there.
    Tcp(T),
    /// A GET request of an `http://` URL is answered with one of these codes;
    /// with 200 to 299 if there are none.
    Http {
        /// The URL.
        url: T,
        /// The accepted status codes.
        status: Vec<u16>,
    },
    /// A line of this start's output matches this regular expression.
    Log(String),
    /// A command exits with 0, and its output contains a text if one is set.
    Command {
        /// The program and its arguments; not empty.
        command: Vec<T>,
        /// The text that stdout must contain.
        says: Option<T>,
    },
    /// This file exists.
    File(T),
    /// The role sends `READY=1` to the socket in `NOTIFY_SOCKET`.
    Notify,
    /// The role has exited successfully.
    Done,
    /// The process has started.
    Started,
}

/// A probe that is repeated after the role became ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health<T> {
    /// The probe; neither `Log`, `Notify`, `Done` nor `Started`.
    pub probe: Probe<T>,
    /// Time between two probes.
    pub every: Duration,
    /// Number of failures in a row that make the role unhealthy; at least 1.
    pub failures: u32,
}

/// The probes that must all succeed before a role is ready; the default of its
/// kind if there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "OneOrMany", into = "OneOrMany")]
pub struct Readiness(pub Vec<Probe<Template>>);

/// Time between two probes of a ready role by default.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// Failures in a row that make a role unhealthy by default.
pub const HEALTH_FAILURES: u32 = 3;

/// Words that stand for a probe.
pub const PROBE_WORDS: [&str; 4] = ["listen", "notify", "done", "started"];

impl<T> Probe<T> {
    /// Returns the probe that a word stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "listen" => Self::Listen(None),
            "notify" => Self::Notify,
            "done" => Self::Done,
            "started" => Self::Started,
            _ => return None,
        })
    }

    /// Returns the texts of the probe.
    pub fn texts(&self) -> Vec<&T> {
        match self {
            Self::Listen(port) => port.iter().collect(),
            Self::Tcp(text) | Self::File(text) | Self::Http { url: text, .. } => vec![text],
            Self::Command { command, says } => command.iter().chain(says).collect(),
            Self::Log(_) | Self::Notify | Self::Done | Self::Started => Vec::new(),
        }
    }

    /// Returns the probe with each text replaced by its value.
    pub fn resolve<U, E>(&self, mut value: impl FnMut(&T) -> Result<U, E>) -> Result<Probe<U>, E> {
        Ok(match self {
            Self::Listen(port) => Probe::Listen(port.as_ref().map(value).transpose()?),
            Self::Tcp(address) => Probe::Tcp(value(address)?),
            Self::Http { url, status } => Probe::Http {
                url: value(url)?,
                status: status.clone(),
            },
            Self::Log(pattern) => Probe::Log(pattern.clone()),
            Self::Command { command, says } => Probe::Command {
                command: command.iter().map(&mut value).collect::<Result<_, E>>()?,
                says: says.as_ref().map(value).transpose()?,
            },
            Self::File(path) => Probe::File(value(path)?),
            Self::Notify => Probe::Notify,
            Self::Done => Probe::Done,
            Self::Started => Probe::Started,
        })
    }

    /// Returns true if the probe can be repeated while the role runs.
    pub fn is_repeatable(&self) -> bool {
        !matches!(
            self,
            Self::Log(_) | Self::Notify | Self::Done | Self::Started
        )
    }
}

impl<T> Health<T> {
    /// Returns the health probe with each text replaced by its value.
    pub fn resolve<U, E>(&self, value: impl FnMut(&T) -> Result<U, E>) -> Result<Health<U>, E> {
        Ok(Health {
            probe: self.probe.resolve(value)?,
            every: self.every,
            failures: self.failures,
        })
    }
}

impl Readiness {
    /// Returns true if the role is ready once it has exited successfully.
    pub fn is_done(&self) -> bool {
        self.0.contains(&Probe::Done)
    }
}

/// Checks the regular expression of a log probe.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    match regex::bytes::Regex::new(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "`{}` is no regular expression: {}",
            escaped(pattern),
            escaped(error.to_string().lines().last().unwrap_or_default())
        )),
    }
}

/// The stored form of a probe: a word, or an object.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredProbe<T> {
    Word(String),
    Object(ProbeObject<T>),
}

/// The keys of a probe that is no word, as they are written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeObject<T> {
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<T>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) tcp: Option<T>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Vec<u16>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<String>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<T>>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) says: Option<T>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<T>,
}

/// The default of an optional field, for types without a default.
fn none<T>() -> Option<T> {
    None
}

impl<T> Default for ProbeObject<T> {
    fn default() -> Self {
        Self {
            listen: None,
            tcp: None,
            http: None,
            status: None,
            log: None,
            command: None,
            says: None,
            file: None,
        }
    }
}

impl<T> ProbeObject<T> {
    /// Returns the probe that the keys describe, or the reason if they describe
    /// none.
    pub(crate) fn probe(self) -> Result<Probe<T>, String> {
        const KINDS: &str = "expected one of `listen`, `tcp`, `http`, `log`, `command` and `file`";
        let has_status = self.status.is_some();
        let has_says = self.says.is_some();
        let listen = self.listen.map(|port| Probe::Listen(Some(port)));
        let tcp = self.tcp.map(Probe::Tcp);
        let status = self.status.unwrap_or_default();
        let http = self.http.map(|url| Probe::Http { url, status });
        let log = self.log.map(Probe::Log);
        let says = self.says;
        let command = self.command.map(|command| Probe::Command { command, says });
        let file = self.file.map(Probe::File);
        let mut probes = [listen, tcp, http, log, command, file]
            .into_iter()
            .flatten();
        let (Some(probe), None) = (probes.next(), probes.next()) else {
            return Err(KINDS.to_owned());
        };
        if has_status && !matches!(probe, Probe::Http { .. }) {
            return Err("`status` belongs to `http`".to_owned());
        }
        if has_says && !matches!(probe, Probe::Command { .. }) {
            return Err("`says` belongs to `command`".to_owned());
        }
        match &probe {
            Probe::Command { command, .. } if command.is_empty() => {
                Err("`command` is empty, expected a program and its arguments".to_owned())
            }
            Probe::Log(pattern) => check_pattern(pattern).map(|()| probe),
            _ => Ok(probe),
        }
    }
}

impl<T> TryFrom<StoredProbe<T>> for Probe<T> {
    type Error = String;

    fn try_from(stored: StoredProbe<T>) -> Result<Self, String> {
        let word = match stored {
            StoredProbe::Word(word) => word,
            StoredProbe::Object(object) => return object.probe(),
        };
        Self::of_word(&word).ok_or_else(|| {
            let similar = did_you_mean(&word, PROBE_WORDS);
            let similar = similar.map(|it| format!("; did you mean `{it}`?"));
            format!(
                "`{}`, expected one of {}{}",
                escaped(&word),
                quoted_list(PROBE_WORDS),
                similar.unwrap_or_default()
            )
        })
    }
}

impl<T> From<Probe<T>> for StoredProbe<T> {
    fn from(probe: Probe<T>) -> Self {
        let mut object = ProbeObject::default();
        match probe {
            Probe::Listen(None) => return Self::Word("listen".to_owned()),
            Probe::Notify => return Self::Word("notify".to_owned()),
            Probe::Done => return Self::Word("done".to_owned()),
            Probe::Started => return Self::Word("started".to_owned()),
            Probe::Listen(port) => object.listen = port,
            Probe::Tcp(address) => object.tcp = Some(address),
            Probe::Http { url, status } => {
                object.http = Some(url);
                object.status = (!status.is_empty()).then_some(status);
            }
            Probe::Log(pattern) => object.log = Some(pattern),
            Probe::Command { command, says } => {
                object.command = Some(command);
                object.says = says;
            }
            Probe::File(path) => object.file = Some(path),
        }
        Self::Object(object)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Probe<Template>>),
    One(Probe<Template>),
}

impl From<OneOrMany> for Readiness {
    fn from(stored: OneOrMany) -> Self {
        match stored {
            OneOrMany::One(probe) => Self(vec![probe]),
            OneOrMany::Many(probes) => Self(probes),
        }
    }
}

impl From<Readiness> for OneOrMany {
    fn from(Readiness(mut probes): Readiness) -> Self {
        match probes.len() {
            1 => Self::One(probes.remove(0)),
            _ => Self::Many(probes),
        }
    }
}

/// The stored form of a health probe: the object of the probe, with the fields
/// `every`, in seconds, and `failures`.
impl Serialize for Health<Template> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let probe = serde_json::to_value(&self.probe).map_err(serde::ser::Error::custom)?;
        let mut object = match probe {
            Value::Object(object) => object,
            word => Map::from_iter([("probe".to_owned(), word)]),
        };
        if self.every != HEALTH_INTERVAL {
            object.insert("every".to_owned(), self.every.as_secs_f64().into());
        }
        if self.failures != HEALTH_FAILURES {
            object.insert("failures".to_owned(), self.failures.into());
        }
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Health<Template> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut object = Map::<String, Value>::deserialize(deserializer)?;
        let every = match object.remove("every") {
            None => HEALTH_INTERVAL,
            Some(every) => {
                let seconds = every.as_f64().filter(|it| *it > 0.0);
                let every = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
                every.ok_or_else(|| D::Error::custom("`every` is a number of seconds above 0"))?
            }
        };
        let failures = match object.remove("failures") {
            None => HEALTH_FAILURES,
            Some(failures) => {
                let failures = failures.as_u64().and_then(|it| u32::try_from(it).ok());
                let failures = failures.filter(|it| *it > 0);
                failures.ok_or_else(|| D::Error::custom("`failures` is a number from 1"))?
            }
        };
        let probe = match object.remove("probe") {
            Some(word) => word,
            None => Value::Object(object),
        };
        let probe: Probe<Template> = serde_json::from_value(probe).map_err(D::Error::custom)?;
        if !probe.is_repeatable() {
            return Err(D::Error::custom(NOT_REPEATABLE));
        }
        Ok(Self {
            probe,
            every,
            failures,
        })
    }
}

/// Message about a health probe that cannot be repeated.
pub const NOT_REPEATABLE: &str =
    "expected a probe that can be repeated: `listen`, `tcp`, `http`, `command` or `file`";

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) {
        let readiness: Readiness = serde_json::from_str(text).expect(text);
        let again = serde_json::to_string(&readiness).unwrap();
        assert_eq!(again, text.replace(' ', ""));
    }

    #[test]
    fn readiness_round_trips() {
        for text in [
            r#""done""#,
            r#""listen""#,
            r#"{"listen": "{port:admin}"}"#,
            r#"{"http": "http://{address}/", "status": [200, 404]}"#,
            r#"{"log": "ready"}"#,
            r#"{"command": ["a", "{port}"], "says": "PONG"}"#,
            r#"["notify", {"file": "{tmp}/up"}, {"tcp": "h:1"}]"#,
        ] {
            round_trip(text);
        }
    }

    #[test]
    fn invalid_probes_are_refused() {
        for text in [
            r#""redy""#,
            r"{}",
            r#"{"http": "x", "tcp": "y"}"#,
            r#"{"tcp": "y", "status": [200]}"#,
            r#"{"command": []}"#,
            r#"{"log": "("}"#,
            r#"{"colour": "red"}"#,
        ] {
            assert!(serde_json::from_str::<Readiness>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn health_round_trips() {
        let text = r#"{"http":"http://{address}/","every":2.5,"failures":1}"#;
        let health: Health<Template> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&health).unwrap(), text);
        let listen = r#"{"probe":"listen"}"#;
        let health: Health<Template> = serde_json::from_str(r#"{"probe":"listen"}"#).unwrap();
        assert_eq!(serde_json::to_string(&health).unwrap(), listen);
        assert!(serde_json::from_str::<Health<Template>>(r#"{"log":"x"}"#).is_err());
    }
}
