//! Cargo's configuration: its environment and colours also apply to roles and
//! to the output.

use super::{Group, ZOMBIE};
use crate::commands::PLAIN_MARKER;

/// A component that passes one check for each variable with the expected value.
const EXPECTS: &str = r##"
fn main() {
    if std::env::args().any(|argument| argument.starts_with("--dump-")) {
        return println!(r#"{{"value": {{}}}} {{"value": null}}"#);
    }
    let expected = [
        ("TEST_PLAIN", "configured"),
        ("TEST_SET", "outer"),
        ("TEST_FORCED", "configured"),
        ("TEST_OWN", "own"),
    ];
    let is = |(name, value): &&(&str, &str)| std::env::var(name).as_deref() == Ok(*value);
    let passed = expected.iter().filter(is).count();
    println!(
        r#"{{"value": ["ansar.create.test.TestReport", {{"passed": {passed}, "failed": 0, "tested": []}}, []]}}"#
    );
}
"##;

const CONFIGURATION: &str = r#"[env]
TEST_PLAIN = "configured"
TEST_SET = "configured"
TEST_FORCED = { value = "configured", force = true }
TEST_OWN = { value = "configured", force = true }
TEST_PATH = { value = "some/where", relative = true }
"#;

#[test]
fn variables_of_the_configuration_reach_roles_and_commands() {
    let group = Group::of(&[]);
    let source = format!("//! Looks at its environment.\n{PLAIN_MARKER}{EXPECTS}");
    group.describe(&[r#"test-expects = { executable = "expects", env = { TEST_OWN = "own" } }"#]);
    group.write("expects/src/main.rs", &source);
    let manifest = "[package]\nname = \"expects\"\nedition = \"2024\"\n";
    group.write("expects/Cargo.toml", manifest);
    let members = "\"test-fixtures\", \"expects\"]";
    group.edit("Cargo.toml", "\"test-fixtures\"]", members);
    group.write(".cargo/config.toml", CONFIGURATION);
    let outer = [("TEST_SET", "outer"), ("TEST_FORCED", "outer")];
    let test = group.test([]).envs(outer).run();
    test.success()
        .stdout_is("role \"test-expects\" (pass/fail): 4/0\n");
    let run = group.ansar(["run", "--test-run"]).envs(outer).run();
    run.success()
        .stdout_has("role \"test-expects\" (pass/fail): 4/0\n");
    let script = "echo $TEST_PLAIN $TEST_SET $TEST_FORCED $TEST_PATH";
    let with = group.ansar(["with", "--", "sh", "-c", script]).envs(outer);
    let path = group.path().join("some/where").display().to_string();
    with.run()
        .success()
        .stdout_is(&format!("configured outer configured {path}\n"));
}

#[test]
fn a_change_of_the_configured_environment_restarts_roles() {
    let group = Group::of(&[ZOMBIE]);
    group.write(".cargo/config.toml", "[env]\nTEST_PLAIN = \"1\"\n");
    group.ansar(["deploy", "-f"]).run().success();
    group.ansar(["start", "zombie-0"]).run().success();
    let pid = || {
        let status = group.ansar(["status", "zombie-0", "--format=json"]).run();
        let lines = status.success().json_lines();
        lines.iter().find_map(|line| line["pid"].as_u64())
    };
    let before = pid();
    assert!(before.is_some());
    group.ansar(["deploy", "-f"]).run().success();
    assert_eq!(pid(), before);
    group.write(".cargo/config.toml", "[env]\nTEST_PLAIN = \"2\"\n");
    group.ansar(["deploy", "-f"]).run().success();
    assert_ne!(pid(), before);
    let why = group.ansar(["why", "zombie-0"]).run();
    why.success().stdout_has("its environment");
    group.ansar(["stop"]).run().success();
}

#[test]
fn cargos_colour_setting_applies() {
    let group = Group::of(&[ZOMBIE]);
    let colored = |words: &[&str], environment: &[(&str, &str)]| {
        let list = group.ansar(["run", "absent"]).args(words);
        let list = list.envs(environment.iter().copied()).run();
        list.code(2).stderr.contains('\u{1b}')
    };
    let always = [("CARGO_TERM_COLOR", "always")];
    assert!(!colored(&[], &[]));
    assert!(colored(&[], &always));
    assert!(!colored(&["--color=never"], &always));
    assert!(!colored(&["--color=auto"], &always));
    group.write(".cargo/config.toml", "[term]\ncolor = \"always\"\n");
    assert!(colored(&[], &[]));
    assert!(!colored(&[], &[("CARGO_TERM_COLOR", "never")]));
}
