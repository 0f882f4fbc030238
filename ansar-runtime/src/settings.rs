//! Types of settings and input, and the validation of values.
//!
//! A [`Schema`] describes a type at run time: its default, its fields, and functions
//! that check a value or a text.

use std::any::type_name;
use std::fmt;

use ansar_contract::envelope::Envelope;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A type of settings or input: `Serialize`, `Deserialize` and `Default`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be settings or input",
    label = "needs `Serialize`, `Deserialize` and `Default`",
    note = "write `#[derive(Serialize, Deserialize)]`, and derive or implement `Default`"
)]
pub trait Tunable: Serialize + DeserializeOwned + Default + 'static {}

impl<T: Serialize + DeserializeOwned + Default + 'static> Tunable for T {}

/// A [`Tunable`] type at run time.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    default: Value,
    fields: Vec<String>,
    fit: fn(&Value) -> Result<(), Unfit>,
    fit_text: fn(&str) -> Result<(), Unfit>,
}

/// A value that does not have the type: the field and the reason. Line and column
/// are 0 for a value without a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    field: String,
    reason: String,
    line: usize,
    column: usize,
}

/// The error of a setting or of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The text does not encode a value of the type.
    Text {
        line: usize,
        column: usize,
        field: String,
        reason: String,
    },
    /// The type does not have the field.
    Unknown {
        line: usize,
        column: usize,
        field: String,
        expected: String,
    },
    /// The field cannot hold the value.
    Value {
        field: String,
        value: String,
        reason: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text {
                line,
                column,
                field,
                reason,
            } => write!(f, "{}{}{reason}", at(*line, *column), named(field)),
            Self::Unknown {
                line,
                column,
                field,
                expected,
            } => write!(
                f,
                "{}unknown setting `{field}`, expected {expected}",
                at(*line, *column)
            ),
            Self::Value {
                field,
                value,
                reason,
            } => write!(f, "setting `{field}` cannot be `{value}`: {reason}"),
        }
    }
}

fn at(line: usize, column: usize) -> String {
    if line == 0 {
        String::new()
    } else {
        format!("{line}:{column}: ")
    }
}

fn named(field: &str) -> String {
    match field {
        "" | "." | "?" => String::new(),
        field => format!("field `{field}`: "),
    }
}

