//! Errors in a manifest's description, with their messages and hints.

use std::path::PathBuf;

use crate::model::name::{NameError, RoleName};
use crate::model::name_template::{MOST_ROLES, TemplateError};
use crate::model::placeholder::PlaceholderError;
use crate::model::quoted::{escaped, quoted_list};
use crate::model::role_search::SearchError;
use crate::model::stop::SignalError;

/// A manifest that is not valid TOML or has an invalid description.
///
/// It is displayed as follows, with the second line only if there is a hint:
///
/// ```text
/// MANIFEST:LINE:COLUMN: MESSAGE
/// hint: HINT
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}{}", manifest.display(), hint_line(hint.as_deref()))]
pub struct DescriptionError {
    /// Path of the manifest, as it was given.
    pub manifest: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Dotted path of the key, as TOML writes it; empty if the text is not
    /// valid TOML.
    pub key: String,
    /// Error and expectation, in one line.
    pub message: String,
    /// Remedy in one line, if one is known.
    pub hint: Option<String>,
}

fn hint_line(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\nhint: {hint}"))
        .unwrap_or_default()
}

/// A problem at a position of the manifest.
#[derive(Debug)]
pub(crate) enum Problem {
    Syntax(String),
    UnknownKey {
        expected: &'static [&'static str],
        similar: Option<&'static str>,
    },
    WrongType {
        found: &'static str,
        expected: &'static str,
    },
    WrongValue {
        found: String,
        expected: &'static str,
        similar: Option<&'static str>,
    },
    NoExecutable,
    TwoKinds,
    ComponentOnly {
        role: String,
    },
    ProgramOnly,
    NeverEnds {
        role: RoleName,
    },
    TestOnly {
        role: RoleName,
    },
    TestsOnly,
    NotOfTests,
    NotATest {
        role: RoleName,
        tests: String,
    },
    Placeholder(PlaceholderError),
    NoNumber(RoleName),
    AddressUnknown {
        role: RoleName,
        similar: Option<String>,
    },
    PortOfRole {
        role: RoleName,
        port: String,
    },
    NoPort,
    Signal {
        error: SignalError,
        similar: Option<&'static str>,
    },
    Reason(String),
    NotFinite(f64),
    Deep(usize),
    Name(NameError),
    Template(TemplateError),
    Pattern(SearchError),
    Retry(String),
    Uuid,
    Numberless {
        value: u64,
    },
    TooMany,
    OwnVariable(String),
    SameRole {
        role: RoleName,
        other_key: String,
        other_line: u32,
    },
    OtherPackage {
        executable: String,
        package: String,
        other: String,
        other_line: u32,
    },
    AfterUnknown {
        after: RoleName,
        similar: Option<String>,
    },
    AfterItself(RoleName),
    AfterCycle(Vec<RoleName>),
    AfterTest {
        role: RoleName,
        after: RoleName,
        tests: String,
    },
}

impl Problem {
    /// Returns the error message about a key that does not fit the kind of its
    /// role.
    fn about_kind(&self, key: &str) -> String {
        match self {
            Self::ComponentOnly { role } => {
                format!("`{key}` is for components, and `{role}` runs a program")
            }
            Self::ProgramOnly => format!("`{key}` is not for roles with `component = true`"),
            Self::NeverEnds { role } => {
                format!(
                    "`{key}` is for roles that end by themselves, and `{role}` runs until it is stopped"
                )
            }
            Self::TestOnly { role } => {
                format!("`{key}` is for test roles, and the name of `{role}` is not that of one")
            }
            Self::NotATest { role, tests } => format!(
                "`{key}` runs tests, expected a name that matches `{}`, not `{role}`",
                escaped(tests)
            ),
            Self::NotOfTests => format!("`{key}` is not for roles with a `test`"),
            _ => format!("`{key}` is for roles with a `test`"),
        }
    }

    /// Returns the error message about a port of the role itself.
    fn about_port(&self, key: &str) -> String {
        match self {
            Self::PortOfRole { role, .. } => format!(
                "`{key}` has a port of its own named `{role}`, expected a name that is not that of a role"
            ),
            _ => format!(
                "`{key}` is `listen`, expected a role with a port: use `{{port}}` in its texts, or set `ports`"
            ),
        }
    }

