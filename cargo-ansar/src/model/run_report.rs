//! The report of a run, as plain data to show, store and print as JSON.
//!
//! A report may be written by one version of this tool and read by another:
//! missing fields have defaults, and unknown fields are ignored.

use std::path::Path;

use ansar_contract::envelope::Typed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::name::{ExecutableName, RoleName};
use crate::model::partition::Partition;

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunReport {
    /// Name of the command.
    pub command: String,
    /// The part of the test roles that were run, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// Exit code of the command.
    pub exit: u8,
    /// True if the run was interrupted.
    #[serde(default)]
    pub interrupted: bool,
    /// True if the command was killed, and later commands found what it had
    /// recorded.
    #[serde(default, skip_serializing_if = "is_false")]
    pub killed: bool,
    /// Time of the run without the build, in seconds.
    pub elapsed: f64,
    /// Number of passed checks.
    pub passed: u64,
    /// Number of failed checks.
    pub failed: u64,
    /// Roles that reported or were expected to report, sorted.
    pub roles: Vec<Row>,
    /// All failures, in the order of `roles`.
    pub failures: Vec<Failure>,
    /// Failed tries before the last one, in the order of `roles` and of time.
    /// They are no failures of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// Log lines of failed roles, by role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpts: Vec<Excerpt>,
    /// Result of the analyzer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Typed>,
}

/// The results of one role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The role.
    pub role: RoleName,
    /// Number of passed checks.
    pub passed: u64,
    /// Number of failed checks.
    pub failed: u64,
    /// Number of failed checks that are not listed.
    #[serde(default)]
    pub cut: u64,
    /// Number of ignored tests.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored: u64,
    /// Tests that did not run to their end, because the role was stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
    /// The tests that finished, if the role runs a test target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestResult>,
    /// Standing of the last try.
    pub standing: Standing,
    /// Number of tries.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub tries: u32,
    /// Time of the last try in seconds, if the role ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<f64>,
}

/// A test of a test target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// True if it passed.
    pub passed: bool,
    /// Its time in seconds, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A failed try of a test role before the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The role.
    pub role: RoleName,
    /// Number of the try, from 1.
    #[serde(rename = "try")]
    pub nth: u32,
    /// Standing of the try.
    pub standing: Standing,
    /// Failures of the try.
    pub failures: Vec<Failure>,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_once(tries: &u32) -> bool {
    *tries == 1
}

/// The standing of a role in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It reported, and every check passed.
    Passed,
    /// It reported failed checks.
    Failed,
    /// It was expected to report and did not.
    Unreported,
    /// It was not run.
    NotRun,
}

impl Standing {
    /// Returns the standing of a whole with these two parts.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let worst = [Self::Failed, Self::Unreported, Self::NotRun];
        let mut worst = worst.into_iter();
        let found = worst.find(|it| [self, other].contains(it));
        found.unwrap_or(Self::Passed)
    }
}

/// A failed check, or another failure of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The role.
    pub role: RoleName,
    /// The executable, if the role ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<ExecutableName>,
    /// The source file; an absolute path if it was found.
    #[serde(rename = "file")]
    pub source: String,
    /// The line in it, from 1.
    pub line: u32,
    /// The column in it, from 1, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The test that failed, if the role runs a test target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Message of the failure; several lines if it contains a difference.
    pub text: String,
    /// Time of the failure.
    pub at: Timestamp,
    /// Log records of all roles around that time, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<LogRecord>,
}

/// A record of a role's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The role.
    pub role: RoleName,
    /// The stored lines of the record.
    pub text: String,
}

/// A few lines of a role's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// The role.
    pub role: RoleName,
    /// The kind of excerpt.
    pub which: Which,
    /// The lines.
    pub lines: Vec<String>,
}

/// The kind of excerpt of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The last lines.
    Last,
    /// The lines around failures.
    Around,
}

impl RunReport {
    /// Returns true if every check passed and every expected role reported.
    pub fn is_pass(&self) -> bool {
        self.failures.is_empty()
            && self.failed == 0
            && self.count(Standing::Passed) == self.roles.len()
    }

    /// Returns the roles that did not run, and of which no test did.
    pub fn not_run(&self) -> impl Iterator<Item = &RoleName> {
        let rows = self.roles.iter();
        let rows = rows.filter(|row| row.standing == Standing::NotRun && row.unfinished.is_empty());
        rows.map(|row| &row.role)
    }

    /// Returns the number of roles of this standing.
    pub fn count(&self, standing: Standing) -> usize {
        let rows = self.roles.iter();
        rows.filter(|row| row.standing == standing).count()
    }

    /// Roles that passed after failed tries.
    pub fn flaky(&self) -> impl Iterator<Item = &Row> {
        self.roles.iter().filter(|row| row.is_flaky())
    }

    /// Failed tries of a role before the last one.
    pub fn failed_tries(&self, role: &RoleName) -> impl Iterator<Item = &Try> {
        self.tries.iter().filter(move |it| it.role == *role)
    }

    /// Failures of the failed tries of flaky roles.
    pub fn flakes(&self) -> impl Iterator<Item = &Failure> {
        let tries = self.flaky().flat_map(|row| self.failed_tries(&row.role));
        tries.flat_map(|it| &it.failures)
    }

    /// All failures, including those of failed tries.
    pub fn all_failures(&mut self) -> impl Iterator<Item = &mut Failure> {
        let tries = self.tries.iter_mut();
        let tries = tries.flat_map(|it| &mut it.failures);
        self.failures.iter_mut().chain(tries)
    }

    /// Makes paths of source files below `folder` relative to it.
    pub fn relative_to(&mut self, folder: &Path) {
        for failure in self.all_failures() {
            if let Ok(path) = Path::new(&failure.source).strip_prefix(folder) {
                failure.source = path.display().to_string();
            }
        }
    }

    /// Roles that did not pass.
    pub fn failed_roles(&self) -> impl Iterator<Item = &RoleName> {
        let rows = self.roles.iter();
        let rows = rows.filter(|row| row.standing != Standing::Passed);
        rows.map(|row| &row.role)
    }
}

impl Row {
    /// Returns true if the role passed after failed tries.
    pub fn is_flaky(&self) -> bool {
        self.standing == Standing::Passed && self.tries > 1
    }
}

impl Failure {
    /// Returns `SOURCE:LINE`, or `SOURCE:LINE:COLUMN` if the column is known.
    pub fn place(&self) -> String {
        match self.column {
            Some(column) => format!("{}:{}:{column}", self.source, self.line),
            None => format!("{}:{}", self.source, self.line),
        }
    }

    /// Returns the name of the test that failed, if it is one of a test target.
    pub fn test(&self) -> Option<&String> {
        self.test.as_ref()
    }

    /// Returns the navigation line: `SOURCE:LINE - TEXT`.
    pub fn navigation(&self) -> String {
        format!("{}:{} - {}", self.source, self.line, self.headline())
    }

    /// First line of the message.
    pub fn headline(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Further lines of the message.
    pub fn details(&self) -> impl Iterator<Item = &str> {
        self.text.lines().skip(1)
    }
}
