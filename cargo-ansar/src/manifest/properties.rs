//! The table of role properties: for each its name, its description, the roles
//! that have it, its form in the manifest and in JSON, and its check.
//!
//! To add a property, see [`RoleProperties`](crate::model::role_properties).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use ansar_contract::envelope::Envelope;
use ansar_contract::retry::Retry;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::home::role::Entry;
use crate::home::{HomeError, from_json};
use crate::logs::store;
use crate::manifest::error::DescriptionError;
use crate::manifest::node::Node;
use crate::manifest::test;
use crate::manifest::values;
use crate::manifest::values::Texts;
use crate::model::name::{RoleName, is_tag};
use crate::model::placeholder::{Template, is_port_name};
use crate::model::quoted::escaped;
use crate::model::readiness::{Health, Probe, Readiness};
use crate::model::restart_policy::Restart;
use crate::model::role_properties::{EnvFile, NetworkKind, READY_LIMIT, RoleProperties};
use crate::model::stop::{GRACE, Stop};
use crate::model::test_target::Ignored;

/// A property of a role.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Short description for help texts.
    pub about: &'static str,
    /// The roles that have it.
    pub roles: Roles,
    /// True if a role with another value is another process. Properties that only
    /// its supervision uses are read at its next start.
    pub is_of_process: bool,
    /// Functions that change it; `None` if it is read-only.
    pub change: Option<Change>,
    read: fn(&Entry) -> Value,
}

/// The roles that have a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Roles {
    /// All roles.
    All,
    /// Roles that run a component.
    Components,
    /// Roles that run a program, or a binary that is no component.
    Programs,
    /// Roles that run a test target.
    TestTargets,
    /// Test roles.
    Tests,
    /// Roles that end by themselves.
    Ending,
}

/// Functions that change a property.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// A valid value, as JSON.
    pub example: &'static str,
    describe: fn(&mut RoleProperties, &Node<'_>, &mut Texts) -> Result<(), DescriptionError>,
    write: fn(&mut Entry, &Path, &[u8]) -> Result<(), HomeError>,
    unset: fn(&mut Entry),
    copy: fn(&Entry, &mut Entry),
}

/// Declares a property that can be set: `NAME, FIELD: TYPE, describe, about,
/// example, check`. The field is one of `RoleProperties`; `describe` reads the
/// value in a manifest; the check returns an error for an invalid value in JSON.
macro_rules! settable {
    ($name:literal, $field:ident: $type:ty, $describe:expr, $about:literal, $example:literal, $check:expr) => {{
        /// A valid value. The check runs during deserialization, so that its
        /// error has a position.
        struct Checked($type);

        impl<'de> Deserialize<'de> for Checked {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let check: fn(&$type) -> Result<(), String> = $check;
                let value = <$type>::deserialize(deserializer)?;
                check(&value).map_err(D::Error::custom)?;
                Ok(Self(value))
            }
        }

        Property {
            name: $name,
            about: $about,
            roles: Roles::All,
            is_of_process: false,
            change: Some(Change {
                example: $example,
                describe: |properties, node, texts| {
                    let describe: fn(&Node<'_>, &mut Texts) -> Result<_, DescriptionError> =
                        $describe;
                    properties.$field = <$type>::from(describe(node, texts)?);
                    Ok(())
                },
                write: |entry, path, bytes| {
                    let Checked(value) = from_json::<Envelope<Checked>>(path, bytes)?.value;
                    entry.properties.$field = value;
                    Ok(())
                },
                unset: |entry| entry.properties.$field = Default::default(),
                copy: |from, to| to.properties.$field.clone_from(&from.properties.$field),
            }),
            read: |entry| json(&entry.properties.$field),
        }
    }};
}

/// Declares a read-only property: `FIELD, about`.
macro_rules! fixed {
    ($field:ident, $about:literal) => {
        Property {
            name: stringify!($field),
            about: $about,
            roles: Roles::All,
            is_of_process: false,
            change: None,
            read: |entry| json(&entry.$field),
        }
    };
}

