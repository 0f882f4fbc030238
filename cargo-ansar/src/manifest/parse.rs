//! Parsing a description from the text of a manifest.
//!
//! This module knows the keys that are no properties of roles (those are in
//! `properties`) and the values that each may have. `validate`
//! checks rules between roles; `node` knows positions and types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use toml_edit::Document;

use crate::manifest::build;
use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::{Node, Source};
use crate::manifest::on;
use crate::manifest::properties::{PROPERTIES, Property, Roles};
use crate::manifest::test;
use crate::manifest::validate::{Declaration, Declared, checked};
use crate::manifest::values;
use crate::manifest::values::{Texts, duration, package_name};
use crate::manifest::{DEFAULT_TESTS, DeployMode, Description, RoleSpec};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::name_template::{MOST_ROLES, RoleTemplate, Series, Variable};
use crate::model::role_properties::RoleProperties;
use crate::model::role_search::RolePattern;
use crate::model::test_target::TestTarget;

const KEYS: &[&str] = &[
    "tests",
    "snapshot",
    "home",
    "deploy",
    "analyzer",
    "retries",
    "slow-timeout",
    "env",
    "env-file",
    "network",
    "build",
    "on",
    "role",
];

/// The keys of a role: those below, and the properties that can be set.
static ROLE_KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let properties = PROPERTIES
        .iter()
        .filter(|property| property.change.is_some());
    let first = [
        "executable",
        "program",
        "test",
        "package",
        "settings",
        "input",
    ];
    let names = properties.map(|property| property.name);
    let series = ["start", "count", "step"];
    first.into_iter().chain(names).chain(series).collect()
});

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
    let mut in_env = Texts::default();
    let mut env = BTreeMap::new();
    let mut env_file = Vec::new();
    let mut network = None;
    let mut build = build::Read::default();
    let mut on = BTreeMap::new();
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
            "env" => env = in_env.environment(&node)?,
            "env-file" => env_file = values::env_files(&node)?,
            "network" => network = Some(values::network(&node)?),
            "build" => build = build::read(&node)?,
            "on" => on = on::read(&node)?,
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
    declared.references = in_env.references;
    declared.own_ports = in_env.own_ports;
    let mut roles = checked(source, declared, &tests)?;
    for RoleSpec { properties, .. } in &mut roles {
        let own = std::mem::replace(&mut properties.env, env.clone());
        properties.env.extend(own);
        properties.env_file.splice(..0, env_file.iter().cloned());
        properties.network = properties.network.or(network);
    }
    Ok(Description {
        snapshot,
        home,
        deploy,
        analyzer,
        retries,
        slow_timeout,
        env,
        env_file,
        network,
        build: build.checked(source, &roles, &tests)?,
        on,
        tests,
        roles,
    })
}

/// The keys of one table of roles.
#[derive(Default)]
struct Fields<'a> {
    executable: Option<ExecutableName>,
    program: Vec<String>,
    package: Option<String>,
    package_at: usize,
    settings: serde_json::Map<String, serde_json::Value>,
    input: Option<serde_json::Value>,
    properties: RoleProperties,
    texts: Texts,
    series: Series,
    in_series: Vec<(Node<'a>, u64)>,
    /// The first key, with its position, that only such roles have.
    kinds: BTreeMap<Roles, (String, usize)>,
}

