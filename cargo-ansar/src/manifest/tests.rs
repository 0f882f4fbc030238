//! Tests of descriptions, key by key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ansar_contract::retry::Retry;

use crate::manifest::*;
use crate::model::readiness::Probe;
use crate::model::restart_policy::Restart;

pub(crate) fn try_read(text: &str) -> Result<Option<Description>, DescriptionError> {
    let manifest = Path::new("/ws/Cargo.toml");
    read(manifest, &parse(manifest, text)?)
}

#[track_caller]
fn described(text: &str) -> Description {
    try_read(text).unwrap().unwrap()
}

fn names(description: &Description) -> Vec<&str> {
    let roles = description.roles.iter();
    roles.map(|role| role.name.as_str()).collect()
}

#[test]
fn a_manifest_without_a_description_has_none() {
    for text in [
        "",
        "[package]\nname = \"a\"",
        "workspace = 3",
        "[workspace.metadata]\nother = {}",
        "[package.metadata.ansar]\nrole = 3",
    ] {
        assert_eq!(try_read(text).unwrap(), None, "{text}");
    }
}

#[test]
fn an_empty_description_has_the_defaults() {
    let description = described("[workspace.metadata.ansar]");
    assert_eq!(description.tests.as_str(), "test-.*");
    assert_eq!(description.snapshot, None);
    assert_eq!(description.home, None);
    assert_eq!(description.deploy, DeployMode::Link);
    assert_eq!(description.roles, []);
}

#[test]
fn every_key_is_read() {
    let description = described(
        r#"
[workspace.metadata.ansar]
tests = "check-.*"
snapshot = "testing"
home = "/srv/home"
deploy = "copy"
analyzer = "judge"
retries = 2
slow-timeout = "1m30s"

[workspace.metadata.ansar.role.db]
executable = "db"

[workspace.metadata.ansar.role.server-0]
executable = "server"
package = "servers"
settings = { host = "::1", port = 65432, ratio = 0.5, since = 2026-01-02, deep = [[1], {}] }
input = [1, "two"]
env = { RUST_LOG = "debug" }
timeout = "1m30s"
after = ["db", "db"]
retry = { first_steps = [1, 2.5], regular_steps = 3, step_limit = 4, randomized = 0.25, truncated = 0.5 }
restart = "on-failure"
storage = 1048576
"#,
    );
    assert_eq!(description.tests.as_str(), "check-.*");
    assert_eq!(description.snapshot, Some(PathBuf::from("testing")));
    assert_eq!(description.home, Some(PathBuf::from("/srv/home")));
    assert_eq!(description.deploy, DeployMode::Copy);
    let analyzer = description.analyzer.as_ref().map(ExecutableName::as_str);
    assert_eq!(analyzer, Some("judge"));
    assert_eq!(description.retries, Some(2));
    assert_eq!(description.slow_timeout, Some(Duration::from_secs(90)));
    assert_eq!(names(&description), ["db", "server-0"]);
    let Value::Object(settings) = serde_json::json!({
        "host": "::1", "port": 65432, "ratio": 0.5, "since": "2026-01-02", "deep": [[1], {}],
    }) else {
        unreachable!("it is an object");
    };
    let server = RoleSpec {
        name: "server-0".parse().unwrap(),
        executable: "server".parse().unwrap(),
        package: Some("servers".to_owned()),
        settings,
        input: Some(serde_json::json!([1, "two"])),
        properties: RoleProperties {
            env: BTreeMap::from([("RUST_LOG".to_owned(), Template::literal("debug"))]),
            timeout: Some(90.0),
            after: vec!["db".parse().unwrap()],
            retry: Some(Retry {
                first_steps: vec![1.0, 2.5],
                regular_steps: Some(3.0),
                step_limit: Some(4),
                randomized: Some(0.25),
                truncated: Some(0.5),
            }),
            restart: Some(Restart::OnFailure),
            storage: Some(1 << 20),
            ..RoleProperties::default()
        },
        line: 14,
    };
    assert_eq!(description.roles[1], server);
}