impl Schema {
    /// Returns the schema of `T`.
    pub(crate) fn of<T: Tunable>() -> Self {
        // A default that cannot be encoded is reported by the first dump.
        let default = serde_json::to_value(T::default()).unwrap_or(Value::Null);
        let mut fields: Vec<String> = field_names::<T>().iter().map(|&f| f.to_owned()).collect();
        for field in default.as_object().into_iter().flat_map(Map::keys) {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        Self {
            default,
            fields,
            fit: |value| {
                serde_path_to_error::deserialize::<_, T>(value)
                    .map(drop)
                    .map_err(|error| Unfit::new(&error.path().to_string(), error.inner()))
            },
            fit_text: |text| {
                let mut reader = serde_json::Deserializer::from_str(text);
                serde_path_to_error::deserialize::<_, Envelope<T>>(&mut reader)
                    .map_err(|error| Unfit::new(&error.path().to_string(), error.inner()))?;
                reader.end().map_err(|error| Unfit::new("", &error))
            },
        }
    }

    /// Returns the schema of a component without settings.
    pub(crate) fn none() -> Self {
        #[derive(Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct None {}
        Self::of::<None>()
    }

    /// Returns the default value.
    pub(crate) fn default(&self) -> &Value {
        &self.default
    }

    /// Returns the encoded names of the fields.
    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Overrides the fields of `base` by those of the encoding `text`.
    pub(crate) fn overlay(&self, base: &Value, text: &str) -> Result<Value, Refused> {
        let refuse = |unfit: Unfit| Refused::Text {
            line: unfit.line,
            column: unfit.column,
            field: unfit.field,
            reason: unfit.reason,
        };
        // Errors in the text have positions. Only a missing field is no error, as
        // `base` has it.
        match (self.fit_text)(text) {
            Err(unfit) if !unfit.reason.starts_with("missing field") => return Err(refuse(unfit)),
            _ => {}
        }
        let given = serde_json::from_str::<Envelope<Value>>(text)
            .map_err(|error| refuse(Unfit::new("", &error)))?
            .value;
        let value = match (base, given) {
            (Value::Object(base), Value::Object(given)) if !self.fields.is_empty() => {
                if let Some(field) = given.keys().find(|field| !self.fields.contains(field)) {
                    return Err(self.unknown(field, place_of(text, &self.fields)));
                }
                let mut value = base.clone();
                value.extend(given);
                Value::Object(value)
            }
            // Serde would also read a struct from an array of its fields.
            (Value::Object(_), Value::Array(_)) if !self.fields.is_empty() => {
                return Err(refuse(Unfit {
                    field: String::new(),
                    reason: "invalid type: sequence, expected an object of settings".to_owned(),
                    line: 0,
                    column: 0,
                }));
            }
            (_, given) => given,
        };
        (self.fit)(&value).map_err(refuse)?;
        Ok(value)
    }

    /// Sets one field from the command line: JSON, or a bare string.
    pub(crate) fn assign(&self, base: &Value, field: &str, text: &str) -> Result<Value, Refused> {
        if !self.fields.iter().any(|known| known == field) {
            return Err(self.unknown(field, (0, 0)));
        }
        let mut value = base.clone();
        let Some(object) = value.as_object_mut() else {
            return Err(self.unknown(field, (0, 0)));
        };
        let plain = Value::from(text);
        let json = serde_json::from_str(text).ok();
        // For a field that holds a string, the text is not parsed as JSON.
        let candidates = match self.default.get(field) {
            Some(Value::String(_)) => [Some(plain), json],
            _ => [json, Some(plain)],
        };
        let mut first = None;
        for candidate in candidates.into_iter().flatten() {
            object.insert(field.to_owned(), candidate);
            match (self.fit)(&Value::Object(object.clone())) {
                Ok(()) => return Ok(value),
                Err(unfit) => first = first.or(Some(unfit)),
            }
        }
        Err(Refused::Value {
            field: field.to_owned(),
            value: text.to_owned(),
            reason: first.map_or_else(String::new, |unfit| unfit.reason),
        })
    }

    fn unknown(&self, field: &str, (line, column): (usize, usize)) -> Refused {
        let known: Vec<_> = self.fields.iter().map(|f| format!("`{f}`")).collect();
        Refused::Unknown {
            line,
            column,
            field: field.to_owned(),
            expected: match known.as_slice() {
                [] => "none, the component has no settings".to_owned(),
                [only] => only.clone(),
                _ => format!("one of {}", known.join(", ")),
            },
        }
    }
}

impl Unfit {
    fn new(field: &str, error: &serde_json::Error) -> Self {
        let reason = error.to_string();
        // The position is shown in front; serde_json repeats it at the end.
        let reason = match reason.rfind(" at line ") {
            Some(at) if error.line() > 0 => reason[..at].to_owned(),
            _ => reason,
        };
        Self {
            field: field.strip_prefix("value.").unwrap_or(field).to_owned(),
            reason,
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Returns the line and the column of the first field in the encoding `text` that is
/// not among `known`, or 0 if all are known.
fn place_of(text: &str, known: &[String]) -> (usize, usize) {
    /// Fails at the first unknown key.
    struct Body<'a>(&'a [String]);
    struct Key<'a>(&'a [String]);
    /// The envelope.
    struct Outer<'a>(&'a [String]);

    impl<'de> DeserializeSeed<'de> for Key<'_> {
        type Value = ();

        fn deserialize<D: de::Deserializer<'de>>(self, key: D) -> Result<(), D::Error> {
            let name = String::deserialize(key)?;
            if self.0.contains(&name) {
                Ok(())
            } else {
                Err(de::Error::custom("unknown"))
            }
        }
    }

    impl<'de> DeserializeSeed<'de> for Body<'_> {
        type Value = ();

        fn deserialize<D: de::Deserializer<'de>>(self, body: D) -> Result<(), D::Error> {
            body.deserialize_map(self)
        }
    }

    impl<'de> Visitor<'de> for Body<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("fields")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while map.next_key_seed(Key(self.0))?.is_some() {
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    impl<'de> Visitor<'de> for Outer<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an envelope")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while map.next_key::<IgnoredAny>()?.is_some() {
                map.next_value_seed(Body(self.0))?;
            }
            Ok(())
        }
    }

    let mut reader = serde_json::Deserializer::from_str(text);
    match de::Deserializer::deserialize_map(&mut reader, Outer(known)) {
        Ok(()) => (0, 0),
        Err(error) => (error.line(), error.column()),
    }
}

