//! Names of roles and executables.
//!
//! Every name is checked on construction, so that it is safe in a path, on a
//! command line and in a pattern.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::quoted::escaped;

/// Greatest length of a name, in bytes.
pub const LONGEST: usize = 100;

/// An error about a text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("the {kind} name is empty, expected letters, digits, `-` and `_`")]
    Empty {
        /// The kind of name.
        kind: Kind,
    },
    /// The text contains a character that is not allowed.
    #[error(
        "{kind} name `{}` holds `{}`, expected {}letters, digits, `-` and `_` only",
        escaped(name),
        escaped(&found.to_string()),
        if *kind == Kind::Role { "ASCII " } else { "" }
    )]
    Character {
        /// The kind of name.
        kind: Kind,
        /// The whole text.
        name: String,
        /// The first invalid character.
        found: char,
    },
    /// The text is too long for file names made of it.
    #[error("{kind} name `{}` has {} bytes, expected at most {LONGEST}", escaped(name), name.len())]
    Long {
        /// The kind of name.
        kind: Kind,
        /// The whole text.
        name: String,
    },
}

impl NameError {
    /// Returns the kind of name.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Empty { kind } | Self::Character { kind, .. } | Self::Long { kind, .. } => *kind,
        }
    }

    /// Returns a similar valid name, if there is one.
    pub fn similar(&self) -> Option<String> {
        let Self::Character { kind, name, .. } = self else {
            return None;
        };
        let name: String = name
            .chars()
            .map(|c| if is_allowed(*kind, c) { c } else { '-' })
            .collect();
        let name = name.trim_matches('-');
        let fits = !name.is_empty() && name.len() <= LONGEST;
        fits.then(|| name.to_owned())
    }

    /// Returns a suggestion for the name of a new role. There is none for an
    /// executable: it exists under another name.
    pub fn hint(&self) -> Option<String> {
        let is_new = self.kind() == Kind::Role;
        let name = self.similar().filter(|_| is_new)?;
        Some(format!("did you mean `{name}`?"))
    }
}

/// The kind of thing that a name stands for.
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

/// Returns true if a text may be a tag of roles.
pub fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(|c| is_allowed(Kind::Role, c))
}

/// Declares a name type. Values are created by `TryFrom`, `FromStr` and
/// `Deserialize`, which all check the name.
macro_rules! names {
    ($(#[$doc:meta] $name:ident is a $kind:ident;)*) => {$(
        #[$doc]
        ///
        /// Letters, digits, `-` and `_`, in ASCII only for a role; not empty; at
        /// most [`LONGEST`] bytes. Ordered bytewise.
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
    /// The name of an executable, which is the name of its binary target.
    ExecutableName is a Executable;
}

/// Returns true if a Cargo package could have this name. Cargo checks names
/// itself; this rejects what is unsafe in messages and on command lines.
pub(crate) fn is_package_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_alphanumeric() || c == '_')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

/// Returns true if a name may contain this character. An executable may have
/// every name that Cargo and the compiler accept.
fn is_allowed(kind: Kind, c: char) -> bool {
    let is_letter = match kind {
        Kind::Role => c.is_ascii_alphanumeric(),
        Kind::Executable => c.is_alphanumeric(),
    };
    is_letter || c == '-' || c == '_'
}

fn check(kind: Kind, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty { kind })
    } else if let Some(found) = name.chars().find(|c| !is_allowed(kind, *c)) {
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
    fn errors_of_invalid_names() {
        let long = "x".repeat(LONGEST + 1);
        let too_long = format!("role name `{long}` has 101 bytes, expected at most 100");
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
            (&long, &too_long),
        ] {
            let error = name.parse::<RoleName>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!("bär-ß_1".parse::<ExecutableName>().is_ok());
        let error = "a.b".parse::<ExecutableName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "executable name `a.b` holds `.`, expected letters, digits, `-` and `_` only"
        );
        let error = ExecutableName::try_from(String::from("../sh")).unwrap_err();
        assert!(error.to_string().starts_with("executable name `../sh`"));
    }

    #[test]
    fn invalid_characters_have_a_suggestion() {
        let hint = |name: &str| name.parse::<RoleName>().unwrap_err().hint();
        assert_eq!(hint("a/b").as_deref(), Some("did you mean `a-b`?"));
        assert_eq!(hint("../sh").as_deref(), Some("did you mean `sh`?"));
        assert_eq!(hint("/"), None);
        assert_eq!(hint(""), None);
    }

    #[test]
    fn deserialized_names_are_checked() {
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
        fn valid_names_are_accepted(text in "[A-Za-z0-9_-]{1,100}") {
            prop_assert!(text.parse::<RoleName>().is_ok());
            prop_assert!(text.parse::<ExecutableName>().is_ok());
        }
    }
}
