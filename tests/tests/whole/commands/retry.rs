//! `set retry`: times of further attempts.

use serde_json::Value;
use tests::Sandbox;

use super::{hinted, with_roles};

#[track_caller]
fn retry_of(sandbox: &Sandbox, role: &str) -> Value {
    let text = sandbox.read(format!(".ansar-home/entry/{role}.json"));
    let entry: Value = serde_json::from_str(&text).expect("an entry is JSON");
    entry["value"]["retry"].clone()
}

#[test]
fn setting_and_unsetting_a_policy() {
    let sandbox = with_roles(&["client", "noop"]);
    let more = ["add", "client", "test-{number}", "--count=2"];
    sandbox.ansar(more).run().success();
    sandbox.write("steps", r#"{"value": {"first_steps": [1.0, 2.0, 4.0]}}"#);
    let set = sandbox
        .ansar(["set", "retry", "client-0", "--encoding-file=steps"])
        .run();
    set.success()
        .stdout_is("")
        .stderr_has("Set `retry` of role `client-0`");
    assert_eq!(retry_of(&sandbox, "client-0")["first_steps"][2], 4.0);
    assert_eq!(retry_of(&sandbox, "noop-0"), Value::Null);

    let set = sandbox.ansar(["set", "retry", r"test-\d"]);
    let set = set
        .stdin(r#"{"value": {"regular_steps": 0.5, "step_limit": 3}}"#)
        .run();
    set.success().stderr_has("Set `retry` of 2 roles");
    assert_eq!(retry_of(&sandbox, "test-1")["step_limit"], 3);

    let unset = [
        "set",
        "retry",
        "--executable=client",
        "-i",
        "test-0",
        "--not-set",
    ];
    sandbox
        .ansar(unset)
        .run()
        .success()
        .stderr_has("of 2 roles");
    assert_eq!(retry_of(&sandbox, "client-0"), Value::Null);
    assert_eq!(retry_of(&sandbox, "test-1"), Value::Null);
    assert_eq!(retry_of(&sandbox, "test-0")["step_limit"], 3);
}

#[test]
fn a_wrong_encoding_changes_nothing_and_is_named() {
    let sandbox = with_roles(&["client"]);
    let entry = sandbox.read(".ansar-home/entry/client-0.json");
    for (text, expected) in [
        ("", ":1:0: EOF"),
        ("{", ":1:1: EOF"),
        ("[", ":1:1: invalid type: sequence, expected an object"),
        (
            "{\"value\": {\n\"first_steps\": [1, \"x\"]}}",
            ":2:22: field `value.first_steps[1]`: invalid type",
        ),
        (
            "{\"value\": {\"first_stps\": []}}",
            "unknown field `first_stps`, expected one of `first_steps`",
        ),
        (
            "{\"value\": {\n\"first_steps\": [-1]}}",
            ":2:21: field `value`: `first_steps` is -1, expected seconds",
        ),
        (
            "{\"value\": {\"truncated\": 2}}",
            "`truncated` is 2, expected 0 to 1",
        ),
        (
            "{\"first_steps\": []}",
            "unknown field `first_steps`, expected `value`",
        ),
        ("{\"value\": {}} {}", ":1:15: trailing characters"),
    ] {
        let from_stdin = sandbox.ansar(["set", "retry"]).stdin(text).run();
        from_stdin
            .code(2)
            .stderr_has("error: <stdin>:")
            .stderr_has(expected);
        sandbox.write("wrong.json", text);
        let from_file = sandbox
            .ansar(["set", "retry", "--encoding-file", "wrong.json"])
            .run();
        from_file
            .code(2)
            .stderr_has("/scratch/wrong.json:")
            .stderr_has(expected);
        assert_eq!(
            sandbox.read(".ansar-home/entry/client-0.json"),
            entry,
            "{text}"
        );
    }
    let none = sandbox
        .ansar(["set", "retry", "--encoding-file=none"])
        .run();
    none.code(2)
        .stderr_has("/scratch/none`")
        .stderr_has("No such file");
    let both = sandbox
        .ansar(["set", "retry", "--encoding-file=x", "--not-set"])
        .run();
    both.code(2).stderr_has("cannot be used with");
}

#[test]
fn unknown_properties_and_roles() {
    let sandbox = with_roles(&["client"]);
    let property = sandbox.ansar(["set", "created", "client-0"]).run();
    property
        .code(2)
        .stderr_has("'created'")
        .stderr_has("is read-only");
    let none = sandbox.ansar(["set", "retry", "client", "--not-set"]).run();
    none.code(2).stderr_has("error: no role matches `client`");
    hinted(&sandbox, &none)
        .run()
        .success()
        .stdout_is("client-0\n");
}
