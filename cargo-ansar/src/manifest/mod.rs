//! The manifest: `[workspace.metadata.ansar]` as typed data.
//!
//! Owns the meaning of every key and the promise that a manifest that was parsed
//! is complete and free of contradictions. It does not know where the file is,
//! which binaries the workspace has, or what a home holds.

pub mod error;
pub mod init;
pub mod node;
pub mod parse;
pub mod position;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
pub mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::retry::Retry;
use serde_json::{Map, Value};
use toml_edit::Document;

use crate::model::name::{ExecutableName, RoleName};
use crate::model::restart_policy::Restart;
use crate::model::role_search::RolePattern;

pub use crate::manifest::error::DescriptionError;

/// The pattern of test roles where the manifest names none.
pub const DEFAULT_TESTS: &str = "test-.*";

/// The least that the stored log of a role can be bound to, in bytes.
pub const LEAST_STORAGE: u64 = 64 << 10;

/// What `[workspace.metadata.ansar]` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The roles whose whole names match are test roles, the others
    /// operational ones.
    pub tests: RolePattern,
    /// The folder of materials, as written: absolute, or relative to the
    /// workspace root.
    pub snapshot: Option<PathBuf>,
    /// The home, as written: absolute, or relative to the workspace root.
    pub home: Option<PathBuf>,
    /// How executables come into the home.
    pub deploy: DeployMode,
    /// The bin target that is given what the tests of a run found.
    pub analyzer: Option<ExecutableName>,
    /// How often a test role that failed is run again.
    pub retries: Option<u32>,
    /// How long a test role may run before that is told; more than nothing and
    /// at most a year.
    pub slow_timeout: Option<Duration>,
    /// The roles, templates expanded, sorted by name; no two of one name.
    pub roles: Vec<RoleSpec>,
}

impl Description {
    /// What is said about a role.
    pub fn role(&self, name: &RoleName) -> Option<&RoleSpec> {
        let at = self.roles.binary_search_by(|spec| spec.name.cmp(name));
        at.ok().map(|at| &self.roles[at])
    }
}

/// How executables come into the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeployMode {
    /// As hard links where that is possible.
    #[default]
    Link,
    /// Always as copies.
    Copy,
}

/// What the manifest says about one role.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSpec {
    /// Its name.
    pub name: RoleName,
    /// The bin target that it runs.
    pub executable: ExecutableName,
    /// The package of that bin target. An executable has one package: what one
    /// role says holds for every role of the executable.
    pub package: Option<String>,
    /// The settings that differ from the component's defaults.
    pub settings: Map<String, Value>,
    /// The input, where it is not the component's default.
    pub input: Option<Value>,
    /// Additions to the environment; none of them the tool's own.
    pub env: BTreeMap<String, String>,
    /// How long a run may take, all attempts included; more than nothing and at
    /// most a year.
    pub timeout: Option<Duration>,
    /// The roles that are ready before this one starts: described ones, each
    /// once, in the order of the manifest. No role comes after itself, however
    /// long the way round, and no operational role after a test role.
    pub after: Vec<RoleName>,
    /// The retry policy, which passes [`Retry::check`].
    pub retry: Option<Retry>,
    /// When it is started again in the background.
    pub restart: Option<Restart>,
    /// The bound on its stored log, in bytes; [`LEAST_STORAGE`] at least.
    pub storage: Option<u64>,
    /// The line of the manifest, from 1, where the role's key stands.
    pub line: u32,
}

/// Reads the text of a manifest as TOML. `manifest` is its path, for messages
/// only.
pub fn parse(manifest: &Path, text: &str) -> Result<Document<String>, DescriptionError> {
    parse::parse(manifest, text)
}

/// The error for a manifest of which only the part `before` is text.
pub fn not_text(manifest: &Path, before: &str) -> DescriptionError {
    parse::not_text(manifest, before)
}

/// The description in a manifest, or `None` where the manifest has no
/// `[workspace.metadata.ansar]`.
///
/// Other parts of the manifest are not looked at. The first thing that is wrong
/// is the error.
pub fn read(
    manifest: &Path,
    document: &Document<String>,
) -> Result<Option<Description>, DescriptionError> {
    parse::read(manifest, document)
}
