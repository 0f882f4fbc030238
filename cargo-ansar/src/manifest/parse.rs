//! Parsing a description from the text of a manifest.
//!
//! This module knows the keys and the values that each may have. `validate`
//! checks rules between roles; `node` knows positions and types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ansar_contract::retry::Retry;
use toml_edit::Document;

use crate::logs::store::LEAST_STORAGE;
use crate::manifest::build;
use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::{Node, Source};
use crate::manifest::test;
use crate::manifest::validate::{After, Declaration, Declared, checked};
use crate::manifest::values;
use crate::manifest::values::{Texts, duration, package_name, roles};
use crate::manifest::{DEFAULT_TESTS, DeployMode, Description, RoleSpec};
use crate::model::name::{ExecutableName, RoleName};
use crate::model::name_template::{MOST_ROLES, RoleTemplate, Series, Variable};
use crate::model::readiness::Probe;
use crate::model::restart_policy::Restart;
use crate::model::role_properties::{NetworkKind, RoleProperties};
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
    "role",
];

const ROLE_KEYS: &[&str] = &[
    "executable",
    "program",
    "test",
    "package",
    "component",
    "settings",
    "input",
    "args",
    "cwd",
    "env",
    "env-file",
    "setup",
    "before",
    "after-all",
    "ready",
    "ready-timeout",
    "health",
    "stop",
    "timeout",
    "after",
    "retry",
    "restart",
    "ports",
    "hold",
    "unprivileged",
    "tags",
    "watch",
    "exclusive",
    "filter",
    "exact",
    "ignored",
    "isolate",
    "test-timeout",
    "network",
    "fresh",
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
            "network" => network = Some(self::network(&node)?),
            "build" => build = build::read(&node)?,
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
    for spec in &mut roles {
        let own = std::mem::take(&mut spec.properties.env);
        spec.properties.env = env.clone();
        spec.properties.env.extend(own);
        let own = std::mem::take(&mut spec.properties.env_file);
        spec.properties.env_file = env_file.iter().cloned().chain(own).collect();
        spec.properties.network = spec.properties.network.or(network);
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
        tests,
        roles,
    })
}

fn network(node: &Node<'_>) -> Result<NetworkKind, DescriptionError> {
    let words = [("host", NetworkKind::Host), ("own", NetworkKind::Own)];
    node.word(&words, "`host` or `own`")
}

/// The keys of one table of roles.
struct Fields<'a> {
    executable: Option<ExecutableName>,
    program: Vec<String>,
    package: Option<String>,
    package_at: usize,
    settings: serde_json::Map<String, serde_json::Value>,
    input: Option<serde_json::Value>,
    properties: RoleProperties,
    after: Vec<After>,
    texts: Texts,
    series: Series,
    in_series: Vec<(Node<'a>, u64)>,
    /// The first key that only components have, and that only programs have.
    of_component: Option<(String, usize)>,
    of_program: Option<(String, usize)>,
    /// The first key that only test targets have.
    of_tests: Option<(String, usize)>,
    /// Position of a probe that waits for the role's own port.
    listens_at: Option<(String, usize)>,
    /// Position of a key that only roles have which end by themselves.
    for_ends: Option<(String, usize)>,
    /// Position of the first key that only test roles have.
    for_tests: Option<(String, usize)>,
    fresh: Vec<After>,
}

