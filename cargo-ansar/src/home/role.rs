//! The properties of a role, as its file in `entry` holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use ansar_contract::retry::Retry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::home::{Home, HomeError, read_json};
use crate::host::fs;
use crate::logs::store::STORAGE;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::restart_policy::Restart;

/// Everything that a home knows about a role, beside its materials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What tells it from another role that had, or will have, its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was added.
    pub created: Timestamp,
    /// What it runs.
    pub executable: ExecutableName,
    /// Who described it.
    pub origin: Origin,
    /// Its retry policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The bound on its stored log, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<u64>,
    /// How long a run may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// The roles that are ready before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<RoleName>,
    /// Additions to its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// When it is started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
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
#[serde(from = "StoredByHand")]
pub struct ByHand {
    /// Settings, field by field.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// The whole input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The names of the properties that were set, or unset.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub properties: BTreeSet<String>,
}

/// [`ByHand`] in all forms that it ever had.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredByHand {
    #[serde(default)]
    settings: Map<String, Value>,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    properties: BTreeSet<String>,
    /// The one property that could be set at first.
    #[serde(default)]
    retry: bool,
}

impl From<StoredByHand> for ByHand {
    fn from(stored: StoredByHand) -> Self {
        let mut properties = stored.properties;
        if stored.retry {
            properties.insert("retry".to_owned());
        }
        Self {
            settings: stored.settings,
            input: stored.input,
            properties,
        }
    }
}

impl ByHand {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Entry {
    /// A role of which nothing more is known.
    pub fn new(id: String, created: Timestamp, executable: ExecutableName, origin: Origin) -> Self {
        Self {
            id: Some(id),
            created,
            executable,
            origin,
            retry: None,
            storage: None,
            timeout: None,
            after: Vec::new(),
            env: BTreeMap::new(),
            restart: None,
            by_hand: ByHand::default(),
        }
    }

    /// How long a run may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// The bound on its stored log, in bytes.
    pub fn storage(&self) -> u64 {
        self.storage.unwrap_or(STORAGE)
    }
}

impl Home {
    /// All roles, sorted by name.
    pub fn entries(&self) -> Result<BTreeMap<RoleName, Entry>, HomeError> {
        let mut entries = BTreeMap::new();
        for role in self.role_names()? {
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

    /// The names of all roles, sorted, also of those whose properties cannot
    /// be read.
    pub fn role_names(&self) -> Result<Vec<RoleName>, HomeError> {
        let names = fs::names(&self.area(Area::Entry))?.into_iter();
        // Whatever is not a role's file is not ours: an editor's, say.
        let roles = names.filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok());
        let mut roles: Vec<RoleName> = roles.collect();
        roles.sort();
        Ok(roles)
    }

    /// The processes that roles called, by name: `PARENT.NAME`. They have a
    /// disk of their own, and nothing else.
    pub fn sub_roles(&self) -> Result<BTreeSet<String>, HomeError> {
        let mut called = BTreeSet::new();
        for area in OWN_FOLDERS {
            let names = fs::names(&self.area(area))?.into_iter();
            called.extend(names.filter_map(|name| {
                let name = name.into_string().ok()?;
                parent(&name)?;
                Some(name)
            }));
        }
        Ok(called)
    }
}

/// The areas where a role has a folder.
pub(super) const OWN_FOLDERS: [Area; 3] = [Area::Model, Area::Tmp, Area::Logs];

/// The role that called `name`, where that is the name of one that was called.
pub fn parent(name: &str) -> Option<RoleName> {
    let (parent, called) = name.split_once('.')?;
    if called.is_empty() {
        return None;
    }
    parent.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_by_hand_is_read_in_its_first_form() {
        let first: ByHand = serde_json::from_str(r#"{"retry": true}"#).unwrap();
        assert!(first.properties.contains("retry"));
        let text = serde_json::to_string(&first).unwrap();
        assert_eq!(text, r#"{"properties":["retry"]}"#);
        assert_eq!(serde_json::from_str::<ByHand>(&text).unwrap(), first);
        assert!(serde_json::from_str::<ByHand>(r#"{"retri": true}"#).is_err());
    }

    #[test]
    fn whoever_was_called_has_a_parent() {
        let of = |name: &str| parent(name).map(|role| role.to_string());
        assert_eq!(of("busy-0.manager-1").as_deref(), Some("busy-0"));
        assert_eq!(of("busy-0.a.b").as_deref(), Some("busy-0"));
        for none in ["busy-0", "busy-0.", ".x", ".home", "a b.c"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
