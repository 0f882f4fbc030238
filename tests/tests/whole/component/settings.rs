//! Settings and input by hand: their sources, and errors in them.

use serde_json::{Value, json};
use tests::{Output, Sandbox};

use super::REPORT;

fn ask(sandbox: &Sandbox, name: &str, arguments: &[&str]) -> Output {
    sandbox.component(name).args(arguments).run()
}

/// Returns the settings of the client with these arguments.
fn settings(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let program = sandbox.component("client").arg("--dump-settings");
    let output = program.args(arguments).run();
    output.success().json()["value"].clone()
}

#[test]
fn later_layers_of_settings_override_fields() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("some.json", r#"{"value": {"port": 3}}"#);
    let file = format!("--settings-file={}", file.display());
    let client = |host: &str, port: u16| json!({"host": host, "port": port});
    assert_eq!(settings(&sandbox, &[]), client("127.0.0.1", 65432));
    assert_eq!(settings(&sandbox, &["--port=1"]), client("127.0.0.1", 1));

    // Storing prints nothing and affects only later runs.
    let store = ask(
        &sandbox,
        "client",
        &["--store-settings", "--host=kept", "--port=2"],
    );
    store.success().stdout_is("");
    assert_eq!(store.stderr, "");
    assert_eq!(settings(&sandbox, &[]), client("kept", 2));
    assert_eq!(settings(&sandbox, &[&file]), client("kept", 3));
    assert_eq!(settings(&sandbox, &[&file, "--port=4"]), client("kept", 4));

    ask(&sandbox, "client", &["--factory-reset"]).success();
    assert_eq!(settings(&sandbox, &[]), client("127.0.0.1", 65432));
    ask(&sandbox, "client", &["--factory-reset"]).success();
}

#[test]
fn settings_reach_the_function() {
    let sandbox = Sandbox::new();
    let output = ask(&sandbox, "snooze", &["--seconds=0.001"]);
    output.success().stderr_has("Do nothing for 0.001 seconds");
}

#[test]
fn dumped_settings_are_accepted() {
    let sandbox = Sandbox::new();
    let dump = ask(&sandbox, "client", &["--dump-settings"]);
    sandbox.write("same.json", &dump.success().stdout);
    let again = ask(
        &sandbox,
        "client",
        &["--settings-file=same.json", "--dump-settings"],
    );
    again.success().stdout_is(&dump.stdout);
}

#[test]
fn an_invalid_settings_file_is_located() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.json", "{\"value\": {\n  \"port\": \"x\"}}");
    sandbox.write("unknown.json", r#"{"value": {"prt": 7}}"#);
    sandbox.write("cut.json", r#"{"value": {"port""#);
    for (file, error) in [
        (
            "bad.json",
            "bad.json:2:13: field `port`: invalid type: string \"x\", expected u16",
        ),
        ("unknown.json", "`prt`"),
        ("cut.json", "cut.json:1:17: "),
        ("none.json", "no file `none.json`"),
    ] {
        let file = format!("--settings-file={file}");
        let output = ask(&sandbox, "client", &[&file]);
        output.code(2).stderr_has(error);
        // A run has a result in any case; a query has none.
        output.returned(super::FAULTED);
        let asked = ask(&sandbox, "client", &[&file, "--dump-settings"]);
        asked.code(2).stdout_is("").stderr_has(error);
        let stored = ask(&sandbox, "client", &[&file, "--store-settings"]);
        stored.code(2).stderr_has(error);
    }
    assert_eq!(settings(&sandbox, &[])["port"], 65432);
}

#[test]
fn an_invalid_setting_is_wrong_usage() {
    let sandbox = Sandbox::new();
    let output = ask(&sandbox, "client", &["--port=70000"]);
    output.code(2).stderr_has("`port` cannot be `70000`");
    let output = ask(&sandbox, "client", &["--prot=1"]);
    output.code(2).stdout_is("").stderr_has("--port");
    let output = ask(&sandbox, "noop", &["--debug-level=LOUD"]);
    output.code(2).stderr_has("LOUD");
}

#[test]
fn help_shows_the_settings_and_their_defaults() {
    let sandbox = Sandbox::new();
    let output = ask(&sandbox, "client", &["--help"]);
    output
        .success()
        .stdout_has("--port <VALUE>")
        .stdout_has("65432")
        .stdout_has("--store-settings");
}

#[test]
fn input_from_default_file_or_stdin() {
    let sandbox = Sandbox::new();
    let dump = ask(&sandbox, "talks", &["--dump-input"]);
    assert_eq!(dump.success().json(), json!({"value": "children"}));

    sandbox.write("input.json", r#"{"value": "difference"}"#);
    let from_file = ask(&sandbox, "talks", &["--input-file=input.json"]);
    from_file.success().stderr_has("Talking of Difference");

    let from_stdin = sandbox.component("talks").arg("--call-signature=io");
    let from_stdin = from_stdin.stdin(r#"{"value": "many"}"#).run();
    from_stdin
        .success()
        .stderr_has("Talking of Many")
        .returned(REPORT);

    let unread = sandbox.component("talks").stdin(r#"{"value": "many"}"#);
    unread.run().success().stderr_has("Talking of Children");
}

#[test]
fn an_invalid_input_is_located() {
    let sandbox = Sandbox::new();
    sandbox.write("input.json", "{\"value\":\n \"weather\"}");
    let from_file = ask(&sandbox, "talks", &["--input-file=input.json"]);
    from_file
        .code(2)
        .stderr_has("input.json:2:")
        .stderr_has("unknown variant `weather`");
    for text in ["", "{", "[]", r#"{"value": "weather"}"#] {
        let from_stdin = sandbox.component("talks").arg("--call-signature=io");
        let output = from_stdin.stdin(text).run();
        output.code(2).returned(super::FAULTED);
    }
}
