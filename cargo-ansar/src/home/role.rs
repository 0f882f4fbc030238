//! The entry of a role: its properties, stored in a file of the area `entry`.

use std::collections::{BTreeMap, BTreeSet};

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use ansar_contract::retry::Retry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::home::{Home, HomeError, read_json};
use crate::host::fs;
use crate::model::instance::Instance;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::placeholder::Template;
use crate::model::readiness::{Health, Readiness};
use crate::model::restart_policy::Restart;
use crate::model::role_properties::{EnvFile, NetworkKind, RoleProperties};
use crate::model::stop::Stop;
use crate::model::test_target::{Ignored, TestTarget};

/// A role of a home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredEntry", into = "StoredEntry")]
pub struct Entry {
    /// Unique id; distinguishes the role from other roles of the same name that
    /// were deleted or will be added.
    pub id: Option<String>,
    /// Time when the role was added.
    pub created: Timestamp,
    /// The executable that it runs; for a program, a name made of its file
    /// name.
    pub executable: ExecutableName,
    /// The origin of the role.
    pub origin: Origin,
    /// The properties that decide how it runs.
    pub properties: RoleProperties,
    /// Values that were set by a command; they have precedence.
    pub by_hand: ByHand,
    /// The origin of an instance, which is not stored.
    pub instance: Option<Instance>,
}

/// The stored form of an [`Entry`]: one flat object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    created: Timestamp,
    executable: ExecutableName,
    origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after: Vec<RoleName>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restart: Option<Restart>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    program: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<bool>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    args: Vec<Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cwd: Option<Template>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    env_file: Vec<EnvFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    setup: Vec<Vec<Template>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<Vec<Template>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after_all: Vec<Vec<Template>>,
    #[serde(default, skip_serializing_if = "is_default")]
    ready: Readiness,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready_timeout: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health: Option<Health<Template>>,
    #[serde(default, skip_serializing_if = "is_default")]
    stop: Stop,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ports: BTreeMap<String, u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<bool>,
    #[serde(default, skip_serializing_if = "is_default")]
    unprivileged: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    watch: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fresh: Vec<RoleName>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    exclusive: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test: Option<TestTarget>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filter: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    exact: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    ignored: Ignored,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    isolate: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test_timeout: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<NetworkKind>,
    #[serde(default, skip_serializing_if = "ByHand::is_empty")]
    by_hand: ByHand,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<StoredEntry> for Entry {
    fn from(stored: StoredEntry) -> Self {
        Self {
            id: stored.id,
            created: stored.created,
            executable: stored.executable,
            origin: stored.origin,
            properties: RoleProperties {
                retry: stored.retry,
                restart: stored.restart,
                timeout: stored.timeout,
                after: stored.after,
                env: stored.env,
                storage: stored.storage,
                program: stored.program,
                component: stored.component,
                args: stored.args,
                cwd: stored.cwd,
                env_file: stored.env_file,
                setup: stored.setup,
                before: stored.before,
                after_all: stored.after_all,
                ready: stored.ready,
                ready_timeout: stored.ready_timeout,
                health: stored.health,
                stop: stored.stop,
                ports: stored.ports,
                hold: stored.hold,
                unprivileged: stored.unprivileged,
                tags: stored.tags,
                watch: stored.watch,
                fresh: stored.fresh,
                exclusive: stored.exclusive,
                test: stored.test,
                filter: stored.filter,
                exact: stored.exact,
                ignored: stored.ignored,
                isolate: stored.isolate,
                test_timeout: stored.test_timeout,
                network: stored.network,
            },
            by_hand: stored.by_hand,
            instance: None,
        }
    }
}

