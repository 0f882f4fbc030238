//! A TOML document as a tree of nodes that know their position and key.
//!
//! Nodes convert to typed values, or to an error with file, line, column, key
//! and expectation. Tables, inline tables and dotted keys are treated alike.
//! The meaning of keys is left to the caller.

use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Number, Value as Json};
use toml_edit::{ArrayOfTables, Item, Key, TableLike, Value};

use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::position::Lines;
use crate::model::did_you_mean::did_you_mean;
use crate::model::quoted::escaped;

/// Maximum depth of a value that is converted to JSON; JSON readers have a
/// similar limit.
const DEEPEST: usize = 100;

/// The manifest that contains all nodes.
pub(crate) struct Source<'a> {
    manifest: &'a Path,
    lines: Lines<'a>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(manifest: &'a Path, text: &'a str) -> Self {
        let lines = Lines::new(text);
        Self { manifest, lines }
    }

    /// Returns the line, from 1, of a byte offset.
    pub(crate) fn line(&self, at: usize) -> u32 {
        self.lines.place(at).0
    }

    /// Returns the first position of a text from `at` on; `at` itself if
    /// there is none.
    fn find(&self, at: usize, part: &str) -> usize {
        let rest = self.lines.text().get(at..).unwrap_or_default();
        rest.find(part).map_or(at, |found| at + found)
    }

    /// Returns the error for a problem of `key` at a byte offset.
    pub(crate) fn error(&self, at: usize, key: &str, problem: &Problem) -> DescriptionError {
        let (line, column) = self.lines.place(at);
        DescriptionError {
            manifest: self.manifest.to_owned(),
            line,
            column,
            key: key.to_owned(),
            message: problem.message(key),
            hint: problem.hint(),
        }
    }
}

/// A value of the document.
pub(crate) struct Node<'a> {
    source: &'a Source<'a>,
    /// Dotted path, as TOML writes it.
    pub(crate) key: String,
    /// Last part of the path, unquoted.
    pub(crate) name: &'a str,
    /// Byte offset of the key.
    pub(crate) key_at: usize,
    /// Byte offset of the value; that of the key for a table.
    pub(crate) value_at: usize,
    shape: Shape<'a>,
}