#[test]
fn programs_are_described() {
    let description = described(
        r#"
[workspace.metadata.ansar]
env = { RUST_LOG = "info" }
env-file = { path = ".env", optional = true }

[workspace.metadata.ansar.role.db-0]
program = ["postgres", "/usr/lib/postgresql/*/bin/postgres"]
args = ["-D", "{model}/data", "-p", "{port}"]
setup = [["initdb", "-D", "{model}/data"]]
ready = { log = "ready to accept connections" }
unprivileged = true
env-file = "db.env"

[workspace.metadata.ansar.role.cache-0]
program = "/opt/cache/redis.server"
ready = [{ command = ["redis-cli", "-p", "{port}", "ping"], says = "PONG" }, "listen"]
health = { tcp = "{address}", every = "1s", failures = 2 }
tags = ["storage"]
ports = { admin = 9000 }
hold = false

[workspace.metadata.ansar.role.api-0]
executable = "api"
args = ["--verbose"]
env = { PORT = "{port}", RUST_LOG = "debug", DATABASE = "postgres://{address:db-0}/app" }
ready = { http = "http://{address}/health", status = [200, 404] }
ready-timeout = "10s"
stop = { signal = "term", grace = "10s" }
cwd = "services/api"
watch = ["migrations/**/*.sql"]
component = false
"#,
    );
    let properties = |role: &str| {
        let spec = description.role(&role.parse().unwrap()).unwrap();
        let properties = spec.properties.clone();
        (spec.executable.to_string(), properties)
    };
    let template = |text: &str| Template::parse(text).unwrap();
    let env_file = |path: &str, optional| EnvFile {
        path: path.to_owned(),
        optional,
    };
    let all = ("RUST_LOG".to_owned(), Template::literal("info"));
    let (executable, db) = properties("db-0");
    assert_eq!(executable, "postgres");
    assert_eq!(
        db.program,
        ["postgres", "/usr/lib/postgresql/*/bin/postgres"]
    );
    assert_eq!(db.args[3], template("{port}"));
    assert_eq!(db.setup[0][2], template("{model}/data"));
    assert_eq!(
        db.ready.0,
        [Probe::Log("ready to accept connections".to_owned())]
    );
    assert!(db.unprivileged);
    assert_eq!(db.env, BTreeMap::from([all]));
    assert_eq!(
        db.env_file,
        [env_file(".env", true), env_file("db.env", false)]
    );
    let (executable, cache) = properties("cache-0");
    assert_eq!(executable, "redis-server");
    assert_eq!(cache.ready.0[1], Probe::Listen(None));
    let health = cache.health.unwrap();
    assert_eq!((health.every, health.failures), (Duration::from_secs(1), 2));
    assert_eq!(health.probe, Probe::Tcp(template("{address}")));
    assert_eq!(cache.tags, ["storage".to_owned()].into());
    assert_eq!(cache.ports, [("admin".to_owned(), 9000)].into());
    assert_eq!(cache.hold, Some(false));
    let (executable, api) = properties("api-0");
    assert_eq!(executable, "api");
    assert_eq!(api.env["RUST_LOG"], Template::literal("debug"));
    assert_eq!(api.ready_timeout, Some(10.0));
    assert_eq!(api.stop.signal.unwrap().name(), "SIGTERM");
    assert_eq!(api.stop.grace, Some(10.0));
    assert_eq!(api.cwd, Some(template("services/api")));
    assert_eq!(api.watch, ["migrations/**/*.sql"]);
    assert_eq!(api.component, Some(false));
}

