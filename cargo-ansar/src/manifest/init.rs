//! The description that `init` proposes for a workspace without one: a role for
//! each component and for each integration test, and comments for the other
//! binaries. Comments say what the roles are, what may be added, and which
//! command comes next.
//!
//! The existing text of the manifest stays unchanged, byte for byte. Finding
//! the manifest and the targets is left to the caller.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use toml_edit::{Document, Item, Table};

use crate::manifest::DEFAULT_TESTS;
use crate::manifest::position::Lines;
use crate::model::name::{ExecutableName, NameError, RoleName, is_package_name};
use crate::model::quoted::escaped;
use crate::model::test_target::{TargetName, TestTarget};

/// A binary or an integration test of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its package.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: TargetKind,
}

/// Kind of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetKind {
    /// A binary that links `ansar-runtime` and calls its `main`.
    Component,
    /// A binary that is not a component. Its package depends on
    /// `ansar-runtime`.
    Other,
    /// A binary that Cargo left out of a build. Its package depends on
    /// `ansar-runtime`.
    NotBuilt,
    /// A binary whose package does not depend on `ansar-runtime`.
    Foreign,
    /// An integration test.
    Test,
    /// An integration test that Cargo builds only with some features.
    TestWithFeatures,
    /// An integration test with `harness = false`.
    TestWithoutHarness,
}

impl TargetKind {
    fn is_test(self) -> bool {
        matches!(
            self,
            Self::Test | Self::TestWithFeatures | Self::TestWithoutHarness
        )
    }

    /// Returns true if its role is described, and not only proposed.
    fn is_described(self) -> bool {
        matches!(self, Self::Component | Self::Test)
    }
}

/// A proposed manifest with a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The whole new text: the old one, then the description.
    pub manifest: String,
    /// Roles of the description, operational ones first.
    pub roles: Vec<Proposed>,
    /// Roles that are commented out, operational ones first. Only the user
    /// knows how to run them.
    pub programs: Vec<Proposed>,
    /// Targets that are left out.
    pub skipped: Vec<Skipped>,
}

/// A proposed role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proposed {
    /// Its name.
    pub role: RoleName,
    /// The binary that it runs, or the integration test.
    pub target: ExecutableName,
    /// True if it is an integration test.
    pub is_integration_test: bool,
}

/// A target that gets no role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its package.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: TargetKind,
    /// Reason, as a fragment of a sentence.
    pub reason: String,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.kind.is_test() {
            "integration test"
        } else {
            "binary"
        };
        let (name, package) = (escaped(&self.name), escaped(&self.package));
        let reason = &self.reason;
        write!(f, "{kind} `{name}` of package `{package}`: {reason}")
    }
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
    /// The workspace has neither a binary nor an integration test.
    #[error(
        "no package of the workspace has a binary or an integration test, expected one to run as a role"
    )]
    NoTargets,
    /// There are targets, but all were left out.
    #[error("no target can be described: {}", reasons(skipped))]
    AllSkipped {
        /// All targets.
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
            Self::Syntax { .. } | Self::NoTargets | Self::AllSkipped { .. } => None,
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
    let reasons: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

/// Proposes a role for every component and every integration test, in a manifest
/// that [`parse`](crate::manifest::parse()) accepts, and one that is commented
/// out for every other binary.
///
/// An integration test, and a binary that looks like a test, becomes the test
/// role `test-NAME`, any other binary the operational role `NAME-0`. An existing
/// description is never changed.
pub fn propose(manifest_text: &str, targets: &[Target]) -> Result<Proposal, ProposalError> {
    let newline = newline(manifest_text)?;
    let targets: BTreeSet<&Target> = targets.iter().collect();
    if targets.is_empty() {
        return Err(ProposalError::NoTargets);
    }
    let (choices, skipped) = choices(&targets);
    if choices.is_empty() {
        return Err(ProposalError::AllSkipped { skipped });
    }
    let is_described = |choice: &Choice<'_>| choice.kind.is_described();
    let (described, programs): (Vec<_>, Vec<_>) = choices.into_iter().partition(is_described);
    let mut section = section(&described);
    section.push_str(&commented(&programs));
    let proposed = |choices: Vec<Choice<'_>>| {
        let choices = choices.into_iter().map(|choice| Proposed {
            role: choice.role,
            target: choice.target,
            is_integration_test: choice.kind.is_test(),
        });
        choices.collect()
    };
    Ok(Proposal {
        manifest: appended(manifest_text, newline, &section),
        roles: proposed(described),
        programs: proposed(programs),
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

/// A role for a target.
struct Choice<'a> {
    role: RoleName,
    target: ExecutableName,
    /// Set if another package has a target of that name and sort.
    package: Option<&'a str>,
    kind: TargetKind,
    group: Group,
}

/// Group of roles that share a comment, in the order of the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Operational,
    Testing,
    IntegrationTests,
}

fn choices<'a>(targets: &BTreeSet<&'a Target>) -> (Vec<Choice<'a>>, Vec<Skipped>) {
    let sort = |target: &'a Target| (target.kind.is_test(), target.name.as_str());
    let mut owners: BTreeMap<(bool, &str), BTreeSet<&str>> = BTreeMap::new();
    for target in targets {
        owners
            .entry(sort(target))
            .or_default()
            .insert(&target.package);
    }
    let mut taken: BTreeMap<(bool, &str), &str> = BTreeMap::new();
    let mut roles = BTreeSet::new();
    let (mut choices, mut skipped) = (Vec::new(), Vec::new());
    // Components come first, and among them binaries whose names are role
    // names, which keep them.
    let mut targets: Vec<&Target> = targets.iter().copied().collect();
    let is_component = |target: &Target| target.kind == TargetKind::Component;
    targets.sort_by_key(|it| (!is_component(it), !it.name.starts_with("test-")));
    for target in targets {
        let key = sort(target);
        let shared = owners.get(&key).is_some_and(|all| all.len() > 1);
        let used = taken.get(&key).copied();
        if used == Some(target.package.as_str()) {
            continue;
        }
        match choice(target, shared, used, &roles) {
            Ok(choice) => {
                taken.insert(key, &target.package);
                roles.insert(choice.role.clone());
                choices.push(choice);
            }
            Err(reason) => skipped.push(Skipped {
                package: target.package.clone(),
                name: target.name.clone(),
                kind: target.kind,
                reason,
            }),
        }
    }
    choices.sort_by(|one, other| (one.group, &one.role).cmp(&(other.group, &other.role)));
    (choices, skipped)
}

