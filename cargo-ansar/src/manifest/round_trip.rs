//! Property tests: no text makes the parser panic, and a written description is
//! read back, in any style.

use std::collections::BTreeMap;

use ansar_contract::retry::Retry;
use proptest::prelude::*;

use crate::logs::store::LEAST_STORAGE;
use crate::manifest::tests::try_read;
use crate::manifest::*;
use crate::model::restart_policy::Restart;

/// Style of writing a role.
#[derive(Debug, Clone, Copy)]
enum Style {
    Header,
    Inline,
    Dotted,
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![
        Just(Style::Header),
        Just(Style::Inline),
        Just(Style::Dotted)
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::from),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(any::<String>(), inner, 0..4)
        .prop_map(|entries| entries.into_iter().collect())
}

fn retry() -> impl Strategy<Value = Retry> {
    let seconds = 0.0..1000.0;
    (
        prop::collection::vec(seconds.clone(), 0..3),
        prop::option::of(seconds),
        prop::option::of(any::<u32>()),
        prop::option::of(0.1..10.0),
        prop::option::of(0.0..1.0),
    )
        .prop_map(
            |(first_steps, regular_steps, step_limit, randomized, truncated)| Retry {
                first_steps,
                regular_steps,
                step_limit,
                randomized,
                truncated,
            },
        )
}

fn restart_and_storage() -> impl Strategy<Value = (Option<Restart>, Option<u64>)> {
    let restart = prop::sample::select(vec![Restart::Never, Restart::OnFailure, Restart::Always]);
    (
        prop::option::of(restart),
        prop::option::of(LEAST_STORAGE..1 << 40),
    )
}

/// A text with and without placeholders.
fn template() -> impl Strategy<Value = Template> {
    let literal = "[^\0]{0,8}".prop_map(|text| text.replace('{', "{{").replace('}', "}}"));
    let texts = prop_oneof![
        literal,
        Just("{bind}:{port}".to_owned()),
        Just("{model}/x".to_owned())
    ];
    texts.prop_map(|text| Template::parse(&text).unwrap())
}

/// A role without its line. Bits select the earlier roles that it starts after.
fn role() -> impl Strategy<Value = (RoleSpec, u8)> {
    let names = (
        "(test-)?[a-zA-Z0-9_-]{1,8}",
        "[a-z][a-z0-9_-]{0,5}",
        prop::option::of("[a-z][a-z0-9_-]{0,5}"),
    );
    let materials = (object(json()), prop::option::of(json()));
    let rest = (
        prop::collection::btree_map("[B-Z][A-Z_]{0,5}", template(), 0..3),
        prop::option::of(1..100_000_000_u64),
        prop::option::of(retry()),
        restart_and_storage(),
        any::<u8>(),
    );
    (names, materials, rest).prop_map(
        |((name, executable, package), (settings, input), (env, timeout, retry, kept, after))| {
            let spec = RoleSpec {
                name: name.parse().unwrap(),
                executable: executable.parse().unwrap(),
                package,
                settings,
                input,
                properties: RoleProperties {
                    env,
                    timeout: timeout.map(|millis| Duration::from_millis(millis).as_secs_f64()),
                    after: Vec::new(),
                    retry,
                    restart: kept.0,
                    storage: kept.1,
                    ..RoleProperties::default()
                },
                line: 0,
            };
            (spec, after)
        },
    )
}

fn description() -> impl Strategy<Value = Description> {
    (
        prop_oneof![Just("test-.*"), Just("[a-m].*"), Just("")],
        prop::option::of("[^\0]{1,10}"),
        prop::option::of("/[a-z/]{1,10}"),
        prop_oneof![Just(DeployMode::Link), Just(DeployMode::Copy)],
        prop::option::of("[a-z][a-z0-9_-]{0,5}"),
        (any::<Option<u32>>(), prop::option::of(1..100_000_000_u64)),
        prop::collection::vec(role(), 0..6),
    )
        .prop_map(|(tests, snapshot, home, deploy, analyzer, tries, roles)| {
            let tests = RolePattern::parse(tests).unwrap();
            Description {
                roles: consistent(roles, &tests),
                tests,
                snapshot: snapshot.map(PathBuf::from),
                home: home.map(PathBuf::from),
                deploy,
                analyzer: analyzer.map(|name| name.parse().unwrap()),
                retries: tries.0,
                slow_timeout: tries.1.map(Duration::from_millis),
                env: BTreeMap::new(),
                env_file: Vec::new(),
                network: None,
                build: BuildOptions::default(),
                on: BTreeMap::new(),
            }
        })
}

/// Makes roles consistent: unique names, one package for each executable, none
/// after a later one, and no operational role after a test role.
fn consistent(roles: Vec<(RoleSpec, u8)>, tests: &RolePattern) -> Vec<RoleSpec> {
    let mut done: Vec<RoleSpec> = Vec::new();
    let mut packages = BTreeMap::new();
    for (mut spec, after) in roles {
        if done.iter().any(|other| other.name == spec.name) {
            continue;
        }
        let package = packages.entry(spec.executable.clone());
        spec.package = package.or_insert(spec.package).clone();
        let test = tests.matches(&spec.name);
        spec.properties.after = done
            .iter()
            .enumerate()
            .filter(|(nth, other)| after >> nth & 1 == 1 && (test || !tests.matches(&other.name)))
            .map(|(_, other)| other.name.clone())
            .collect();
        done.push(spec);
    }
    done.sort_by(|one, other| one.name.cmp(&other.name));
    done
}

