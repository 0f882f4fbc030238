//! Messages and their envelopes.
//!
//! A message is JSON in an envelope. If its type is known from the context, the
//! envelope is `{"value": BODY}` ([`Envelope`]); otherwise the body has its name
//! with it, `{"value": ["TYPE.NAME", BODY, []]}` (an [`Envelope`] of a [`Typed`]).
//!
//! ```
//! use ansar_contract::envelope::{Envelope, Typed};
//! use ansar_contract::lifecycle::Ack;
//!
//! let text = r#"{"value": ["ansar.create.lifecycle.Ack", {}, []]}"#;
//! let returned: Envelope<Typed> = serde_json::from_str(text)?;
//! assert!(returned.value.is::<Ack>());
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A message of the contract, with its name on the wire.
///
/// A component states the names of its own messages with
/// `ansar_runtime::message!`.
pub trait BuiltIn: Serialize + DeserializeOwned {
    /// The name on the wire: `package.Type`.
    const NAME: &'static str;
}

/// States the wire names of messages of the contract.
macro_rules! built_in {
    ($($type:ty = $name:literal),+ $(,)?) => {
        $(impl $crate::envelope::BuiltIn for $type {
            const NAME: &'static str = $name;
        })+
    };
}
pub(crate) use built_in;

/// `{"value": BODY}`: the content of every settings, input and property file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Envelope<T> {
    /// The body.
    pub value: T,
}

// Derived, it would also be read from an array of its fields.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Envelope<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Field {
            Value,
        }

        struct Object<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Envelope<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object `{\"value\": …}`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<T>, A::Error> {
                let mut value = None;
                while let Some(Field::Value) = map.next_key()? {
                    if value.replace(map.next_value()?).is_some() {
                        return Err(de::Error::duplicate_field("value"));
                    }
                }
                let value = value.ok_or_else(|| de::Error::missing_field("value"))?;
                Ok(Envelope { value })
            }
        }

        deserializer.deserialize_struct("Envelope", &["value"], Object(PhantomData))
    }
}

impl<T> Envelope<T> {
    /// Creates an envelope with `value`.
    pub fn of(value: T) -> Self {
        Self { value }
    }
}

/// A message together with its name: `["TYPE.NAME", BODY, []]`.
///
/// The third element held shared objects in the original format; it is written
/// empty, and one that is not empty is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Typed {
    /// The wire name of the body's type.
    pub name: String,
    /// The body.
    pub body: Value,
}

impl Typed {
    /// Encodes `message` under its name.
    pub fn encode<M: BuiltIn>(message: &M) -> Result<Self, serde_json::Error> {
        Self::encode_as(M::NAME, message)
    }

    /// Encodes `message` under `name`.
    pub fn encode_as<M: Serialize>(name: &str, message: &M) -> Result<Self, serde_json::Error> {
        Ok(Self {
            name: name.to_owned(),
            body: serde_json::to_value(message)?,
        })
    }

    /// Returns true if the body is an `M` by name.
    pub fn is<M: BuiltIn>(&self) -> bool {
        self.name == M::NAME
    }

    /// Decodes the body if it is an `M` by name, and returns `None` otherwise. An
    /// array of its fields is an error.
    pub fn decode<M: BuiltIn>(&self) -> Option<Result<M, serde_json::Error>> {
        // Derived implementations would accept the array.
        if self.is::<M>() && self.body.is_array() {
            let found = de::Unexpected::Seq;
            return Some(Err(de::Error::invalid_type(found, &"an object")));
        }
        self.decode_as(M::NAME)
    }

    /// Decodes the body if its name is `name`, and returns `None` otherwise.
    pub fn decode_as<M: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Option<Result<M, serde_json::Error>> {
        (self.name == name).then(|| M::deserialize(&self.body))
    }
}

impl Serialize for Typed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(3)?;
        tuple.serialize_element(&self.name)?;
        tuple.serialize_element(&self.body)?;
        tuple.serialize_element(&[(); 0])?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Typed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message: [\"TYPE.NAME\", BODY, []]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Typed, A::Error> {
                let missing = |at| de::Error::invalid_length(at, &self);
                let name: String = seq.next_element()?.ok_or_else(|| missing(0))?;
                let body = seq.next_element()?.ok_or_else(|| missing(1))?;
                let shared: Vec<Value> = seq.next_element()?.ok_or_else(|| missing(2))?;
                if !shared.is_empty() {
                    return Err(de::Error::custom(format_args!(
                        "message `{name}` carries shared objects, which are not supported"
                    )));
                }
                if seq.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(4, &self));
                }
                Ok(Typed { name, body })
            }
        }

        deserializer.deserialize_seq(Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Ack, Maybe};

    fn read(text: &str) -> Result<Typed, String> {
        serde_json::from_str::<Envelope<Typed>>(text)
            .map(|envelope| envelope.value)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_envelope_is_an_object() {
        let read = |text| serde_json::from_str::<Envelope<Value>>(text);
        assert!(read(r#"{"value": null}"#).is_ok());
        for (text, expected) in [
            (
                r#"["always"]"#,
                "invalid type: sequence, expected an object",
            ),
            ("[]", "invalid type: sequence"),
            ("7", "invalid type: integer"),
            ("{}", "missing field `value`"),
            (r#"{"value": 1, "value": 2}"#, "duplicate field `value`"),
            (
                r#"{"value": 1, "more": 2}"#,
                "unknown field `more`, expected `value`",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let array = Value::from(vec![1]);
        assert!(Envelope::<Value>::deserialize(&array).is_err());
    }

    #[test]
    fn a_typed_message_is_written_with_its_name_and_no_shared_objects() {
        let text = serde_json::to_string(&Envelope::of(Typed::encode(&Ack {}).unwrap())).unwrap();
        assert_eq!(text, r#"{"value":["ansar.create.lifecycle.Ack",{},[]]}"#);
    }

    #[test]
    fn a_typed_message_is_found_by_its_name_only() {
        let typed = read(r#"{"value": ["ansar.create.lifecycle.Maybe", {"reason": "x"}, []]}"#);
        let typed = typed.unwrap();
        assert!(typed.decode::<Ack>().is_none());
        assert_eq!(typed.decode::<Maybe>().unwrap().unwrap().reason, "x");
    }

    #[test]
    fn fields_without_names_are_refused() {
        let typed = read(r#"{"value": ["ansar.create.lifecycle.Maybe", ["x"], []]}"#);
        let error = typed.unwrap().decode::<Maybe>().unwrap().unwrap_err();
        let expected = "invalid type: sequence, expected an object";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn shared_objects_are_refused_by_name() {
        let error = read(r#"{"value": ["a.B", {}, [1]]}"#).unwrap_err();
        assert!(error.contains("`a.B` carries shared objects"), "{error}");
    }

    #[test]
    fn hostile_envelopes_are_errors() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"value": []}"#,
            r#"{"value": ["a.B"]}"#,
            r#"{"value": ["a.B", {}]}"#,
            r#"{"value": ["a.B", {}, [], 4]}"#,
            r#"{"value": [7, {}, []]}"#,
            r#"{"value": ["a.B", {}, []], "more": 1}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
