//! `get`, `set` and `edit`: the properties of roles.

use serde_json::{Value, json};
use tests::{Sandbox, Workspace};

use super::{hinted, tree, with_roles};

#[track_caller]
fn get(sandbox: &Sandbox, property: &str, role: &str) -> Value {
    let output = sandbox.ansar(["get", property, role]).run();
    output.success().json()["value"].clone()
}

#[track_caller]
fn set(sandbox: &Sandbox, words: &[&str], body: &str) {
    let text = format!("{{\"value\": {body}}}");
    let output = sandbox.ansar(["set"]).args(words).stdin(&text).run();
    output.success().stdout_is("");
}

/// Creates a program that edits a file with these shell commands.
fn editor(sandbox: &Sandbox, name: &str, commands: &str) -> String {
    let path = sandbox.write(name, &format!("#!/bin/sh\n{commands}\n"));
    sandbox
        .program("chmod")
        .arg("+x")
        .arg(&path)
        .run()
        .success();
    path.display().to_string()
}

#[test]
fn printed_properties_can_be_set() {
    let sandbox = with_roles(&["client", "noop"]);
    for (property, body) in [
        ("retry", r#"{"first_steps": [1.0, 2.0, 4.0]}"#),
        ("restart", "\"on-failure\""),
        ("timeout", "30.5"),
        ("after", "[\"noop-0\"]"),
        ("env", r#"{"RUST_LOG": "debug"}"#),
        ("storage", "1048576"),
    ] {
        let unset = sandbox.ansar(["get", property, "client-0"]).run();
        set(&sandbox, &[property, "client-0"], body);
        let value: Value = serde_json::from_str(body).unwrap();
        assert_eq!(get(&sandbox, property, "client-0"), value);
        assert_eq!(
            get(&sandbox, property, "noop-0"),
            unset.success().json()["value"]
        );
        let back = sandbox.ansar(["get", property, "client-0"]).run();
        sandbox.write("back", &back.stdout);
        sandbox
            .ansar(["set", property, "client-0", "--not-set"])
            .run()
            .success();
        let again = sandbox.ansar(["get", property, "client-0"]).run();
        again.success().stdout_is(&unset.stdout);
        sandbox
            .ansar(["set", property, "client-0", "--encoding-file=back"])
            .run()
            .success();
        assert_eq!(get(&sandbox, property, "client-0"), value);
        // The printed value of a property that is not set is also accepted.
        let stdin = sandbox.ansar(["set", property, "client-0"]);
        stdin.stdin(&unset.stdout).run().success();
        let again = sandbox.ansar(["get", property, "client-0"]).run();
        again.success().stdout_is(&unset.stdout);
    }
    assert_eq!(get(&sandbox, "executable", "client-0"), "client");
    assert_eq!(get(&sandbox, "origin", "client-0"), "hand");
    assert_eq!(
        get(&sandbox, "created", "client-0"),
        get(&sandbox, "created", "client-0")
    );
    assert_ne!(
        get(&sandbox, "id", "client-0"),
        get(&sandbox, "id", "noop-0")
    );
}

#[test]
fn read_only_properties_are_refused() {
    let sandbox = with_roles(&["client"]);
    for property in ["id", "created", "executable", "origin"] {
        for words in [
            &["set", property, "client-0", "--not-set"][..],
            &["edit", property, "client-0"],
        ] {
            let wrong = sandbox.ansar(words).run();
            wrong
                .code(2)
                .stderr_has(&format!("`{property}` is read-only"));
        }
    }
    let unknown = sandbox.ansar(["get", "retri", "client-0"]).run();
    unknown.code(2).stderr_has("'retri'").stderr_has("'retry'");
    let help = sandbox.ansar(["help", "set"]).run();
    help.success()
        .stdout_has("\n  storage       size of the stored log")
        .check(!help.stdout.contains("\n  created "), || {
            "expected what can be set only".to_owned()
        });
}

#[test]
fn a_wrong_value_is_refused_with_an_example() {
    let sandbox = with_roles(&["client", "noop"]);
    let entry = sandbox.read(".ansar-home/entry/client-0.json");
    for (property, body, expected, example) in [
        (
            "storage",
            "7",
            "field `value`: `7`, expected 65536 bytes at least",
            "16777216",
        ),
        ("timeout", "-1", "`-1`, expected seconds", "30.0"),
        (
            "restart",
            "\"daily\"",
            "expected one of `never`, `on-failure`, `always`",
            "\"on-failure\"",
        ),
        (
            "env",
            "{\"ANSAR_ROLE\": \"x\"}",
            "`ANSAR_ROLE` is set by `cargo ansar` itself",
            "{\"RUST_LOG\": \"debug\"}",
        ),
        (
            "after",
            "[\"a/b\"]",
            "field `value[0]`: role name `a/b` holds `/`",
            "[\"db-0\"]",
        ),
    ] {
        let text = format!("{{\"value\":\n{body}}}");
        let wrong = sandbox.ansar(["set", property]).stdin(&text).run();
        wrong
            .code(2)
            .stderr_has("error: <stdin>:2:")
            .stderr_has(expected)
            .stderr_has(&format!("hint: an example is `{{\"value\": {example}}}`"));
        assert_eq!(sandbox.read(".ansar-home/entry/client-0.json"), entry);
    }
    for (body, expected) in [
        (
            "[\"missing\"]",
            "role `client-0` cannot start after `missing`: there is no such role",
        ),
        (
            "[\"client-0\"]",
            "the start order has a cycle: `client-0` waits for `client-0`",
        ),
    ] {
        let text = format!("{{\"value\": {body}}}");
        let wrong = sandbox.ansar(["set", "after", "client-0"]).stdin(&text);
        let wrong = wrong.run();
        wrong.code(2).stderr_has(expected);
        hinted(&sandbox, &wrong).run().success();
        assert_eq!(sandbox.read(".ansar-home/entry/client-0.json"), entry);
    }
    set(&sandbox, &["after", "client-0"], "[\"noop-0\"]");
    let cycle = sandbox.ansar(["set", "after", "noop-0"]);
    let cycle = cycle.stdin("{\"value\": [\"client-0\"]}").run();
    cycle
        .code(2)
        .stderr_has("`client-0` waits for `noop-0` waits for `client-0`");
}

#[test]
fn roles_run_with_their_properties() {
    let sandbox = with_roles(&["talks", "noop", "stubborn"]);
    set(&sandbox, &["after", "noop-0"], "[\"talks-0\"]");
    let run = sandbox.ansar(["run", "-v", "noop-0", "talks-0"]).run();
    let order: Vec<_> = run
        .success()
        .log("Started ")
        .iter()
        .map(|line| line.contains("talks-0"))
        .collect();
    assert_eq!(order, [true, false]);
    // The log of a role with a small limit stays small.
    set(&sandbox, &["storage", "talks-0"], "65536");
    sandbox.write("many", r#"{"value": "many"}"#);
    sandbox
        .ansar(["input", "talks-0", "--set-file=many"])
        .run()
        .success();
    for _ in 0..4 {
        sandbox.ansar(["run", "-q", "talks-0"]).run().success();
    }
    let stored: u64 = tree(&sandbox, ".ansar-home/logs/talks-0")
        .iter()
        .map(|path| sandbox.path().join(path).metadata().unwrap().len())
        .sum();
    assert!((1..=65536 + 65536).contains(&stored), "{stored}");
}

#[test]
fn properties_set_by_hand_outlast_a_deploy() {
    let workspace = Workspace::new();
    workspace.manifest(
        "[workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n\
         timeout = \"1m\"\nenv = { A = \"1\" }\n",
    );
    workspace.ansar(["test", "--no-run"]).run().success();
    assert_eq!(get(&workspace, "timeout", "test-prints"), 60.0);
    assert_eq!(get(&workspace, "origin", "test-prints"), "manifest");
    let id = get(&workspace, "id", "test-prints");
    set(&workspace, &["timeout"], "5");
    workspace.ansar(["set", "env", "--not-set"]).run().success();
    workspace.ansar(["test", "--no-run"]).run().success();
    assert_eq!(get(&workspace, "timeout", "test-prints"), 5.0);
    assert_eq!(get(&workspace, "env", "test-prints"), json!({}));
    assert_eq!(get(&workspace, "id", "test-prints"), id);
}

#[test]
fn an_entry_of_the_first_form_is_understood() {
    let sandbox = with_roles(&["client"]);
    let entry = r#"{"value": {"created": "2026-01-01T00:00:00Z", "executable": "client",
        "origin": "hand", "retry": {"first_steps": [1.0]}, "by_hand": {"retry": true}}}"#;
    sandbox.write(".ansar-home/entry/client-0.json", entry);
    assert_eq!(get(&sandbox, "retry", "client-0")["first_steps"][0], 1.0);
    assert_eq!(get(&sandbox, "id", "client-0"), Value::Null);
    set(&sandbox, &["timeout"], "5");
    assert_eq!(get(&sandbox, "retry", "client-0")["first_steps"][0], 1.0);
}

#[test]
fn an_edited_property_is_checked_first() {
    let sandbox = with_roles(&["client"]);
    let change = editor(&sandbox, "change", "sed -i 's/1.0/8.5/' \"$1\"");
    let edit = || sandbox.ansar(["edit", "retry", "client-0"]);
    let edited = edit().env("EDITOR", &change).run();
    edited
        .success()
        .stdout_is("")
        .stderr_has("Set `retry` of role `client-0`");
    let steps = json!([8.5, 2.0]);
    assert_eq!(get(&sandbox, "retry", "client-0")["first_steps"], steps);

    let nothing = edit().env("EDITOR", "true").run();
    nothing
        .success()
        .stderr_has("Left `retry` of role `client-0`");
    // VISUAL takes precedence, and may have arguments.
    let arguments = edit()
        .env("VISUAL", "sed -i s/8.5/9.5/")
        .env("EDITOR", "false");
    arguments.run().success();
    let steps = json!([9.5, 2.0]);
    assert_eq!(get(&sandbox, "retry", "client-0")["first_steps"], steps);
    let emptied = editor(&sandbox, "empty", ": > \"$1\"");
    edit().env("EDITOR", emptied).run().success();
    assert_eq!(get(&sandbox, "retry", "client-0")["first_steps"], steps);
    assert_eq!(
        tree(&sandbox, ".ansar-home/kept"),
        [".ansar-home/kept/edit"]
    );
}

#[test]
fn a_mistake_in_the_editor_keeps_the_text() {
    let sandbox = with_roles(&["client"]);
    let entry = sandbox.read(".ansar-home/entry/client-0.json");
    let mistake = editor(&sandbox, "mistake", "sed -i 's/1.0/\"x\"/' \"$1\"");
    let edit = ["edit", "retry", "client-0"];
    let wrong = sandbox.ansar(edit).env("EDITOR", mistake).run();
    wrong
        .code(2)
        .stderr_has("/.ansar-home/kept/edit/client-0.retry.json:4:9: field `value.first_steps[0]`")
        .stderr_has("hint: the text is saved");
    assert_eq!(sandbox.read(".ansar-home/entry/client-0.json"), entry);
    // The hinted command opens the same text again.
    let mend = "sed -i s/.x./3.5/";
    let again = hinted(&sandbox, &wrong).env("EDITOR", mend).run();
    again.success().stderr_has("Set `retry`");
    let steps = json!([3.5, 2.0]);
    assert_eq!(get(&sandbox, "retry", "client-0")["first_steps"], steps);
    assert_eq!(
        tree(&sandbox, ".ansar-home/kept"),
        [".ansar-home/kept/edit"]
    );
}

#[test]
fn an_editor_that_fails_sets_nothing() {
    let sandbox = with_roles(&["client"]);
    let entry = sandbox.read(".ansar-home/entry/client-0.json");
    let fails = editor(&sandbox, "fails", "echo garbage > \"$1\"; exit 3");
    for (editor, expected) in [
        (
            "false",
            "editor `false` ended with code 1, so nothing is set",
        ),
        (&*fails, "ended with code 3, so nothing is set"),
        ("no-such-editor", "editor `no-such-editor` not found"),
    ] {
        let edit = ["edit", "timeout", "client-0"];
        let edit = sandbox.ansar(edit).env("EDITOR", editor).run();
        edit.code(96)
            .stderr_has(expected)
            .stderr_has("hint: choose another");
        assert_eq!(sandbox.read(".ansar-home/entry/client-0.json"), entry);
    }
    let missing = ["edit", "retry", "missing"];
    let missing = sandbox.ansar(missing).env("EDITOR", "false").run();
    missing.code(2).stderr_has("no role `missing`");
}
