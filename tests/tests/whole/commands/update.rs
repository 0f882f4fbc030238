//! `update`: settings of existing roles, checked by their component; all are
//! changed, or none.

use serde_json::{Value, json};
use tests::{Sandbox, Workspace, loopback};

use super::{with_home, with_roles};

#[track_caller]
pub(super) fn settings(sandbox: &Sandbox, role: &str) -> Value {
    let output = sandbox.ansar(["settings", role]).run();
    output.success().json()["value"].clone()
}

#[test]
fn only_given_settings_change() {
    let sandbox = with_home();
    let add = ["add", "client", "test-{number}", "--count=3", "--port=7"];
    sandbox.ansar(add).run().success();
    sandbox.ansar(["add", "snooze"]).run().success();
    let update = sandbox.ansar(["update", "test-.*", "--host=h"]).run();
    update.success().stdout_is("").stderr_has("Updated 3 roles");
    assert_eq!(
        settings(&sandbox, "test-1"),
        json!({"host": "h", "port": 7})
    );
    let more = ["update", "--executable=client", "-i", "test-1", "--port=8"];
    sandbox
        .ansar(more)
        .run()
        .success()
        .stderr_has("Updated 2 roles");
    assert_eq!(
        settings(&sandbox, "test-0"),
        json!({"host": "h", "port": 8})
    );
    assert_eq!(
        settings(&sandbox, "test-1"),
        json!({"host": "h", "port": 7})
    );
    let behind = ["update", "snooze-0", "-v", "--", "--seconds=0.001"];
    sandbox.ansar(behind).run().success();
    let run = ["run", "snooze-0", "--debug-level=CONSOLE"];
    let run = sandbox.ansar(run).run();
    run.success().stderr_has("Do nothing for 0.001 seconds");
}

#[test]
fn a_refused_setting_changes_no_role() {
    let sandbox = with_roles(&["client", "snooze"]);
    let before = settings(&sandbox, "client-0");
    for (line, code, expected) in [
        (
            &["client-0", "--port=many"][..],
            103,
            "role `client-0`: setting `port` cannot be `many`",
        ),
        (&["--port=1"], 103, "role `snooze-0`: "),
        (&["client-0", "--prt=1"], 103, "hint: "),
        (
            &["client-0", "--port", "1"],
            2,
            "write a setting as `--port=VALUE`",
        ),
        (&["client-0"], 2, "error: no setting to change"),
        (&["client-0", "--", "1"], 2, "`1` is not a setting"),
        (&["missing", "--port=1"], 2, "no role matches `missing`"),
    ] {
        let update = sandbox.ansar(["update"]).args(line).run();
        let errors = update.log("error: ");
        update
            .code(code)
            .stderr_has(expected)
            .check(errors.len() == 1, || "expected one error".to_owned());
        assert_eq!(settings(&sandbox, "client-0"), before, "{line:?}");
    }
}

#[test]
fn a_failed_write_changes_nothing() {
    let sandbox = with_roles(&["client"]);
    let add = ["add", "client", "test-{number}", "--count=3"];
    sandbox.ansar(add).run().success();
    let stopper = sandbox.path().join(".ansar-home/settings/test-2.json");
    std::fs::remove_file(&stopper).unwrap();
    std::fs::create_dir(&stopper).unwrap();
    let read = |area: &str, role: &str| sandbox.read(format!(".ansar-home/{area}/{role}.json"));
    let all = || {
        let of = |role| [read("entry", role), read("settings", role)];
        (of("client-0"), of("test-0"), read("entry", "test-2"))
    };
    let before = all();
    let update = sandbox.ansar(["update", "--port=1"]).run();
    update.code(96).stderr_has("test-2.json");
    assert_eq!(all(), before);
}

#[test]
fn an_update_outlasts_a_deploy() {
    let workspace = Workspace::new();
    let host = loopback().to_string();
    let described = |port: u16| {
        workspace.manifest(&format!(
            "[workspace.metadata.ansar.role.test-client]\nexecutable = \"client\"\n\
             settings = {{ host = \"{host}\", port = {port} }}\n"
        ));
    };
    described(1);
    workspace.ansar(["test", "--no-run"]).run().success();
    workspace
        .ansar(["update", "test-client", "--port=2"])
        .run()
        .success();
    described(3);
    let test = workspace.ansar(["test", "--no-run"]).run();
    test.success().stderr_has("`port`");
    assert_eq!(
        settings(&workspace, "test-client"),
        json!({"host": host, "port": 2})
    );
}
