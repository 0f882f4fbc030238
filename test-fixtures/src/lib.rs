//! The declared behaviour of the fixtures, as data.
//!
//! Every fixture is an executable in `src/bin` with one behaviour. The whole-program
//! tests check each against its row.

pub mod messages;

/// A fixture, and its behaviour.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    /// The executable.
    pub name: &'static str,
    /// The end of its run.
    pub ends: Ends,
    /// Its result by hand, with its defaults.
    pub returns: Returns,
    /// A text that its log holds.
    pub logs: &'static str,
}

/// The end of a fixture's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// By itself.
    Itself,
    /// On a request to stop.
    Stopped,
    /// Only when it is killed.
    Killed,
}

/// The result of a fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// A message of this type, and exit code 0.
    Message(&'static str),
    /// A `Faulted` that says this, and exit code 1.
    Fault(&'static str),
    /// Nothing at all.
    Nothing,
}

const ACK: Returns = Returns::Message("ansar.create.lifecycle.Ack");
const ABORTED: Returns = Returns::Message("ansar.create.lifecycle.Aborted");
const REPORT: Returns = Returns::Message("ansar.create.test.TestReport");

/// Every fixture. `client` stands for itself without a server.
pub const FIXTURES: [Fixture; 21] = [
    fixture("noop", Ends::Itself, ACK, "Log this and exit"),
    fixture("snooze", Ends::Itself, ACK, "Do nothing for 2.0 seconds"),
    fixture(
        "zombie",
        Ends::Stopped,
        ABORTED,
        "Do nothing until interrupted",
    ),
    fixture("server", Ends::Stopped, ABORTED, "Ready"),
    fixture(
        "client",
        Ends::Itself,
        Returns::Message("ansar.create.lifecycle.Maybe"),
        "Session error - \"Connection refused",
    ),
    fixture(
        "panics",
        Ends::Itself,
        Returns::Fault("this component panics"),
        "panicked: this component panics",
    ),
    fixture(
        "stubborn",
        Ends::Killed,
        Returns::Nothing,
        "Ignoring every signal",
    ),
    fixture("deaf", Ends::Stopped, ABORTED, "Serving"),
    fixture("hangs", Ends::Killed, Returns::Nothing, "Hanging"),
    fixture(
        "silent",
        Ends::Itself,
        Returns::Nothing,
        "Leaving without a word",
    ),
    fixture("prints", Ends::Itself, REPORT, "a stray print"),
    fixture("wraps", Ends::Itself, Returns::Nothing, "Arguments: ["),
    fixture("strays", Ends::Itself, ACK, "Left ("),
    fixture("deserts", Ends::Stopped, ABORTED, "Left ("),
    fixture("floods", Ends::Itself, ACK, "Line 99999 of 100000"),
    fixture("talks", Ends::Itself, REPORT, "Talking of Children"),
    fixture(
        "factorial",
        Ends::Itself,
        Returns::Message("lib.factorial_if.FactorialReturned"),
        "factorial(5)",
    ),
    fixture(
        "busy",
        Ends::Itself,
        Returns::Message("lib.job_if.JobReturned"),
        "2 duties and 2 managers",
    ),
    fixture("analyzer", Ends::Itself, ACK, "Analyzing 0 reports"),
    fixture("calls", Ends::Itself, ACK, "Called"),
    fixture("checks", Ends::Itself, REPORT, "Made 1000 checks"),
];

const fn fixture(name: &'static str, ends: Ends, returns: Returns, logs: &'static str) -> Fixture {
    Fixture {
        name,
        ends,
        returns,
        logs,
    }
}
