//! Reading the values of role properties that may have placeholders, and those
//! of programs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ansar_contract::retry::Retry;
use jiff::fmt::friendly::SpanParser;

use crate::logs::store::LEAST_STORAGE;
use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::Node;
use crate::manifest::validate::After;
use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, RoleName, is_package_name, is_tag};
use crate::model::placeholder::{Placeholder, PlaceholderError, Template, is_port_name, number};
use crate::model::readiness::{
    HEALTH_FAILURES, HEALTH_INTERVAL, Health, NOT_REPEATABLE, PROBE_WORDS, Probe, ProbeObject,
    Readiness, check_pattern,
};
use crate::model::role_properties::{EnvFile, NetworkKind};
use crate::model::stop::{Stop, StopSignal};

const PROBE_KEYS: &[&str] = &[
    "listen", "tcp", "http", "status", "log", "command", "says", "file",
];

const HEALTH_KEYS: &[&str] = &[
    "listen", "tcp", "http", "status", "command", "says", "file", "probe", "every", "failures",
];

const STOP_KEYS: &[&str] = &["signal", "grace"];

const ENV_FILE_KEYS: &[&str] = &["path", "optional"];

const RETRY_KEYS: &[&str] = &[
    "first_steps",
    "regular_steps",
    "step_limit",
    "randomized",
    "truncated",
];

/// Longest timeout, as for the steps of a retry.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The texts of one declaration, with the positions of placeholders and of roles
/// that are checked when all roles are known.
#[derive(Default)]
pub(crate) struct Texts {
    /// Roles that `{address:ROLE}` refers to.
    pub(crate) references: Vec<After>,
    /// Own ports whose names may be those of roles.
    pub(crate) own_ports: Vec<After>,
    /// Roles that must be ready first.
    pub(crate) after: Vec<After>,
    /// Operational roles of which a test role has its own instances.
    pub(crate) fresh: Vec<After>,
    /// Key and position of a probe that waits for the role's own port.
    pub(crate) listens_at: Option<(String, usize)>,
    /// Key and position of each `{number}`.
    numbers: Vec<(String, usize)>,
}

impl Texts {
    /// Reads a text in which every brace belongs to a placeholder.
    pub(crate) fn template(
        &mut self,
        node: &Node<'_>,
        expected: &'static str,
    ) -> Result<Template, DescriptionError> {
        let text = node.string(expected)?;
        if text.contains('\0') {
            return Err(node.wrong_value(text, "a string without NUL"));
        }
        let template = Template::parse(text).map_err(|error| {
            let found = match &error {
                PlaceholderError::Unknown { found, .. } => format!("{{{found}}}"),
                PlaceholderError::Unbalanced { at } => text[*at..].to_owned(),
            };
            node.error_in_text(&found, &Problem::Placeholder(error))
        })?;
        self.note(node, &template);
        Ok(template)
    }

    /// Notes the placeholders of a text.
    fn note(&mut self, node: &Node<'_>, template: &Template) {
        for placeholder in template.uses() {
            let at = || node.at_text(&placeholder.to_string());
            if let Some(role) = placeholder.other_role() {
                self.references.push(After {
                    role: role.clone(),
                    key: node.key.clone(),
                    at: at(),
                });
            } else if let Placeholder::Port { port, .. } = placeholder {
                if let Ok(role) = port.parse() {
                    self.own_ports.push(After {
                        role,
                        key: node.key.clone(),
                        at: at(),
                    });
                }
            } else if *placeholder == Placeholder::Number {
                self.numbers.push((node.key.clone(), at()));
            }
        }
    }

    /// Notes the addresses in the settings, in which other braces are text.
    pub(crate) fn note_settings(&mut self, node: &Node<'_>) {
        let mut own = Self::default();
        for text in node.strings() {
            if let Ok(value) = text.string("a string") {
                own.note(&text, &Template::lenient(value));
            }
        }
        self.references.append(&mut own.references);
        self.own_ports.append(&mut own.own_ports);
    }

