//! The description that `init` proposes for a workspace without one: a role for
//! each component, and comments for the other binaries.
//!
//! The existing text of the manifest stays unchanged, byte for byte. Finding
//! the manifest and the binaries is left to the caller.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use toml_edit::{Document, Item, Table};

use crate::manifest::DEFAULT_TESTS;
use crate::manifest::position::Lines;
use crate::model::name::{ExecutableName, NameError, RoleName, is_package_name};
use crate::model::quoted::escaped;

/// A binary of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bin {
    /// Its package.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Its relation to `ansar-runtime`.
    pub kind: BinKind,
}

/// Relation of a binary to `ansar-runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BinKind {
    /// It links `ansar-runtime` and calls its `main`.
    Component,
    /// Its package depends on `ansar-runtime`, and the binary is not a
    /// component.
    Other,
    /// Its package depends on `ansar-runtime`, and Cargo left the binary out of
    /// a build.
    NotBuilt,
    /// Its package does not depend on `ansar-runtime`.
    Foreign,
}

/// A proposed manifest with a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The whole new text: the old one, then the description.
    pub manifest: String,
    /// Roles of the description, operational ones first.
    pub roles: Vec<(RoleName, ExecutableName)>,
    /// Roles that are commented out, operational ones first. Their binaries are
    /// not components, so that only the user knows how to run them.
    pub programs: Vec<(RoleName, ExecutableName)>,
    /// Binaries that are left out.
    pub skipped: Vec<Skipped>,
}

/// A binary that gets no role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its package.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Reason, as a fragment of a sentence.
    pub reason: String,
}

/// Reason for proposing nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// The manifest is not valid TOML.
    #[error("invalid TOML in line {line}, column {column}: {reason}")]
    Syntax {
        /// Line, from 1.
        line: u32,
        /// Column in characters, from 1.
        column: u32,
        /// Message of the TOML parser.
        reason: String,
    },
    /// The manifest has a description already.
    #[error("`[workspace.metadata.ansar]` exists in line {line}, expected a manifest without it")]
    Exists {
        /// Line, from 1.
        line: u32,
    },
    /// `workspace` or `workspace.metadata` is written in a form to which no
    /// table can be appended.
    #[error("`{key}` in line {line} is not a table with its own header, expected `[{key}]`")]
    NoHeader {
        /// The key.
        key: &'static str,
        /// Line, from 1.
        line: u32,
    },
    /// The manifest describes a role of the same name.
    #[error("role `{role}` exists in line {line}")]
    RoleExists {
        /// The role.
        role: RoleName,
        /// Line, from 1.
        line: u32,
    },
    /// The workspace has no binary.
    #[error("no package of the workspace has a binary, expected one to run as a role")]
    NoBinaries,
    /// There are binaries, but all were left out.
    #[error("no binary can be described: {}", reasons(skipped))]
    AllSkipped {
        /// All binaries.
        skipped: Vec<Skipped>,
    },
}

impl ProposalError {
    /// Returns the remedy, if one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoHeader { key, .. } => {
                Some(format!("write it as a table that begins with `[{key}]`"))
            }
            Self::Exists { .. } => Some(
                "edit it there, and see what it says with `cargo ansar test --list`".to_owned(),
            ),
            Self::RoleExists { .. } => {
                Some("rename or remove it, then translate the file again".to_owned())
            }
            Self::Syntax { .. } | Self::NoBinaries | Self::AllSkipped { .. } => None,
        }
    }
}

impl ProposalError {
    /// Returns the error for an existing description to which no table can be
    /// appended.
    pub(crate) fn without_header(self) -> Self {
        match self {
            Self::Exists { line } => Self::NoHeader {
                key: "workspace.metadata.ansar",
                line,
            },
            other => other,
        }
    }
}

fn reasons(skipped: &[Skipped]) -> String {
    let reasons: Vec<String> = skipped
        .iter()
        .map(|bin| format!("`{}`: {}", escaped(&bin.name), bin.reason))
        .collect();
    reasons.join("; ")
}

