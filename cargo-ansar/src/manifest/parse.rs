//! Parsing a description from the text of a manifest.
//!
//! This module knows the keys and the values that each may have. `validate`
//! checks rules between roles; `node` knows positions and types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ansar_contract::retry::Retry;
use jiff::fmt::friendly::SpanParser;
use toml_edit::Document;

use crate::logs::store::LEAST_STORAGE;
use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::{Node, Source};
use crate::manifest::validate::{After, Declaration, Declared, checked};
use crate::manifest::{DEFAULT_TESTS, DeployMode, Description, RoleSpec};
use crate::model::name::{ExecutableName, RoleName, is_package_name};
use crate::model::name_template::{MOST_ROLES, RoleTemplate, Series, Variable};
use crate::model::restart_policy::Restart;
use crate::model::role_properties::RoleProperties;
use crate::model::role_search::RolePattern;

const KEYS: &[&str] = &[
    "tests",
    "snapshot",
    "home",
    "deploy",
    "analyzer",
    "retries",
    "slow-timeout",
    "role",
];

const ROLE_KEYS: &[&str] = &[
    "executable",
    "package",
    "settings",
    "input",
    "env",
    "timeout",
    "after",
    "retry",
    "restart",
    "storage",
    "start",
    "count",
    "step",
];

const RETRY_KEYS: &[&str] = &[
    "first_steps",
    "regular_steps",
    "step_limit",
    "randomized",
    "truncated",
];

const RESTARTS: [(&str, Restart); 3] = [
    ("never", Restart::Never),
    ("on-failure", Restart::OnFailure),
    ("always", Restart::Always),
];

/// Longest timeout, as for the steps of a retry.
const LONGEST: Duration = Duration::from_hours(366 * 24);

pub(crate) fn parse(manifest: &Path, text: &str) -> Result<Document<String>, DescriptionError> {
    Document::parse(text.to_owned()).map_err(|error| {
        let at = error
            .span()
            .map_or_else(|| unplaced(text), |span| span.start);
        let problem = Problem::Syntax(error.message().to_owned());
        Source::new(manifest, text).error(at, "", &problem)
    })
}

/// Returns the position of an error for which the parser gives none: the first
/// character up to which the text has such an error.
fn unplaced(text: &str) -> usize {
    let has_mistake = |end: &usize| {
        let parsed = Document::parse(&text[..*end]);
        parsed.is_err_and(|error| error.span().is_none())
    };
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let first = ends.partition_point(|end| !has_mistake(end));
    ends[..first].last().copied().unwrap_or(0)
}

/// Returns the error for a manifest that is valid UTF-8 only up to the end of
/// `before`.
pub(crate) fn not_text(manifest: &Path, before: &str) -> DescriptionError {
    let problem = Problem::Syntax("not UTF-8".to_owned());
    Source::new(manifest, before).error(before.len(), "", &problem)
}

pub(crate) fn read(
    manifest: &Path,
    document: &Document<String>,
) -> Result<Option<Description>, DescriptionError> {
    let source = Source::new(manifest, document.raw());
    let root = Node::root(&source, document.as_table());
    let ansar = root
        .get("workspace")
        .and_then(|workspace| workspace.get("metadata"))
        .and_then(|metadata| metadata.get("ansar"));
    ansar.map(|ansar| description(&source, &ansar)).transpose()
}

fn description(source: &Source<'_>, ansar: &Node<'_>) -> Result<Description, DescriptionError> {
    let mut tests = None;
    let mut snapshot = None;
    let mut home = None;
    let mut deploy = DeployMode::default();
    let mut analyzer = None;
    let mut retries = None;
    let mut slow_timeout = None;
    let mut declared = Declared::default();
    for node in ansar.entries("a table of `tests`, `role` and others")? {
        match node.name {
            "tests" => tests = Some(pattern(&node)?),
            "snapshot" => snapshot = Some(folder(&node)?),
            "home" => home = Some(folder(&node)?),
            "deploy" => {
                let words = [("link", DeployMode::Link), ("copy", DeployMode::Copy)];
                deploy = node.word(&words, "`link` or `copy`")?;
            }
            "analyzer" => analyzer = Some(executable_name(&node)?),
            "retries" => retries = Some(node.count("an integer from 0 to 4294967295")?),
            "slow-timeout" => slow_timeout = Some(duration(&node)?),
            "role" => {
                for role in node.entries("a table of roles by name")? {
                    declare(source, &role, &mut declared)?;
                }
            }
            _ => return Err(node.unknown_key(KEYS)),
        }
    }
    let tests = match tests {
        Some(tests) => tests,
        None => RolePattern::parse(DEFAULT_TESTS)
            .map_err(|error| ansar.value_error(&Problem::Pattern(error)))?,
    };
    Ok(Description {
        roles: checked(source, declared, &tests)?,
        tests,
        snapshot,
        home,
        deploy,
        analyzer,
        retries,
        slow_timeout,
    })
}