/// Returns the role of a target, or the reason why it has none. `shared` is true
/// if several packages have a target of that name, of which package `used` has
/// got a role.
fn choice<'a>(
    target: &'a Target,
    shared: bool,
    used: Option<&str>,
    roles: &BTreeSet<RoleName>,
) -> Result<Choice<'a>, String> {
    // A home has one executable of each name; those of tests name their package.
    if let Some(used) = used.filter(|_| !target.kind.is_test()) {
        return Err(format!(
            "package `{used}` has a binary of that name, which is used"
        ));
    }
    if shared && !is_package_name(&target.package) {
        return Err("its name is not unique, and its package name is invalid".to_owned());
    }
    let package = shared.then_some(target.package.as_str());
    let group = if target.kind.is_test() {
        Group::IntegrationTests
    } else if looks_like_a_test(&target.name) {
        Group::Testing
    } else {
        Group::Operational
    };
    let reason = |error: NameError| error.to_string();
    let name: ExecutableName = target.name.parse().map_err(reason)?;
    let role = if group == Group::IntegrationTests {
        let executable = TestTarget {
            target: TargetName::Test(name.clone()),
            package: package.map(str::to_owned),
        };
        executable.executable().map_err(reason)?;
        let package = package.map(|package| format!("{package}-"));
        let name = package.unwrap_or_default() + name.as_str();
        unique(&format!("test-{name}"), &name, roles)
    } else {
        named(name.as_str(), group == Group::Testing, roles)
    };
    Ok(Choice {
        role: role.map_err(reason)?,
        target: name,
        package,
        kind: target.kind,
        group,
    })
}

/// Returns true if a word of the name suggests that the binary tests others.
fn looks_like_a_test(bin: &str) -> bool {
    bin.split(['-', '_'])
        .any(|word| ["test", "tests", "client"].contains(&word.to_ascii_lowercase().as_str()))
}

/// Returns the role of a binary. The role of a test matches the default
/// pattern.
fn named(bin: &str, test: bool, others: &BTreeSet<RoleName>) -> Result<RoleName, NameError> {
    let role = match (test, bin.starts_with("test-")) {
        (true, true) => bin.to_owned(),
        (true, false) => format!("test-{bin}"),
        (false, _) => format!("{bin}-0"),
    };
    unique(&role, bin, others)
}