/// All properties, in the order of listings.
#[rustfmt::skip]
pub const PROPERTIES: &[Property] = &[
    settable!("retry", retry: Option<Retry>, |node, _| values::retry(node),
        "delays between attempts, in seconds", r#"{"first_steps": [1.0, 2.0]}"#,
        |retry| retry.as_ref().map_or(Ok(()), Retry::check)).of(Roles::Components),
    settable!("restart", restart: Option<Restart>, |node, _| node.word(&RESTARTS, "`never`, `on-failure` or `always`"),
        "restart policy: never, on-failure, or always", r#""on-failure""#, |_| Ok(())),
    settable!("timeout", timeout: Option<f64>, seconds,
        "time that it can run, in seconds", "30.0",
        |seconds| seconds.map_or(Ok(()), timeout)),
    settable!("after", after: Vec<RoleName>, |node, texts| texts.after(node),
        "roles that must be ready before it starts", r#"["db-0"]"#, |_| Ok(())),
    settable!("ready", ready: Readiness, |node, texts| texts.readiness(node),
        "probes that must succeed before it is ready", r#"{"log": "listening"}"#, readiness),
    settable!("ready-timeout", ready_timeout: Option<f64>, seconds,
        "time to become ready, in seconds", "60.0",
        |seconds| seconds.map_or(Ok(()), timeout)),
    settable!("health", health: Option<Health<Template>>, |node, texts| texts.health(node),
        "probe that is repeated while it runs", r#"{"tcp": "{address}"}"#,
        |health| health.iter().flat_map(|health| health.probe.texts()).try_for_each(template)),
    settable!("stop", stop: Stop, |node, _| values::stop(node),
        "signal that asks it to stop, and seconds until it is killed", r#"{"grace": 10.0}"#,
        |stop| stop.grace.map_or(Ok(()), timeout)),
    settable!("args", args: Vec<Template>, |node, texts| texts.templates(node, "an array of arguments"),
        "its arguments, if it is no component", r#"["--port", "{port}"]"#,
        |args| args.iter().try_for_each(template)).of(Roles::Programs),
    settable!("cwd", cwd: Option<Template>, |node, texts| texts.template(node, "the path of a folder"),
        "its working directory, from the workspace root", r#""services/api""#,
        |cwd| cwd.iter().try_for_each(template)),
    settable!("env", env: BTreeMap<String, Template>, |node, texts| texts.environment(node),
        "additions to its environment", r#"{"RUST_LOG": "debug"}"#, env),
    settable!("env-file", env_file: Vec<EnvFile>, |node, _| values::env_files(node),
        "files with additions to its environment", r#"[{"path": ".env"}]"#, |_| Ok(())),
    settable!("setup", setup: Vec<Vec<Template>>, |node, texts| texts.commands(node),
        "commands that run once, before its first start", r#"[["initdb"]]"#, setup).of(Roles::Programs),
    settable!("before", before: Vec<Vec<Template>>, |node, texts| texts.commands(node),
        "commands that run before each start of a test", r#"[["./load"]]"#, setup).of(Roles::Tests),
    settable!("after-all", after_all: Vec<Vec<Template>>, |node, texts| texts.commands(node),
        "commands that run after each end of a test", r#"[["./dump"]]"#, setup).of(Roles::Tests),
    settable!("ports", ports: BTreeMap<String, u16>, |node, _| values::ports(node),
        "ports with a fixed number", r#"{"port": 5432}"#, ports),
    settable!("hold", hold: Option<bool>, flag,
        "`false` if its ports cannot be held for it", "false", |_| Ok(())),
    settable!("unprivileged", unprivileged: bool, flag,
        "`true` to run it as an ordinary user under root", "true", |_| Ok(())).of(Roles::Programs).of_process(),
    settable!("tags", tags: BTreeSet<String>, |node, _| values::tags(node),
        "groups that it belongs to", r#"["storage"]"#, tags),
    settable!("watch", watch: Vec<String>, |node, _| values::watch(node),
        "patterns of files whose change restarts it", r#"["**/*.sql"]"#, |_| Ok(())),
    settable!("fresh", fresh: Vec<RoleName>, |node, texts| texts.fresh(node),
        "roles of which a test has its own instances", r#"["db-0"]"#, |_| Ok(())).of(Roles::Tests),
    settable!("exclusive", exclusive: BTreeSet<String>, |node, _| values::tags(node),
        "words: roles that share one never run at the same time", r#"["db"]"#, tags).of(Roles::Ending),
    settable!("filter", filter: Vec<String>, |node, _| test::filter(node),
        "texts, one of which the name of a test must contain", r#"["orders::"]"#, |_| Ok(())).of(Roles::TestTargets),
    settable!("exact", exact: bool, flag,
        "`true` if its filters are whole names of tests", "true", |_| Ok(())).of(Roles::TestTargets),
    settable!("ignored", ignored: Ignored, |node, _| node.word(&Ignored::ALL, "`skip`, `include` or `only`"),
        "treatment of ignored tests: skip, include, or only", r#""include""#, |_| Ok(())).of(Roles::TestTargets),
    settable!("isolate", isolate: Option<bool>, flag,
        "`false` to run all tests in one process", "false", |_| Ok(())).of(Roles::TestTargets),
    settable!("test-timeout", test_timeout: Option<f64>, seconds,
        "time that a single test can run, in seconds", "30.0",
        |seconds| seconds.map_or(Ok(()), timeout)).of(Roles::TestTargets),
    settable!("shard", shard: Option<usize>, |node, _| values::shards(node, SHARD).map(Some),
        "shard of `test --on` in which it runs, from 1", "2",
        |shard| shard.map_or(Ok(()), at_least_one)),
    settable!("network", network: Option<NetworkKind>, |node, _| values::network(node),
        "`own` to run it in a network of the home, `host` in that of the system", "\"own\"", |_| Ok(())).of_process(),
    settable!("component", component: Option<bool>, flag,
        "`true` or `false`, to override the marker of its executable", "true", |_| Ok(())),
    settable!("storage", storage: Option<u64>, |node, _| values::bytes(node),
        "size of the stored log, in bytes", "16777216",
        |bytes| bytes.map_or(Ok(()), storage)),
    fixed!(id, "unique id of the role"),
    fixed!(created, "time at which it was added"),
    fixed!(executable, "executable that it runs"),
    Property {
        name: "program",
        about: "program that it runs instead of an executable of the home",
        roles: Roles::All,
        is_of_process: false,
        change: None,
        read: |entry| json(&entry.properties.program),
    },
    Property {
        name: "test",
        about: "test target that it runs",
        roles: Roles::All,
        is_of_process: false,
        change: None,
        read: |entry| json(&entry.properties.test),
    },
    fixed!(origin, "origin of the role: manifest, hand, or retired"),
];

impl Property {
    const fn of(self, roles: Roles) -> Self {
        Self { roles, ..self }
    }

    const fn of_process(self) -> Self {
        Self {
            is_of_process: true,
            ..self
        }
    }

    /// Returns the property that can be set and has exactly this name.
    pub(crate) fn settable(name: &str) -> Option<(&'static Self, &'static Change)> {
        let property = PROPERTIES.iter().find(|property| property.name == name)?;
        Some((property, property.change.as_ref()?))
    }

    /// Returns the property of this name; `_` may stand for `-`.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.replace('_', "-");
        PROPERTIES.iter().find(|property| property.name == name)
    }

    /// Returns the value of an entry; `null` if it is not set.
    pub fn value(&self, entry: &Entry) -> Value {
        (self.read)(entry)
    }

    /// Returns the value that is in force for an entry which does not set the
    /// property; `null` if none is. Of a table, these are the fields that are
    /// not set.
    pub fn default(&self, entry: &Entry) -> Value {
        let properties = &entry.properties;
        let seconds = |span: Duration| json(&span.as_secs_f64());
        let has_port = || {
            let mut uses = properties.placeholders();
            !properties.ports.is_empty() || uses.any(|it| matches!(it.port(), Some((None, _))))
        };
        let runs_tests = properties.test.is_some();
        match self.name {
            "restart" => json(&Restart::default()),
            "ready-timeout" if !properties.ready.is_done() => seconds(READY_LIMIT),
            "stop" => json!({ "signal": "SIGINT", "grace": GRACE.as_secs_f64() }),
            "cwd" => json!("."),
            "hold" if has_port() => json!(true),
            "unprivileged" if properties.is_program() => json!(false),
            "network" => json(&NetworkKind::default()),
            "storage" => json!(store::STORAGE),
            "exact" if runs_tests => json!(false),
            "ignored" if runs_tests => json(&Ignored::default()),
            "isolate" if runs_tests => json!(true),
            _ => Value::Null,
        }
    }
}

impl Change {
    /// Sets the property to the value in a manifest.
    pub(crate) fn describe(
        &self,
        properties: &mut RoleProperties,
        node: &Node<'_>,
        texts: &mut Texts,
    ) -> Result<(), DescriptionError> {
        (self.describe)(properties, node, texts)
    }

    /// Sets the property to the JSON in `bytes`, which were read from `path`.
    pub fn set(&self, entry: &mut Entry, path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
        (self.write)(entry, path, bytes)
    }

    /// Unsets the property.
    pub fn unset(&self, entry: &mut Entry) {
        (self.unset)(entry);
    }
}

/// Returns the names of the properties that make another process of a role.
pub fn of_process(entry: &Entry) -> BTreeSet<String> {
    let set = PROPERTIES.iter().filter(|property| {
        let value = property.is_of_process.then(|| property.value(entry));
        let is_unset = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
        value.is_some_and(|value| !is_unset(&value) && value != property.default(entry))
    });
    set.map(|property| property.name.to_owned()).collect()
}

/// Copies the properties that were set by hand from one entry to another.
pub fn keep_by_hand(from: &Entry, to: &mut Entry) {
    for property in PROPERTIES {
        let is_by_hand = from.by_hand.properties.contains(property.name);
        if let Some(change) = property.change.filter(|_| is_by_hand) {
            (change.copy)(from, to);
        }
    }
}

const RESTARTS: [(&str, Restart); 3] = [
    ("never", Restart::Never),
    ("on-failure", Restart::OnFailure),
    ("always", Restart::Always),
];

fn flag(node: &Node<'_>, _: &mut Texts) -> Result<bool, DescriptionError> {
    node.flag("`true` or `false`")
}

fn seconds(node: &Node<'_>, _: &mut Texts) -> Result<f64, DescriptionError> {
    Ok(values::duration(node)?.as_secs_f64())
}

/// Converts a field of an entry to JSON; all fields can be converted.
fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn timeout(seconds: f64) -> Result<(), String> {
    const YEAR: f64 = 366.0 * 86_400.0;
    if seconds > 0.0 && seconds <= YEAR {
        Ok(())
    } else {
        Err(format!(
            "`{seconds}`, expected seconds, more than 0 and at most a year"
        ))
    }
}

/// The shard of a role, in messages.
const SHARD: &str = "the number of a shard, from 1";

fn at_least_one(shard: usize) -> Result<(), String> {
    if shard > 0 {
        Ok(())
    } else {
        Err(format!("`{shard}`, expected {SHARD}"))
    }
}

fn storage(bytes: u64) -> Result<(), String> {
    if bytes >= store::LEAST_STORAGE {
        Ok(())
    } else {
        Err(format!(
            "`{bytes}`, expected {} bytes at least",
            store::LEAST_STORAGE
        ))
    }
}

/// Checks the placeholders of a text.
fn template(template: &Template) -> Result<(), String> {
    match Template::parse(template.text()) {
        Ok(_) if template.text().contains('\0') => Err("holds NUL".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        }),
    }
}

fn readiness(readiness: &Readiness) -> Result<(), String> {
    let mut texts = readiness.0.iter().flat_map(Probe::texts);
    texts.try_for_each(template)
}

fn setup(commands: &Vec<Vec<Template>>) -> Result<(), String> {
    for command in commands {
        if command.is_empty() {
            return Err("an empty command, expected a program and its arguments".to_owned());
        }
        command.iter().try_for_each(template)?;
    }
    Ok(())
}

fn ports(ports: &BTreeMap<String, u16>) -> Result<(), String> {
    for (name, port) in ports {
        if !is_port_name(name) {
            return Err(format!(
                "`{}`, expected the name of a port: lower-case letters, digits, `-` and `_`",
                escaped(name)
            ));
        }
        if *port == 0 {
            return Err("`0`, expected a port from 1 to 65535".to_owned());
        }
    }
    Ok(())
}

fn tags(tags: &BTreeSet<String>) -> Result<(), String> {
    match tags.iter().find(|tag| !is_tag(tag)) {
        None => Ok(()),
        Some(tag) => Err(format!(
            "`{}`, expected a tag of letters, digits, `-` and `_`",
            escaped(tag)
        )),
    }
}

fn env(variables: &BTreeMap<String, Template>) -> Result<(), String> {
    for (name, value) in variables {
        template(value)?;
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!(
                "`{}`, expected the name of a variable without `=` and NUL",
                name.escape_default()
            ));
        }
        if name.starts_with("ANSAR_") || name == "NOTIFY_SOCKET" {
            return Err(format!("`{name}` is set by `cargo ansar` itself"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry {
        let text = r#"{"created": "2023-04-06T01:52:17Z", "executable": "x", "origin": "hand"}"#;
        serde_json::from_str(text).unwrap()
    }

    fn set(name: &str, body: &str) -> Result<Value, String> {
        let property = Property::find(name).unwrap();
        let mut entry = entry();
        let text = format!("{{\"value\": {body}}}");
        let change = property.change.unwrap();
        let set = change.set(&mut entry, Path::new("x.json"), text.as_bytes());
        set.map(|()| property.value(&entry))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn examples_of_properties_round_trip() {
        for property in PROPERTIES {
            let Some(change) = property.change else {
                continue;
            };
            let value = set(property.name, change.example).unwrap();
            let expected: Value = serde_json::from_str(change.example).unwrap();
            assert_eq!(value, expected, "{}", property.name);
            // The value of an unset property is valid, too.
            let none = property.value(&entry());
            assert_eq!(set(property.name, &none.to_string()), Ok(none));
        }
    }

    #[test]
    fn invalid_values_are_reported_with_their_position() {
        for (name, body, expected) in [
            (
                "timeout",
                "0",
                "x.json:1:12: field `value`: `0`, expected seconds",
            ),
            ("timeout", "\"30s\"", "invalid type: string"),
            ("storage", "7", "`7`, expected 65536 bytes at least"),
            ("storage", "-1", "invalid value: integer `-1`"),
            (
                "restart",
                "\"sometimes\"",
                "expected one of `never`, `on-failure`, `always`",
            ),
            (
                "after",
                "[\"a\", \"b/c\"]",
                "field `value[1]`: role name `b/c` holds `/`",
            ),
            (
                "env",
                "{\"A=B\": \"\"}",
                "`A=B`, expected the name of a variable",
            ),
            (
                "env",
                "{\"ANSAR_ROLE\": \"\"}",
                "is set by `cargo ansar` itself",
            ),
            ("env", "{\"A\": 1}", "field `value.A`: invalid type"),
        ] {
            let error = set(name, body).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_property_of_the_process_counts_if_it_changes_something() {
        let mut entry = entry();
        entry.properties.network = Some(NetworkKind::Host);
        entry.properties.restart = Some(Restart::Always);
        assert_eq!(of_process(&entry), BTreeSet::new());
        entry.properties.network = Some(NetworkKind::Own);
        entry.properties.unprivileged = true;
        let names = ["network", "unprivileged"].map(str::to_owned);
        assert_eq!(of_process(&entry), names.into());
    }

    #[test]
    fn only_properties_set_by_hand_are_copied() {
        let mut was = entry();
        was.properties.storage = Some(1 << 20);
        was.properties.timeout = Some(1.0);
        was.by_hand.properties = ["storage".to_owned()].into();
        let mut now = entry();
        keep_by_hand(&was, &mut now);
        assert_eq!(
            (now.properties.storage, now.properties.timeout),
            (Some(1 << 20), None)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_an_error(text in any::<String>()) {
            for property in PROPERTIES {
                let mut entry = entry();
                if let Some(change) = property.change {
                    let _ = change.set(&mut entry, Path::new("x"), text.as_bytes());
                }
            }
        }
    }
}