/// Writes a description, and returns it with its lines.
fn written(mut description: Description, styles: &[Style]) -> (String, Description) {
    let mut text = String::from("[package]\nname = \"é\" # before\n\n[workspace.metadata.ansar]\n");
    let mut line = |line: String| {
        assert!(!line.contains('\n'), "{line}");
        text += &line;
        text.push('\n');
        u32::try_from(text.lines().count()).unwrap()
    };
    line(format!(
        "tests = {}",
        toml(&description.tests.as_str().into())
    ));
    for (key, folder) in [
        ("snapshot", &description.snapshot),
        ("home", &description.home),
    ] {
        if let Some(folder) = folder {
            line(format!("{key} = {}", toml(&folder.to_str().into())));
        }
    }
    if description.deploy == DeployMode::Copy {
        line("deploy = 'copy'".to_owned());
    }
    if let Some(analyzer) = &description.analyzer {
        line(format!("analyzer = '{analyzer}'"));
    }
    if let Some(retries) = description.retries {
        line(format!("retries = {retries}"));
    }
    if let Some(slow) = description.slow_timeout {
        line(format!("slow-timeout = '{}ms'", slow.as_millis()));
    }
    // A header ends the table of the others.
    let mut order: Vec<(Style, &mut RoleSpec)> =
        styles.iter().copied().zip(&mut description.roles).collect();
    order.sort_by_key(|(style, _)| matches!(style, Style::Header));
    for (style, role) in order {
        let fields = fields(role);
        let name = &role.name;
        role.line = match style {
            Style::Header => {
                let at = line(format!("[workspace.metadata.ansar.role.{name}] # here"));
                for (key, value) in fields {
                    line(format!("{key} = {value}"));
                }
                at
            }
            Style::Inline => {
                let fields = fields.iter().map(|(key, value)| format!("{key} = {value}"));
                let fields: Vec<String> = fields.collect();
                line(format!("role.{name} = {{ {} }}", fields.join(", ")))
            }
            Style::Dotted => {
                let lines = fields.into_iter();
                let mut lines = lines.map(|(key, value)| format!("role.{name}.{key} = {value}"));
                let at = line(lines.next().unwrap());
                for field in lines {
                    line(field);
                }
                at
            }
        };
    }
    (text, description)
}

fn fields(role: &RoleSpec) -> Vec<(&'static str, String)> {
    let mut fields = vec![("executable", toml(&role.executable.as_str().into()))];
    let mut field = |key, value: Option<Value>| {
        fields.extend(value.map(|value| (key, toml(&value))));
    };
    field("package", role.package.clone().map(Value::from));
    field("settings", Some(role.settings.clone().into()));
    field("input", role.input.clone());
    field(
        "env",
        Some(serde_json::to_value(&role.properties.env).unwrap()),
    );
    let timeout = role.properties.timeout();
    let timeout = timeout.map(|timeout| timeout.as_millis());
    field(
        "timeout",
        timeout.map(|timeout| format!("{timeout}ms").into()),
    );
    field(
        "after",
        Some(serde_json::to_value(&role.properties.after).unwrap()),
    );
    let retry = role.properties.retry.as_ref();
    field(
        "retry",
        retry.map(|retry| serde_json::to_value(retry).unwrap()),
    );
    let restart = role.properties.restart;
    field(
        "restart",
        restart.map(|restart| serde_json::to_value(restart).unwrap()),
    );
    field("storage", role.properties.storage.map(Value::from));
    fields
}

/// Writes a value on one line.
fn toml(value: &Value) -> String {
    fn escaped(text: &str) -> String {
        let chars = text.chars().map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\U{:08x}", u32::from(c)),
            c => c.to_string(),
        });
        format!("\"{}\"", chars.collect::<String>())
    }
    match value {
        Value::Null => unreachable!("TOML has no null"),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => escaped(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(toml).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter();
            let entries: Vec<String> = entries
                .map(|(key, value)| format!("{} = {}", escaped(key), toml(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Generates text that the TOML parser may accept.
fn nearly_toml() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "[workspace.metadata.ansar]",
        "[workspace.metadata.ansar.role.a]",
        "[[workspace.metadata.ansar.role]]",
        "role",
        "executable",
        "settings",
        "input",
        "env",
        "timeout",
        "after",
        "retry",
        "restart",
        "storage",
        "count",
        "start",
        "tests",
        "'a'",
        "'{number}'",
        "\"é\"",
        "a",
        ".",
        "=",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\n",
        "\r\n",
        " ",
        "#",
        "1",
        "-1",
        "nan",
        "1e400",
        "2026-01-01",
        "true",
        "'''",
        "9223372036854775807",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![any::<String>(), nearly_toml()]) {
        if let Err(error) = try_read(&text) {
            let lines = u32::try_from(text.split('\n').count()).unwrap();
            prop_assert!((1..=lines).contains(&error.line), "{}", error);
            prop_assert_eq!(error.message.lines().count(), 1);
            prop_assert!(error.hint.is_none_or(|hint| hint.lines().count() == 1));
        }
    }

    #[test]
    fn any_value_of_any_key_is_read_or_refused(
        key in "(tests|home|role.a|role.a.(executable|settings|input|env|timeout|after|retry|restart|storage|count|x))",
        value in json(),
    ) {
        let text = format!("[workspace.metadata.ansar]\n{key} = {}", toml(&value));
        if let Err(error) = try_read(&text) {
            prop_assert_eq!(error.line, 2, "{}", error);
        }
    }

    #[test]
    fn written_descriptions_are_read_back(
        expected in description(),
        styles in prop::collection::vec(style(), 6),
    ) {
        let (text, expected) = written(expected, &styles);
        let found = try_read(&text);
        prop_assert_eq!(found, Ok(Some(expected)), "{}", text);
    }
}
