//! Roles get their values from the manifest, and errors in it are located.

use std::fs;

use tests::eventually;

use super::{CLIENT, Group, PASSED, SERVER, ZOMBIE};

/// Returns the environment of the process that now runs a role.
fn environment(group: &Group, role: &str) -> Option<Vec<String>> {
    let flag = format!("--role-name={role} ");
    let processes = group.processes();
    let (pid, _) = processes.iter().find(|(_, command)| {
        let command = format!("{command} ");
        command.contains(&flag) && command.contains("--call-signature")
    })?;
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environment.split(|byte| *byte == 0);
    Some(
        variables
            .map(|it| String::from_utf8_lossy(it).into_owned())
            .collect(),
    )
}

#[test]
fn env_reaches_its_role_without_rustup() {
    let zombie = ZOMBIE.replace(" }", ", env = { WORD = \"wörd = x\", PATH = \"/own\" } }");
    let hangs = r#"test-hangs = { executable = "hangs" }"#;
    let group = Group::of(&[&zombie, hangs]);
    let running = group
        .test(["--debug-level=CONSOLE"])
        .env("RUST_RECURSION_COUNT", "1")
        .env("SOMETHING", "else")
        .start();
    running.wait_for("Hanging");
    let of_zombie = eventually(|| environment(&group, "zombie-0")).expect("it runs");
    let of_test = eventually(|| environment(&group, "test-hangs")).expect("it runs");
    running.signal(tests::Signal::SIGINT);
    running.wait().code(130);
    let has = |environment: &[String], text: &str| environment.iter().any(|it| it == text);
    assert!(has(&of_zombie, "WORD=wörd = x") && has(&of_zombie, "PATH=/own"));
    assert!(!has(&of_test, "WORD=wörd = x") && !has(&of_test, "PATH=/own"));
    for environment in [of_zombie, of_test] {
        assert!(has(&environment, "SOMETHING=else"));
        let leaked = environment
            .iter()
            .find(|it| it.starts_with("RUSTUP_TOOLCHAIN") || it.starts_with("RUST_RECURSION"));
        assert_eq!(leaked, None);
    }
}

