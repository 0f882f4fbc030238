//! Tests of the translations.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use crate::manifest;
use crate::manifest::import::*;

fn bins() -> Vec<Binary> {
    let bin = |name: &str, package: &str, folder: &str| Binary {
        name: name.to_owned(),
        package: package.to_owned(),
        folder: folder.into(),
    };
    vec![
        bin("api", "api", "services/api"),
        bin("worker", "worker", "worker"),
        bin("migrate", "tools", "tools"),
        bin("seed", "tools", "tools"),
        bin("seed", "other", "other"),
    ]
}

fn translated_with(file: &str, text: &str, has_dot_env: bool) -> Result<Translation, ImportError> {
    translate(&Input {
        file,
        text,
        bins: &bins(),
        tests: &RolePattern::parse(DEFAULT_TESTS).unwrap(),
        has_dot_env,
    })
}

fn translated(file: &str, text: &str) -> Result<Translation, ImportError> {
    translated_with(file, text, false)
}

/// Checks that a manifest with the translation is valid.
#[track_caller]
fn accepted(translation: &Translation) {
    let added = add("[workspace]\n", translation, &[]).unwrap();
    let path = Path::new("Cargo.toml");
    let read = manifest::parse(path, &added).and_then(|it| manifest::read(path, &it));
    let read = read.unwrap_or_else(|error| panic!("{error}\n{added}"));
    let described = read.expect("there is a description").roles;
    let mut described: Vec<&str> = described.iter().map(|role| role.name.as_str()).collect();
    // A series has more roles than the first.
    described.retain(|role| role.ends_with("-0") || translation.names(role));
    let mut translated: Vec<&str> = translation
        .roles
        .iter()
        .map(|it| it.role.as_str())
        .collect();
    translated.sort_unstable();
    assert_eq!(described, translated, "{added}");
}

impl Translation {
    fn names(&self, role: &str) -> bool {
        self.roles.iter().any(|it| it.role.as_str() == role)
    }
}

/// A file of another tool and its translation.
macro_rules! fixture {
    ($test:ident: $file:literal) => {
        #[test]
        fn $test() {
            let text = include_str!(concat!("fixtures/", $file));
            let translation = translated($file, text).unwrap();
            let expected = include_str!(concat!("fixtures/", $file, ".toml"));
            assert_eq!(translation.text, expected, "{}", translation.text);
            accepted(&translation);
        }
    };
}

fixture!(a_compose_file: "docker-compose.yml");
fixture!(a_procfile: "Procfile");
fixture!(a_file_of_process_compose: "process-compose.yaml");

