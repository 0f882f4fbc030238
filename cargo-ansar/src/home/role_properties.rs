//! The table of the properties that a role has.
//!
//! Owns which properties there are, which of them can be set, and what each
//! can be set to. A new one is a field of [`Entry`] and a row here.

use std::collections::BTreeMap;
use std::path::Path;

use ansar_contract::envelope::Envelope;
use ansar_contract::retry::Retry;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::home::role::Entry;
use crate::home::{HomeError, from_json};
use crate::logs::store;
use crate::model::name::RoleName;
use crate::model::restart_policy::Restart;

/// A property of a role.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it says about a role.
    pub about: &'static str,
    /// How it is set; nothing where it cannot be.
    pub change: Option<Change>,
    read: fn(&Entry) -> Value,
}

/// How a property is set.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// A value that it can have, as JSON.
    pub example: &'static str,
    write: fn(&mut Entry, &Path, &[u8]) -> Result<(), HomeError>,
    unset: fn(&mut Entry),
    copy: fn(&Entry, &mut Entry),
}

/// A property that is set as a whole: `FIELD: TYPE, about, example, check`. The
/// field is that of an entry, the check says what is wrong with a value.
macro_rules! settable {
    ($field:ident: $type:ty, $about:literal, $example:literal, $check:expr) => {{
        /// A value that passed the check, or an error at its place.
        struct Checked($type);

        impl<'de> Deserialize<'de> for Checked {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let check: fn(&$type) -> Result<(), String> = $check;
                let value = <$type>::deserialize(deserializer)?;
                check(&value).map_err(D::Error::custom)?;
                Ok(Self(value))
            }
        }

        Property {
            name: stringify!($field),
            about: $about,
            change: Some(Change {
                example: $example,
                write: |entry, path, bytes| {
                    let Checked(value) = from_json::<Envelope<Checked>>(path, bytes)?.value;
                    entry.$field = value;
                    Ok(())
                },
                unset: |entry| entry.$field = Default::default(),
                copy: |from, to| to.$field.clone_from(&from.$field),
            }),
            read: |entry| json(&entry.$field),
        }
    }};
}

/// A property that is what it is: `FIELD, about`.
macro_rules! fixed {
    ($field:ident, $about:literal) => {
        Property {
            name: stringify!($field),
            about: $about,
            change: None,
            read: |entry| json(&entry.$field),
        }
    };
}

