//! The way a role is asked to stop.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::did_you_mean::did_you_mean;
use crate::model::quoted::{escaped, quoted_list};

/// The way a role is asked to stop, where it differs from the default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The first signal; SIGINT, followed by SIGTERM, if unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<StopSignal>,
    /// Time to exit before the role is killed, in seconds; more than zero and
    /// at most a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<f64>,
}

/// Time that a role gets to stop before it is killed, unless it sets another.
pub const GRACE: Duration = Duration::from_secs(5);

/// The signals that stop a role, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSequence {
    /// The only signal before SIGKILL. SIGINT, followed by SIGTERM after half
    /// of the grace, if unset.
    pub signal: Option<StopSignal>,
    /// Time from the first signal to SIGKILL.
    pub grace: Duration,
}

impl Default for StopSequence {
    fn default() -> Self {
        Self {
            signal: None,
            grace: GRACE,
        }
    }
}

impl From<Stop> for StopSequence {
    fn from(Stop { signal, grace }: Stop) -> Self {
        if signal == Some(StopSignal::KILL) {
            return Self {
                signal: None,
                grace: Duration::ZERO,
            };
        }
        let grace = grace.and_then(|grace| Duration::try_from_secs_f64(grace).ok());
        Self {
            signal,
            grace: grace.unwrap_or(GRACE),
        }
    }
}

/// A signal that may ask a role to stop: an index in [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StopSignal(usize);

/// Names of the signals that have a meaning for a program that stops.
const NAMES: [&str; 10] = [
    "SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGABRT", "SIGALRM",
    "SIGWINCH", "SIGKILL",
];

/// An error about a text that names no such signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no signal to stop with, expected one of {}", escaped(.0), quoted_list(NAMES))]
pub struct SignalError(String);

impl SignalError {
    /// Returns a similar name, if there is one.
    pub fn similar(&self) -> Option<&'static str> {
        did_you_mean(&self.0, NAMES)
    }
}

impl StopSignal {
    /// SIGINT.
    pub const INTERRUPT: Self = Self(0);
    /// SIGTERM.
    pub const TERMINATE: Self = Self(1);
    const KILL: Self = Self(9);

    /// Returns all signals.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..NAMES.len()).map(Self)
    }

    /// Returns the name, such as `SIGTERM`.
    pub fn name(self) -> &'static str {
        NAMES[self.0]
    }
}

/// Reads a name with or without `SIG`, in any case.
impl FromStr for StopSignal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        let known = NAMES.iter().position(|name| &name[3..] == short);
        known.map(Self).ok_or_else(|| SignalError(text.to_owned()))
    }
}

impl TryFrom<String> for StopSignal {
    type Error = SignalError;

    fn try_from(text: String) -> Result<Self, SignalError> {
        text.parse()
    }
}

impl From<StopSignal> for String {
    fn from(signal: StopSignal) -> Self {
        signal.name().to_owned()
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_name() {
        for (text, expected) in [
            ("SIGTERM", "SIGTERM"),
            ("int", "SIGINT"),
            ("Usr1", "SIGUSR1"),
        ] {
            assert_eq!(text.parse::<StopSignal>().unwrap().name(), expected);
        }
        let error = "SIGTREM".parse::<StopSignal>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`SIGTREM` is no signal to stop with")
        );
        assert_eq!(error.similar(), Some("SIGTERM"));
    }

    #[test]
    fn a_role_stops_with_sigint_within_five_seconds_by_default() {
        let default = StopSequence::default();
        assert_eq!(StopSequence::from(Stop::default()), default);
        let stop = |signal: &str, grace| Stop {
            signal: signal.parse().ok(),
            grace,
        };
        let slow = StopSequence::from(stop("SIGTERM", Some(7.5)));
        assert_eq!(slow.signal, Some(StopSignal::TERMINATE));
        assert_eq!(slow.grace, Duration::from_millis(7500));
        let at_once = StopSequence::from(stop("SIGKILL", Some(7.5)));
        assert_eq!((at_once.signal, at_once.grace), (None, Duration::ZERO));
        assert_eq!(StopSignal::INTERRUPT.name(), "SIGINT");
        assert_eq!(StopSignal::TERMINATE.name(), "SIGTERM");
        assert_eq!(StopSignal::KILL.name(), "SIGKILL");
    }

    #[test]
    fn stored_form_round_trips() {
        let stop: Stop = serde_json::from_str(r#"{"signal": "TERM", "grace": 10.0}"#).unwrap();
        let text = serde_json::to_string(&stop).unwrap();
        assert_eq!(text, r#"{"signal":"SIGTERM","grace":10.0}"#);
        assert!(serde_json::from_str::<Stop>(r#"{"signl": "TERM"}"#).is_err());
    }
}