/// Returns the text of one translated service.
fn service(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!("services:\n  api:\n{}", lines.concat());
    let translation = translated("compose.yaml", &text).unwrap();
    accepted(&translation);
    let (_, role) = translation.text.split_once("\n\n").unwrap();
    role.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn services_find_their_binaries() {
    let header = "[workspace.metadata.ansar.role.api-0]\n";
    for (lines, expected) in [
        ("build: .", "executable = \"api\"\n"),
        ("image: x/api:1", "executable = \"api\"\n"),
        ("build: ./worker", "executable = \"worker\"\n"),
        (
            "build: .\ncommand: /usr/bin/migrate up",
            "executable = \"migrate\"\nargs = [\"up\"]\n",
        ),
        (
            "image: rust\nentrypoint: [seed]",
            "executable = \"seed\"\npackage = \"other\"\n",
        ),
        ("build: { context: tools }", "executable = \"api\"\n"),
    ] {
        assert_eq!(service(lines), format!("{header}{expected}"), "{lines}");
    }
}

#[test]
fn what_is_not_translated_is_said() {
    for (lines, expected) in [
        (
            "build: .\nuser: root",
            "# `user`, line 4: not translated: it describes containers\n",
        ),
        (
            "build: .\nrestart: on-failure:3",
            "# `restart`, line 4: not translated: restarts have no limit, their delays grow\n",
        ),
        (
            "build: .\nstop_signal: SIGRTMIN",
            "# `stop_signal`, line 4: not translated: no role is stopped with this signal\n",
        ),
        (
            "build: .\nenvironment: [ANSAR_X=1]",
            "# variable `ANSAR_X`, line 4: not translated: the tool sets it\n",
        ),
        (
            "build: .\nenvironment: { A: '${B}' }",
            "# variable `A`, line 4: not translated: variable `B` has no default, and values of the environment are not read\n",
        ),
        (
            "build: .\nports: ['53:53/udp']",
            "# `ports`, line 4: not translated: only TCP ports are probed\n",
        ),
    ] {
        let text = service(lines);
        let header = "[workspace.metadata.ansar.role.api-0]\n";
        assert!(
            text.starts_with(&format!("{expected}{header}")),
            "{lines}: {text}"
        );
    }
    assert_eq!(
        service("image: x/kafka:7"),
        "# not translated: image `x/kafka:7` is not known, name a `program` of this machine\n\
         # [workspace.metadata.ansar.role.api-0]\n# program = \"api\"\n"
    );
}

#[test]
fn programs_that_cannot_be_named_are_commented_out() {
    for (file, text) in [
        ("Procfile", "a: ''"),
        ("Procfile", "a: bin/"),
        ("Procfile", "a: b c\0"),
        ("x.yml", "processes: { a: { entrypoint: '' } }"),
        ("x.yml", "processes: { a: { command: \"b 'c\\0'\" } }"),
        (
            "x.yml",
            "processes: { a: { command: b, readiness_probe: { exec: { command: \"c \\0\" } } } }",
        ),
    ] {
        let translation = translated(file, text).unwrap();
        accepted(&translation);
        let is_comment = translation
            .text
            .contains("# [workspace.metadata.ansar.role.a-0]");
        assert_eq!(translation.roles.is_empty(), is_comment, "{text}");
    }
}

#[test]
fn variables_have_their_defaults() {
    for (value, expected) in [
        ("${A:-b}", "b"),
        ("${A-b}c", "bc"),
        ("$$A", "$A"),
        ("${A:-${B:-c}}", "c"),
        ("a$ b", "a$ b"),
        ("{x}", "{{x}}"),
    ] {
        let text = service(&format!("build: .\nenvironment: {{ V: '{value}' }}"));
        assert!(
            text.contains(&format!("env = {{ V = \"{expected}\" }}")),
            "{value}: {text}"
        );
    }
}

#[test]
fn errors_name_the_line() {
    for (file, text, expected) in [
        (
            "Procfile",
            "a: b\n\nc\n",
            "line 3: expected `NAME: COMMAND`",
        ),
        (
            "Procfile",
            "a: b\na: c",
            "line 2: process `a` is in line 1 already",
        ),
        (
            "Procfile",
            "# a",
            "line 1: no process, expected `NAME: COMMAND`",
        ),
        (
            "x.yml",
            "a: 1",
            "line 1: no `services` of a compose file and no `processes` of process-compose",
        ),
        (
            "x.yml",
            "services:\n  - a",
            "line 2: `services` is not a mapping with at least one entry",
        ),
        (
            "x.yml",
            "services:\n  a: b",
            "line 2: service `a` is not a mapping",
        ),
        (
            "x.yml",
            "processes:\n  a: b",
            "line 2: process `a` is not a mapping",
        ),
        (
            "x.yml",
            "services:\n  a: {}\n  a: {}",
            "line 3: `a` is in line 2 already",
        ),
        (
            "x.yml",
            "services:\n  a: {}\n---\nb",
            "line 4: a second document, expected one",
        ),
        (
            "x.yml",
            "? [a]\n: b",
            "line 1: a key that is a list or a mapping, expected a text",
        ),
        (
            "x.yml",
            "a: &a [*a]",
            "line 1: the alias is a part of its own anchor",
        ),
    ] {
        let error = translated(file, text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
    let error = translated("x.yml", "a: [\nb: }").unwrap_err();
    assert!(
        error.to_string().starts_with("line 2: invalid YAML: "),
        "{error}"
    );
}

#[test]
fn hostile_yaml_is_bounded() {
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        let below = level - 1;
        text + &format!("a{level}: &a{level} [*a{below}, *a{below}]\n")
    });
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), "*a, ".repeat(100));
    for text in [
        bomb,
        long,
        "x".repeat(5 << 20),
        "[".repeat(100_000),
        "- ".repeat(100_000),
        "a: {b: ".repeat(100),
    ] {
        let error = translated("x.yml", &text).unwrap_err();
        assert!(error.reason.len() < 200, "{error}");
    }
    // Many keys take no quadratic time.
    let many = |count: u32, value: &str| {
        let lines = (0..count).map(|key| format!("  k{key}: {value}\n"));
        format!("services:\n{}", lines.collect::<Vec<_>>().concat())
    };
    translated("x.yml", &many(200_000, "1")).unwrap_err();
    let error = translated("x.yml", &many(2000, "{}")).unwrap_err();
    assert_eq!(error.to_string(), "line 2: more than 1000 services");
}

