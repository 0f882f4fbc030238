//! The findings of a check of the system, a home or a workspace.

use serde::Serialize;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// The state of what was checked.
    pub state: State,
    /// The state in words.
    pub text: String,
    /// The remedy: a command to type, or a text to write.
    pub hint: Option<String>,
}

/// The state of what was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All is well.
    Ok,
    /// Something is missing that not every workspace needs.
    Warning,
    /// Commands will fail.
    Error,
}

impl Finding {
    /// Creates a finding about something that is well.
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            text: text.into(),
            hint: None,
        }
    }

    /// Creates a finding with a remedy.
    pub fn new(
        check: &'static str,
        state: State,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state,
            text: text.into(),
            hint: Some(hint.into()),
        }
    }
}
