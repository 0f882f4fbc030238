//! A YAML document as a tree of texts that know their lines.
//!
//! The tree is bounded in size and depth, with aliases expanded: a file of a
//! stranger cannot exhaust memory or the stack. Scalars stay texts, so that
//! `no` and `1_0` mean what the format says and not what YAML says.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::manifest::import::ImportError;
use crate::model::quoted::escaped;

/// Maximum size of a document with expanded aliases: bytes of text, and one for
/// each node.
const LARGEST: usize = 4 << 20;

/// Maximum depth of a document.
const DEEPEST: usize = 64;

/// A node of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Yaml {
    /// Its line, from 1.
    pub(super) line: u32,
    pub(super) value: Value,
    /// The number of its nodes, and the bytes of its texts.
    size: usize,
}

/// The value of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// A scalar, unquoted.
    Text(String),
    List(Vec<Yaml>),
    /// Entries in the order of the text; the keys are unique.
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Line of the key, from 1.
    pub(super) line: u32,
    pub(super) value: Yaml,
}

impl Yaml {
    /// Returns the text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the entries of a mapping; none of anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the value of a key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Yaml> {
        let entry = self.entries().iter().find(|entry| entry.key == key);
        entry.map(|entry| &entry.value)
    }

    /// Returns the text of a key, if this is a mapping that has it.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Yaml::text)
    }

    /// Returns the elements of a list, or the node itself if it is a scalar.
    pub(super) fn elements(&self) -> &[Yaml] {
        match &self.value {
            Value::List(elements) => elements,
            Value::Text(_) => std::slice::from_ref(self),
            Value::Null | Value::Map(_) => &[],
        }
    }
}

/// Reads a text with one document.
///
/// # Errors
///
/// Returns an error with its line if the text is no YAML, has several documents
/// or keys that are equal or no texts, or exceeds the bounds.
pub(super) fn read(text: &str) -> Result<Yaml, ImportError> {
    if text.len() > LARGEST {
        return Err(too_large(1));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let line = error.marker().line();
            ImportError::new(number(line), format!("invalid YAML: {}", error.info()))
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or(Yaml {
        line: 1,
        value: Value::Null,
        size: 1,
    }))
}

fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX).max(1)
}

fn too_large(line: u32) -> ImportError {
    let reason = format!("larger than {LARGEST} bytes with expanded aliases");
    ImportError::new(line, reason)
}

/// A collection whose end was not read yet.
struct Open {
    line: u32,
    anchor: usize,
    size: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Yaml>),
    Map {
        entries: Vec<Entry>,
        /// Lines of the keys.
        lines: BTreeMap<String, u32>,
        /// The key whose value follows.
        key: Option<(String, u32)>,
        /// Mappings of `<<`.
        merged: Vec<Yaml>,
    },
}

/// Builds the tree from events.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Yaml>,
    root: Option<Yaml>,
    /// Size of all nodes that were made.
    size: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ImportError> {
        let line = number(span.start.line());
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).ok_or_else(|| {
                    ImportError::new(line, "the alias is a part of its own anchor".to_owned())
                })?;
                if self.size + node.size > LARGEST {
                    return Err(too_large(line));
                }
                let mut node = node.clone();
                node.line = line;
                self.add(node, 0)
            }
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == ScalarStyle::Plain
                    && ["", "~", "null", "Null", "NULL"].contains(&&*text);
                let value = if is_null {
                    Value::Null
                } else {
                    Value::Text(text.into_owned())
                };
                let size = match &value {
                    Value::Text(text) => 1 + text.len(),
                    _ => 1,
                };
                self.add(Yaml { line, value, size }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, Kind::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let kind = Kind::Map {
                    entries: Vec::new(),
                    lines: BTreeMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(line, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let (line, anchor, size) = (open.line, open.anchor, open.size);
                let value = match open.kind {
                    Kind::List(elements) => Value::List(elements),
                    Kind::Map {
                        entries, merged, ..
                    } => Value::Map(with_merged(entries, merged)),
                };
                // The members are counted already.
                self.size -= size - 1;
                self.add(Yaml { line, value, size }, anchor)
            }
        }
    }

    fn begin(&mut self, line: u32, anchor: usize, kind: Kind) -> Result<(), ImportError> {
        if self.open.len() == DEEPEST {
            let reason = format!("more than {DEEPEST} levels deep");
            return Err(ImportError::new(line, reason));
        }
        self.open.push(Open {
            line,
            anchor,
            size: 1,
            kind,
        });
        Ok(())
    }

    /// Adds a node to the innermost open collection.
    fn add(&mut self, node: Yaml, anchor: usize) -> Result<(), ImportError> {
        let line = node.line;
        self.size += node.size;
        if self.size > LARGEST {
            return Err(too_large(line));
        }
        if anchor != 0 {
            self.size += node.size;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() {
                let reason = "a second document, expected one".to_owned();
                return Err(ImportError::new(line, reason));
            }
            self.root = Some(node);
            return Ok(());
        };
        open.size += node.size;
        match &mut open.kind {
            Kind::List(elements) => elements.push(node),
            Kind::Map {
                entries,
                lines,
                key,
                merged,
            } => match (key.take(), node.value) {
                (None, Value::Text(text)) => *key = Some((text, line)),
                (None, Value::Null) => *key = Some(("null".to_owned(), line)),
                (None, _) => {
                    let reason = "a key that is a list or a mapping, expected a text".to_owned();
                    return Err(ImportError::new(line, reason));
                }
                (Some((merge, _)), value) if merge == "<<" => match value {
                    Value::List(maps) => merged.extend(maps),
                    value => merged.push(Yaml { value, ..node }),
                },
                (Some((key, line)), value) => {
                    if let Some(other) = lines.insert(key.clone(), line) {
                        let reason = format!("`{}` is in line {other} already", escaped(&key));
                        return Err(ImportError::new(line, reason));
                    }
                    let value = Yaml { value, ..node };
                    entries.push(Entry { key, line, value });
                }
            },
        }
        Ok(())
    }
}

/// Adds the entries of merged mappings whose keys are not there yet.
fn with_merged(mut entries: Vec<Entry>, merged: Vec<Yaml>) -> Vec<Entry> {
    if merged.is_empty() {
        return entries;
    }
    let mut keys: BTreeSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    for map in merged {
        let Value::Map(map) = map.value else { continue };
        for entry in map {
            if keys.insert(entry.key.clone()) {
                entries.push(entry);
            }
        }
    }
    entries
}