#[test]
fn a_role_works_in_the_workspace_root() {
    let group = Group::of(&[r#"test-hangs = { executable = "hangs" }"#]);
    let test = group
        .test(["--debug-level=CONSOLE"])
        .in_dir("test-fixtures");
    let running = test.start();
    running.wait_for("Hanging");
    let processes = group.processes();
    let (pid, _) = processes
        .iter()
        .find(|(_, command)| command.contains("--role-name=test-hangs"))
        .expect("it runs");
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).expect("it is ours");
    assert_eq!(folder, group.path());
    running.signal(tests::Signal::SIGINT);
    running.wait().code(130);
}

#[test]
fn changed_settings_restart_only_their_role() {
    let snooze = |seconds: &str| {
        format!("snooze-0 = {{ executable = \"snooze\", settings = {{ seconds = {seconds} }} }}")
    };
    let group = Group::of(&[SERVER, &snooze("0.1"), CLIENT]);
    group.test([]).run().success().stdout_is(PASSED);
    assert!(group.log("snooze-0").contains("Do nothing for 0.1 seconds"));

    group.describe(&[SERVER, &snooze("0.2"), CLIENT]);
    let output = group.test([]).run();
    output
        .success()
        .stderr_has("Deploying settings/snooze-0, 1 role affected");
    assert!(group.log("snooze-0").contains("Do nothing for 0.2 seconds"));

    // Without it, the component's own default applies again.
    group.describe(&[SERVER, r#"snooze-0 = { executable = "snooze" }"#, CLIENT]);
    group.test([]).run().success();
    assert!(
        group
            .read(".ansar-home/settings/snooze-0.json")
            .contains("2.0")
    );
}

#[test]
fn an_unknown_setting_is_located() {
    let group = Group::demo();
    group.test([]).run().success();
    let wrong = SERVER.replace("port", "prot");
    group.describe(&[&wrong, ZOMBIE, CLIENT]);
    let line = group.manifest_line("prot = ");
    let refused = group.test([]).run();
    refused
        .code(103)
        .stdout_is("")
        .stderr_has(&format!(
            "role `server-0` ({}/Cargo.toml:{line}): ",
            group.path().display()
        ))
        .stderr_has("`prot`")
        .stderr_lacks("Testing");
    let wrong = SERVER.replace("65432", "\"http\"");
    group.describe(&[&wrong, ZOMBIE, CLIENT]);
    let refused = group.test([]).run();
    refused
        .code(103)
        .stderr_has("role `server-0`")
        .stderr_has("expected u16");

    group.describe(&[SERVER, ZOMBIE, CLIENT]);
    group.test([]).run().success().stdout_is(PASSED);
}

#[test]
fn an_unexpected_input_is_located() {
    let group = Group::of(&[r#"test-talks = { executable = "talks", input = "weather" }"#]);
    let refused = group.test([]).run();
    refused
        .code(103)
        .stdout_is("")
        .stderr_has("role `test-talks` (")
        .stderr_has("weather");
}

#[test]
fn an_unknown_key_gets_a_suggestion() {
    let group = Group::of(&[SERVER, &CLIENT.replace("executable", "executible")]);
    let line = group.manifest_line("executible");
    let place = format!("Cargo.toml:{line}:17: ");
    for flags in [[].as_slice(), &["--list"], &["--no-run"]] {
        let failed = group.test([]).args(flags).run();
        failed
            .code(96)
            .stdout_is("")
            .stderr_has(&place)
            .stderr_has("unknown key `workspace.metadata.ansar.role.test-client.executible`")
            .stderr_has("hint: did you mean `executable`?");
    }
    assert!(!group.home().exists());
}

#[test]
fn a_workspace_without_a_description() {
    let group = Group::of(&[]);
    group.manifest("");
    let failed = group.test([]).run();
    failed
        .code(96)
        .stdout_is("")
        .stderr_has("describes no roles")
        .stderr_has("hint: describe roles with `cargo ansar init`");
    assert!(!group.home().exists());
}

#[test]
fn a_retired_role_can_be_restored() {
    let group = Group::of(&[
        SERVER,
        ZOMBIE,
        CLIENT,
        r#"test-noop = { executable = "noop" }"#,
    ]);
    group.test([]).run().code(100);
    let before = group.log("test-noop").len();

    group.describe(&[SERVER, CLIENT]);
    let output = group.test([]).run();
    output
        .success()
        .stdout_is(PASSED)
        .stderr_has("Retired role `test-noop`, which is no longer described")
        .stderr_has("Retired role `zombie-0`")
        .stderr_has("Testing 1 role against 1 operational role");
    group.test([]).run().success().stderr_lacks("Retired");
    assert_eq!(group.log("test-noop").len(), before);

    group.describe(&[SERVER, ZOMBIE, CLIENT]);
    let output = group.test([]).run();
    output
        .success()
        .stderr_has("Testing 1 role against 2 operational roles");
}

#[test]
fn an_unused_snapshot_folder_is_reported() {
    let group = Group::demo();
    group.write("test-fixtures/testing/model-by-role/sever-0/x", "x");
    let output = group.test([]).run();
    output
        .success()
        .stderr_has("model-by-role/sever-0` is not deployed: no role of this name");
}

#[test]
fn settings_in_the_snapshot_hold_over_the_manifest() {
    let group = Group::demo();
    let snapshot = "test-fixtures/testing/settings-by-role/test-client.json";
    group.write(snapshot, "{\"value\": {\"port\": 1}}");
    let output = group.test([]).run();
    output.code(100).stderr_has("Connection refused");
    group.remove(snapshot);
    group.test([]).run().success().stdout_is(PASSED);
    group.write(snapshot, "{\"value\": ");
    let failed = group.test([]).run();
    failed.stdout_is("").stderr_has("test-client.json:1:");
}
