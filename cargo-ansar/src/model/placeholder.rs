//! Texts with placeholders: `-p {port}`, `postgres://{address:db-0}/app`.
//!
//! A description writes them; they are replaced when a role is deployed or
//! started. `{{` and `}}` stand for braces.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::did_you_mean::did_you_mean;
use crate::model::name::RoleName;
use crate::model::quoted::escaped;

/// Name of the port of a role that has one port.
pub const DEFAULT_PORT: &str = "port";

/// A value that a text refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// `{port}`, `{port:NAME}` or `{port:ROLE/NAME}`: a port of the role, or of
    /// another one.
    Port {
        /// The other role; the role itself if unset.
        role: Option<RoleName>,
        /// The name of the port.
        port: String,
    },
    /// `{bind}`: the IP address that the role listens on.
    Bind,
    /// `{address}`, `{address:ROLE}` or `{address:ROLE/NAME}`: address and port
    /// of the role, or of another one.
    Address {
        /// The other role; the role itself if unset.
        role: Option<RoleName>,
        /// The name of the port.
        port: String,
    },
    /// `{role}`: the name of the role.
    Role,
    /// `{number}`: the number in the name of the role.
    Number,
    /// `{home}`: the folder of the home.
    Home,
    /// `{model}`: the persistent data of the role.
    Model,
    /// `{tmp}`: the folder that is emptied at every start of the role.
    Tmp,
    /// `{resource}`: the read-only material of the executable.
    Resource,
}

/// Words that begin a placeholder.
const WORDS: [&str; 9] = [
    "port", "bind", "address", "role", "number", "home", "model", "tmp", "resource",
];

/// An error in a text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// The text between the braces is no placeholder.
    #[error("unknown placeholder `{{{}}}`", escaped(found))]
    Unknown {
        /// The text between the braces.
        found: String,
        /// Offset of the opening brace in the text, in bytes.
        at: usize,
        /// A similar placeholder, with its braces.
        similar: Option<String>,
    },
    /// A brace is not closed.
    #[error("unbalanced `{{`, expected `{{NAME}}`, or `{{{{` for a brace")]
    Unbalanced {
        /// Offset of the brace in the text, in bytes.
        at: usize,
    },
}

impl PlaceholderError {
    /// Returns the offset of the error in the text, in bytes.
    pub fn at(&self) -> usize {
        match self {
            Self::Unknown { at, .. } | Self::Unbalanced { at } => *at,
        }
    }

