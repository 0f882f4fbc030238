//! The properties of a role, as its file in `entry` holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use ansar_runtime::contract::layout::Area;
use ansar_runtime::contract::message::Envelope;
use ansar_runtime::contract::retry::Retry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Home, HomeError, read_json, write_json};
use crate::host::files;
use crate::model::name::{ExecutableName, RoleName};

/// Everything that a home knows about a role, beside its materials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When it was added.
    pub created: Timestamp,
    /// What it runs.
    pub executable: ExecutableName,
    /// Who described it.
    pub origin: Origin,
    /// Its retry policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How long a run may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// The roles that are ready before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<RoleName>,
    /// Additions to its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What was set by hand, over everything else.
    #[serde(default, skip_serializing_if = "ByHand::is_empty")]
    pub by_hand: ByHand,
}

/// Who described a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The workspace's manifest, whose word holds.
    Manifest,
    /// Somebody, with `add`.
    Hand,
    /// The manifest once, and no longer; kept and never run.
    Retired,
}

/// What was set by hand.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// Settings, field by field.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// The whole input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Whether the retry policy is one that was set, also where it was unset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
}

impl ByHand {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Entry {
    /// How long a run may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

impl Home {
    /// All roles, sorted by name.
    pub fn entries(&self) -> Result<BTreeMap<RoleName, Entry>, HomeError> {
        let mut entries = BTreeMap::new();
        for name in files::names(&self.area(Area::Entry))? {
            // Whatever is not a role's file is not ours: an editor's, say.
            let role = name.to_str().and_then(|name| name.strip_suffix(".json"));
            let Some(Ok(role)) = role.map(str::parse::<RoleName>) else {
                continue;
            };
            if let Some(entry) = self.entry(&role)? {
                entries.insert(role, entry);
            }
        }
        Ok(entries)
    }

    /// A role; `None` where there is none by that name.
    pub fn entry(&self, role: &RoleName) -> Result<Option<Entry>, HomeError> {
        let envelope = read_json::<Envelope<Entry>>(&self.file(Area::Entry, role))?;
        Ok(envelope.map(|envelope| envelope.value))
    }

    /// Adds a role, or replaces its properties.
    pub fn set_entry(&self, role: &RoleName, entry: &Entry) -> Result<(), HomeError> {
        write_json(&self.file(Area::Entry, role), &Envelope::of(entry))
    }

    /// Removes a role and everything that is its own.
    pub fn remove_entry(&self, role: &RoleName) -> Result<(), HomeError> {
        for area in [Area::Entry, Area::Settings, Area::Input] {
            files::remove_file(&self.file(area, role))?;
        }
        for area in [Area::Model, Area::Tmp, Area::Logs] {
            files::remove_tree(&self.folder(area, role))?;
        }
        files::remove_file(&self.history_file(role))?;
        Ok(())
    }
}
