//! The names of roles and executables.
//!
//! Owns the one check that a name passes before anything is made of it, so
//! that a name is safe in a path, on a command line and in a pattern. Does not
//! know which roles and executables there are.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::quoted::escaped;

/// The greatest length of a name, in bytes.
pub const LONGEST: usize = 100;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the {kind} name is empty, expected letters, digits, `-` and `_`")]
    Empty {
        /// What was to be named.
        kind: Kind,
    },
    /// A character that no name holds.
    #[error(
        "{kind} name `{}` holds `{}`, expected ASCII letters, digits, `-` and `_` only",
        escaped(name),
        escaped(&found.to_string())
    )]
    Character {
        /// What was to be named.
        kind: Kind,
        /// The whole text.
        name: String,
        /// The first such character.
        found: char,
    },
    /// Too long for the files that are named after it.
    #[error("{kind} name `{}` has {} bytes, expected at most {LONGEST}", escaped(name), name.len())]
    Long {
        /// What was to be named.
        kind: Kind,
        /// The whole text.
        name: String,
    },
}

impl NameError {
    /// What was to be named.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Empty { kind } | Self::Character { kind, .. } | Self::Long { kind, .. } => *kind,
        }
    }

    /// The name that is most like the text, if there is one.
    pub fn similar(&self) -> Option<String> {
        let Self::Character { name, .. } = self else {
            return None;
        };
        let name: String = name
            .chars()
            .map(|c| if is_allowed(c) { c } else { '-' })
            .collect();
        let name = name.trim_matches('-');
        let fits = !name.is_empty() && name.len() <= LONGEST;
        fits.then(|| name.to_owned())
    }

    /// What to do about the name of a new role, where that is known. An executable
    /// has the name that it has.
    pub fn hint(&self) -> Option<String> {
        let is_new = self.kind() == Kind::Role;
        let name = self.similar().filter(|_| is_new)?;
        Some(format!("did you mean `{name}`?"))
    }
}

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A role.
    Role,
    /// An executable.
    Executable,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Role => "role",
            Self::Executable => "executable",
        })
    }
}

/// A name that passed the check is a `$name` and stays one: the only ways in
/// are `TryFrom`, `FromStr` and `Deserialize`, and all of them check.
macro_rules! names {
    ($(#[$doc:meta] $name:ident is a $kind:ident;)*) => {$(
        #[$doc]
        ///
        /// ASCII letters, digits, `-` and `_`; not empty; at most [`LONGEST`]
        /// bytes. Ordered bytewise.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                match check(Kind::$kind, &name) {
                    Ok(()) => Ok(Self(name)),
                    Err(error) => Err(error),
                }
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                check(Kind::$kind, name)?;
                Ok(Self(name.to_owned()))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    /// The name of a role, such as `test-client-17`.
    RoleName is a Role;
    /// The name of an executable, which is that of a bin target.
    ExecutableName is a Executable;
}

/// Whether Cargo could have a package of this name. Cargo has the last word;
/// this keeps out what can not stand in a message or on a command line.
pub(crate) fn is_package_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_alphanumeric() || c == '_')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn check(kind: Kind, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty { kind })
    } else if let Some(found) = name.chars().find(|c| !is_allowed(*c)) {
        let name = name.to_owned();
        Err(NameError::Character { kind, name, found })
    } else if name.len() > LONGEST {
        let name = name.to_owned();
        Err(NameError::Long { kind, name })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_are_refused_say_why() {
        let long = "x".repeat(LONGEST + 1);
        let shown_long = format!("role name `{long}` has 101 bytes, expected at most 100");
        for (name, message) in [
            (
                "",
                "the role name is empty, expected letters, digits, `-` and `_`",
            ),
            (
                "a.b",
                "role name `a.b` holds `.`, expected ASCII letters, digits, `-` and `_` only",
            ),
            (
                "a\nb",
                "role name `a\\nb` holds `\\n`, expected ASCII letters, digits, `-` and `_` only",
            ),
            (
                "bär",
                "role name `bär` holds `ä`, expected ASCII letters, digits, `-` and `_` only",
            ),
            (&long, &shown_long),
        ] {
            let error = name.parse::<RoleName>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let error = ExecutableName::try_from(String::from("../sh")).unwrap_err();
        assert!(error.to_string().starts_with("executable name `../sh`"));
    }

    #[test]
    fn a_name_with_a_wrong_character_has_one_that_is_meant() {
        let hint = |name: &str| name.parse::<RoleName>().unwrap_err().hint();
        assert_eq!(hint("a/b").as_deref(), Some("did you mean `a-b`?"));
        assert_eq!(hint("../sh").as_deref(), Some("did you mean `sh`?"));
        assert_eq!(hint("/"), None);
        assert_eq!(hint(""), None);
    }

    #[test]
    fn a_name_is_checked_when_it_is_deserialized() {
        let name: RoleName = serde_json::from_str(r#""server-0""#).unwrap();
        assert_eq!(name.as_str(), "server-0");
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""server-0""#);
        assert!(serde_json::from_str::<RoleName>(r#""server 0""#).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error_of_one_line(text in any::<String>()) {
            match text.parse::<RoleName>() {
                Ok(name) => prop_assert_eq!(name.to_string(), text),
                Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
            }
        }

        #[test]
        fn every_name_of_the_right_form_is_taken(text in "[A-Za-z0-9_-]{1,100}") {
            prop_assert!(text.parse::<RoleName>().is_ok());
            prop_assert!(text.parse::<ExecutableName>().is_ok());
        }
    }
}
