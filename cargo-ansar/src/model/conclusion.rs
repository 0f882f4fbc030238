//! What came of a run, as plain data: what is shown, kept, and told to
//! programs.
//!
//! Every part can be written by one version of this tool and read by another:
//! what is missing has a default, and what is unknown is passed over.

use std::path::Path;

use ansar_runtime::contract::message::Typed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{ExecutableName, RoleName};

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Conclusion {
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
    /// How it did.
    pub standing: Standing,
    /// How long it ran, in seconds, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<f64>,
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
    pub context: Vec<Said>,
}

/// A record of a role's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
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

impl Conclusion {
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

    /// Names sources below `folder` as they are found from there.
    pub fn relative_to(&mut self, folder: &Path) {
        for failure in &mut self.failures {
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
        format!("{} - {}", self.place(), self.headline())
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