    /// Returns the remedy, if one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown {
                similar: Some(similar),
                ..
            } => Some(format!("did you mean `{similar}`?")),
            Self::Unknown { .. } => {
                let words = WORDS.map(|word| format!("`{{{word}}}`")).join(", ");
                Some(format!("there are {words}; write `{{{{` for a brace"))
            }
            Self::Unbalanced { .. } => Some("write `{{` for a brace".to_owned()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

impl Template {
    /// Parses a text in which every brace belongs to a placeholder or is
    /// doubled.
    pub fn parse(text: &str) -> Result<Self, PlaceholderError> {
        let mut parts = Parts::default();
        let mut rest = text;
        while let Some(found) = rest.find(['{', '}']) {
            let at = text.len() - rest.len() + found;
            parts.text(&rest[..found]);
            rest = &rest[found..];
            if let Some(after) = rest.strip_prefix("{{") {
                parts.text("{");
                rest = after;
            } else if let Some(after) = rest.strip_prefix('}') {
                parts.text("}");
                rest = after.strip_prefix('}').unwrap_or(after);
            } else {
                let end = rest.find('}').ok_or(PlaceholderError::Unbalanced { at })?;
                let inner = &rest[1..end];
                let placeholder = placeholder(inner).ok_or_else(|| PlaceholderError::Unknown {
                    found: inner.to_owned(),
                    at,
                    similar: similar(inner),
                })?;
                parts.0.push(Part::Placeholder(placeholder));
                rest = &rest[end + 1..];
            }
        }
        parts.text(rest);
        Ok(Self {
            text: text.to_owned(),
            parts: parts.0,
        })
    }

    /// Parses a text in which braces may have other meanings: only known
    /// placeholders are replaced. `{{port}}` stands for `{port}`.
    pub fn lenient(text: &str) -> Self {
        let mut parts = Parts::default();
        let mut rest = text;
        while let Some(found) = rest.find('{') {
            parts.text(&rest[..found]);
            rest = &rest[found..];
            let doubled = rest.starts_with("{{");
            let inner = &rest[if doubled { 2 } else { 1 }..];
            let close = if doubled { "}}" } else { "}" };
            let known = inner
                .find(close)
                .and_then(|end| Some((placeholder(&inner[..end])?, end)));
            match known {
                Some((_, end)) if doubled => {
                    parts.text(&rest[1..end + 3]);
                    rest = &inner[end + 2..];
                }
                Some((placeholder, end)) => {
                    parts.0.push(Part::Placeholder(placeholder));
                    rest = &inner[end + 1..];
                }
                None => {
                    let length = if doubled { 2 } else { 1 };
                    parts.text(&rest[..length]);
                    rest = &rest[length..];
                }
            }
        }
        parts.text(rest);
        Self {
            text: text.to_owned(),
            parts: parts.0,
        }
    }

    /// Returns a template without placeholders.
    pub fn literal(text: &str) -> Self {
        let mut parts = Parts::default();
        parts.text(text);
        Self {
            text: text.to_owned(),
            parts: parts.0,
        }
    }

    /// Returns the text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the placeholders, in the order of the text.
    pub fn uses(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }

    /// Returns the placeholder if the text is nothing else.
    pub fn only(&self) -> Option<&Placeholder> {
        match self.parts.as_slice() {
            [Part::Placeholder(placeholder)] => Some(placeholder),
            _ => None,
        }
    }

    /// Returns the text with the values of its placeholders.
    pub fn resolve<E>(
        &self,
        value: &impl Fn(&Placeholder) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut text = String::with_capacity(self.text.len());
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Placeholder(placeholder) => text.push_str(&value(placeholder)?),
            }
        }
        Ok(text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

/// A stored text that does not parse is a text without placeholders: it was
/// stored before there were any.
impl From<String> for Template {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or_else(|_| Self::literal(&text))
    }
}

impl Placeholder {
    /// Returns the other role that the placeholder refers to.
    pub fn other_role(&self) -> Option<&RoleName> {
        match self {
            Self::Port { role, .. } | Self::Address { role, .. } => role.as_ref(),
            _ => None,
        }
    }

    /// Returns the port that the placeholder refers to, with its role unless
    /// that is the role itself.
    pub fn port(&self) -> Option<(Option<&RoleName>, &str)> {
        match self {
            Self::Port { role, port } | Self::Address { role, port } => Some((role.as_ref(), port)),
            _ => None,
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |port: &str| port != DEFAULT_PORT;
        match self {
            Self::Port {
                role: Some(role),
                port,
            } => write!(f, "{{port:{role}/{port}}}"),
            Self::Port { role: None, port } if named(port) => write!(f, "{{port:{port}}}"),
            Self::Port { .. } => f.write_str("{port}"),
            Self::Bind => f.write_str("{bind}"),
            Self::Address { role: None, port } if named(port) => write!(f, "{{address:/{port}}}"),
            Self::Address { role: None, .. } => f.write_str("{address}"),
            Self::Address {
                role: Some(role),
                port,
            } if named(port) => write!(f, "{{address:{role}/{port}}}"),
            Self::Address {
                role: Some(role), ..
            } => write!(f, "{{address:{role}}}"),
            Self::Role => f.write_str("{role}"),
            Self::Number => f.write_str("{number}"),
            Self::Home => f.write_str("{home}"),
            Self::Model => f.write_str("{model}"),
            Self::Tmp => f.write_str("{tmp}"),
            Self::Resource => f.write_str("{resource}"),
        }
    }
}

/// Returns the number in the name of a role: its last digits.
pub fn number(role: &RoleName) -> Option<&str> {
    let text = role.as_str();
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = text[..end].rfind(|c: char| !c.is_ascii_digit());
    Some(&text[start.map_or(0, |at| at + 1)..end])
}

/// Returns true if a text may be the name of a port.
pub fn is_port_name(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    first && chars.all(rest) && text.len() <= 50
}

fn placeholder(inner: &str) -> Option<Placeholder> {
    let port_name = |text: &str| is_port_name(text).then(|| text.to_owned());
    let (word, argument) = match inner.split_once(':') {
        Some((word, argument)) => (word, Some(argument)),
        None => (inner, None),
    };
    Some(match (word, argument) {
        ("port", None) => Placeholder::Port {
            role: None,
            port: DEFAULT_PORT.to_owned(),
        },
        ("port", Some(argument)) => {
            let (role, port) = match argument.split_once('/') {
                Some((role, port)) => (Some(role.parse().ok()?), port),
                None => (None, argument),
            };
            let port = port_name(port)?;
            Placeholder::Port { role, port }
        }
        ("address", None) => Placeholder::Address {
            role: None,
            port: DEFAULT_PORT.to_owned(),
        },
        ("address", Some(argument)) => {
            let (role, port) = match argument.split_once('/') {
                Some((role, port)) => (role, port_name(port)?),
                None => (argument, DEFAULT_PORT.to_owned()),
            };
            let role = match role {
                "" if argument.starts_with('/') => None,
                role => Some(role.parse().ok()?),
            };
            Placeholder::Address { role, port }
        }
        ("bind", None) => Placeholder::Bind,
        ("role", None) => Placeholder::Role,
        ("number", None) => Placeholder::Number,
        ("home", None) => Placeholder::Home,
        ("model", None) => Placeholder::Model,
        ("tmp", None) => Placeholder::Tmp,
        ("resource", None) => Placeholder::Resource,
        _ => return None,
    })
}

/// Returns the placeholder that was probably meant, with its braces.
fn similar(inner: &str) -> Option<String> {
    let (word, argument) = match inner.split_once(':') {
        Some((word, argument)) => (word, Some(argument)),
        None => (inner, None),
    };
    let meant = did_you_mean(word.trim(), WORDS)?;
    let inner = match argument {
        Some(argument) => format!("{meant}:{}", argument.trim()),
        None => meant.to_owned(),
    };
    let is_valid = placeholder(&inner).is_some();
    is_valid.then(|| format!("{{{inner}}}"))
}

#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.0.push(Part::Text(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(template: &Template) -> String {
        let value = |placeholder: &Placeholder| Ok::<_, ()>(format!("<{placeholder}>"));
        template.resolve(&value).unwrap()
    }

    #[test]
    fn placeholders_are_replaced() {
        for (text, expected) in [
            ("-p {port}", "-p <{port}>"),
            ("{port:admin}{bind}", "<{port:admin}><{bind}>"),
            ("{port:db-0/port}", "<{port:db-0/port}>"),
            ("x://{address:db-0}/app", "x://<{address:db-0}>/app"),
            ("{address:db-0/admin}", "<{address:db-0/admin}>"),
            ("{address:/admin}", "<{address:/admin}>"),
            ("{{port}} {{{role}}}", "{port} {<{role}>}"),
            ("}", "}"),
            (r#"{{"a": {number}}}"#, r#"{"a": <{number}>}"#),
            ("", ""),
        ] {
            assert_eq!(shown(&Template::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_have_a_place_and_a_suggestion() {
        for (text, at, message, hint) in [
            (
                "x {adress:db-0}",
                2,
                "unknown placeholder `{adress:db-0}`",
                "did you mean `{address:db-0}`?",
            ),
            (
                "{Port}",
                0,
                "unknown placeholder `{Port}`",
                "did you mean `{port}`?",
            ),
            (
                "{x:y}",
                0,
                "unknown placeholder `{x:y}`",
                "there are `{port}`, `{bind}`, `{address}`, `{role}`, `{number}`, `{home}`, \
                 `{model}`, `{tmp}`, `{resource}`; write `{{` for a brace",
            ),
            (
                "é{port",
                2,
                "unbalanced `{`, expected `{NAME}`, or `{{` for a brace",
                "write `{{` for a brace",
            ),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert_eq!(error.at(), at, "{text}");
            assert_eq!(error.to_string(), message);
            assert_eq!(error.hint().as_deref(), Some(hint), "{text}");
        }
    }

    #[test]
    fn settings_keep_other_braces() {
        for (text, expected) in [
            ("{port}", "<{port}>"),
            ("{x} {{y}} { } {{port}} {{", "{x} {{y}} { } {port} {{"),
            ("{{{port}", "{{<{port}>"),
        ] {
            assert_eq!(shown(&Template::lenient(text)), expected, "{text}");
        }
    }

    #[test]
    fn number_is_the_last_one_of_a_name() {
        for (role, expected) in [
            ("db-0", Some("0")),
            ("c-12", Some("12")),
            ("a1-b2x", Some("2")),
            ("7", Some("7")),
            ("db", None),
        ] {
            assert_eq!(number(&role.parse().unwrap()), expected, "{role}");
        }
    }

    proptest! {
        #[test]
        fn escaped_text_is_itself(text in any::<String>()) {
            let written = text.replace('{', "{{").replace('}', "}}");
            let template = Template::parse(&written).unwrap();
            prop_assert_eq!(shown(&template), text);
        }

        #[test]
        fn any_text_is_a_template_or_an_error(text in "[{}a-z:/0-9 é-]{0,40}") {
            match Template::parse(&text) {
                Ok(template) => prop_assert_eq!(template.text(), text.as_str()),
                Err(error) => prop_assert_eq!(text.as_bytes()[error.at()], b'{'),
            }
            // Without known placeholders, every character stays.
            let lenient = Template::lenient(&text);
            if lenient.uses().next().is_none() && !text.contains("{{") {
                prop_assert_eq!(shown(&lenient), text);
            }
        }
    }
}