/// Reads one table of roles, which is one role or the series of a template.
fn declare(
    source: &Source<'_>,
    node: &Node<'_>,
    declared: &mut Declared,
) -> Result<(), DescriptionError> {
    let mut executable = None;
    let mut package_at = node.key_at;
    let mut package = None;
    let mut settings = serde_json::Map::new();
    let mut input = None;
    let mut properties = RoleProperties::default();
    let mut after = Vec::new();
    let mut series = Series::default();
    let mut in_series = Vec::new();
    for field in node.entries("a table that describes a role")? {
        match field.name {
            "executable" => executable = Some(executable_name(&field)?),
            "package" => {
                package = Some(package_name(&field)?);
                package_at = field.value_at;
            }
            "settings" => settings = field.object("a table of settings")?,
            "input" => input = Some(field.json()?),
            "env" => properties.env = environment(&field)?,
            "timeout" => properties.timeout = Some(duration(&field)?.as_secs_f64()),
            "after" => after = roles(&field)?,
            "retry" => properties.retry = Some(retry(&field)?),
            "restart" => {
                let restart = field.word(&RESTARTS, "`never`, `on-failure` or `always`")?;
                properties.restart = Some(restart);
            }
            "storage" => properties.storage = Some(bytes(&field)?),
            "start" | "count" | "step" => {
                let value = field.count("an integer from 0")?;
                match field.name {
                    "start" => series.start = value,
                    "count" => series.count = value,
                    _ => series.step = value,
                }
                in_series.push((field, value));
            }
            _ => return Err(field.unknown_key(ROLE_KEYS)),
        }
    }
    let executable = executable.ok_or_else(|| node.key_error(&Problem::NoExecutable))?;
    let names = names(node, &executable, series, &in_series)?;
    if declared.roles.len() + names.len() > usize::try_from(MOST_ROLES).unwrap_or(usize::MAX) {
        return Err(node.key_error(&Problem::TooMany));
    }
    let line = source.line(node.key_at);
    let nth = declared.declarations.len();
    properties.after = after.iter().map(|after| after.role.clone()).collect();
    for name in names {
        let spec = RoleSpec {
            name,
            executable: executable.clone(),
            package: package.clone(),
            settings: settings.clone(),
            input: input.clone(),
            properties: properties.clone(),
            line,
        };
        declared.roles.push((nth, spec));
    }
    declared.declarations.push(Declaration {
        key: node.key.clone(),
        at: node.key_at,
        package_at,
        after,
    });
    Ok(())
}

