//! The entry of a role: its properties, stored in a file of the area `entry`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ansar_contract::envelope::Envelope;
use ansar_contract::layout::Area;
use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::home::{Home, HomeError, read_json};
use crate::host::fs;
use crate::model::instance::Instance;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::role_properties::RoleProperties;

/// A role of a home. It is stored as one flat object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Unique id; distinguishes the role from other roles of the same name that
    /// were deleted or will be added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Time when the role was added.
    pub created: Timestamp,
    /// The executable that it runs; for a program, a name made of its file
    /// name.
    pub executable: ExecutableName,
    /// The origin of the role.
    pub origin: Origin,
    /// The properties that decide how it runs. They are many, and entries are moved
    /// more often than they are changed.
    #[serde(flatten)]
    pub properties: Box<RoleProperties>,
    /// Values that were set by a command; they have precedence.
    #[serde(skip_serializing_if = "ByHand::is_empty")]
    pub by_hand: ByHand,
    /// The origin of an instance, which is not stored.
    #[serde(skip)]
    pub instance: Option<Instance>,
}

// Derived with `flatten`, errors about properties would have no position.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the properties of a role")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let mut own = OwnFields::default();
                let properties = Properties { map, own: &mut own };
                let properties = Box::deserialize(MapAccessDeserializer::new(properties))?;
                let missing = de::Error::missing_field;
                Ok(Entry {
                    id: own.id,
                    created: own.created.ok_or_else(|| missing("created"))?,
                    executable: own.executable.ok_or_else(|| missing("executable"))?,
                    origin: own.origin.ok_or_else(|| missing("origin"))?,
                    properties,
                    by_hand: own.by_hand.unwrap_or_default(),
                    instance: None,
                })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The fields of an entry that are no properties.
#[derive(Default)]
struct OwnFields {
    id: Option<String>,
    created: Option<Timestamp>,
    executable: Option<ExecutableName>,
    origin: Option<Origin>,
    by_hand: Option<ByHand>,
}

impl OwnFields {
    /// Reads the value of a key, if it is one of these fields.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        fn set<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
            field: &mut Option<T>,
            name: &'static str,
            map: &mut A,
        ) -> Result<bool, A::Error> {
            if field.replace(map.next_value()?).is_some() {
                return Err(de::Error::duplicate_field(name));
            }
            Ok(true)
        }

        match key {
            "id" => match std::mem::replace(&mut self.id, map.next_value()?) {
                None => Ok(true),
                Some(_) => Err(de::Error::duplicate_field("id")),
            },
            "created" => set(&mut self.created, "created", map),
            "executable" => set(&mut self.executable, "executable", map),
            "origin" => set(&mut self.origin, "origin", map),
            "by_hand" => set(&mut self.by_hand, "by_hand", map),
            _ => Ok(false),
        }
    }
}

/// The properties among the fields of an entry.
struct Properties<'a, A> {
    map: A,
    own: &'a mut OwnFields,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Properties<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if !self.own.read(&key, &mut self.map)? {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
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
            properties: Box::default(),
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
    use std::path::Path;

    use super::*;
    use crate::home::from_json;

    #[test]
    fn fields_and_properties_are_one_object() {
        let text = r#"{"id":"7","created":"2023-04-06T01:52:17Z","executable":"x","origin":"hand","timeout":1.5,"env":{"A":"b"},"ready_timeout":2.0,"network":"own","by_hand":{"properties":["timeout"]}}"#;
        let entry: Entry = serde_json::from_str(text).unwrap();
        assert_eq!(entry.properties.timeout, Some(1.5));
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
        // In any order.
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_value::<Entry>(value).unwrap(), entry);
    }

    #[test]
    fn mistakes_in_an_entry_have_their_position() {
        const BEGIN: &str = r#"{"created": "2023-04-06T01:52:17Z", "executable": "x""#;
        for (rest, expected) in [
            (
                r#", "origin": "hand", "timeout": "1s"}"#,
                "x.json:1:88: field `timeout`: invalid type: string \"1s\", expected f64",
            ),
            (
                r#", "origin": "foot"}"#,
                "x.json:1:71: field `origin`: unknown variant `foot`, expected one of `manifest`, `hand`, `retired`",
            ),
            ("}", "x.json:1:54: missing field `origin`"),
            (
                r#", "origin": "hand", "colour": 1}"#,
                "x.json:1:81: unknown field `colour`",
            ),
            (
                r#", "origin": "hand", "created": "2023-04-06T01:52:17Z"}"#,
                "duplicate field `created`",
            ),
        ] {
            let text = format!("{BEGIN}{rest}");
            let error = from_json::<Entry>(Path::new("x.json"), text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

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
