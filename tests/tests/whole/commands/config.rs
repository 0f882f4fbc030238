//! `config`: the options in force, and where each comes from.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "snapbox writes the expected texts"
)]

use snapbox::{Assert, Redactions, str};
use tests::{Output, Sandbox};

use super::with_roles;

/// A workspace with an option from every source.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "Cargo.toml",
        r#"[package]
name = "api"
edition = "2024"

[workspace.metadata.ansar]
retries = 2
env = { LEVEL = "info" }
env-file = { path = ".env", optional = true }

[workspace.metadata.ansar.build]
features = ["local"]
profile = "release"
env = { URL = "http://{address:db-0}" }
needs = ["db-0"]

[workspace.metadata.ansar.role.db-0]
program = "sh"
args = ["-c", "exec sleep 1000"]
stop = { grace = "2s" }
env = { OWN = "{port}" }
env-file = "db.env"
ready = "started"
timeout = "30s"

[workspace.metadata.ansar.role."test-{number}"]
test = "api"
count = 2
isolate = false
"#,
    );
    sandbox.write(
        ".cargo/config.toml",
        "[env]\nLEVEL = \"cargo\"\nMORE = \"cargo\"\n",
    );
    sandbox.write("src/main.rs", "fn main() {}\n");
    sandbox.write("db.env", "");
    sandbox
}

/// Asserts all of stdout, with `[ROOT]` in place of the sandbox's folder.
#[track_caller]
fn shows(sandbox: &Sandbox, output: &Output, expected: impl snapbox::IntoData) {
    let mut redactions = Redactions::new();
    let root = sandbox.path().canonicalize().expect("the folder is there");
    redactions.insert("[ROOT]", root).expect("it is a name");
    let assert = Assert::new()
        .action_env("SNAPSHOTS")
        .redact_with(redactions);
    assert.eq(&output.success().stdout, expected);
}

#[test]
fn options_of_the_group_have_sources() {
    let sandbox = sandbox();
    let output = sandbox
        .ansar(["config", "-F", "tls", "--profile=dev"])
        .env("CARGO_TERM_COLOR", "never")
        .run();
    shows(
        &sandbox,
        &output,
        str![[r#"
home            [ROOT]/.ansar-home  default
color           never                              environment variable CARGO_TERM_COLOR
tests           test-.*                            default
deploy          link                               default
retries         2                                  [ROOT]/Cargo.toml:6
slow-timeout    60s                                default
network         host                               default
env-file        [{"path":".env","optional":true}]  [ROOT]/Cargo.toml:8
env.LEVEL       info                               [ROOT]/Cargo.toml:7
env.MORE        cargo                              [ROOT]/.cargo/config.toml
build.features  ["tls","local"]                    command line, [ROOT]/Cargo.toml:11
build.profile   dev                                command line
build.env.URL   http://{address:db-0}              [ROOT]/Cargo.toml:13
build.needs     ["db-0"]                           [ROOT]/Cargo.toml:14
role.db-0       sh                                 [ROOT]/Cargo.toml:16
role.test-0     api--test                          [ROOT]/Cargo.toml:25
role.test-1     api--test                          [ROOT]/Cargo.toml:25

"#]],
    );
    let output = sandbox
        .ansar(["config", "--color=always", "--format=json"])
        .env("ANSAR_HOME", "elsewhere")
        .run();
    shows(
        &sandbox,
        &output,
        str![[r#"
{"version":1,"key":"home","value":"[ROOT]/elsewhere","from":[{"source":"variable","name":"ANSAR_HOME"}]}
{"version":1,"key":"color","value":"always","from":[{"source":"command-line"}]}
{"version":1,"key":"tests","value":"test-.*","from":[{"source":"default"}]}
{"version":1,"key":"deploy","value":"link","from":[{"source":"default"}]}
{"version":1,"key":"retries","value":2,"from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":6}]}
{"version":1,"key":"slow-timeout","value":"60s","from":[{"source":"default"}]}
{"version":1,"key":"network","value":"host","from":[{"source":"default"}]}
{"version":1,"key":"env-file","value":[{"path":".env","optional":true}],"from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":8}]}
{"version":1,"key":"env.LEVEL","value":"info","from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":7}]}
{"version":1,"key":"env.MORE","value":"cargo","from":[{"source":"file","file":"[ROOT]/.cargo/config.toml"}]}
{"version":1,"key":"build.features","value":["local"],"from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":11}]}
{"version":1,"key":"build.profile","value":"release","from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":12}]}
{"version":1,"key":"build.env.URL","value":"http://{address:db-0}","from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":13}]}
{"version":1,"key":"build.needs","value":["db-0"],"from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":14}]}
{"version":1,"key":"role.db-0","value":"sh","from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":16}]}
{"version":1,"key":"role.test-0","value":"api--test","from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":25}]}
{"version":1,"key":"role.test-1","value":"api--test","from":[{"source":"manifest","file":"[ROOT]/Cargo.toml","line":25}]}

