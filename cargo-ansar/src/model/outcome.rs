//! The outcome of a role: its result and the cause of its exit.

use ansar_contract::envelope::BuiltIn;
use ansar_contract::envelope::Typed;
use ansar_contract::lifecycle::{Aborted, Cannot, Faulted, Maybe};
use ansar_contract::test::TestReport;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The outcome of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleOutcome {
    /// The returned message, or a `Faulted` or `Aborted` of the tool if the
    /// role returned none.
    pub result: Typed,
    /// The cause of the exit.
    pub cause: Cause,
}

/// The cause of the exit of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The role returned on its own.
    Returned,
    /// It stopped on request.
    Stopped,
    /// It did not stop in its grace time and was killed.
    Killed,
    /// It exceeded its timeout, or did not become ready in time.
    TimedOut,
    /// It was killed by a signal that the tool did not send.
    Signal(i32),
    /// It exited with this code without a result.
    Exited(i32),
    /// It was never started.
    NeverStarted,
    /// The node on which it ran was lost.
    Lost,
}

/// The success of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// The role did its task.
    Yes,
    /// The role was stopped on request.
    Stopped,
    /// The role failed.
    No,
}

impl RoleOutcome {
    /// Creates an outcome whose result is a built-in message.
    pub fn of<M: BuiltIn>(message: &M, cause: Cause) -> Self {
        // Built-in messages are plain structs, which always encode.
        let result = Typed::encode(message).unwrap_or_else(|_| Typed {
            name: M::NAME.to_owned(),
            body: Value::Null,
        });
        Self { result, cause }
    }

    /// Returns the fault, if the result is one.
    pub fn fault(&self) -> Option<Faulted> {
        self.result.decode::<Faulted>().map(|faulted| {
            faulted.unwrap_or_else(|error| {
                Faulted::new(
                    "component returned a fault that cannot be read",
                    error.to_string(),
                )
            })
        })
    }

    /// Returns the reason of a `Maybe` or `Cannot`, if the result is one.
    pub fn gave_up(&self) -> Option<String> {
        let maybe = self.result.decode::<Maybe>();
        let maybe = maybe.map(|maybe| maybe.map_or_else(|_| String::new(), |maybe| maybe.reason));
        let cannot = self.result.decode::<Cannot>();
        maybe.or_else(|| cannot.map(|cannot| cannot.map_or_else(|_| String::new(), |c| c.reason)))
    }

    /// Returns the reason of a failure.
    pub fn reason(&self) -> String {
        match (self.fault(), self.gave_up()) {
            (Some(fault), _) => fault.to_string(),
            (None, Some(reason)) => reason,
            (None, None) => "stopped".to_owned(),
        }
    }

    /// Returns the test report, if the result is a valid one.
    pub fn report(&self) -> Option<TestReport> {
        self.result.decode::<TestReport>()?.ok()
    }

    /// Returns the field and error of a test report that cannot be read.
    pub fn malformed_report(&self) -> Option<String> {
        if !self.result.is::<TestReport>() {
            return None;
        }
        let read = serde_path_to_error::deserialize::<_, TestReport>(&self.result.body);
        let error = read.err()?;
        Some(match error.path().to_string().as_str() {
            "." => error.inner().to_string(),
            field => format!("field `{field}`: {}", error.inner()),
        })
    }

    /// Returns the success of the role.
    pub fn success(&self) -> Success {
        if self.fault().is_some() || self.gave_up().is_some() || self.malformed_report().is_some() {
            Success::No
        } else if self.result.is::<Aborted>() {
            Success::Stopped
        } else {
            Success::Yes
        }
    }
}