#[test]
fn a_role_may_be_written_in_any_style() {
    let lines = |text: &str| {
        let mut description = described(text);
        let lines: Vec<u32> = description.roles.iter().map(|role| role.line).collect();
        description.roles.iter_mut().for_each(|role| role.line = 0);
        (description, lines)
    };
    let (tables, at) = lines(
        "[workspace.metadata.ansar.role.b]\nexecutable = \"b\"\n\n\
         [workspace.metadata.ansar.role.a.settings]\nx = 1\n\
         [workspace.metadata.ansar.role.a]\nexecutable = \"a\"\n",
    );
    assert_eq!(at, [6, 1]);
    for (text, expected) in [
        (
            "[workspace.metadata.ansar]\nrole.b.executable = \"b\"\nrole.a.settings.x = 1\nrole.a.executable = \"a\"\n",
            [3, 2],
        ),
        (
            "[workspace.metadata.ansar.role]\na = { executable = \"a\", settings = { x = 1 } }\n\nb = { executable = \"b\" }\n",
            [2, 4],
        ),
        (
            "[workspace.metadata]\nansar = { role = {\n  a = { executable = \"a\", settings.x = 1 },\n  b.executable = \"b\",\n} }\n",
            [3, 4],
        ),
        (
            "\u{feff}workspace.metadata.ansar.role.a = { executable = \"a\", settings = { x = 1 } }\r\nworkspace.metadata.ansar.role.b.executable = 'b'\r\n",
            [1, 2],
        ),
        (
            "[workspace.metadata.ansar.role.a.settings]\nx = 1\n[workspace.metadata.ansar.role]\na.executable = \"a\"\nb.executable = \"b\"",
            [1, 5],
        ),
    ] {
        let (description, at) = lines(text);
        assert_eq!(description, tables, "{text}");
        assert_eq!(at, expected, "{text}");
    }
}

#[test]
fn templates_are_expanded_and_roles_sorted() {
    let description = described(
        r#"[workspace.metadata.ansar]
role."w-{number}" = { executable = "w", start = 8, count = 3, after = ["a"] }
role."{executable}" = { executable = "x", count = 1 }
role.a = { executable = "x", start = 0, count = 1, step = 1 }
"#,
    );
    assert_eq!(names(&description), ["a", "w-10", "w-8", "w-9", "x"]);
    assert!(description.roles[1..4].iter().all(|role| role.line == 2));
    assert_eq!(
        description.roles[1].properties.after,
        ["a".parse().unwrap()]
    );
}

#[test]
fn the_package_of_an_executable_holds_for_all_its_roles() {
    let description = described(
        "[workspace.metadata.ansar.role]\n\
         a = { executable = \"x\" }\n\
         b = { executable = \"x\", package = \"p\" }\n\
         c = { executable = \"y\" }\n",
    );
    let roles = description.roles.iter();
    let packages: Vec<_> = roles.map(|role| role.package.as_deref()).collect();
    assert_eq!(packages, [Some("p"), Some("p"), None]);
}

#[test]
fn arrays_of_tables_are_arrays_of_objects() {
    let description = described(
        "[workspace.metadata.ansar.role.a]\nexecutable = \"a\"\n\
         [[workspace.metadata.ansar.role.a.settings.user]]\nname = \"x\"\n\
         [[workspace.metadata.ansar.role.a.settings.user]]\n",
    );
    let settings = Value::Object(description.roles[0].settings.clone());
    assert_eq!(settings, serde_json::json!({"user": [{"name": "x"}, {}]}));
}

#[test]
fn a_test_role_may_come_after_another() {
    let description = described(
        "[workspace.metadata.ansar]\ntests = 't.*'\n\
         role.t1 = { executable = 'a', after = ['t2', 'a'] }\n\
         role.t2.executable = 'a'\nrole.a.executable = 'a'\n",
    );
    assert_eq!(names(&description), ["a", "t1", "t2"]);
}

#[test]
fn a_long_chain_is_no_cycle() {
    let mut text = String::from("[workspace.metadata.ansar.role]\nr0.executable = 'a'\n");
    for nth in 1..5000 {
        let before = nth - 1;
        writeln!(
            text,
            "r{nth} = {{ executable = 'a', after = ['r{before}'] }}"
        )
        .unwrap();
    }
    assert_eq!(described(&text).roles.len(), 5000);
}