/// Reads one table of roles, which is one role or the series of a template.
fn declare(
    source: &Source<'_>,
    node: &Node<'_>,
    declared: &mut Declared,
) -> Result<(), DescriptionError> {
    let mut fields = Fields {
        executable: None,
        program: Vec::new(),
        package: None,
        package_at: node.key_at,
        settings: serde_json::Map::new(),
        input: None,
        properties: RoleProperties::default(),
        after: Vec::new(),
        texts: Texts::default(),
        series: Series::default(),
        in_series: Vec::new(),
        of_component: None,
        of_program: None,
        of_tests: None,
        listens_at: None,
        for_ends: None,
        for_tests: None,
        fresh: Vec::new(),
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
    let after = fields.after.iter().map(|after| after.role.clone());
    fields.properties.after = after.collect();
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
        after: fields.after,
        for_ends: fields.for_ends,
        for_tests: fields.for_tests,
        fresh: fields.fresh,
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
        const FLAG: &str = "`true` or `false`";
        let texts = &mut self.texts;
        let properties = &mut self.properties;
        match field.name {
            "settings" | "input" | "retry" => {
                self.of_component
                    .get_or_insert((field.key.clone(), field.key_at));
            }
            "args" | "setup" | "unprivileged" => {
                self.of_program
                    .get_or_insert((field.key.clone(), field.key_at));
            }
            name if test::KEYS.contains(&name) => {
                self.of_tests
                    .get_or_insert((field.key.clone(), field.key_at));
                return test::read(&field, properties);
            }
            _ => {}
        }
        match field.name {
            "package" => {
                self.package = Some(package_name(&field)?);
                self.package_at = field.value_at;
            }
            "component" => properties.component = Some(field.flag(FLAG)?),
            "settings" => {
                self.settings = field.object("a table of settings")?;
                texts.note_settings(&field);
            }
            "input" => self.input = Some(field.json()?),
            "args" => properties.args = texts.templates(&field, "an array of arguments")?,
            "cwd" => properties.cwd = Some(texts.template(&field, "the path of a folder")?),
            "env" => properties.env = texts.environment(&field)?,
            "env-file" => properties.env_file = values::env_files(&field)?,
            "setup" => properties.setup = texts.commands(&field)?,
            "before" | "after-all" => {
                let commands = texts.commands(&field)?;
                match field.name {
                    "before" => properties.before = commands,
                    _ => properties.after_all = commands,
                }
                self.for_tests
                    .get_or_insert((field.key.clone(), field.key_at));
            }
            "ready" => {
                properties.ready = texts.readiness(&field)?;
                if properties.ready.0.contains(&Probe::Listen(None)) {
                    self.listens_at = Some((field.key.clone(), field.value_at));
                }
            }
            "ready-timeout" => properties.ready_timeout = Some(duration(&field)?.as_secs_f64()),
            "health" => properties.health = Some(texts.health(&field)?),
            "stop" => properties.stop = values::stop(&field)?,
            "timeout" => properties.timeout = Some(duration(&field)?.as_secs_f64()),
            "after" => self.after = roles(&field)?,
            "retry" => properties.retry = Some(retry(&field)?),
            "restart" => {
                let restart = field.word(&RESTARTS, "`never`, `on-failure` or `always`")?;
                properties.restart = Some(restart);
            }
            "ports" => properties.ports = values::ports(&field)?,
            "hold" => properties.hold = Some(field.flag(FLAG)?),
            "unprivileged" => properties.unprivileged = field.flag(FLAG)?,
            "tags" => properties.tags = values::tags(&field)?,
            "watch" => properties.watch = values::watch(&field)?,
            "fresh" => {
                self.fresh = roles(&field)?;
                properties.fresh = self.fresh.iter().map(|it| it.role.clone()).collect();
                self.for_tests
                    .get_or_insert((field.key.clone(), field.key_at));
            }
            "exclusive" => {
                properties.exclusive = values::tags(&field)?;
                self.for_ends = Some((field.key.clone(), field.key_at));
            }
            "network" => properties.network = Some(network(&field)?),
            "storage" => properties.storage = Some(bytes(&field)?),
            "start" | "count" | "step" => {
                let value = field.count("an integer from 0")?;
                match field.name {
                    "start" => self.series.start = value,
                    "count" => self.series.count = value,
                    _ => self.series.step = value,
                }
                self.in_series.push((field, value));
            }
            _ => return Err(field.unknown_key(ROLE_KEYS)),
        }
        Ok(())
    }

    /// Checks keys against the kind of the role.
    fn check(&self, source: &Source<'_>, node: &Node<'_>) -> Result<(), DescriptionError> {
        let is_tests = self.properties.test.is_some();
        if let Some((key, at)) = self.of_tests.as_ref().filter(|_| !is_tests) {
            return Err(source.error(*at, key, &Problem::TestsOnly));
        }
        if let Some((key, at)) = self.of_program.as_ref().filter(|_| is_tests) {
            return Err(source.error(*at, key, &Problem::NotOfTests));
        }
        let is_foreign =
            is_tests || !self.program.is_empty() || self.properties.component == Some(false);
        if let Some((key, at)) = self.of_component.as_ref().filter(|_| is_foreign) {
            let role = node.name.to_owned();
            return Err(source.error(*at, key, &Problem::ComponentOnly { role }));
        }
        let is_component = self.properties.component == Some(true);
        if let Some((key, at)) = self.of_program.as_ref().filter(|_| is_component) {
            return Err(source.error(*at, key, &Problem::ProgramOnly));
        }
        let has_port = !self.properties.ports.is_empty()
            || self
                .properties
                .placeholders()
                .any(|placeholder| matches!(placeholder.port(), Some((None, _))));
        match &self.listens_at {
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

fn bytes(node: &Node<'_>) -> Result<u64, DescriptionError> {
    const EXPECTED: &str = "a number of bytes, 65536 at least";
    let bytes: u64 = node.count(EXPECTED)?;
    if bytes < LEAST_STORAGE {
        return Err(node.wrong_value(&bytes.to_string(), EXPECTED));
    }
    Ok(bytes)
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