/// Proposes a role for every component, in a manifest that
/// [`parse`](crate::manifest::parse()) accepts, and one that is commented out
/// for every other binary.
///
/// A binary that looks like a test becomes the test role `test-NAME`, any other
/// the operational role `NAME-0`. An existing description is never changed.
pub fn propose(manifest_text: &str, bins: &[Bin]) -> Result<Proposal, ProposalError> {
    let newline = newline(manifest_text)?;
    let bins: BTreeSet<&Bin> = bins.iter().collect();
    if bins.is_empty() {
        return Err(ProposalError::NoBinaries);
    }
    let (choices, skipped) = choices(&bins);
    if choices.is_empty() {
        return Err(ProposalError::AllSkipped { skipped });
    }
    let is_component = |choice: &Choice<'_>| choice.kind == BinKind::Component;
    let (components, programs): (Vec<_>, Vec<_>) = choices.into_iter().partition(is_component);
    let mut section = section(&components);
    section.push_str(&commented(&programs));
    let names = |choices: Vec<Choice<'_>>| {
        let names = choices.into_iter();
        names
            .map(|choice| (choice.role, choice.executable))
            .collect()
    };
    Ok(Proposal {
        manifest: appended(manifest_text, newline, &section),
        roles: names(components),
        programs: names(programs),
        skipped,
    })
}

/// Checks that a description can be appended to a manifest.
pub fn check(manifest_text: &str) -> Result<(), ProposalError> {
    newline(manifest_text).map(drop)
}

/// Checks that a description can be appended to a manifest, and returns its
/// line ending.
pub(crate) fn newline(text: &str) -> Result<&'static str, ProposalError> {
    let lines = Lines::new(text);
    let document = Document::parse(text).map_err(|error| {
        let (line, column) = lines.place(error.span().map_or(0, |span| span.start));
        let reason = error.message().to_owned();
        ProposalError::Syntax {
            line,
            column,
            reason,
        }
    })?;
    let line_of = |table: &Table, name: &str| {
        let span = table.key(name).and_then(toml_edit::Key::span);
        lines.place(span.map_or(0, |span| span.start)).0
    };
    let no_header = |table, name, key| ProposalError::NoHeader {
        key,
        line: line_of(table, name),
    };
    let existing = |metadata: &Item| metadata.get("ansar").is_some();
    let root = document.as_table();
    match root.get("workspace") {
        None => {}
        Some(Item::Table(workspace)) => match workspace.get("metadata") {
            Some(Item::Table(metadata)) if metadata.contains_key("ansar") => {
                let line = line_of(metadata, "ansar");
                return Err(ProposalError::Exists { line });
            }
            None | Some(Item::Table(_)) => {}
            Some(metadata) if existing(metadata) => {
                let line = line_of(workspace, "metadata");
                return Err(ProposalError::Exists { line });
            }
            Some(_) => return Err(no_header(workspace, "metadata", "workspace.metadata")),
        },
        Some(workspace) if workspace.get("metadata").is_some_and(existing) => {
            let line = line_of(root, "workspace");
            return Err(ProposalError::Exists { line });
        }
        Some(_) => return Err(no_header(root, "workspace", "workspace")),
    }
    let first = text.find('\n').map_or("", |end| &text[..end]);
    Ok(if first.ends_with('\r') { "\r\n" } else { "\n" })
}

/// A role for a binary.
struct Choice<'a> {
    role: RoleName,
    executable: ExecutableName,
    /// Set if another package has a binary of that name.
    package: Option<&'a str>,
    kind: BinKind,
    is_test: bool,
}

fn choices<'a>(bins: &BTreeSet<&'a Bin>) -> (Vec<Choice<'a>>, Vec<Skipped>) {
    let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for bin in bins {
        owners.entry(&bin.name).or_default().insert(&bin.package);
    }
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let mut roles = BTreeSet::new();
    let (mut choices, mut skipped) = (Vec::new(), Vec::new());
    // Components come first, and among them binaries whose names are role
    // names, which keep them.
    let mut bins: Vec<&&Bin> = bins.iter().collect();
    let is_program = |bin: &Bin| bin.kind != BinKind::Component;
    bins.sort_by_key(|bin| (is_program(bin), !bin.name.starts_with("test-")));
    for bin in bins {
        let mut skip = |reason: String| {
            skipped.push(Skipped {
                package: bin.package.clone(),
                name: bin.name.clone(),
                reason,
            });
        };
        // A home has one executable of each name.
        if let Some(other) = taken.get(bin.name.as_str()) {
            if *other != bin.package {
                skip(format!(
                    "package `{other}` has a binary of that name, which is used"
                ));
            }
            continue;
        }
        let shared = owners
            .get(bin.name.as_str())
            .is_some_and(|all| all.len() > 1);
        if shared && !is_package_name(&bin.package) {
            skip("its name is not unique, and its package name is invalid".to_owned());
            continue;
        }
        let test = looks_like_a_test(&bin.name);
        match named(&bin.name, test, &roles) {
            Ok((role, executable)) => {
                taken.insert(&bin.name, &bin.package);
                roles.insert(role.clone());
                choices.push(Choice {
                    role,
                    executable,
                    package: shared.then_some(bin.package.as_str()),
                    kind: bin.kind,
                    is_test: test,
                });
            }
            Err(error) => skip(error.to_string()),
        }
    }
    choices.sort_by(|one, other| (one.is_test, &one.role).cmp(&(other.is_test, &other.role)));
    (choices, skipped)
}

