//! A workspace that describes roles, none of which was deployed yet.

use tests::Workspace;

use super::hinted;

fn fresh() -> Workspace {
    let workspace = Workspace::new();
    workspace.manifest(
        "[workspace.metadata.ansar.role.zombie-0]\nexecutable = \"zombie\"\n\
         [workspace.metadata.ansar.role.test-prints]\nexecutable = \"prints\"\n",
    );
    workspace
}

#[test]
fn start_deploys_described_roles() {
    let workspace = fresh();
    for (words, code) in [
        (&["start", "zombi-0"][..], 2),
        (&["run", "zombi-0"], 2),
        (&["start", "zombie-0", "test-print"], 2),
        (&["test", "test-print"], 4),
        (&["watch", "test-print"], 4),
        (&["with", "zombi-0", "--", "true"], 2),
    ] {
        let wrong = workspace.ansar(words).run();
        wrong
            .code(code)
            .stderr_has("hint: did you mean `")
            .stderr_lacks("Finished");
        assert!(!workspace.path().join(".ansar-home").exists(), "{words:?}");
    }
    let start = workspace.ansar(["start"]).run();
    start.success().stderr_has("Started `zombie-0`");
    let status = workspace.ansar(["status"]).run();
    status.success().stdout_is("zombie-0\n");
    workspace.ansar(["stop"]).run().success();
    workspace.is_still();
}

#[test]
fn run_deploys_described_roles() {
    let workspace = fresh();
    let run = workspace.ansar(["run", "test-prints"]).run();
    run.success().stderr_has("Running 1 role");
    let again = workspace.ansar(["run", "test-prints"]).run();
    again.success().stderr_lacks("Deploying");
}

#[test]
fn an_empty_home_is_filled() {
    let workspace = fresh();
    workspace.ansar(["create"]).run().success();
    workspace.ansar(["start"]).run().success();
    workspace.ansar(["stop"]).run().success();
}

#[test]
fn status_and_list_show_described_roles() {
    let workspace = fresh();
    for words in [
        &["status"][..],
        &["status", "-l", "zombie-.*"],
        &["status", "--wait=stopped"],
    ] {
        workspace.ansar(words).run().success().stdout_is("");
    }
    let ready = ["status", "--wait=ready", "zombie-0"];
    let ready = workspace.ansar(ready).run();
    ready.code(105).stderr_has("role `zombie-0` is not running");
    let list = workspace.ansar(["list"]).run();
    list.success().stdout_is("test-prints\nzombie-0\n");
    let list = workspace.ansar(["list", "-l", "zombie-0"]).run();
    list.success().stdout_has("zombie-0").stdout_has("zombie ");
    for command in ["status", "list"] {
        let wrong = workspace.ansar([command, "zombi-0"]).run();
        wrong.code(2).stderr_has("did you mean `zombie-0`?");
    }
    assert!(!workspace.path().join(".ansar-home").exists());
    // The hinted command starts it.
    hinted(&workspace, &ready).run().success();
    workspace.ansar(["stop"]).run().success();
}

#[test]
fn other_commands_tell_how_to_deploy() {
    let workspace = fresh();
    let commands = [
        &["settings", "zombie-0"][..],
        &["input", "zombie-0"],
        &["get", "retry", "zombie-0"],
        &["set", "retry", "zombie-0", "--not-set"],
        &["update", "zombie-0", "--x=1"],
        &["delete", "zombie-0"],
        &["history", "zombie-0"],
        &["returned", "zombie-0"],
        &["log", "zombie-0"],
        &["folder", "logs", "zombie-0"],
        &["why", "zombie-0"],
        &["stop"],
        &["restart"],
        &["snapshot", "out"],
        &["add", "noop", "more"],
    ];
    for words in commands {
        let refused = workspace.ansar(words).run();
        refused
            .code(96)
            .stderr_has("error: no home at `")
            .stderr_has(
                "hint: build and deploy the roles of `Cargo.toml` with `cargo ansar deploy`",
            );
    }
    let refused = workspace.ansar(["settings", "zombie-0"]).run();
    hinted(&workspace, &refused).run().success();
    workspace.ansar(["settings", "zombie-0"]).run().success();
    // The hint of a command about other places names them.
    let elsewhere = [
        "settings",
        "zombie-0",
        "--home-path=a b",
        "--manifest-path=Cargo.toml",
    ];
    let refused = workspace.ansar(elsewhere).run();
    let folder = workspace.path();
    let folder = folder.display();
    refused.code(96).stderr_has(&format!(
        "`cargo ansar --home-path '{folder}/a b' --manifest-path {folder}/Cargo.toml deploy`"
    ));
}
