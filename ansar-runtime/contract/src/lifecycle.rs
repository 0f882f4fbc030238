//! The built-in results of an attempt, a component or a role.

use serde::{Deserialize, Serialize};

use crate::envelope::Typed;
use crate::envelope::built_in;

/// Success without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ack {}

/// Stopped on request before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Aborted {}

/// A failure, with its explanation and its place in the source.
///
/// New fields may be added: construct it with [`Faulted::new`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Faulted {
    /// The failure in a few words, such as `component panicked`.
    pub condition: String,
    /// The reason, or an empty string if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub explanation: String,
    /// The exit code of the process that reports this failure; `None` means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The source file, as the compiler names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The line in `source`, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The number of attempts, if all retries have been used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The result of the last of these attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Box<Typed>>,
}

impl Faulted {
    /// Creates a failure with a condition and an explanation.
    ///
    /// ```
    /// use ansar_contract::lifecycle::Faulted;
    ///
    /// let faulted = Faulted::new("cannot read the table", "no such file").at("src/main.rs", 7);
    /// assert_eq!(faulted.to_string(), "cannot read the table, no such file");
    /// ```
    pub fn new(condition: impl Into<String>, explanation: impl Into<String>) -> Self {
        Self {
            condition: condition.into(),
            explanation: explanation.into(),
            ..Self::default()
        }
    }

    /// Returns the failure with a place in the source: a file, and a line counted
    /// from 1.
    #[must_use]
    pub fn at(mut self, source: impl Into<String>, line: u32) -> Self {
        self.source = Some(source.into());
        self.line = Some(line);
        self
    }

    /// Returns the failure with the exit code of the process that reports it.
    #[must_use]
    pub fn with_exit_code(mut self, exit_code: u8) -> Self {
        self.exit_code = Some(exit_code);
        self
    }

    /// Returns the failure with the number of attempts that were made, and the
    /// result of the last one.
    #[must_use]
    pub fn after_attempts(mut self, attempts: u32, last: Typed) -> Self {
        self.attempts = Some(attempts);
        self.last = Some(Box::new(last));
        self
    }
}

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped on request")
    }
}

impl std::error::Error for Aborted {}

impl std::fmt::Display for Faulted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.condition)?;
        if !self.explanation.is_empty() {
            write!(f, ", {}", self.explanation)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faulted {}

/// Not successful yet: the same attempt may succeed later. The retry policy of
/// the role decides about another one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Maybe {
    /// The reason.
    #[serde(default)]
    pub reason: String,
}

/// Not possible: another attempt would change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cannot {
    /// The reason.
    #[serde(default)]
    pub reason: String,
}

macro_rules! reason {
    ($type:ident) => {
        impl $type {
            /// Creates it with anything that can be displayed as the reason.
            pub fn because(reason: impl std::fmt::Display) -> Self {
                Self {
                    reason: reason.to_string(),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.reason)
            }
        }

        impl std::error::Error for $type {}
    };
}

reason!(Maybe);
reason!(Cannot);

built_in!(
    Ack = "ansar.create.lifecycle.Ack",
    Aborted = "ansar.create.lifecycle.Aborted",
    Faulted = "ansar.create.lifecycle.Faulted",
    Maybe = "ansar.create.lifecycle.Maybe",
    Cannot = "ansar.create.lifecycle.Cannot",
);