/// Returns the role names that a key stands for.
fn names(
    node: &Node<'_>,
    executable: &ExecutableName,
    series: Series,
    in_series: &[(Node<'_>, u64)],
) -> Result<Vec<RoleName>, DescriptionError> {
    if !node.name.contains(['{', '}']) {
        // The common case: a plain name.
        no_series(series, in_series)?;
        let name: RoleName = node
            .name
            .parse()
            .map_err(|error| node.key_error(&Problem::Name(error)))?;
        return Ok(vec![name]);
    }
    let template: RoleTemplate = node
        .name
        .parse()
        .map_err(|error| node.key_error(&Problem::Template(error)))?;
    if template.uses(Variable::Uuid) {
        return Err(node.key_error(&Problem::Uuid));
    }
    if !template.uses(Variable::Number) {
        no_series(series, in_series)?;
    }
    template
        .expand_all(executable, series, String::new)
        .map_err(|error| node.key_error(&Problem::Template(error)))
}

/// Checks that a role without a number has no series; it may spell out the
/// defaults.
fn no_series(series: Series, in_series: &[(Node<'_>, u64)]) -> Result<(), DescriptionError> {
    let Series { start, count, step } = Series::default();
    if series == Series::default() {
        return Ok(());
    }
    for (field, value) in in_series {
        let default = match field.name {
            "start" => start,
            "count" => count,
            _ => step,
        };
        if *value != default {
            return Err(field.value_error(&Problem::Numberless { value: *value }));
        }
    }
    Ok(())
}

fn pattern(node: &Node<'_>) -> Result<RolePattern, DescriptionError> {
    let text = node.string("a regular expression over role names")?;
    RolePattern::parse(text).map_err(|error| node.value_error(&Problem::Pattern(error)))
}

fn folder(node: &Node<'_>) -> Result<PathBuf, DescriptionError> {
    const EXPECTED: &str = "the path of a folder, absolute or relative to the workspace root";
    let text = node.string(EXPECTED)?;
    if text.is_empty() || text.contains('\0') {
        return Err(node.wrong_value(text, EXPECTED));
    }
    Ok(PathBuf::from(text))
}

fn executable_name(node: &Node<'_>) -> Result<ExecutableName, DescriptionError> {
    let text = node.string("the name of a binary")?;
    text.parse()
        .map_err(|error| node.value_error(&Problem::Name(error)))
}

fn package_name(node: &Node<'_>) -> Result<String, DescriptionError> {
    const EXPECTED: &str = "the name of a package";
    let text = node.string(EXPECTED)?;
    if is_package_name(text) {
        Ok(text.to_owned())
    } else {
        Err(node.wrong_value(text, EXPECTED))
    }
}

fn environment(node: &Node<'_>) -> Result<BTreeMap<String, String>, DescriptionError> {
    let mut variables = BTreeMap::new();
    for variable in node.entries("a table of environment variables")? {
        let name = variable.name;
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(variable.key_error(&Problem::WrongValue {
                found: name.to_owned(),
                expected: "the name of a variable, not empty and without `=` and NUL",
                similar: None,
            }));
        }
        if name.starts_with("ANSAR_") || name == "NOTIFY_SOCKET" {
            return Err(variable.key_error(&Problem::OwnVariable(name.to_owned())));
        }
        let value = variable.string("a string")?;
        if value.contains('\0') {
            return Err(variable.wrong_value(value, "a string without NUL"));
        }
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

fn duration(node: &Node<'_>) -> Result<Duration, DescriptionError> {
    const EXPECTED: &str = "a duration such as `30s`, `1m30s` or `500ms`";
    let text = node.string(EXPECTED)?;
    let duration = SpanParser::new()
        .parse_unsigned_duration(text)
        .map_err(|_| node.wrong_value(text, EXPECTED))?;
    if duration.is_zero() || duration > LONGEST {
        return Err(node.wrong_value(text, "a duration of more than zero and at most a year"));
    }
    Ok(duration)
}

fn bytes(node: &Node<'_>) -> Result<u64, DescriptionError> {
    const EXPECTED: &str = "a number of bytes, 65536 at least";
    let bytes: u64 = node.count(EXPECTED)?;
    if bytes < LEAST_STORAGE {
        return Err(node.wrong_value(&bytes.to_string(), EXPECTED));
    }
    Ok(bytes)
}

fn roles(node: &Node<'_>) -> Result<Vec<After>, DescriptionError> {
    let mut roles: Vec<After> = Vec::new();
    for element in node.elements("an array of role names")? {
        let text = element.string("the name of a role")?;
        let role: RoleName = text
            .parse()
            .map_err(|error| element.value_error(&Problem::Name(error)))?;
        if roles.iter().all(|after| after.role != role) {
            roles.push(After {
                role,
                key: element.key,
                at: element.value_at,
            });
        }
    }
    Ok(roles)
}

fn retry(node: &Node<'_>) -> Result<Retry, DescriptionError> {
    const SECONDS: &str = "a number of seconds";
    let mut retry = Retry::default();
    for field in node.entries("a table that describes a retry policy")? {
        match field.name {
            "first_steps" => {
                for step in field.elements("an array of numbers of seconds")? {
                    retry.first_steps.push(step.number(SECONDS)?);
                }
            }
            "regular_steps" => retry.regular_steps = Some(field.number(SECONDS)?),
            "step_limit" => {
                retry.step_limit = Some(field.count("an integer from 0 to 4294967295")?);
            }
            "randomized" => retry.randomized = Some(field.number(SECONDS)?),
            "truncated" => retry.truncated = Some(field.number("a number from 0 to 1")?),
            _ => return Err(field.unknown_key(RETRY_KEYS)),
        }
        // Checked after each field, so that the error has the position of its
        // cause.
        retry
            .check()
            .map_err(|reason| field.value_error(&Problem::Retry(reason)))?;
    }
    Ok(retry)
}
