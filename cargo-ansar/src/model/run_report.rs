//! What came of a run, as plain data: what is shown, kept, and told to
//! programs.
//!
//! Every part can be written by one version of this tool and read by another:
//! what is missing has a default, and what is unknown is passed over.

use std::path::Path;

use ansar_contract::envelope::Typed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::name::{ExecutableName, RoleName};

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunReport {
    /// The command that ran it.
    pub command: String,
    /// The exit code of that command.
    pub exit: u8,
    /// Whether it was ended from outside.
    #[serde(default)]
    pub interrupted: bool,
    /// How long it took, without the build, in seconds.
    pub elapsed: f64,
    /// How many checks passed.
    pub passed: u64,
    /// How many checks failed.
    pub failed: u64,
    /// The roles that gave a report or were to give one, sorted.
    pub roles: Vec<Row>,
    /// Every failure, in the order of `roles`.
    pub failures: Vec<Failure>,
    /// The failed tries of roles that were tried again, in the order of `roles`
    /// and of time. What failed in them is no failure of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// Log lines that may tell why, by role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpts: Vec<Excerpt>,
    /// What the analyzer made of it, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Typed>,
}

/// One role of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The role.
    pub role: RoleName,
    /// How many checks passed.
    pub passed: u64,
    /// How many checks failed.
    pub failed: u64,
    /// How many failed checks are not listed.
    #[serde(default)]
    pub cut: u64,
    /// How it did, the last time that it was tried.
    pub standing: Standing,
    /// How often it was tried.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub tries: u32,
    /// How long it ran, the last time, in seconds, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<f64>,
}

/// A try of a test role that failed, and was not the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The role.
    pub role: RoleName,
    /// Which of its tries this was, from 1.
    #[serde(rename = "try")]
    pub nth: u32,
    /// How it did.
    pub standing: Standing,
    /// What failed.
    pub failures: Vec<Failure>,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_once(tries: &u32) -> bool {
    *tries == 1
}

/// How a role did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It reported, and every check passed.
    Passed,
    /// It reported failed checks.
    Failed,
    /// It was to report and did not.
    Unreported,
    /// It was not run.
    NotRun,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The role.
    pub role: RoleName,
    /// What it ran, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<ExecutableName>,
    /// The file, absolute wherever it can be found.
    #[serde(rename = "file")]
    pub source: String,
    /// The line in it, from 1.
    pub line: u32,
    /// The column in it, from 1, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What failed; of several lines where there is a difference to show.
    pub text: String,
    /// When.
    pub at: Timestamp,
    /// What all roles logged around that time, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<LogRecord>,
}

/// A record of a role's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The role.
    pub role: RoleName,
    /// The lines, as they stand in the store.
    pub text: String,
}

/// A few lines of a role's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// The role.
    pub role: RoleName,
    /// Which lines these are.
    pub which: Which,
    /// The lines.
    pub lines: Vec<String>,
}

/// Which lines an excerpt has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The last ones.
    Last,
    /// Those around failures.
    Around,
}

impl RunReport {
    /// Whether every check passed and every role did what it was to do.
    pub fn is_pass(&self) -> bool {
        self.failures.is_empty()
            && self.failed == 0
            && self.count(Standing::Passed) == self.roles.len()
    }

    /// How many roles have this standing.
    pub fn count(&self, standing: Standing) -> usize {
        let rows = self.roles.iter();
        rows.filter(|row| row.standing == standing).count()
    }

    /// The roles that passed, and had failed before that.
    pub fn flaky(&self) -> impl Iterator<Item = &Row> {
        self.roles.iter().filter(|row| row.is_flaky())
    }

    /// What failed in the tries of a role but the last, with which try that
    /// was.
    pub fn failed_tries(&self, role: &RoleName) -> impl Iterator<Item = &Try> {
        self.tries.iter().filter(move |it| it.role == *role)
    }

    /// What failed at first in roles that passed in the end.
    pub fn flakes(&self) -> impl Iterator<Item = &Failure> {
        let tries = self.flaky().flat_map(|row| self.failed_tries(&row.role));
        tries.flat_map(|it| &it.failures)
    }

    /// Every failure, those of tries that do not count too.
    pub fn all_failures(&mut self) -> impl Iterator<Item = &mut Failure> {
        let tries = self.tries.iter_mut();
        let tries = tries.flat_map(|it| &mut it.failures);
        self.failures.iter_mut().chain(tries)
    }

    /// Names sources below `folder` as they are found from there.
    pub fn relative_to(&mut self, folder: &Path) {
        for failure in self.all_failures() {
            if let Ok(path) = Path::new(&failure.source).strip_prefix(folder) {
                failure.source = path.display().to_string();
            }
        }
    }

    /// The roles that did not do what they were to do.
    pub fn failed_roles(&self) -> impl Iterator<Item = &RoleName> {
        let rows = self.roles.iter();
        let rows = rows.filter(|row| row.standing != Standing::Passed);
        rows.map(|row| &row.role)
    }
}

impl Row {
    /// Whether it passed, and had failed before that.
    pub fn is_flaky(&self) -> bool {
        self.standing == Standing::Passed && self.tries > 1
    }
}

impl Failure {
    /// `SOURCE:LINE`, with the column where it is known.
    pub fn place(&self) -> String {
        match self.column {
            Some(column) => format!("{}:{}:{column}", self.source, self.line),
            None => format!("{}:{}", self.source, self.line),
        }
    }

    /// `SOURCE:LINE - TEXT`, the first line of it.
    pub fn navigation(&self) -> String {
        format!("{}:{} - {}", self.source, self.line, self.headline())
    }

    /// The first line of what failed.
    pub fn headline(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// What does not fit into the one line.
    pub fn details(&self) -> impl Iterator<Item = &str> {
        self.text.lines().skip(1)
    }
}
