//! Test reports: the checks of one role, and the reports of all roles.

use serde::{Deserialize, Serialize};

use crate::envelope::built_in;

/// The number of checks of a process whose details are kept. The counts are exact.
pub const DETAILS: usize = 255;

/// One check of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// True if it passed.
    pub condition: bool,
    /// The line in `source`, counted from 1.
    pub line: u32,
    /// The column in that line, counted from 1, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The object that made the check.
    pub name: String,
    /// The source file: as the compiler names it in the report of a component;
    /// absolute in a [`TestSuite`], if the file can be found.
    pub source: String,
    /// The time in UTC, ISO 8601 with microseconds.
    pub stamp: String,
    /// The expected and the actual value, or the text of the check.
    pub text: String,
    /// The duration in microseconds, if the check is a whole test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_us: Option<u64>,
}

/// The checks of one process.
///
/// `tested` holds at most [`DETAILS`] of them, failures before passes;
/// [`cut`](Self::cut) is the number of the others. In the report of a test target,
/// each test is a check, and `tested` holds all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestReport {
    /// The number of checks that failed.
    pub failed: u64,
    /// The number of checks that passed.
    pub passed: u64,
    /// The checks whose details were kept, in their order.
    pub tested: Vec<Check>,
    /// The number of tests that were ignored.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored: u64,
    /// The names of tests that did not run to their end, because the role was
    /// stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl TestReport {
    /// Returns the number of checks without details.
    pub fn cut(&self) -> u64 {
        (self.passed + self.failed).saturating_sub(self.tested.len() as u64)
    }
}

/// The reports of all roles of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestSuite {
    /// The roles that took part, sorted.
    pub role: Vec<String>,
    /// The reports of the roles that returned one, in the order of `role`.
    pub report: Vec<(String, TestReport)>,
    /// The number of checks that passed, over all roles.
    pub passed: u64,
    /// The number of checks that failed, over all roles.
    pub failed: u64,
    /// One `SOURCE:LINE - TEXT` per failure, in the order in which they are shown.
    pub navigation: Vec<String>,
}

built_in!(
    TestReport = "ansar.create.test.TestReport",
    TestSuite = "ansar.create.test.TestSuite",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_without_a_column_is_read_and_written_as_it_was() {
        let first =
            r#"{"condition":true,"line":7,"name":"a","source":"a.rs","stamp":"","text":""}"#;
        let check: Check = serde_json::from_str(first).unwrap();
        assert_eq!(check.column, None);
        assert_eq!(serde_json::to_string(&check).unwrap(), first);
    }
}
