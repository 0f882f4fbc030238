//! The built-in results: how an attempt, a component or a role ended.

use serde::{Deserialize, Serialize};

use crate::envelope::Typed;
use crate::envelope::built_in;

/// Done, with nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ack {}

/// Stopped on request before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Aborted {}

/// Something broke: what, why, and where in the source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Faulted {
    /// What is the case, `component panicked`.
    pub condition: String,
    /// Why, as far as it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub explanation: String,
    /// The exit code of the process that reports this fault; 1 where unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The source file, as the compiler names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The line in `source`, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How many attempts were made, where retries are what was exhausted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What the last of these attempts returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Box<Typed>>,
}

impl Faulted {
    /// A fault with a condition and an explanation, and nothing else.
    pub fn new(condition: impl Into<String>, explanation: impl Into<String>) -> Self {
        Self {
            condition: condition.into(),
            explanation: explanation.into(),
            ..Self::default()
        }
    }

    /// The same fault, at a place in the source.
    #[must_use]
    pub fn at(mut self, source: impl Into<String>, line: u32) -> Self {
        self.source = Some(source.into());
        self.line = Some(line);
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

/// Not successful; the same attempt may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Maybe {
    /// Why it did not succeed.
    #[serde(default)]
    pub reason: String,
}

/// Not possible; trying again would change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cannot {
    /// Why it is not possible.
    #[serde(default)]
    pub reason: String,
}

macro_rules! reason {
    ($type:ident) => {
        impl $type {
            /// Anything that can be shown is a reason.
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