/// Returns the names of the fields of `T`, or none if it is not a struct.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Asked<'a>(&'a mut &'static [&'static str]);

    impl<'de> de::Deserializer<'de> for Asked<'_> {
        type Error = de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom(type_name::<V>()))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            visitor.visit_newtype_struct(self)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    // Always fails: only the requested fields matter.
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Client {
        host: String,
        port: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<f64>,
    }

    impl Default for Client {
        fn default() -> Self {
            Self {
                host: "127.0.0.1".into(),
                port: 65432,
                limit: None,
            }
        }
    }

    fn schema() -> Schema {
        Schema::of::<Client>()
    }

    fn overlay(text: &str) -> Result<Value, String> {
        let schema = schema();
        let value = schema.overlay(schema.default(), text);
        value.map_err(|error| error.to_string())
    }

    fn assign(field: &str, text: &str) -> Result<Value, String> {
        let schema = schema();
        let value = schema.assign(schema.default(), field, text);
        value.map_err(|error| error.to_string())
    }

    #[test]
    fn fields_are_known_though_the_default_does_not_write_them() {
        assert_eq!(schema().fields(), ["host", "port", "limit"]);
        assert!(Schema::of::<u32>().fields().is_empty());
    }

    #[test]
    fn a_field_that_is_not_given_keeps_its_value() {
        assert_eq!(
            overlay(r#"{"value": {"port": 7}}"#),
            Ok(json!({"host": "127.0.0.1", "port": 7}))
        );
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        assert_eq!(
            overlay("{\"value\": {\n  \"port\": \"x\"}}").unwrap_err(),
            "2:13: field `port`: invalid type: string \"x\", expected u16"
        );
        assert!(overlay("{\"value\":").unwrap_err().starts_with("1:9: "));
        assert!(overlay(r#"{"value": {}} more"#).is_err());
        assert!(overlay(r#"{"port": 7}"#).is_err());
        for array in [r#"[{"port": 7}]"#, r#"{"value": ["a", 7, null]}"#] {
            let refused = overlay(array).unwrap_err();
            assert!(
                refused.contains("invalid type: sequence, expected an object"),
                "{refused}"
            );
        }
        let unknown = overlay(r#"{"value": {"prt": 7}}"#).unwrap_err();
        assert!(
            unknown.contains("`prt`") && unknown.contains("`port`"),
            "{unknown}"
        );
        let unknown = overlay("{\"value\": {\"port\": 7,\n  \"prt\": {}}}").unwrap_err();
        assert!(unknown.starts_with("2:7: unknown setting"), "{unknown}");
    }

    #[test]
    fn a_setting_is_json_where_its_field_wants_it_and_text_where_not() {
        assert_eq!(assign("port", "7").unwrap()["port"], 7);
        assert_eq!(assign("limit", "0.5").unwrap()["limit"], 0.5);
        assert_eq!(assign("host", "10").unwrap()["host"], "10");
        assert_eq!(assign("host", "a b").unwrap()["host"], "a b");
        let error = assign("port", "70000").unwrap_err();
        assert!(
            error.contains("`port`") && error.contains("70000"),
            "{error}"
        );
        assert!(assign("port", "x").is_err());
        assert!(assign("nothing", "7").is_err());
    }

    #[test]
    fn a_bare_value_replaces_the_whole() {
        let schema = Schema::of::<u32>();
        assert_eq!(schema.overlay(&json!(5), r#"{"value": 7}"#), Ok(json!(7)));
        assert!(schema.overlay(&json!(5), r#"{"value": -7}"#).is_err());
        assert!(schema.assign(&json!(5), "x", "7").is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_answered_by_a_panic(text: String, field: String) {
            let _ = overlay(&text);
            let _ = assign(&field, &text);
        }
    }
}
