//! The manifest: `[workspace.metadata.ansar]` as typed data.
//!
//! A parsed description is complete and consistent. This module does not find
//! the file, and does not know the binaries of the workspace or the contents of
//! a home.

pub mod build;
pub mod error;
pub mod import;
pub mod init;
pub mod key_lines;
pub mod node;
pub mod on;
pub mod parse;
pub mod position;
pub mod properties;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod round_trip;
mod test;
#[cfg(test)]
mod tests;
pub mod validate;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use toml_edit::Document;

use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::Template;
use crate::model::remote::{DriverName, DriverOptions};
use crate::model::role_properties::{EnvFile, NetworkKind, RoleProperties};
use crate::model::role_search::RolePattern;

pub use crate::manifest::build::BuildOptions;
pub use crate::manifest::error::DescriptionError;

/// Default pattern of test roles.
pub const DEFAULT_TESTS: &str = "test-.*";

/// Contents of `[workspace.metadata.ansar]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Pattern of test roles, matched against the whole name. All other roles
    /// are operational.
    pub tests: RolePattern,
    /// Folder of the snapshot, as written: absolute, or relative to the
    /// workspace root.
    pub snapshot: Option<PathBuf>,
    /// Folder of the home, as written: absolute, or relative to the workspace
    /// root.
    pub home: Option<PathBuf>,
    /// Method that puts executables into the home.
    pub deploy: DeployMode,
    /// Binary that evaluates the reports of a test run.
    pub analyzer: Option<ExecutableName>,
    /// Number of retries of a failed test role.
    pub retries: Option<u32>,
    /// Time after which a test role is reported as slow; more than zero and at
    /// most a year.
    pub slow_timeout: Option<Duration>,
    /// Environment variables of every role, and of `with`.
    pub env: BTreeMap<String, Template>,
    /// Files with environment variables of every role, and of `with`.
    pub env_file: Vec<EnvFile>,
    /// The network of every role that names none, and of `with`.
    pub network: Option<NetworkKind>,
    /// Options for Cargo.
    pub build: BuildOptions,
    /// Options of the drivers that run agents on other machines.
    pub on: BTreeMap<DriverName, DriverOptions>,
    /// Roles with expanded templates, sorted by name; names are unique.
    pub roles: Vec<RoleSpec>,
}

impl Description {
    /// Returns the description of a role.
    pub fn role(&self, name: &RoleName) -> Option<&RoleSpec> {
        let at = self.roles.binary_search_by(|spec| spec.name.cmp(name));
        at.ok().map(|at| &self.roles[at])
    }
}

/// Method that puts executables into the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeployMode {
    /// Hard links, or copies where these are impossible.
    #[default]
    Link,
    /// Copies.
    Copy,
}

/// Description of one role.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSpec {
    /// Its name.
    pub name: RoleName,
    /// Binary that it runs; for a program, a name made of its file name.
    pub executable: ExecutableName,
    /// Package of that binary. It is the same for all roles of an executable,
    /// even if only one names it.
    pub package: Option<String>,
    /// Settings that differ from the component's defaults.
    pub settings: Map<String, Value>,
    /// Input, if it differs from the component's default.
    pub input: Option<Value>,
    /// The properties that decide how it runs. The roles in `after` are described
    /// too, without duplicates and cycles, and no operational role waits for a
    /// test role.
    pub properties: RoleProperties,
    /// Line of the role's key in the manifest, from 1.
    pub line: u32,
}

/// Parses the text of a manifest as TOML. `manifest` is its path for messages.
pub fn parse(manifest: &Path, text: &str) -> Result<Document<String>, DescriptionError> {
    parse::parse(manifest, text)
}

/// Returns the error for a manifest that is valid UTF-8 only up to the end of
/// `before`.
pub fn not_text(manifest: &Path, before: &str) -> DescriptionError {
    parse::not_text(manifest, before)
}

/// Reads the description in a manifest, or returns `None` if it has no
/// `[workspace.metadata.ansar]`.
///
/// Ignores other parts of the manifest.
///
/// # Errors
///
/// Returns the first error of the description.
pub fn read(
    manifest: &Path,
    document: &Document<String>,
) -> Result<Option<Description>, DescriptionError> {
    parse::read(manifest, document)
}
