//! Tests of descriptions, key by key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ansar_contract::retry::Retry;

use crate::manifest::*;
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
            env: BTreeMap::from([("RUST_LOG".to_owned(), "debug".to_owned())]),
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
        },
        line: 14,
    };
    assert_eq!(description.roles[1], server);
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