    /// Checks that every role has a number if a text refers to it.
    pub(crate) fn check_numbers(
        &self,
        node: &Node<'_>,
        roles: &[RoleName],
    ) -> Result<(), DescriptionError> {
        let without = roles.iter().find(|role| number(role).is_none());
        match (self.numbers.first(), without) {
            (Some((key, at)), Some(role)) => {
                Err(node.error_at(*at, key, &Problem::NoNumber(role.clone())))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn templates(
        &mut self,
        node: &Node<'_>,
        expected: &'static str,
    ) -> Result<Vec<Template>, DescriptionError> {
        let elements = node.elements(expected)?;
        elements
            .iter()
            .map(|element| self.template(element, "a string"))
            .collect()
    }

    /// Reads a program and its arguments.
    fn command(&mut self, node: &Node<'_>) -> Result<Vec<Template>, DescriptionError> {
        const EXPECTED: &str = "an array of a program and its arguments";
        let command = self.templates(node, EXPECTED)?;
        if command.is_empty() {
            return Err(node.wrong_value("[]", EXPECTED));
        }
        Ok(command)
    }

    pub(crate) fn commands(
        &mut self,
        node: &Node<'_>,
    ) -> Result<Vec<Vec<Template>>, DescriptionError> {
        let elements = node.elements("an array of commands, each an array of words")?;
        elements
            .iter()
            .map(|element| self.command(element))
            .collect()
    }

    pub(crate) fn environment(
        &mut self,
        node: &Node<'_>,
    ) -> Result<BTreeMap<String, Template>, DescriptionError> {
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
            variables.insert(name.to_owned(), self.template(&variable, "a string")?);
        }
        Ok(variables)
    }

    /// Reads the roles that must be ready first.
    pub(crate) fn after(&mut self, node: &Node<'_>) -> Result<Vec<RoleName>, DescriptionError> {
        self.after = roles(node)?;
        Ok(self.after.iter().map(|it| it.role.clone()).collect())
    }

    /// Reads the roles of which a test role has its own instances.
    pub(crate) fn fresh(&mut self, node: &Node<'_>) -> Result<Vec<RoleName>, DescriptionError> {
        self.fresh = roles(node)?;
        Ok(self.fresh.iter().map(|it| it.role.clone()).collect())
    }

    pub(crate) fn readiness(&mut self, node: &Node<'_>) -> Result<Readiness, DescriptionError> {
        let probes = if node.is_array() {
            let elements = node.elements("an array of probes")?;
            let probes = elements.iter().map(|element| self.probe(element));
            probes.collect::<Result<_, _>>()?
        } else {
            vec![self.probe(node)?]
        };
        if probes.contains(&Probe::Listen(None)) {
            self.listens_at = Some((node.key.clone(), node.value_at));
        }
        Ok(Readiness(probes))
    }

    fn probe(&mut self, node: &Node<'_>) -> Result<Probe<Template>, DescriptionError> {
        const EXPECTED: &str = "`listen`, `notify`, `done`, `started`, or a table such as \
                                `{ log = \"ready\" }` or `{ http = \"http://{address}/health\" }`";
        if !node.is_table() {
            return probe_word(node, EXPECTED);
        }
        let mut keys = ProbeObject::default();
        for field in node.entries(EXPECTED)? {
            if !self.probe_field(&field, &mut keys)? {
                return Err(field.unknown_key(PROBE_KEYS));
            }
        }
        of_keys(keys, node)
    }

    /// Reads one key of a probe. Returns false for a key of another kind.
    fn probe_field(
        &mut self,
        field: &Node<'_>,
        keys: &mut ProbeObject<Template>,
    ) -> Result<bool, DescriptionError> {
        const ADDRESS: &str = "an address such as `{address}` or `127.0.0.1:80`";
        const CODES: &str = "an array of status codes from 100 to 599";
        match field.name {
            "listen" => {
                keys.listen = Some(self.template(field, "a port such as `{port:admin}`")?);
            }
            "tcp" => keys.tcp = Some(self.template(field, ADDRESS)?),
            "http" => {
                const URL: &str = "a URL such as `http://{address}/health`";
                let url = self.template(field, URL)?;
                if !url.text().starts_with("http://") {
                    return Err(field.wrong_value(url.text(), URL));
                }
                keys.http = Some(url);
            }
            "log" => {
                let pattern = field.string("a regular expression for a line of the output")?;
                check_pattern(pattern)
                    .map_err(|reason| field.value_error(&Problem::Reason(reason)))?;
                keys.log = Some(pattern.to_owned());
            }
            "command" => keys.command = Some(self.command(field)?),
            "file" => keys.file = Some(self.template(field, "the path of a file")?),
            "status" => {
                let status = keys.status.get_or_insert_default();
                for code in field.elements(CODES)? {
                    let number: u16 = code.count(CODES)?;
                    if !(100..600).contains(&number) {
                        return Err(code.wrong_value(&number.to_string(), CODES));
                    }
                    status.push(number);
                }
            }
            "says" => keys.says = Some(self.template(field, "a text that the output contains")?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn health(&mut self, node: &Node<'_>) -> Result<Health<Template>, DescriptionError> {
        const EXPECTED: &str = "a table such as `{ http = \"http://{address}/health\" }`";
        let mut keys = ProbeObject::default();
        let mut has_keys = false;
        let mut word = None;
        let mut every = HEALTH_INTERVAL;
        let mut failures = HEALTH_FAILURES;
        for field in node.entries(EXPECTED)? {
            match field.name {
                "every" => every = duration(&field)?,
                "failures" => {
                    const COUNT: &str = "a number of failures, 1 at least";
                    failures = field.count(COUNT)?;
                    if failures == 0 {
                        return Err(field.wrong_value("0", COUNT));
                    }
                }
                "probe" => word = Some(probe_word(&field, NOT_REPEATABLE)?),
                _ => {
                    has_keys = true;
                    if !self.probe_field(&field, &mut keys)? {
                        return Err(field.unknown_key(HEALTH_KEYS));
                    }
                }
            }
        }
        let probe = match word {
            Some(word) if !has_keys => word,
            Some(_) => return Err(node.value_error(&Problem::Reason(TWO_PROBES.to_owned()))),
            None => of_keys(keys, node)?,
        };
        if !probe.is_repeatable() {
            return Err(node.value_error(&Problem::Reason(NOT_REPEATABLE.to_owned())));
        }
        Ok(Health {
            probe,
            every,
            failures,
        })
    }
}

/// Message about a health probe that is a word and has keys.
const TWO_PROBES: &str = "expected one probe, `probe` or another key";

fn of_keys(
    keys: ProbeObject<Template>,
    node: &Node<'_>,
) -> Result<Probe<Template>, DescriptionError> {
    let probe = keys.probe();
    probe.map_err(|reason| node.value_error(&Problem::Reason(reason)))
}

fn probe_word(
    node: &Node<'_>,
    expected: &'static str,
) -> Result<Probe<Template>, DescriptionError> {
    let word = node.string(expected)?;
    Probe::of_word(word).ok_or_else(|| {
        node.value_error(&Problem::WrongValue {
            found: word.to_owned(),
            expected,
            similar: did_you_mean(word, PROBE_WORDS),
        })
    })
}

pub(crate) fn stop(node: &Node<'_>) -> Result<Stop, DescriptionError> {
    let mut stop = Stop::default();
    for field in node.entries("a table such as `{ signal = \"SIGTERM\", grace = \"10s\" }`")? {
        match field.name {
            "signal" => {
                let text = field.string("the name of a signal such as `SIGTERM`")?;
                let signal: Result<StopSignal, _> = text.parse();
                let signal = signal.map_err(|error| {
                    field.value_error(&Problem::Signal {
                        similar: error.similar(),
                        error,
                    })
                })?;
                stop.signal = Some(signal);
            }
            "grace" => stop.grace = Some(duration(&field)?.as_secs_f64()),
            _ => return Err(field.unknown_key(STOP_KEYS)),
        }
    }
    Ok(stop)
}

/// Reads the candidates for a program, and the name that stands for it.
pub(crate) fn program(node: &Node<'_>) -> Result<(Vec<String>, ExecutableName), DescriptionError> {
    const EXPECTED: &str = "the name or path of a program, or an array of candidates";
    let one = |node: &Node<'_>| {
        let text = node.string(EXPECTED)?;
        if !is_program(text) {
            return Err(node.wrong_value(text, EXPECTED));
        }
        Ok(text.to_owned())
    };
    let candidates = if node.is_array() {
        let elements = node.elements(EXPECTED)?;
        elements.iter().map(one).collect::<Result<_, _>>()?
    } else {
        vec![one(node)?]
    };
    let Some(first) = candidates.first() else {
        return Err(node.wrong_value("[]", EXPECTED));
    };
    let label = label(first);
    Ok((
        candidates,
        label.map_err(|error| node.value_error(&Problem::Name(error)))?,
    ))
}

fn is_program(text: &str) -> bool {
    !text.is_empty() && !text.ends_with('/') && !text.contains('\0')
}

/// Returns true if a description can name this program.
pub(crate) fn is_valid_program(text: &str) -> bool {
    is_program(text) && label(text).is_ok()
}

/// Returns the name that stands for a program: its file name, with other
/// characters replaced.
fn label(program: &str) -> Result<ExecutableName, crate::model::name::NameError> {
    let file = program.rsplit('/').next().unwrap_or(program);
    let name: Result<ExecutableName, _> = file.parse();
    name.or_else(|error| match error.similar() {
        Some(similar) => similar.parse(),
        None => Err(error),
    })
}

pub(crate) fn env_files(node: &Node<'_>) -> Result<Vec<EnvFile>, DescriptionError> {
    if !node.is_array() {
        return Ok(vec![env_file(node)?]);
    }
    let elements = node.elements("an array of paths")?;
    elements.iter().map(env_file).collect()
}

fn env_file(node: &Node<'_>) -> Result<EnvFile, DescriptionError> {
    const EXPECTED: &str = "the path of a file, or `{ path = \".env\", optional = true }`";
    let path = |node: &Node<'_>| {
        let path = node.string(EXPECTED)?;
        if path.is_empty() || path.contains('\0') {
            return Err(node.wrong_value(path, EXPECTED));
        }
        Ok(path.to_owned())
    };
    if !node.is_table() {
        return Ok(EnvFile {
            path: path(node)?,
            optional: false,
        });
    }
    let mut file = EnvFile {
        path: String::new(),
        optional: false,
    };
    for field in node.entries(EXPECTED)? {
        match field.name {
            "path" => file.path = path(&field)?,
            "optional" => file.optional = field.flag("`true` or `false`")?,
            _ => return Err(field.unknown_key(ENV_FILE_KEYS)),
        }
    }
    if file.path.is_empty() {
        return Err(node.type_error(EXPECTED));
    }
    Ok(file)
}

pub(crate) fn ports(node: &Node<'_>) -> Result<BTreeMap<String, u16>, DescriptionError> {
    const EXPECTED: &str = "a port from 1 to 65535";
    let mut ports = BTreeMap::new();
    for field in node.entries("a table of ports by name, such as `{ port = 5432 }`")? {
        if !is_port_name(field.name) {
            return Err(field.key_error(&Problem::WrongValue {
                found: field.name.to_owned(),
                expected: "the name of a port: lower-case letters, digits, `-` and `_`",
                similar: None,
            }));
        }
        let port: u16 = field.count(EXPECTED)?;
        if port == 0 {
            return Err(field.wrong_value("0", EXPECTED));
        }
        ports.insert(field.name.to_owned(), port);
    }
    Ok(ports)
}

pub(crate) fn tags(node: &Node<'_>) -> Result<BTreeSet<String>, DescriptionError> {
    let mut tags = BTreeSet::new();
    for element in node.elements("an array of tags")? {
        let tag = element.string("a tag")?;
        if !is_tag(tag) {
            return Err(element.wrong_value(tag, "a tag of letters, digits, `-` and `_`"));
        }
        tags.insert(tag.to_owned());
    }
    Ok(tags)
}

pub(crate) fn watch(node: &Node<'_>) -> Result<Vec<String>, DescriptionError> {
    let mut patterns = Vec::new();
    for element in node.elements("an array of patterns such as `migrations/**/*.sql`")? {
        let text = element.string("a pattern such as `migrations/**/*.sql`")?;
        if let Err(error) = glob::Pattern::new(text) {
            return Err(element.value_error(&Problem::Reason(format!(
                "`{text}` is no pattern: {}",
                error.msg
            ))));
        }
        patterns.push(text.to_owned());
    }
    Ok(patterns)
}

pub(crate) fn package_name(node: &Node<'_>) -> Result<String, DescriptionError> {
    const EXPECTED: &str = "the name of a package";
    let text = node.string(EXPECTED)?;
    if is_package_name(text) {
        Ok(text.to_owned())
    } else {
        Err(node.wrong_value(text, EXPECTED))
    }
}

pub(crate) fn duration(node: &Node<'_>) -> Result<Duration, DescriptionError> {
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

pub(crate) fn roles(node: &Node<'_>) -> Result<Vec<After>, DescriptionError> {
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

pub(crate) fn bytes(node: &Node<'_>) -> Result<u64, DescriptionError> {
    const EXPECTED: &str = "a number of bytes, 65536 at least";
    let bytes: u64 = node.count(EXPECTED)?;
    if bytes < LEAST_STORAGE {
        return Err(node.wrong_value(&bytes.to_string(), EXPECTED));
    }
    Ok(bytes)
}

/// Reads a number of shards, or the number of one.
pub(crate) fn shards(node: &Node<'_>, expected: &'static str) -> Result<usize, DescriptionError> {
    match node.count(expected)? {
        0 => Err(node.wrong_value("0", expected)),
        number => Ok(number),
    }
}

pub(crate) fn retry(node: &Node<'_>) -> Result<Retry, DescriptionError> {
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

pub(crate) fn network(node: &Node<'_>) -> Result<NetworkKind, DescriptionError> {
    let words = [("host", NetworkKind::Host), ("own", NetworkKind::Own)];
    node.word(&words, "`host` or `own`")
}