/// Every property, in the order in which they are listed.
#[rustfmt::skip]
pub const PROPERTIES: &[Property] = &[
    settable!(retry: Option<Retry>, "when it tries again", r#"{"first_steps": [1.0, 2.0]}"#,
        |retry| retry.as_ref().map_or(Ok(()), Retry::check)),
    settable!(restart: Option<Restart>, "whether it is started again", r#""on-failure""#, |_| Ok(())),
    settable!(timeout: Option<f64>, "how long it may run, in seconds", "30.0",
        |seconds| seconds.map_or(Ok(()), timeout)),
    settable!(after: Vec<RoleName>, "which roles are ready before it starts", r#"["db-0"]"#, |_| Ok(())),
    settable!(env: BTreeMap<String, String>, "additions to its environment", r#"{"RUST_LOG": "debug"}"#, env),
    settable!(storage: Option<u64>, "how much of its log is kept, in bytes", "16777216",
        |bytes| bytes.map_or(Ok(()), storage)),
    fixed!(id, "what tells it from any other role"),
    fixed!(created, "when it was added"),
    fixed!(executable, "what it runs"),
    fixed!(origin, "who described it: manifest, hand, or retired"),
];

impl Property {
    /// The property of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PROPERTIES.iter().find(|property| property.name == name)
    }

    /// Its value; `null` where it is not set.
    pub fn value(&self, entry: &Entry) -> Value {
        (self.read)(entry)
    }
}

impl Change {
    /// Sets the property to what stands in `bytes`, which were read from
    /// `path`.
    pub fn set(&self, entry: &mut Entry, path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
        (self.write)(entry, path, bytes)
    }

    /// Unsets the property.
    pub fn unset(&self, entry: &mut Entry) {
        (self.unset)(entry);
    }
}

/// Gives `to` the properties that were set by hand in `from`, whose others come
/// from the description.
pub fn keep_by_hand(from: &Entry, to: &mut Entry) {
    for property in PROPERTIES {
        if let Some(change) = property.change
            && from.by_hand.properties.contains(property.name)
        {
            (change.copy)(from, to);
        }
    }
}

/// A part of an entry as JSON, which every part of it has been.
fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn timeout(seconds: f64) -> Result<(), String> {
    const YEAR: f64 = 366.0 * 86_400.0;
    if seconds > 0.0 && seconds <= YEAR {
        Ok(())
    } else {
        Err(format!(
            "`{seconds}`, expected seconds, more than 0 and at most a year"
        ))
    }
}

fn storage(bytes: u64) -> Result<(), String> {
    if bytes >= store::LEAST {
        Ok(())
    } else {
        Err(format!(
            "`{bytes}`, expected {} bytes at least",
            store::LEAST
        ))
    }
}

fn env(variables: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!(
                "`{}`, expected the name of a variable without `=` and NUL, and a value without NUL",
                name.escape_default()
            ));
        }
        if name.starts_with("ANSAR_") || name == "NOTIFY_SOCKET" {
            return Err(format!("`{name}` is set by `cargo ansar` itself"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry {
        let text = r#"{"created": "2023-04-06T01:52:17Z", "executable": "x", "origin": "hand"}"#;
        serde_json::from_str(text).unwrap()
    }

    fn set(name: &str, body: &str) -> Result<Value, String> {
        let property = Property::find(name).unwrap();
        let mut entry = entry();
        let text = format!("{{\"value\": {body}}}");
        let change = property.change.unwrap();
        let set = change.set(&mut entry, Path::new("x.json"), text.as_bytes());
        set.map(|()| property.value(&entry))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_property_takes_its_example_and_gives_it_back() {
        for property in PROPERTIES {
            let Some(change) = property.change else {
                continue;
            };
            let value = set(property.name, change.example).unwrap();
            let expected: Value = serde_json::from_str(change.example).unwrap();
            assert_eq!(value, expected, "{}", property.name);
            // What is not set can be set to just that.
            let none = property.value(&entry());
            assert_eq!(set(property.name, &none.to_string()), Ok(none));
        }
    }

    #[test]
    fn what_a_property_cannot_be_is_named_with_its_place() {
        for (name, body, expected) in [
            (
                "timeout",
                "0",
                "x.json:1:12: field `value`: `0`, expected seconds",
            ),
            ("timeout", "\"30s\"", "invalid type: string"),
            ("storage", "7", "`7`, expected 65536 bytes at least"),
            ("storage", "-1", "invalid value: integer `-1`"),
            (
                "restart",
                "\"sometimes\"",
                "expected one of `never`, `on-failure`, `always`",
            ),
            (
                "after",
                "[\"a\", \"b/c\"]",
                "field `value[1]`: role name `b/c` holds `/`",
            ),
            (
                "env",
                "{\"A=B\": \"\"}",
                "`A=B`, expected the name of a variable",
            ),
            (
                "env",
                "{\"ANSAR_ROLE\": \"\"}",
                "is set by `cargo ansar` itself",
            ),
            ("env", "{\"A\": 1}", "field `value.A`: invalid type"),
        ] {
            let error = set(name, body).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_was_set_by_hand_stays_and_the_rest_does_not() {
        let mut was = entry();
        was.storage = Some(1 << 20);
        was.timeout = Some(1.0);
        was.by_hand.properties = ["storage".to_owned()].into();
        let mut now = entry();
        keep_by_hand(&was, &mut now);
        assert_eq!((now.storage, now.timeout), (Some(1 << 20), None));
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_an_error(text in any::<String>()) {
            for property in PROPERTIES {
                let mut entry = entry();
                if let Some(change) = property.change {
                    let _ = change.set(&mut entry, Path::new("x"), text.as_bytes());
                }
            }
        }
    }
}
