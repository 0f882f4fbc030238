//! The properties of a role that decide how it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ansar_contract::retry::Retry;
use serde::{Deserialize, Serialize};

use crate::model::name::RoleName;
use crate::model::placeholder::{Placeholder, Template};
use crate::model::readiness::{Health, Probe, Readiness};
use crate::model::restart_policy::Restart;
use crate::model::stop::Stop;
use crate::model::test_target::{Ignored, TestTarget};

/// The properties of a role, from the manifest or a command, through the home,
/// to its launch. Unset ones are not stored.
///
/// To add a property, add a field here, and its row in `manifest::properties`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleProperties {
    /// Delays between attempts; they pass [`Retry::check`].
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Option<Retry>,
    /// Limit for the stored log, in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub storage: Option<u64>,
    /// Time limit of a run, including all attempts, in seconds; more than zero
    /// and at most a year.
    #[serde(skip_serializing_if = "is_default")]
    pub timeout: Option<f64>,
    /// Roles that must be ready before this one starts.
    #[serde(skip_serializing_if = "is_default")]
    pub after: Vec<RoleName>,
    /// Additional environment variables, none of them reserved by the tool.
    #[serde(skip_serializing_if = "is_default")]
    pub env: BTreeMap<String, Template>,
    /// Restart policy in the background.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: Option<Restart>,
    /// Candidates for the program: names to find on `PATH`, or paths from the
    /// workspace root, which may contain `*`. The first that exists is run. If
    /// empty, the role runs an executable of the home.
    #[serde(skip_serializing_if = "is_default")]
    pub program: Vec<String>,
    /// Tells components from other executables, instead of the marker.
    #[serde(skip_serializing_if = "is_default")]
    pub component: Option<bool>,
    /// Arguments, of roles that are no components.
    #[serde(skip_serializing_if = "is_default")]
    pub args: Vec<Template>,
    /// Working directory, from the workspace root.
    #[serde(skip_serializing_if = "is_default")]
    pub cwd: Option<Template>,
    /// Files with environment variables, which `env` overrides.
    #[serde(skip_serializing_if = "is_default")]
    pub env_file: Vec<EnvFile>,
    /// Commands that run once, while the model is empty.
    #[serde(skip_serializing_if = "is_default")]
    pub setup: Vec<Vec<Template>>,
    /// Commands that run before each start of a test role.
    #[serde(skip_serializing_if = "is_default")]
    pub before: Vec<Vec<Template>>,
    /// Commands that run after each end of a test role.
    #[serde(skip_serializing_if = "is_default")]
    pub after_all: Vec<Vec<Template>>,
    /// Probes that must succeed before the role is ready.
    #[serde(skip_serializing_if = "is_default")]
    pub ready: Readiness,
    /// Time to become ready, in seconds; more than zero and at most a year.
    #[serde(skip_serializing_if = "is_default")]
    pub ready_timeout: Option<f64>,
    /// Probe that is repeated while the role runs.
    #[serde(skip_serializing_if = "is_default")]
    pub health: Option<Health<Template>>,
    /// The way it is asked to stop.
    #[serde(skip_serializing_if = "is_default")]
    pub stop: Stop,
    /// Ports with a fixed number, by name. All other ports are allocated.
    #[serde(skip_serializing_if = "is_default")]
    pub ports: BTreeMap<String, u16>,
    /// False if ports are not held for the role until it listens.
    #[serde(skip_serializing_if = "is_default")]
    pub hold: Option<bool>,
    /// True if it runs as an ordinary user where the tool runs as root.
    #[serde(skip_serializing_if = "is_default")]
    pub unprivileged: bool,
    /// Names of the groups that it belongs to.
    #[serde(skip_serializing_if = "is_default")]
    pub tags: BTreeSet<String>,
    /// Patterns of files whose change restarts it, from the workspace root.
    #[serde(skip_serializing_if = "is_default")]
    pub watch: Vec<String>,
    /// Operational roles of which a test role has its own instances.
    #[serde(skip_serializing_if = "is_default")]
    pub fresh: Vec<RoleName>,
    /// Words of a role that ends by itself. Roles that share a word never run at
    /// the same time.
    #[serde(skip_serializing_if = "is_default")]
    pub exclusive: BTreeSet<String>,
    /// The test target that it runs, instead of a program or a binary.
    #[serde(skip_serializing_if = "is_default")]
    pub test: Option<TestTarget>,
    /// Texts of which the name of a test contains one; all tests if empty.
    #[serde(skip_serializing_if = "is_default")]
    pub filter: Vec<String>,
    /// True if the filters are whole names of tests.
    #[serde(skip_serializing_if = "is_default")]
    pub exact: bool,
    /// Treatment of ignored tests.
    #[serde(skip_serializing_if = "is_default")]
    pub ignored: Ignored,
    /// False if all tests share a process.
    #[serde(skip_serializing_if = "is_default")]
    pub isolate: Option<bool>,
    /// Time limit of a single test, in seconds; more than zero and at most a
    /// year.
    #[serde(skip_serializing_if = "is_default")]
    pub test_timeout: Option<f64>,
    /// The shard that it runs in with `test --on`, from 1; chosen by the plan if unset.
    #[serde(skip_serializing_if = "is_default")]
    pub shard: Option<usize>,
    /// The network that it runs in; that of the system if unset.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Option<NetworkKind>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Time that a role gets to become ready, unless it sets another.
pub const READY_LIMIT: Duration = Duration::from_secs(60);

/// A network that a role runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// That of the system.
    #[default]
    Host,
    /// One that only roles of the same home are in.
    Own,
}

/// A file with environment variables, in the form `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvFile {
    /// Path, from the workspace root.
    pub path: String,
    /// True if the file may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl RoleProperties {
    /// Returns the time limit of a run.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout.and_then(seconds)
    }

    /// Returns the time to become ready.
    pub fn ready_timeout(&self) -> Option<Duration> {
        self.ready_timeout.and_then(seconds)
    }

    /// Returns the time to exit before the role is killed.
    pub fn grace(&self) -> Option<Duration> {
        self.stop.grace.and_then(seconds)
    }

    /// Returns true if the role runs a program that the home does not hold.
    pub fn is_program(&self) -> bool {
        !self.program.is_empty()
    }

    /// Returns all texts in which placeholders are replaced when the role is
    /// started.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let probes = self.ready.0.iter().flat_map(Probe::texts);
        let health = self.health.iter().flat_map(|health| health.probe.texts());
        self.args
            .iter()
            .chain(&self.cwd)
            .chain(self.env.values())
            .chain(self.setup.iter().flatten())
            .chain(self.before.iter().flatten())
            .chain(self.after_all.iter().flatten())
            .chain(probes)
            .chain(health)
    }

    /// Returns the placeholders in these texts.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.templates().flat_map(Template::uses)
    }
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