#[test]
fn dependencies_are_consistent() {
    let translation = translated(
        "x.yml",
        "services:\n  api: { build: ., depends_on: [worker, api] }\n  \
         worker: { build: ., depends_on: [seed] }\n  \
         seed: { build: ., depends_on: [api, none, test-seed] }\n  \
         test-seed: { image: seed, depends_on: [seed] }\n",
    );
    let translation = translation.unwrap();
    accepted(&translation);
    assert_eq!(
        translation.text,
        "# Translated from `x.yml`.\n
# `api`, line 2
# start after `api-0`, line 2: not translated: the roles would wait for each other
[workspace.metadata.ansar.role.api-0]
executable = \"api\"
after = [\"worker-0\"]

# `worker`, line 3
[workspace.metadata.ansar.role.worker-0]
executable = \"worker\"
after = [\"seed-0\"]

# `seed`, line 4
# `depends_on`, line 4: not translated: there is no service `none`
# start after `test-seed-0`, line 4: not translated: that role is a test role, and this one is not
# start after `api-0`, line 4: not translated: the roles would wait for each other
[workspace.metadata.ansar.role.seed-0]
executable = \"seed\"
package = \"other\"

# `test-seed`, line 5
[workspace.metadata.ansar.role.test-seed-0]
executable = \"seed\"
package = \"other\"
after = [\"seed-0\"]
"
    );
}

#[test]
fn roles_are_added_to_a_description() {
    let translation = translated("Procfile", "api: x\n").unwrap();
    let manifest = "[workspace]\r\nmetadata.ansar.tests = 'x' # mine\r\n";
    let added = add(manifest, &translation, &[]).unwrap();
    assert_eq!(
        added,
        format!(
            "{manifest}\r\n# Translated from `Procfile`.\r\n\r\n# `api`, line 1\r\n\
             [workspace.metadata.ansar.role.api-0]\r\nprogram = \"x\"\r\n"
        )
    );
    let existing = [("api-0".parse().unwrap(), 7)];
    let error = add(manifest, &translation, &existing).unwrap_err();
    assert_eq!(error.to_string(), "role `api-0` exists in line 7");
    let closed = "workspace = { metadata = { ansar = {} } }\n";
    let error = add(closed, &translation, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`workspace.metadata.ansar` in line 1 is not a table with its own header, expected `[workspace.metadata.ansar]`"
    );
}

fn compose_lines() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "services:",
        "processes:",
        "api:",
        "db:",
        "image:",
        "postgres",
        "redis:7",
        "nginx",
        "build:",
        "command:",
        "environment:",
        "- A=1",
        "PORT: 3000",
        "PORT=3000",
        "ports:",
        "- 80:3000",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a",
        "*a",
        "<<:",
        "*",
        "'",
        "\"",
        "${A:-b}",
        "$$",
        "depends_on:",
        "- api",
        "- db",
        "healthcheck:",
        "test:",
        "curl http://localhost:3000/",
        "restart: always",
        "stop_signal: TERM",
        "stop_grace_period: 5s",
        "env_file: .env",
        "availability:",
        "restart: on_failure",
        "replicas: 3",
        "disabled: true",
        "readiness_probe:",
        "http_get:",
        "exec:",
        "port: 80",
        "|",
        ">",
        "#",
        "~",
        "null",
        "true",
        "-",
        "?",
        ":",
        "POSTGRES_DB: x",
        "api:3000",
        "db:5432",
        "\u{7f}",
        "\u{85}",
        "é",
        "cargo run --bin api -- $PORT",
        "a | b",
    ]);
    let line = (0_usize..5, prop::collection::vec(words, 1..4));
    let line =
        line.prop_map(|(depth, words)| format!("{}{}\n", "  ".repeat(depth), words.join(" ")));
    prop::collection::vec(line, 0..20).prop_map(|lines| lines.concat())
}