impl From<Entry> for StoredEntry {
    fn from(entry: Entry) -> Self {
        let properties = entry.properties;
        Self {
            id: entry.id,
            created: entry.created,
            executable: entry.executable,
            origin: entry.origin,
            retry: properties.retry,
            storage: properties.storage,
            timeout: properties.timeout,
            after: properties.after,
            env: properties.env,
            restart: properties.restart,
            program: properties.program,
            component: properties.component,
            args: properties.args,
            cwd: properties.cwd,
            env_file: properties.env_file,
            setup: properties.setup,
            before: properties.before,
            after_all: properties.after_all,
            ready: properties.ready,
            ready_timeout: properties.ready_timeout,
            health: properties.health,
            stop: properties.stop,
            ports: properties.ports,
            hold: properties.hold,
            unprivileged: properties.unprivileged,
            tags: properties.tags,
            watch: properties.watch,
            fresh: properties.fresh,
            exclusive: properties.exclusive,
            test: properties.test,
            filter: properties.filter,
            exact: properties.exact,
            ignored: properties.ignored,
            isolate: properties.isolate,
            test_timeout: properties.test_timeout,
            network: properties.network,
            by_hand: entry.by_hand,
        }
    }
}

/// The origin of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Described in the manifest of the workspace, which deploys apply.
    Manifest,
    /// Added by `cargo ansar add`.
    Hand,
    /// No longer described in the manifest; kept, but never run.
    Retired,
}

/// Values that were set by a command.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "StoredByHand")]
pub struct ByHand {
    /// Fields of the settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// The whole input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Names of the properties that were set or unset.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub properties: BTreeSet<String>,
}

/// All stored forms of [`ByHand`], including those of older versions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredByHand {
    #[serde(default)]
    settings: Map<String, Value>,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    properties: BTreeSet<String>,
    /// The only property that could be set in the first version.
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
    /// Creates a role without properties.
    pub fn new(id: String, created: Timestamp, executable: ExecutableName, origin: Origin) -> Self {
        Self {
            id: Some(id),
            created,
            executable,
            origin,
            properties: RoleProperties::default(),
            by_hand: ByHand::default(),
            instance: None,
        }
    }

    /// Returns the executable of the home that the role runs, if it runs one.
    pub fn deployed(&self) -> Option<&ExecutableName> {
        (!self.properties.is_program()).then_some(&self.executable)
    }
}

impl Home {
    /// Reads all roles, sorted by name.
    pub fn entries(&self) -> Result<BTreeMap<RoleName, Entry>, HomeError> {
        let mut entries = BTreeMap::new();
        for role in self.role_names()? {
            if let Some(entry) = self.entry(&role)? {
                entries.insert(role, entry);
            }
        }
        Ok(entries)
    }

    /// Reads a role; returns `None` if it does not exist.
    pub fn entry(&self, role: &RoleName) -> Result<Option<Entry>, HomeError> {
        let envelope = read_json::<Envelope<Entry>>(&self.file(Area::Entry, role))?;
        Ok(envelope.map(|envelope| envelope.value))
    }

    /// Returns the names of all roles, sorted, including those whose entries
    /// cannot be read.
    pub fn role_names(&self) -> Result<Vec<RoleName>, HomeError> {
        let names = fs::names(&self.area(Area::Entry))?.into_iter();
        // Ignore other files, such as those of an editor.
        let roles = names.filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok());
        let mut roles: Vec<RoleName> = roles.collect();
        roles.sort();
        Ok(roles)
    }

    /// Returns the names of sub-roles, `PARENT.NAME`: processes that roles
    /// called. They have folders in the home, but no entry.
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

/// Areas in which a role has a folder.
pub(super) const OWN_FOLDERS: [Area; 3] = [Area::Model, Area::Tmp, Area::Logs];

/// Returns the parent of the sub-role `name`; `None` if it is not the name of a
/// sub-role.
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
    fn first_form_of_by_hand_is_read() {
        let first: ByHand = serde_json::from_str(r#"{"retry": true}"#).unwrap();
        assert!(first.properties.contains("retry"));
        let text = serde_json::to_string(&first).unwrap();
        assert_eq!(text, r#"{"properties":["retry"]}"#);
        assert_eq!(serde_json::from_str::<ByHand>(&text).unwrap(), first);
        assert!(serde_json::from_str::<ByHand>(r#"{"retri": true}"#).is_err());
    }

    #[test]
    fn sub_roles_have_a_parent() {
        let of = |name: &str| parent(name).map(|role| role.to_string());
        assert_eq!(of("busy-0.manager-1").as_deref(), Some("busy-0"));
        assert_eq!(of("busy-0.a.b").as_deref(), Some("busy-0"));
        for none in ["busy-0", "busy-0.", ".x", ".home", "a b.c"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
