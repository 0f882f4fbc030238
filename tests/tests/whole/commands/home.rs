//! Unusable homes: one line that names the path, and a next step.

use tests::Sandbox;

use super::{hinted, with_roles};

/// A command that only reads the home, and one that changes it.
const COMMANDS: [&[&str]; 2] = [&["list"], &["add", "noop", "other"]];

#[track_caller]
fn refused(sandbox: &Sandbox, place: &str) {
    for command in COMMANDS {
        let output = sandbox.ansar(command).run();
        let errors = output.log("error: ");
        output
            .code(96)
            .stdout_is("")
            .stderr_has(&format!("/scratch/.ansar-home/{place}"))
            .stderr_has("\nhint: ")
            .check(errors.len() == 1, || "expected one error".to_owned());
    }
}

#[test]
fn a_damaged_home_file_is_located() {
    let sandbox = with_roles(&["noop"]);
    let whole = sandbox.read(".ansar-home/home.json");
    let cut = &whole[..whole.len() / 2];
    for (text, place) in [
        ("garbage", "home.json:1:1: expected value"),
        ("", "home.json:1:0: EOF"),
        (cut, "home.json:"),
        ("{\"version\": 1}", "home.json:1:14: missing field `id`"),
        (
            "{\"version\": \"1\"}",
            "home.json:1:15: field `version`: invalid type",
        ),
        (
            "{\n\"version\": 2, \"more\": true}",
            "home.json` has format version 2; this `cargo ansar` supports 1",
        ),
    ] {
        sandbox.write(".ansar-home/home.json", text);
        refused(&sandbox, place);
        sandbox.ansar(["destroy", "-f"]).run().code(96);
    }
    let mut long: serde_json::Value = serde_json::from_str(&whole).unwrap();
    long["workspace"] = format!("/{}", "a".repeat(1 << 20)).into();
    sandbox.write(".ansar-home/home.json", &long.to_string());
    let list = sandbox.ansar(["list"]).run();
    list.code(96)
        .stderr_has("home.json: field `workspace`: longer than 4095 bytes, expected a path");
    assert!(list.stderr.len() < 1000);
    std::fs::write(sandbox.path().join(".ansar-home/home.json"), b"\xff\xfe{").unwrap();
    refused(&sandbox, "home.json:1:1: ");
    sandbox.write(".ansar-home/home.json", &whole);
    sandbox
        .ansar(["list"])
        .run()
        .success()
        .stdout_is("noop-0\n");
}

#[test]
fn a_damaged_entry_does_not_block_destroy() {
    let sandbox = with_roles(&["noop"]);
    let whole = sandbox.read(".ansar-home/entry/noop-0.json");
    for (text, place) in [
        (
            "garbage",
            "entry/noop-0.json:1:1: expected value".to_owned(),
        ),
        ("", "entry/noop-0.json:1:0: EOF".to_owned()),
        (&whole[..whole.len() - 4], "entry/noop-0.json:".to_owned()),
        (
            "{\"value\": {\"executable\": \"../sh\"}}",
            "entry/noop-0.json:1:33: field `value.executable`: executable name `../sh`".to_owned(),
        ),
    ] {
        sandbox.write(".ansar-home/entry/noop-0.json", text);
        refused(&sandbox, &place);
        sandbox.ansar(["run"]).run().code(96).stderr_has(&place);
    }
    sandbox.ansar(["destroy"]).run().success();
}

#[test]
fn other_files_among_entries_are_ignored() {
    let sandbox = with_roles(&["noop"]);
    for name in ["noop-0.json~", ".noop-0.json.swp", "a b.json", "README"] {
        sandbox.write(format!(".ansar-home/entry/{name}"), "garbage");
    }
    sandbox
        .ansar(["list"])
        .run()
        .success()
        .stdout_is("noop-0\n");
    sandbox.ansar(["run"]).run().success();
}

#[test]
fn a_damaged_deploy_file_can_be_removed() {
    let sandbox = with_roles(&["noop"]);
    sandbox.write(".ansar-home/deploy.json", "[");
    sandbox.write("materials/model-by-role/noop-0/words", "one");
    let line = ["deploy", "--storage-path", "materials"];
    sandbox
        .ansar(line)
        .run()
        .code(96)
        .stderr_has("/scratch/.ansar-home/deploy.json:1:1: EOF")
        .stderr_has("hint: correct it, or remove it");
    // None of it is needed to add and to run.
    sandbox.ansar(["add", "noop", "other"]).run().success();
    sandbox.ansar(["run"]).run().success();
    std::fs::remove_file(sandbox.path().join(".ansar-home/deploy.json")).unwrap();
    sandbox.ansar(line).run().success();
}

#[test]
fn a_file_is_not_a_home() {
    let sandbox = Sandbox::new();
    sandbox.write(".ansar-home", "");
    for command in COMMANDS {
        let output = sandbox.ansar(command).run();
        output
            .code(96)
            .stderr_has("is not a home, and not an empty folder");
    }
    sandbox.write("parent", "");
    let below = sandbox.ansar(["create", "parent/home"]).run();
    below
        .code(96)
        .stderr_has("/scratch/parent/home`")
        .stderr_has("Not a directory");
}

#[test]
fn a_folder_in_place_of_a_file() {
    let sandbox = with_roles(&["noop"]);
    let area = |path: &str| sandbox.path().join(".ansar-home").join(path);
    std::fs::create_dir(area("settings/other.json")).unwrap();
    let add = sandbox.ansar(["add", "noop", "other"]).run();
    add.code(96).stderr_has(".ansar-home/settings/other.json`");
    sandbox
        .ansar(["list"])
        .run()
        .success()
        .stdout_is("noop-0\n");
    // Folders in place of files, since root may write anywhere.
    std::fs::remove_dir_all(area("logs/noop-0")).unwrap();
    std::fs::write(area("logs/noop-0"), "").unwrap();
    let run = sandbox.ansar(["run"]).run();
    run.code(96).stderr_has(".ansar-home/logs/noop-0`");
}

#[test]
fn a_home_without_roles() {
    let sandbox = with_roles(&[]);
    let list = sandbox.ansar(["list"]).run();
    list.success()
        .stdout_is("")
        .stderr_has("Listed no roles of home `");
    for command in [&["run"][..], &["run", "x"], &["set", "retry", "--not-set"]] {
        let empty = sandbox.ansar(command).run();
        empty
            .code(2)
            .stderr_has("has no roles")
            .stderr_has("hint: add one with `cargo ansar add");
    }
    let sandbox = with_roles(&["noop"]);
    let none = sandbox.ansar(["run", "a.*", "b"]).run();
    none.code(2).stderr_has("error: no role matches `a.*`, `b`");
    hinted(&sandbox, &none)
        .run()
        .success()
        .stdout_is("noop-0\n");
}