"#]],
    );
}

#[test]
fn values_of_a_role_have_sources() {
    let sandbox = sandbox();
    let output = sandbox.ansar(["config", "db-0"]).run();
    shows(
        &sandbox,
        &output,
        str![[r#"
program        ["sh"]                    [ROOT]/Cargo.toml:17
restart        never                     default
timeout        30.0                      [ROOT]/Cargo.toml:23
ready          started                   [ROOT]/Cargo.toml:22
ready-timeout  60.0                      default
stop.grace     2.0                       [ROOT]/Cargo.toml:19
stop.signal    SIGINT                    default
args           ["-c","exec sleep 1000"]  [ROOT]/Cargo.toml:18
cwd            .                         default
env.LEVEL      info                      [ROOT]/Cargo.toml:7
env.OWN        {port}                    [ROOT]/Cargo.toml:20
env-file       [{"path":".env","optional":true},{"path":"db.env"}]  [ROOT]/Cargo.toml:8, [ROOT]/Cargo.toml:21
hold           true                      default
unprivileged   false                     default
network        host                      default
storage        16777216                  default

"#]],
    );
    let output = sandbox.ansar(["config", "test-1"]).run();
    shows(
        &sandbox,
        &output,
        str![[r#"
test           {"target":{"test":"api"}}          [ROOT]/Cargo.toml:26
restart        never                              default
ready-timeout  60.0                               default
stop.signal    SIGINT                             default
stop.grace     5.0                                default
cwd            .                                  default
env.LEVEL      info                               [ROOT]/Cargo.toml:7
env-file       [{"path":".env","optional":true}]  [ROOT]/Cargo.toml:8
exact          false                              default
ignored        skip                               default
isolate        false                              [ROOT]/Cargo.toml:28
network        host                               default
storage        16777216                           default

"#]],
    );
    let wrong = sandbox.ansar(["config", "db-1"]).run();
    wrong.code(2).stderr_has("did you mean `db-0`?");
}

#[test]
fn values_of_a_role_by_hand_have_sources() {
    let sandbox = with_roles(&["client"]);
    sandbox
        .ansar(["update", "client-0", "--port=4711"])
        .run()
        .success();
    sandbox
        .ansar(["set", "storage", "client-0"])
        .stdin("{\"value\": 65536}")
        .run()
        .success();
    let output = sandbox.ansar(["config", "client-0"]).run();
    shows(
        &sandbox,
        &output,
        str![[r#"
executable     client     set by hand
settings.host  127.0.0.1  default
settings.port  4711       set by hand
restart        never      default
ready-timeout  60.0       default
stop.signal    SIGINT     default
stop.grace     5.0        default
cwd            .          default
network        host       default
storage        65536      set by hand

"#]],
    );
    let output = sandbox.ansar(["config"]).run();
    shows(
        &sandbox,
        &output,
        str![[r#"
home           [ROOT]/.ansar-home  default
color          auto     default
tests          test-.*  default
deploy         link     default
retries        0        default
slow-timeout   60s      default
network        host     default
role.client-0  client   set by hand

"#]],
    );
}

/// The reference repeats the defaults of properties.
#[test]
fn defaults_are_those_of_the_reference() {
    let sandbox = sandbox();
    let page = std::fs::read_to_string(tests::repository().join("docs/src/reference/manifest.md"));
    let page = page.expect("it is read");
    let rows = page.lines().filter_map(|line| {
        let mut columns = line.strip_prefix("| `")?.split(" | ");
        let name = columns.next()?.trim_end_matches('`').to_owned();
        let default = columns.last()?.trim_end_matches(" |");
        let default = default.strip_prefix('`')?.strip_suffix('`')?;
        Some((name, default.trim_matches('"').to_owned()))
    });
    let documented: std::collections::BTreeMap<String, String> = rows.collect();
    let mut compared = 0;
    for role in ["db-0", "test-0"] {
        let output = sandbox.ansar(["config", role, "--format=json"]).run();
        for line in output.success().json_lines() {
            let key = line["key"].as_str().unwrap_or_default();
            if line["from"][0]["source"] != "default" || key.starts_with("stop.") {
                continue;
            }
            let value = match &line["value"] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Number(number) if number.is_f64() => {
                    format!("{number}").replace(".0", "s")
                }
                value => value.to_string(),
            };
            let written = documented.get(key);
            let is_same = written == Some(&value) || key == "network";
            assert!(
                is_same,
                "`{key}` is {value}, and {written:?} in the reference"
            );
            compared += 1;
        }
    }
    assert!(compared > 8, "{compared} defaults are compared");
}