    /// Returns the error message about `key`, in one line.
    pub(crate) fn message(&self, key: &str) -> String {
        match self {
            Self::Syntax(reason) => format!("invalid TOML: {reason}"),
            Self::UnknownKey { expected, .. } => {
                format!(
                    "unknown key `{key}`, expected one of {}",
                    quoted_list(*expected)
                )
            }
            Self::WrongType { found, expected } => {
                format!("`{key}` is {found}, expected {expected}")
            }
            Self::WrongValue {
                found, expected, ..
            } => format!("`{key}` is `{}`, expected {expected}", escaped(found)),
            Self::NoExecutable => {
                format!(
                    "`{key}` has neither `executable` nor `program` nor `test`, expected one of them"
                )
            }
            Self::TwoKinds => {
                format!(
                    "`{key}` has two of `executable`, `program` and `test`, expected one of them"
                )
            }
            Self::ComponentOnly { .. }
            | Self::ProgramOnly
            | Self::NeverEnds { .. }
            | Self::TestOnly { .. }
            | Self::TestsOnly
            | Self::NotOfTests
            | Self::NotATest { .. } => self.about_kind(key),
            Self::Placeholder(error) => format!("{error} in `{key}`"),
            Self::NoNumber(role) => format!(
                "`{key}` contains `{{number}}`, expected a role with a number in its name, not `{role}`"
            ),
            Self::AddressUnknown { role, .. } => {
                format!("`{key}` refers to role `{role}`, expected a role that is described here")
            }
            Self::PortOfRole { .. } | Self::NoPort => self.about_port(key),
            Self::Signal { error, .. } => format!("invalid `{key}`: {error}"),
            Self::NotFinite(value) => format!(
                "`{key}` is {}, expected a finite number",
                if value.is_nan() { "nan" } else { "infinite" }
            ),
            Self::Deep(most) => {
                format!("`{key}` is nested too deeply, expected at most {most} levels")
            }
            Self::Name(error) => format!("invalid `{key}`: {error}"),
            Self::Template(error) => format!("invalid `{key}`: {error}"),
            Self::Pattern(error) => format!("invalid `{key}`: {error}"),
            Self::Retry(reason) | Self::Reason(reason) => format!("invalid `{key}`: {reason}"),
            Self::Uuid => {
                format!("`{key}` contains `{{uuid}}`, expected a name that stays the same")
            }
            Self::Numberless { value } => format!(
                "`{key}` is {value}, expected no series for a role without `{{number}}` in its name"
            ),
            Self::TooMany => {
                format!("`{key}` is one role too many, expected at most {MOST_ROLES} in all")
            }
            Self::OwnVariable(name) => format!(
                "`{key}` sets `{}`, expected a variable that is not the tool's own",
                escaped(name)
            ),
            Self::SameRole {
                role,
                other_key,
                other_line,
            } => format!(
                "`{key}` describes role `{role}`, expected a name that `{other_key}` in line {other_line} does not describe"
            ),
            Self::OtherPackage {
                executable,
                package,
                other,
                other_line,
            } => format!(
                "`{key}` is `{}`, expected `{}` as in line {other_line}, since both roles run executable `{executable}`",
                escaped(package),
                escaped(other)
            ),
            Self::AfterUnknown { after, .. } => {
                format!("`{key}` is `{after}`, expected a role that is described here")
            }
            Self::AfterItself(role) => format!("`{key}` is `{role}` itself, expected another role"),
            Self::AfterCycle(cycle) => {
                let way: Vec<String> = cycle.iter().map(|role| format!("`{role}`")).collect();
                format!(
                    "`{key}` closes a cycle: {}, expected an order in which the roles can start",
                    way.join(" after ")
                )
            }
            Self::AfterTest { role, after, tests } => format!(
                "`{key}` is test role `{after}`, expected an operational one, since `{role}` does not match `{}`",
                escaped(tests)
            ),
        }
    }

    /// Returns the remedy, in one line.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { similar, .. } | Self::WrongValue { similar, .. } => {
                similar.map(|similar| format!("did you mean `{similar}`?"))
            }
            Self::AfterUnknown { similar, .. } | Self::AddressUnknown { similar, .. } => similar
                .as_ref()
                .map(|similar| format!("did you mean `{similar}`?")),
            Self::Signal { similar, .. } => {
                similar.map(|similar| format!("did you mean `{similar}`?"))
            }
            Self::PortOfRole { role, port } => Some(format!(
                "the port of role `{role}` is `{{port:{role}/{port}}}`"
            )),
            Self::Placeholder(error) => error.hint(),
            Self::ComponentOnly { .. } => Some("use `args` and `env`".to_owned()),
            Self::TestOnly { .. } => {
                Some("use `setup` for what runs once, or a name that matches `tests`".to_owned())
            }
            Self::NeverEnds { .. } => {
                Some("set it for test roles, or for roles with `ready = \"done\"`".to_owned())
            }
            Self::ProgramOnly => Some("use `settings` and `env`".to_owned()),
            Self::Template(error) => error.hint(),
            Self::Uuid => Some("use `{number}`".to_owned()),
            Self::Numberless { .. } => {
                Some("put `{number}` into the name, in quotes: `\"client-{number}\"`".to_owned())
            }
            _ => None,
        }
    }
}
