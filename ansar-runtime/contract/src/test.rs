//! What tests found: the checks of one role, and the reports of all roles.

use serde::{Deserialize, Serialize};

use crate::envelope::built_in;

/// How many checks are kept in detail per process; the counts stay exact.
pub const DETAILS: usize = 255;

/// One check: what was asserted, where and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Whether it passed.
    pub condition: bool,
    /// The line in `source`, from 1.
    pub line: u32,
    /// The column in that line, from 1, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The object that made the check.
    pub name: String,
    /// The source file: as the compiler names it in a component, absolute
    /// where it can be found in a suite.
    pub source: String,
    /// When, UTC, ISO 8601 with microseconds.
    pub stamp: String,
    /// What was expected, and what was found.
    pub text: String,
}

/// The checks of one process.
///
/// `tested` holds at most [`DETAILS`] of them, failures before passes;
/// `passed + failed` less `tested.len()` were cut.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestReport {
    /// How many checks failed.
    pub failed: u64,
    /// How many checks passed.
    pub passed: u64,
    /// The details that were kept, in the order of the checks.
    pub tested: Vec<Check>,
}

impl TestReport {
    /// How many checks have no details here.
    pub fn cut(&self) -> u64 {
        (self.passed + self.failed).saturating_sub(self.tested.len() as u64)
    }
}

/// The reports of all roles of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestSuite {
    /// The roles that took part, sorted.
    pub role: Vec<String>,
    /// A report per role that gave one, in the order of `role`.
    pub report: Vec<(String, TestReport)>,
    /// How many checks passed, over all roles.
    pub passed: u64,
    /// How many checks failed, over all roles.
    pub failed: u64,
    /// `SOURCE:LINE - TEXT`, one per failure, in the order they are shown.
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
