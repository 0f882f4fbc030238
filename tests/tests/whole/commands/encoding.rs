//! `settings` and `input`: the values that a role receives, printed and
//! replaced.

use serde_json::json;
use tests::{Sandbox, Workspace};

use super::update::settings;
use super::{completed, with_home, with_roles};

#[test]
fn printed_values_are_accepted_again() {
    let sandbox = with_home();
    let add = ["add", "client", "--port=7", "--host=h"];
    sandbox.ansar(add).run().success();
    let printed = sandbox.ansar(["settings", "client-0"]).run();
    printed
        .success()
        .stdout_is("{\n  \"value\": {\n    \"host\": \"h\",\n    \"port\": 7\n  }\n}\n")
        .check(printed.stderr.is_empty(), || {
            "expected nothing on stderr".to_owned()
        });
    sandbox.write("whole.json", &printed.stdout);
    let set = sandbox
        .ansar(["settings", "client-0", "--set-file=whole.json"])
        .run();
    set.success()
        .stdout_is("")
        .stderr_has("Set settings of role `client-0`");
    let again = sandbox.ansar(["settings", "client-0"]).run();
    again.success().stdout_is(&printed.stdout);
}

#[test]
fn a_whole_encoding_replaces_what_was_set_before() {
    let sandbox = with_home();
    let add = ["add", "client", "--port=7", "--host=h"];
    sandbox.ansar(add).run().success();
    sandbox.write("port", r#"{"value": {"port": 8}}"#);
    let set = ["settings", "--set-file", "port", "client-0"];
    sandbox.ansar(set).run().success();
    let expected = json!({"host": "127.0.0.1", "port": 8});
    assert_eq!(settings(&sandbox, "client-0"), expected);
    for words in [
        &["settings", "client-0", "--set-file=-"][..],
        &["settings", "client-0", "--set-file"],
    ] {
        let text = r#"{"value": {"host": "there"}}"#;
        sandbox.ansar(words).stdin(text).run().success();
        let expected = json!({"host": "there", "port": 65432});
        assert_eq!(settings(&sandbox, "client-0"), expected);
        sandbox.ansar(set).run().success();
    }
}

#[test]
fn a_role_uses_its_input() {
    let sandbox = with_roles(&["talks"]);
    let input = sandbox.ansar(["input", "talks-0"]).run();
    input
        .success()
        .stdout_is("{\n  \"value\": \"children\"\n}\n");
    sandbox.write("many", r#"{"value": "many"}"#);
    let set = ["input", "talks-0", "--set-file=many"];
    let set = sandbox.ansar(set).run();
    set.success().stderr_has("Set input of role `talks-0`");
    let run = sandbox.ansar(["run"]).run();
    assert_eq!(completed(run.success())[0].2["failed"], 100);
    let difference = sandbox.ansar(["input", "talks-0", "--set-file"]);
    difference
        .stdin(r#"{"value": "difference"}"#)
        .run()
        .success();
    let input = sandbox.ansar(["input", "talks-0"]).run();
    assert_eq!(input.success().json()["value"], "difference");
}

/// Returns everything that a home stores about a role.
fn known(sandbox: &Sandbox, role: &str) -> [Option<String>; 3] {
    ["entry", "settings", "input"].map(|area| {
        let path = format!(".ansar-home/{area}/{role}.json");
        std::fs::read_to_string(sandbox.path().join(path)).ok()
    })
}

#[test]
fn a_wrong_encoding_is_located() {
    let sandbox = with_roles(&["client", "talks", "noop"]);
    for (words, text, code, expected) in [
        (
            ["settings", "client-0"],
            "{\"value\": {\n\"port\": \"x\"}}",
            103,
            ":2:11: field `port`: invalid type",
        ),
        (
            ["settings", "client-0"],
            "{\"value\": {\"port\": 1,\n \"hots\": \"h\"}}",
            103,
            ":2:7: unknown setting `hots`, expected one of `host`, `port`",
        ),
        (["settings", "client-0"], "{\"value\": 1}", 2, ":1:11: "),
        (
            ["settings", "client-0"],
            "{\"value\":",
            2,
            ":1:9: field `value`: EOF",
        ),
        (["settings", "client-0"], "", 2, ":1:0: EOF"),
        (
            ["settings", "client-0"],
            "{\"port\": 1}",
            2,
            ":1:7: field `port`: unknown field `port`, expected `value`",
        ),
        (
            ["input", "talks-0"],
            "{\"value\":\n \"weather\"}",
            103,
            ":2:10: field `value`: unknown variant `weather`",
        ),
        (
            ["input", "noop-0"],
            "{\"value\": 1}",
            103,
            "this component takes no input",
        ),
        (
            ["settings", "noop-0"],
            "{\"value\": {\"x\": 1}}",
            103,
            "`x`",
        ),
    ] {
        let before = known(&sandbox, words[1]);
        sandbox.write("wrong.json", text);
        let file = sandbox.ansar(words).arg("--set-file=wrong.json").run();
        let stdin = sandbox.ansar(words).arg("--set-file").stdin(text).run();
        for (output, name) in [(file, "/scratch/wrong.json"), (stdin, "<stdin>")] {
            let errors = output.log("error: ");
            output
                .code(code)
                .stdout_is("")
                .stderr_has(expected)
                .check(errors.len() == 1, || "expected one error".to_owned());
            if expected.starts_with(':') {
                output.stderr_has(&format!("{name}{expected}"));
            }
            assert_eq!(known(&sandbox, words[1]), before, "{text}");
        }
    }
    let none = sandbox
        .ansar(["settings", "client-0", "--set-file=none"])
        .run();
    none.code(2).stderr_has("/scratch/none`");
    assert!(super::tree(&sandbox, ".ansar-home/engine").is_empty());
}

#[test]
fn settings_that_were_never_resolved() {
    let workspace = Workspace::new();
    workspace.manifest("[workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n");
    workspace.ansar(["test", "--no-run"]).run().success();
    std::fs::remove_file(
        workspace
            .path()
            .join(".ansar-home/settings/test-prints.json"),
    )
    .unwrap();
    let unsettled = workspace.ansar(["settings", "test-prints"]).run();
    unsettled
        .code(96)
        .stderr_has("role `test-prints` has no settings yet");
    super::hinted(&workspace, &unsettled).run().success();
    workspace.ansar(["settings", "test-prints"]).run().success();
    let input = workspace.ansar(["input", "test-prints"]).run();
    input
        .code(2)
        .stderr_has("error: role `test-prints` takes no input");
    super::hinted(&workspace, &input).run().success();
}

/// `bash -c SCRIPT`, in which `$0` is the tool.
fn typed<'s>(sandbox: &'s Sandbox, script: &str) -> tests::Program<'s> {
    let bash = sandbox.program("bash").args(["-c", script]);
    bash.arg(tests::executable("cargo-ansar"))
}

#[test]
fn an_encoding_from_a_pipe() {
    let sandbox = with_roles(&["snooze", "talks", "noop"]);
    for script in [
        r#""$0" add snooze s --settings-file <(echo '{"value": {"seconds": 7.5}}')"#,
        r#""$0" settings snooze-0 --set-file <(echo '{"value": {"seconds": 8.5}}')"#,
        r#""$0" input talks-0 --set-file <(echo '{"value": "many"}')"#,
        r#""$0" set storage noop-0 --encoding-file <(echo '{"value": 1048576}')"#,
    ] {
        typed(&sandbox, script).run().success();
    }
    for (words, expected) in [
        (["settings", "s"], "7.5"),
        (["settings", "snooze-0"], "8.5"),
        (["input", "talks-0"], "many"),
    ] {
        sandbox.ansar(words).run().success().stdout_has(expected);
    }
    let wrong = r#""$0" add snooze t --settings-file <(echo '{"value": {"second": 7.5}}')"#;
    let refused = typed(&sandbox, wrong).run();
    refused
        .code(103)
        .stderr_has("/dev/fd/")
        .stderr_has(":1:19: unknown setting `second`");
}

#[test]
fn an_array_is_no_envelope() {
    let sandbox = with_roles(&["snooze"]);
    let file = sandbox.write("array", "[{\"seconds\": 7.5}]");
    let file = file.display().to_string();
    for words in [
        &["add", "snooze", "s", "--settings-file", &file][..],
        &["settings", "snooze-0", "--set-file", &file],
        &["set", "restart", "snooze-0", "--encoding-file", &file],
    ] {
        let refused = sandbox.ansar(words).run();
        refused
            .code(2)
            .stderr_has("array:1:")
            .stderr_has("invalid type: sequence, expected an object");
    }
    let inside = sandbox.write("inside", "{\"value\": [7.5]}");
    let add = ["add", "snooze", "s", "--settings-file"];
    let refused = sandbox.ansar(add).arg(&inside).run();
    refused.stderr_has("invalid type: sequence");
    let by_hand = sandbox
        .component("snooze")
        .arg("--settings-file")
        .arg(&inside);
    by_hand.run().code(2).stderr_has("invalid type: sequence");
}