/// Returns true if a word of the name suggests that the binary tests others.
fn looks_like_a_test(bin: &str) -> bool {
    bin.split(['-', '_'])
        .any(|word| ["test", "tests", "client"].contains(&word.to_ascii_lowercase().as_str()))
}

/// Returns the role of a binary. The role of a test matches the default
/// pattern, and is unique.
fn named(
    bin: &str,
    test: bool,
    others: &BTreeSet<RoleName>,
) -> Result<(RoleName, ExecutableName), NameError> {
    let executable: ExecutableName = bin.parse()?;
    let role = match (test, bin.starts_with("test-")) {
        (true, true) => bin.to_owned(),
        (true, false) => format!("test-{bin}"),
        (false, _) => format!("{bin}-0"),
    };
    // `client` and `test-client` would both become `test-client`.
    let mut number = 0_u32;
    let mut role: RoleName = role.parse()?;
    while others.contains(&role) {
        number += 1;
        role = format!("test-{bin}-{number}").parse()?;
    }
    Ok((role, executable))
}

/// Returns the description, with lines that end in `\n`.
fn section(choices: &[Choice<'_>]) -> String {
    let mut text = format!("[workspace.metadata.ansar]\ntests = \"{DEFAULT_TESTS}\"\n");
    for choice in choices {
        text.push_str(&table(choice));
    }
    text
}

/// Returns the table of a role, after an empty line.
fn table(choice: &Choice<'_>) -> String {
    let Choice {
        role, executable, ..
    } = choice;
    // These names need no quotes in TOML.
    let mut text =
        format!("\n[workspace.metadata.ansar.role.{role}]\nexecutable = \"{executable}\"\n");
    if let Some(package) = choice.package {
        // Writing to a string does not fail.
        let _ = writeln!(text, "package = {}", toml_edit::Value::from(package));
    }
    text
}

/// Explains the keys of a program.
const PROGRAMS: &str = "
# Other binaries. To make one a role, remove `# ` in front of its lines and fill in:
#   args    its arguments, such as [\"--port\", \"{port}\"]
#   env     its variables, such as { PORT = \"{port}\" }
#   ready   \"started\", \"listen\", \"done\" or { http = \"http://{address}/health\" }
#   after   roles that must be ready before it starts
";

/// Returns the roles of programs, commented out. They are valid once the
/// comment signs are removed.
fn commented(programs: &[Choice<'_>]) -> String {
    if programs.is_empty() {
        return String::new();
    }
    let mut text = PROGRAMS.to_owned();
    for choice in programs {
        let mut lines = table(choice);
        lines.push_str("args = []\nenv = {}\n");
        // The exit code of a test is its verdict.
        if !choice.is_test {
            lines.push_str("ready = \"started\"\n");
        }
        lines.push_str("after = []\n");
        for line in lines.lines() {
            match line {
                "" => text.push('\n'),
                line => {
                    let _ = writeln!(text, "# {line}");
                }
            }
        }
        if choice.kind == BinKind::NotBuilt {
            text.push_str("# It was not built: the features that it requires are not enabled.\n");
        }
    }
    text
}

/// Appends a section to a manifest after an empty line. Edits the text, because
/// writing a parsed document would change its line endings.
pub(crate) fn appended(manifest: &str, newline: &str, section: &str) -> String {
    let mut text = manifest.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(newline);
    }
    if !text.is_empty() && !text.ends_with("\n\n") && !text.ends_with("\n\r\n") {
        text.push_str(newline);
    }
    text.push_str(&section.replace('\n', newline));
    text
}