/// Returns a role that is not among the others. A binary `client`, a binary
/// `test-client` and an integration test `client` would all become
/// `test-client`.
fn unique(role: &str, target: &str, others: &BTreeSet<RoleName>) -> Result<RoleName, NameError> {
    let mut number = 0_u32;
    let mut role: RoleName = role.parse()?;
    while others.contains(&role) {
        number += 1;
        role = format!("test-{target}-{number}").parse()?;
    }
    Ok(role)
}

/// Returns the description, with lines that end in `\n`.
fn section(choices: &[Choice<'_>]) -> String {
    let next = if choices.iter().any(|it| it.group != Group::Operational) {
        "# Next: `cargo ansar test`, or `cargo ansar watch` to test again at every save.\n"
    } else if choices.is_empty() {
        ""
    } else {
        "# Next: `cargo ansar run`, until Control-C.\n"
    };
    let mut text = format!(
        "# The processes of this workspace, for `cargo ansar`. A role whose name matches `tests` is a\n\
         # test; all others run while the tests run.\n\
         {next}[workspace.metadata.ansar]\ntests = \"{DEFAULT_TESTS}\"\n"
    );
    let mut last = None;
    for choice in choices {
        let is_first = last.replace(choice.group) != Some(choice.group);
        let comment = is_first.then(|| comment(choice.group, &choice.role));
        let _ = write!(text, "\n{}{}", comment.unwrap_or_default(), table(choice));
    }
    text
}

/// Explains the roles of a group, of which `first` is the first one.
fn comment(group: Group, first: &RoleName) -> String {
    match group {
        Group::Operational => format!(
            "# Components: they link `ansar-runtime`. You may add `settings = {{ … }}`, `env = {{ … }}` and\n\
             # `after = [\"ROLE\"]`, the roles that must be ready first.\n\
             # Next: `cargo ansar run {first}`, and `cargo ansar log {first}` in another terminal.\n"
        ),
        Group::Testing => format!(
            "# Components that test the others. You may add `settings = {{ … }}`, and\n\
             # `retry = {{ first_steps = [1.0, 2.0] }}` for one that returns `Maybe`.\n\
             # Next: `cargo ansar test {first}`.\n"
        ),
        Group::IntegrationTests => format!(
            "# Integration tests, as they are. The address of a role `api-0` with a `{{port}}` is in\n\
             # `ANSAR_API_0_ADDRESS`. You may add `after = [\"ROLE\"]` and `filter = [\"PART OF A NAME\"]`.\n\
             # Next: `cargo ansar test {first}`.\n"
        ),
    }
}

/// Returns the table of a role.
fn table(choice: &Choice<'_>) -> String {
    let Choice { role, target, .. } = choice;
    let key = match choice.group {
        Group::IntegrationTests => "test",
        Group::Operational | Group::Testing => "executable",
    };
    // These names need no quotes in TOML.
    let mut text = format!("[workspace.metadata.ansar.role.{role}]\n{key} = \"{target}\"\n");
    if let Some(package) = choice.package {
        // Writing to a string does not fail.
        let _ = writeln!(text, "package = {}", toml_edit::Value::from(package));
    }
    text
}

/// Explains roles that are commented out.
const PROGRAMS: &str = "
# Others, which only you know how to run. To make one a role, remove the `# ` before its
# lines, and add what it needs, such as:
#   args = [\"--port\", \"{port}\"]    a port of its own; the role is ready when it listens there
#   env = { PORT = \"{port}\" }      the same, by a variable
#   ready = \"done\"                 for one that ends by itself, such as a migration
#   after = [\"ROLE\"]               roles that must be ready first
";

/// Returns the roles of programs, commented out. They are valid once the
/// comment signs are removed.
fn commented(programs: &[Choice<'_>]) -> String {
    let Some(first) = programs.first() else {
        return String::new();
    };
    let command = if first.group == Group::Operational {
        "run"
    } else {
        "test"
    };
    let role = &first.role;
    let mut text = format!("{PROGRAMS}# Next: `cargo ansar {command} {role}`.\n");
    for choice in programs {
        text.push('\n');
        for line in table(choice).lines() {
            let _ = writeln!(text, "# {line}");
        }
        text.push_str(match choice.kind {
            TargetKind::NotBuilt => {
                "# It was not built: the features that it requires are not enabled.\n"
            }
            TargetKind::TestWithFeatures => {
                "# It requires features: name them in `[workspace.metadata.ansar.build]`.\n"
            }
            TargetKind::TestWithoutHarness => {
                "# It has a harness of its own, which is also started with `--list`.\n"
            }
            _ => "",
        });
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