/// Reads one table of roles, which is one role or the series of a template.
fn declare(
    source: &Source<'_>,
    node: &Node<'_>,
    declared: &mut Declared,
) -> Result<(), DescriptionError> {
    let mut fields = Fields {
        package_at: node.key_at,
        ..Fields::default()
    };
    let mut label = None;
    let mut target = None;
    for field in node.entries("a table that describes a role")? {
        match field.name {
            "executable" => fields.executable = Some(executable_name(&field)?),
            "program" => {
                let (program, name) = values::program(&field)?;
                fields.program = program;
                label = Some(name);
            }
            "test" => target = Some((test::target(&field)?, field)),
            _ => fields.read(field)?,
        }
    }
    let executable = match (fields.executable.take(), label, target) {
        (Some(executable), None, None) | (None, Some(executable), None) => executable,
        (None, None, Some((target, field))) => fields.tested(target, &field)?,
        (None, None, None) => return Err(node.key_error(&Problem::NoExecutable)),
        _ => return Err(node.key_error(&Problem::TwoKinds)),
    };
    fields.check(source, node)?;
    let names = names(node, &executable, fields.series, &fields.in_series)?;
    if declared.roles.len() + names.len() > usize::try_from(MOST_ROLES).unwrap_or(usize::MAX) {
        return Err(node.key_error(&Problem::TooMany));
    }
    fields.texts.check_numbers(node, &names)?;
    let line = source.line(node.key_at);
    let nth = declared.declarations.len();
    fields.properties.program = fields.program;
    for name in names {
        let spec = RoleSpec {
            name,
            executable: executable.clone(),
            package: fields.package.clone(),
            settings: fields.settings.clone(),
            input: fields.input.clone(),
            properties: fields.properties.clone(),
            line,
        };
        declared.roles.push((nth, spec));
    }
    declared.declarations.push(Declaration {
        key: node.key.clone(),
        at: node.key_at,
        package_at: fields.package_at,
        after: fields.texts.after,
        for_ends: fields.kinds.remove(&Roles::Ending),
        for_tests: fields.kinds.remove(&Roles::Tests),
        fresh: fields.texts.fresh,
        references: fields.texts.references,
        own_ports: fields.texts.own_ports,
    });
    Ok(())
}

impl<'a> Fields<'a> {
    /// Sets the test target of the role, and returns its executable.
    fn tested(
        &mut self,
        mut target: TestTarget,
        field: &Node<'_>,
    ) -> Result<ExecutableName, DescriptionError> {
        if target.package.is_none() {
            target.package.clone_from(&self.package);
        }
        let executable = target.executable();
        let executable = executable.map_err(|error| field.value_error(&Problem::Name(error)))?;
        self.package = None;
        self.properties.test = Some(target);
        Ok(executable)
    }

    /// Reads one key.
    fn read(&mut self, field: Node<'a>) -> Result<(), DescriptionError> {
        match field.name {
            "package" => {
                self.package = Some(package_name(&field)?);
                self.package_at = field.value_at;
            }
            "settings" => {
                self.note(Roles::Components, &field);
                self.settings = field.object("a table of settings")?;
                self.texts.note_settings(&field);
            }
            "input" => {
                self.note(Roles::Components, &field);
                self.input = Some(field.json()?);
            }
            "start" | "count" | "step" => {
                let value = field.count("an integer from 0")?;
                match field.name {
                    "start" => self.series.start = value,
                    "count" => self.series.count = value,
                    _ => self.series.step = value,
                }
                self.in_series.push((field, value));
            }
            name => {
                let Some((property, change)) = Property::settable(name) else {
                    return Err(field.unknown_key(&ROLE_KEYS));
                };
                self.note(property.roles, &field);
                change.describe(&mut self.properties, &field, &mut self.texts)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, roles: Roles, field: &Node<'_>) {
        let key = (field.key.clone(), field.key_at);
        self.kinds.entry(roles).or_insert(key);
    }

    /// Checks keys against the kind of the role.
    fn check(&self, source: &Source<'_>, node: &Node<'_>) -> Result<(), DescriptionError> {
        let is_tests = self.properties.test.is_some();
        let component = self.properties.component;
        let is_foreign = is_tests || !self.program.is_empty() || component == Some(false);
        let role = node.name.to_owned();
        for (roles, is_wrong, problem) in [
            (Roles::TestTargets, !is_tests, Problem::TestsOnly),
            (Roles::Programs, is_tests, Problem::NotOfTests),
            (
                Roles::Components,
                is_foreign,
                Problem::ComponentOnly { role },
            ),
            (
                Roles::Programs,
                component == Some(true),
                Problem::ProgramOnly,
            ),
        ] {
            if let Some((key, at)) = self.kinds.get(&roles).filter(|_| is_wrong) {
                return Err(source.error(*at, key, &problem));
            }
        }
        let has_port = !self.properties.ports.is_empty()
            || self
                .properties
                .placeholders()
                .any(|placeholder| matches!(placeholder.port(), Some((None, _))));
        match &self.texts.listens_at {
            Some((key, at)) if !has_port => Err(source.error(*at, key, &Problem::NoPort)),
            _ => Ok(()),
        }
    }
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