/// A compose file or a file of process-compose with likely keys.
fn likely_file() -> impl Strategy<Value = String> {
    let values = prop_oneof![
        prop::sample::select(vec![
            "postgres",
            "redis",
            "nginx",
            ".",
            "[api, db]",
            "{ api: { condition: service_healthy } }",
            "{ A: 'x{', 'B C': \"\\0\", PORT: 3000 }",
            "['3000', '53/udp', 9:0]",
            "always",
            "SIGTERM",
            "9",
            "5s",
            "0",
            "-1s",
            "999999h",
            "../x",
            "/x",
            "{ test: [CMD, a, '{'] }",
            "{ test: 'curl http://api:3000/x' }",
            "{ http_get: { port: 3000, path: '/{' } }",
            "{ exec: { command: 'a {b}' } }",
            "{ restart: always }",
            "{ signal: 15, timeout_seconds: 3 }",
            "cargo run --bin seed -p other",
            "cargo run",
            "'a | b'",
            "target/debug/api --port 3000",
            "5",
            "true",
            "[x y, é, ok]",
            "{ path: a, required: false }",
            "~",
        ])
        .prop_map(str::to_owned),
        "[a-z{}$: -]{0,12}".prop_map(|text| format!("'{text}'")),
    ];
    let keys = prop::sample::select(vec![
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "env_file",
        "ports",
        "expose",
        "depends_on",
        "healthcheck",
        "restart",
        "stop_signal",
        "stop_grace_period",
        "working_dir",
        "profiles",
        "volumes",
        "readiness_probe",
        "liveness_probe",
        "availability",
        "shutdown",
        "namespace",
        "disabled",
        "replicas",
        "description",
        "ready_log_line",
        "x",
    ]);
    let names = prop::sample::select(vec!["api", "db", "worker", "test-x", "ü", "a.b", "a b", ""]);
    let service = (names, prop::collection::btree_map(keys, values, 0..8));
    let root = prop::sample::select(vec!["services", "processes"]);
    (root, prop::collection::vec(service, 1..5)).prop_map(|(root, services)| {
        let mut text = format!("{root}:\n");
        let mut seen = Vec::new();
        for (name, keys) in services {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let _ = write!(text, "  '{name}':\n    y: 1\n");
            for (key, value) in keys {
                let _ = writeln!(text, "    {key}: {value}");
            }
        }
        text
    })
}

proptest! {
    #[test]
    fn any_text_is_refused_or_translated(
        file in prop::sample::select(vec!["Procfile", "x.yml"]),
        text in prop_oneof![any::<String>(), compose_lines(), "([a-z]{1,3}: .{0,30}\n){0,5}"],
    ) {
        match translated(file, &text) {
            Ok(translation) => accepted(&translation),
            Err(error) => prop_assert!(error.line > 0),
        }
    }

    #[test]
    fn likely_files_are_translated(text in likely_file(), has_dot_env: bool) {
        match translated_with("x.yml", &text, has_dot_env) {
            Ok(translation) => accepted(&translation),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }
}