#[derive(Clone, Copy)]
enum Shape<'a> {
    Table(&'a dyn TableLike),
    Tables(&'a ArrayOfTables),
    Value(&'a Value),
    Nothing,
}

impl<'a> Shape<'a> {
    fn of(item: &'a Item) -> Self {
        match item {
            Item::Table(table) => Self::Table(table),
            Item::ArrayOfTables(tables) => Self::Tables(tables),
            Item::Value(value) => Self::of_value(value),
            Item::None => Self::Nothing,
        }
    }

    fn of_value(value: &'a Value) -> Self {
        match value {
            Value::InlineTable(table) => Self::Table(table),
            value => Self::Value(value),
        }
    }
}

impl<'a> Node<'a> {
    /// Returns the root of a document.
    pub(crate) fn root(source: &'a Source<'a>, table: &'a dyn TableLike) -> Self {
        Self {
            source,
            key: String::new(),
            name: "",
            key_at: 0,
            value_at: 0,
            shape: Shape::Table(table),
        }
    }

    /// Returns the value of a key, if this is a table that has it.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        let Shape::Table(table) = self.shape else {
            return None;
        };
        let (key, item) = table.get_key_value(name)?;
        Some(self.child(key, item))
    }

    /// Returns an error about this value.
    pub(crate) fn value_error(&self, problem: &Problem) -> DescriptionError {
        self.source.error(self.value_at, &self.key, problem)
    }

    /// Returns an error about this key.
    pub(crate) fn key_error(&self, problem: &Problem) -> DescriptionError {
        self.source.error(self.key_at, &self.key, problem)
    }

    /// Returns the error for a value of another type.
    pub(crate) fn type_error(&self, expected: &'static str) -> DescriptionError {
        self.value_error(&Problem::WrongType {
            found: self.type_name(),
            expected,
        })
    }

    /// Returns the error for a string or number that is not allowed.
    pub(crate) fn wrong_value(&self, found: &str, expected: &'static str) -> DescriptionError {
        self.value_error(&Problem::WrongValue {
            found: found.to_owned(),
            expected,
            similar: None,
        })
    }

    /// Returns the error for an unknown key.
    pub(crate) fn unknown_key(&self, expected: &'static [&'static str]) -> DescriptionError {
        self.key_error(&Problem::UnknownKey {
            expected,
            similar: did_you_mean(self.name, expected.iter().copied()),
        })
    }

    /// Returns the entries of a table, in the order in which their keys first
    /// occur.
    pub(crate) fn entries(&self, expected: &'static str) -> Result<Vec<Self>, DescriptionError> {
        let Shape::Table(table) = self.shape else {
            return Err(self.type_error(expected));
        };
        Ok(table
            .iter()
            .filter_map(|(name, _)| table.get_key_value(name))
            .map(|(key, item)| self.child(key, item))
            .collect())
    }

    /// Returns the elements of an array.
    pub(crate) fn elements(&self, expected: &'static str) -> Result<Vec<Self>, DescriptionError> {
        match self.shape {
            Shape::Value(Value::Array(array)) => Ok(array
                .iter()
                .enumerate()
                .map(|(nth, value)| self.element(nth, value.span(), Shape::of_value(value)))
                .collect()),
            Shape::Tables(tables) => Ok(tables
                .iter()
                .enumerate()
                .map(|(nth, table)| self.element(nth, table.span(), Shape::Table(table)))
                .collect()),
            _ => Err(self.type_error(expected)),
        }
    }

    pub(crate) fn string(&self, expected: &'static str) -> Result<&'a str, DescriptionError> {
        match self.shape {
            Shape::Value(Value::String(text)) => Ok(text.value()),
            _ => Err(self.type_error(expected)),
        }
    }

    /// Returns true for an array.
    pub(crate) fn is_array(&self) -> bool {
        matches!(self.shape, Shape::Tables(_) | Shape::Value(Value::Array(_)))
    }

    /// Returns true for a table.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.shape, Shape::Table(_))
    }

    /// Returns all strings in this value, at any depth.
    pub(crate) fn strings(&self) -> Vec<Self> {
        let children = match self.shape {
            Shape::Table(_) => self.entries("a table"),
            Shape::Tables(_) | Shape::Value(Value::Array(_)) => self.elements("an array"),
            Shape::Value(Value::String(_)) => {
                return vec![Self {
                    source: self.source,
                    key: self.key.clone(),
                    ..*self
                }];
            }
            _ => return Vec::new(),
        };
        let children = children.unwrap_or_default();
        children.iter().flat_map(Self::strings).collect()
    }

    /// Returns the position of a part of this text: of the value if escapes
    /// hide it.
    pub(crate) fn at_text(&self, part: &str) -> usize {
        self.source.find(self.value_at, part)
    }

    /// Returns an error about a part of this text.
    pub(crate) fn error_in_text(&self, part: &str, problem: &Problem) -> DescriptionError {
        self.error_at(self.at_text(part), &self.key, problem)
    }

    /// Returns an error about `key` at a byte offset of the same manifest.
    pub(crate) fn error_at(&self, at: usize, key: &str, problem: &Problem) -> DescriptionError {
        self.source.error(at, key, problem)
    }

    /// Reads a boolean.
    pub(crate) fn flag(&self, expected: &'static str) -> Result<bool, DescriptionError> {
        match self.shape {
            Shape::Value(Value::Boolean(flag)) => Ok(*flag.value()),
            _ => Err(self.type_error(expected)),
        }
    }

    /// Reads one of several words.
    pub(crate) fn word<T: Copy>(
        &self,
        words: &[(&'static str, T)],
        expected: &'static str,
    ) -> Result<T, DescriptionError> {
        let found = self.string(expected)?;
        let known = words.iter().find(|(word, _)| *word == found);
        known.map(|(_, value)| *value).ok_or_else(|| {
            self.value_error(&Problem::WrongValue {
                found: found.to_owned(),
                expected,
                similar: did_you_mean(found, words.iter().map(|(word, _)| *word)),
            })
        })
    }

    /// Reads a non-negative integer that fits into `T`.
    pub(crate) fn count<T: TryFrom<i64>>(
        &self,
        expected: &'static str,
    ) -> Result<T, DescriptionError> {
        match self.shape {
            Shape::Value(Value::Integer(number)) => T::try_from(*number.value())
                .map_err(|_| self.wrong_value(&number.value().to_string(), expected)),
            _ => Err(self.type_error(expected)),
        }
    }

    /// Reads a float, or an integer as a float.
    pub(crate) fn number(&self, expected: &'static str) -> Result<f64, DescriptionError> {
        match self.shape {
            Shape::Value(Value::Float(number)) => Ok(*number.value()),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a duration of 2^53 seconds may lose a second"
            )]
            Shape::Value(Value::Integer(number)) => Ok(*number.value() as f64),
            _ => Err(self.type_error(expected)),
        }
    }

    /// Reads a table as a JSON object.
    pub(crate) fn object(
        &self,
        expected: &'static str,
    ) -> Result<Map<String, Json>, DescriptionError> {
        Self::members(self.entries(expected)?, 1)
    }

    /// Reads any value as JSON. Integers stay integers, times become strings.
    pub(crate) fn json(&self) -> Result<Json, DescriptionError> {
        self.json_at(1)
    }

    fn json_at(&self, depth: usize) -> Result<Json, DescriptionError> {
        const ANYTHING: &str = "any value";
        if depth > DEEPEST {
            return Err(self.value_error(&Problem::Deep(DEEPEST)));
        }
        Ok(match self.shape {
            Shape::Table(_) => Json::Object(Self::members(self.entries(ANYTHING)?, depth)?),
            Shape::Tables(_) | Shape::Value(Value::Array(_)) => Json::Array(
                self.elements(ANYTHING)?
                    .iter()
                    .map(|element| element.json_at(depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            Shape::Value(Value::String(text)) => Json::String(text.value().clone()),
            Shape::Value(Value::Integer(number)) => Json::from(*number.value()),
            Shape::Value(Value::Float(number)) => Json::Number(
                Number::from_f64(*number.value())
                    .ok_or_else(|| self.value_error(&Problem::NotFinite(*number.value())))?,
            ),
            Shape::Value(Value::Boolean(flag)) => Json::Bool(*flag.value()),
            Shape::Value(Value::Datetime(time)) => Json::String(time.value().to_string()),
            Shape::Value(Value::InlineTable(_)) | Shape::Nothing => {
                return Err(self.type_error(ANYTHING));
            }
        })
    }

    fn members(entries: Vec<Self>, depth: usize) -> Result<Map<String, Json>, DescriptionError> {
        entries
            .into_iter()
            .map(|entry| Ok((entry.name.to_owned(), entry.json_at(depth + 1)?)))
            .collect()
    }

    fn child(&self, key: &'a Key, item: &'a Item) -> Self {
        let start = |span: Range<usize>| span.start;
        let key_at = key.span().map_or(self.key_at, start);
        let shape = Shape::of(item);
        let value_at = match shape {
            Shape::Value(value) => value.span().map_or(key_at, start),
            _ => key_at,
        };
        Self {
            source: self.source,
            key: joined(&self.key, key.get()),
            name: key.get(),
            key_at,
            value_at,
            shape,
        }
    }

    fn element(&self, nth: usize, span: Option<Range<usize>>, shape: Shape<'a>) -> Self {
        let at = span.map_or(self.value_at, |span| span.start);
        Self {
            source: self.source,
            key: format!("{}[{nth}]", self.key),
            name: self.name,
            key_at: at,
            value_at: at,
            shape,
        }
    }

    fn type_name(&self) -> &'static str {
        match self.shape {
            Shape::Table(_) | Shape::Value(Value::InlineTable(_)) => "a table",
            Shape::Tables(_) => "an array of tables",
            Shape::Value(Value::Array(_)) => "an array",
            Shape::Value(Value::String(_)) => "a string",
            Shape::Value(Value::Integer(_)) => "an integer",
            Shape::Value(Value::Float(_)) => "a float",
            Shape::Value(Value::Boolean(_)) => "a boolean",
            Shape::Value(Value::Datetime(_)) => "a time",
            Shape::Nothing => "nothing",
        }
    }
}

/// Appends a key to a dotted path, quoted if TOML requires it.
fn joined(path: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let dot = if path.is_empty() { "" } else { "." };
    if !name.is_empty() && name.chars().all(bare) {
        format!("{path}{dot}{}", escaped(name))
    } else {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{path}{dot}\"{}\"", escaped(&name))
    }
}
