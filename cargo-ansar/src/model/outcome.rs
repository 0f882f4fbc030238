//! How a role ended, and what it returned.

use ansar_contract::envelope::BuiltIn;
use ansar_contract::envelope::Typed;
use ansar_contract::lifecycle::{Aborted, Cannot, Faulted, Maybe};
use ansar_contract::test::TestReport;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The end of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleOutcome {
    /// What it returned; a role that returned nothing has a `Faulted` or an
    /// `Aborted` put in its place.
    pub result: Typed,
    /// What ended it.
    pub cause: Cause,
}

/// What ended a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It returned by itself.
    Returned,
    /// It was asked to stop, and did.
    Stopped,
    /// It was asked to stop, did not in its grace time, and was killed.
    Killed,
    /// It took longer than it may.
    TimedOut,
    /// It died of a signal that nobody here sent.
    Signal(i32),
    /// It exited without a result.
    Exited(i32),
    /// It was never started.
    NeverStarted,
}

/// How an ended role may be told to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// It did what it was for.
    Yes,
    /// It was stopped on request.
    Stopped,
    /// It did not.
    No,
}

impl RoleOutcome {
    /// An outcome whose result is a message of ours.
    pub fn of<M: BuiltIn>(message: &M, cause: Cause) -> Self {
        // Messages of our own are plain structs, which always encode.
        let result = Typed::encode(message).unwrap_or_else(|_| Typed {
            name: M::NAME.to_owned(),
            body: Value::Null,
        });
        Self { result, cause }
    }

    /// The fault, where it is one.
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

    /// Why it gave up, where it did without a fault.
    pub fn gave_up(&self) -> Option<String> {
        let maybe = self.result.decode::<Maybe>();
        let maybe = maybe.map(|maybe| maybe.map_or_else(|_| String::new(), |maybe| maybe.reason));
        let cannot = self.result.decode::<Cannot>();
        maybe.or_else(|| cannot.map(|cannot| cannot.map_or_else(|_| String::new(), |c| c.reason)))
    }

    /// The report, where it is one.
    pub fn report(&self) -> Option<TestReport> {
        self.result.decode::<TestReport>()?.ok()
    }

    /// What is wrong with the report, where it is one that cannot be read: its field, and why.
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

    /// Whether it did what it was for.
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
